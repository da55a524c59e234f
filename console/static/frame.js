// The page stands in a frame of Airflow's, which may not move the window around it. A link to one of
// Airflow's own pages is therefore clicked in the window that it belongs to.
if (window.parent !== window) document.documentElement.classList.add("framed");
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.airflow");
  if (!link || window.parent === window) return;
  event.preventDefault();
  const outer = window.parent.document.createElement("a");
  outer.href = link.href;
  window.parent.document.body.append(outer);
  outer.click();
  outer.remove();
});
