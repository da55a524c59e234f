"""The Statewide page: what was loaded, what was refused, what is published, and what to do.

Read-only. Who is logged in to Airflow and may read `<state>_ingest` there sees that state; Data
Docs, dbt's documentation, what checks observed and rows that were set aside tell as much as the
logs of its tasks, and are for those who may read these. Nobody else sees anything.

Publishers' headers and names are data: templates escape them, and no page that shows them, nor
one that another tool wrote of them, may run a script with the operator's session.
"""

from __future__ import annotations

import mimetypes
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import AccessView, GetUserDep, requires_access_view
from airflow.configuration import conf
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException as StarletteHTTPException

from include import incidents, registry, status

HERE = Path(__file__).parent
ROOT = HERE.parent
DOCS = ROOT / "docs"
# What the runbook links to, by the name that its address ends in.
TEXTS = {path.name: path for path in (*DOCS.glob("*.md"), ROOT / "CONTRIBUTING.md")}

# Our own pages: no script but ours, nothing from elsewhere, in no frame but Airflow's.
OURS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
# Great Expectations' pages quote files and would fetch from five other hosts: no script at all.
DATA_DOCS = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# dbt's page is nothing without its script, and needs nothing but itself: an origin of its own,
# which has no session.
DBT = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
)

app = FastAPI(
    title="Statewide",
    # Not in the list of Airflow's API: these are pages.
    openapi_url=None,
    docs_url=None,
    redoc_url=None,
    dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
)
templates = Jinja2Templates(directory=HERE / "templates")


# ---- who may see what ---------------------------------------------------------------------------


def _may(user: Any, state: str, entity: DagAccessEntity | None = None) -> bool:
    return get_auth_manager().is_authorized_dag(
        method="GET", access_entity=entity, details=DagDetails(id=f"{state}_ingest"), user=user
    )


def _visible(state: str, user: GetUserDep) -> str:
    # A state that may not be seen is told apart from none at all by nobody.
    if state not in registry.states() or not _may(user, state):
        raise HTTPException(404, f"there is no state {state}, or you may not see it")
    return state


Visible = Annotated[str, Depends(_visible)]


def _detailed(state: Visible, user: GetUserDep) -> str:
    if not _may(user, state, DagAccessEntity.TASK_LOGS):
        raise HTTPException(403, f"this is for those who may read the logs of {state}_ingest")
    return state


Detailed = Annotated[str, Depends(_detailed)]


# ---- pages --------------------------------------------------------------------------------------


@app.get("/", response_class=HTMLResponse)
def overview(request: Request, user: GetUserDep) -> Response:
    """Every state that the user may see, and what is wrong."""
    states = [code for code in sorted(registry.states()) if _may(user, code)]
    wrong = [it for it in incidents.open_incidents().values() if _concerns(it.state, states)]
    return _page(
        request,
        "overview.html",
        "Statewide",
        states=status.overview(states) if states else [],
        incidents=sorted(wrong, key=lambda it: it.since, reverse=True),
        closed=[it for it in incidents.closed_incidents(20) if _concerns(it.state, states)],
        sections=incidents.SECTIONS,
    )


def _concerns(state: str, visible: list[str]) -> bool:
    """Whether an incident may be shown: of a state that is seen, or of no state's DAG."""
    return state in visible or state not in registry.states()


@app.get("/state/{state}", response_class=HTMLResponse)
def state_page(request: Request, state: Visible, user: GetUserDep) -> Response:
    """Every extract and year of a state, its checks and its releases."""
    lines = status.lines(state)
    detailed = _may(user, state, DagAccessEntity.TASK_LOGS)
    wrong = [it for it in incidents.open_incidents().values() if it.state == state]
    return _page(
        request,
        "state.html",
        registry.states()[state].name,
        state=registry.states()[state],
        lines=lines,
        wrong=wrong,
        # A file that could not be had has left no trace but its alert.
        failed={
            (it.extract, it.school_year)
            for it in lines
            for incident in wrong
            if incident.subject == "ingest"
            and incidents.part_of(it.extract, it.school_year) in incident.parts
        },
        sections=incidents.SECTIONS,
        releases=status.releases(state),
        is_behind=status.behind(state),
        checks=status.checks_of_marts(state) if detailed else [],
        docs_of_marts=status.docs_of_marts(state) if detailed else None,
        has_dbt=detailed and _exists(state, "dbt.html"),
        detailed=detailed,
    )


@app.get("/state/{state}/extract/{extract}/{school_year}", response_class=HTMLResponse)
def extract_page(
    request: Request, state: Visible, extract: str, school_year: int, user: GetUserDep
) -> Response:
    """One extract of one school year: its load, its checks, what was set aside."""
    line = status.line(state, extract, school_year)
    detailed = _may(user, state, DagAccessEntity.TASK_LOGS)
    sha256 = line.received or (line.load.sha256 if line.load else "")
    return _page(
        request,
        "extract.html",
        f"{registry.states()[state].name}: {registry.said(extract)} {school_year}",
        state=registry.states()[state],
        declared=registry.extract_of(state, extract),
        line=line,
        verdict=status.promises(state, extract, school_year) if detailed else {},
        quarantine=status.quarantine(state, extract, school_year) if detailed else None,
        receipts=status.receipts(state, extract, school_year),
        data_docs=status.data_docs(state, extract, school_year, sha256) if detailed else None,
        detailed=detailed,
    )


@app.get("/state/{state}/release/{name}", response_class=HTMLResponse)
def release_page(request: Request, state: Visible, name: str) -> Response:
    """What a release is made of, and how its people are protected."""
    return _page(
        request,
        "release.html",
        f"Release {name}",
        state=registry.states()[state],
        manifest=status.manifest(state, name),
        releases=status.releases(state),
    )


@app.get("/state/{state}/differences", response_class=HTMLResponse)
def differences_page(request: Request, state: Visible, before: str, after: str) -> Response:
    """What changed from one release to another."""
    return _page(
        request,
        "differences.html",
        f"{registry.states()[state].name}: {before} to {after}",
        state=registry.states()[state],
        before=before,
        after=after,
        found=status.compared(state, before, after),
        releases=status.releases(state),
    )


@app.get("/docs/{state}/{name:path}")
def document(state: Detailed, name: str) -> Response:
    """A page of the state's Data Docs, or dbt's documentation."""
    path = status.page(state, name)
    if path.name == "dbt.html":
        return FileResponse(path, headers={"Content-Security-Policy": DBT})
    if path.suffix == ".html":
        # Its style is on other hosts; ours makes it readable without them.
        style = f'<link rel="stylesheet" href="{_base()}/static/data_docs.css">'
        text = path.read_text(errors="replace").replace("</head>", f"{style}</head>", 1)
        return HTMLResponse(text, headers={"Content-Security-Policy": DATA_DOCS})
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=kind, headers={"Content-Security-Policy": DATA_DOCS})


def _exists(state: str, name: str) -> bool:
    try:
        status.page(state, name)
    except status.Unknown:
        return False
    return True


@app.get("/runbook", response_class=HTMLResponse)
def runbook(request: Request) -> Response:
    """What to do, by what is wrong."""
    return _text(request, "runbook.md", "Runbook")


@app.get("/runbook/{section}")
def runbook_section(section: str) -> Response:
    """What to do about one kind of alert, by an address that a login on the way keeps whole."""
    if section not in incidents.SECTIONS:
        raise HTTPException(404, "there is no such section")
    return RedirectResponse(f"{_base()}/runbook#{section}")


@app.get("/{name}.md", response_class=HTMLResponse)
def text(request: Request, name: str) -> Response:
    """Another text of the documentation, for who follows a link of the runbook's."""
    if f"{name}.md" not in TEXTS:
        raise HTTPException(404, "there is no such text")
    return _text(request, f"{name}.md", name.replace("-", " ").capitalize())


@app.get("/images/{name}")
def image(name: str) -> Response:
    """A picture of the documentation."""
    if name not in {path.name for path in (DOCS / "images").iterdir()}:
        raise HTTPException(404, "there is no such file")
    return FileResponse(DOCS / "images" / name, headers={"Cache-Control": "private, max-age=300"})


def _text(request: Request, name: str, title: str) -> Response:
    stamp = TEXTS[name].stat().st_mtime_ns
    return _page(request, "runbook.html", title, text=_rendered(name, stamp))


@cache
def _rendered(name: str, _stamp: int) -> str:
    """A text as HTML, each heading with the anchor that alerts link to."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(TEXTS[name].read_text())
    for heading, content in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", anchor(content.content))
    for token in tokens:
        for link in token.children or ():
            if link.type == "link_open":
                link.attrSet("href", _served(str(link.attrGet("href"))))
    return markdown.renderer.render(tokens, markdown.options, {})


def _served(href: str) -> str:
    """Where a link of a text leads to here: the texts lie side by side. Nowhere, if not served."""
    path, hash_, section = href.partition("#")
    if "://" in href or not path:
        return href
    if (file := path.rpartition("/")[2]) in TEXTS and path.removeprefix("../") == file:
        return f"{file}{hash_}{section}"
    return "#"


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes them: `Check the marts` is `check-the-marts`."""
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in " -_")
    return kept.strip().replace(" ", "-")


@app.get("/static/{name}")
def static(name: str) -> Response:
    """Our own style, script and icon."""
    if name not in {path.name for path in (HERE / "static").iterdir()}:
        raise HTTPException(404, "there is no such file")
    return FileResponse(HERE / "static" / name, headers={"Cache-Control": "private, max-age=300"})


# ---- how they are answered ----------------------------------------------------------------------


def _base() -> str:
    """Where the page is, also behind a proxy that gives Airflow a path of its own."""
    root = conf.get("api", "base_url", fallback="") or ""
    path = root.split("://", 1)[-1].partition("/")[2].strip("/")
    return f"/{path}/statewide" if path else "/statewide"


def _page(request: Request, template: str, title: str, **told: Any) -> Response:
    base = _base()
    return templates.TemplateResponse(
        request,
        template,
        {"title": title, "base": base, "airflow": base.removesuffix("/statewide"), **told},
        headers={
            "Content-Security-Policy": OURS,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
        },
    )


@app.exception_handler(StarletteHTTPException)
async def _refused(request: Request, error: StarletteHTTPException) -> Response:
    """A person without a session is shown the way to the login, a program is told."""
    if error.status_code == 401 and "text/html" in request.headers.get("accept", ""):
        back = quote(str(request.url.path), safe="/")
        return RedirectResponse(
            f"{_base().removesuffix('/statewide')}/api/v2/auth/login?next={back}"
        )
    return JSONResponse({"detail": error.detail}, error.status_code)


@app.exception_handler(status.Unknown)
async def _unknown(request: Request, error: status.Unknown) -> Response:
    return JSONResponse({"detail": str(error)}, 404)


@app.exception_handler(RequestValidationError)
async def _misunderstood(request: Request, error: RequestValidationError) -> Response:
    return JSONResponse({"detail": "there is no such page"}, 404)


def _count(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}"


def _figure(number: float | None) -> str:
    if number is None:
        return "withheld or absent"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:,.4g}"


def _moment(told: str) -> str:
    return told[:16].replace("T", " ") if told else ""


templates.env.filters |= {
    "count": _count,
    "figure": _figure,
    "moment": _moment,
    "said": registry.said,
    "state_name": incidents.name_of,
    "share": lambda part: "" if part is None else f"{part:+.1%}",
}
