"""`make pictures`: what Airflow shows of the demo state, photographed for the documentation.

Needs Chromium and a `make demo` before it. What is photographed of an operator's day (a question,
a clearing, a rollback) comes from tests/test_newcomer.py, which `make pictures` runs as well.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from ops import browser, configuration, instance
from ops.client import quoted

IMAGES = configuration.ROOT / "docs" / "images"


def photograph(page: Page, picture: Path) -> None:
    """The page as it is seen, once it asks for nothing more, as PNG."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.wait_for_load_state("networkidle")
    # Airflow lays its lists out once more after their data has come.
    page.wait_for_timeout(1000)
    page.screenshot(path=picture)
    print(picture, flush=True)


def main() -> None:
    with instance.using() as client, browser.opened() as chromium:
        page = browser.signed_in(chromium, client.url, client.user, client.password)
        for dag in ("zz_ingest", "zz_publish"):
            runs = client.get(f"dags/{dag}/dagRuns", order_by="-run_after", limit=1)["dag_runs"]
            if not runs:
                raise SystemExit(f"{dag} has not run yet; run `make demo` first")
            page.goto(f"{client.url}/dags/{dag}/runs/{quoted(runs[0]['dag_run_id'])}")
            page.get_by_text("Success").first.wait_for()
            photograph(page, IMAGES / f"airflow-{dag.removeprefix('zz_')}.png")
        page.goto(f"{client.url}/dags")
        page.get_by_role("link", name="Franklin: ingest").wait_for()
        photograph(page, IMAGES / "airflow-dags.png")
        page.goto(f"{client.url}/assets")
        page.get_by_role("link", name="lake/zz", exact=True).click()
        page.wait_for_url("**/assets/*")
        page.get_by_text("Franklin: publish").first.wait_for()
        photograph(page, IMAGES / "airflow-assets.png")
        # The page as Airflow frames it, and a state's own.
        page.goto(f"{client.url}/plugin/statewide")
        framed = page.frame_locator("iframe")
        framed.get_by_role("heading", name="States").wait_for()
        photograph(page, IMAGES / "statewide.png")
        framed.get_by_role("link", name="Franklin", exact=True).click()
        framed.get_by_role("heading", name="Extracts").wait_for()
        photograph(page, IMAGES / "statewide-state.png")


if __name__ == "__main__":
    main()
