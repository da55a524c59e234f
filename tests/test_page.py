"""The Statewide page as a real Airflow serves it: who sees what, and what nobody sees."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import duckdb
import pytest

from include import incidents, lake
from ops import browser, configuration, instance
from ops.client import Client

pytestmark = pytest.mark.pipeline

SCRIPT = "<script>document.title='owned'</script>"
SHA = "ab" * 32
DOCUMENT = f"directory/2025/{SHA[:12]}/validations/landed.html"


class Site:
    """Speaks plain HTTP: nothing is followed, nothing is tidied in a path."""

    def __init__(self, client: Client) -> None:
        self.netloc = urlsplit(client.url).netloc
        passwords = json.loads((configuration.home() / "passwords.json").read_text())
        self.sessions = {
            name: Client(client.url, name, password).session()
            for name, password in passwords.items()
        }

    def get(self, path: str, user: str | None = None, *, method: str = "GET", **headers: str):
        if user:
            headers["Cookie"] = f"_token={self.sessions[user]}"
        connection = http.client.HTTPConnection(self.netloc, timeout=60)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode(errors="replace")  # type: ignore[attr-defined]
        return answer


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("page") / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(home))
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.one_state.OneState")
        patch.setenv(
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin,viewer:viewer,user:user"
        )
        furnish()
        with instance.using() as client:
            yield Site(client)


def furnish() -> None:
    """A state of which one file was refused, whose publisher writes scripts into headers."""
    load = lake.Load("zz", "directory", 2025, SHA, "spec", 1200, 1195, 5)
    lake.private(load.path.parent)
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select 1 as one) to '{load.path}' (format parquet, {lake.stamp(load)})"
        )
    refused = "cd" * 32
    receipt = {"sha256": refused, "received_at": "2025-01-01T00:00:00+00:00", "source": SCRIPT}
    lake.write_json(lake.receipts("zz", "directory", 2025), receipt)
    promise = {
        "promise": "every header is declared", "outcome": "broken", "severity": "critical",
        "expected": "only headers under columns", "observed": f"'{SCRIPT}'", "what_to_do": "ask",
    }  # fmt: skip
    verdict = {
        "verdict": "refused", "sha256": refused, "rows_in": 10, "accepted": 8, "quarantined": 2,
        "promises": [promise], "override_reason": None,
    }  # fmt: skip
    lake.write_json(lake.verdict("zz", "directory", 2025, refused), verdict)
    page = lake.data_docs("zz") / DOCUMENT
    lake.private(page.parent)
    page.write_text(f"<html><head></head><body>{SCRIPT}Data Docs</body></html>")
    (lake.data_docs("zz") / "dbt.html").write_text("<html>dbt</html>")
    (lake.home() / "hmac.key").write_text("the key of identifiers")
    incidents.note("zz", "ingest", "directory 2025", "check", f"a header {SCRIPT}")
    incidents.note("zz", "ingest", "graduation cohort 2025", "fetch", "the file could not be had")
    incidents.note("nc", "ingest", "teachers 2019", "fetch", "only North Carolina's to know")


PAGES = [
    "/",
    "/state/zz",
    "/state/zz/extract/directory/2025",
    "/state/zz/release/zz-000000000000",
    "/state/zz/differences?before=zz-000000000000&after=zz-000000000001",
    f"/docs/zz/{DOCUMENT}",
    "/docs/zz/dbt.html",
    "/runbook",
    "/runbook/check",
    "/static/style.css",
    "/disclosure.md",
    "/images/airflow-publish.png",
    "/no/such/page",
]


@pytest.mark.parametrize("path", PAGES)
def test_who_is_not_logged_in_is_shown_nothing(site, path):
    told = site.get(f"/statewide{path}")
    asked = site.get(f"/statewide{path}", Accept="text/html")
    if path == "/no/such/page":
        assert (told.status, asked.status) == (404, 404)
        return
    assert told.status == 401
    assert json.loads(told.text) == {"detail": "Not authenticated"}
    assert asked.status == 307
    assert asked.headers["Location"].startswith("/api/v2/auth/login?next=/statewide/")
    assert site.get(f"/statewide{path}", Authorization="Bearer nonsense").status in (401, 403)


@pytest.mark.parametrize("user", ["admin", "user", "viewer"])
def test_who_is_logged_in_sees_the_state(site, user):
    for path in ("/", "/state/zz", "/state/zz/extract/directory/2025", "/runbook"):
        told = site.get(f"/statewide{path}", user)
        assert told.status == 200, told.text
        assert "script-src 'self'" in told.headers["Content-Security-Policy"]
    assert "Franklin" in site.get("/statewide/", user).text


def test_a_file_that_could_not_be_had_is_told_from_one_that_nobody_waits_for(site):
    page = site.get("/statewide/state/zz", "admin").text
    row = {
        year: page.partition(f"/extract/graduation_cohort/{year}")[2].partition("</tr>")[0]
        for year in (2024, 2025)
    }
    assert "failed" in row[2025]
    assert "failed" not in row[2024]


def test_a_state_whose_dag_may_not_be_read_is_not_there(site):
    assert "Connecticut" in site.get("/statewide/", "admin").text
    told = site.get("/statewide/", "viewer").text
    assert "Connecticut" not in told
    assert "only North Carolina" not in told
    for path in ("/state/nc", "/state/nc/extract/teachers/2019", "/docs/nc/dbt.html"):
        assert site.get(f"/statewide{path}", "viewer").status == 404
        assert site.get(f"/statewide{path}", "user").status == 404


def test_what_tells_as_much_as_a_log_is_for_those_who_may_read_logs(site):
    page = "/statewide/state/zz/extract/directory/2025"
    assert "every header is declared" in site.get(page, "user").text
    told = site.get(page, "viewer")
    assert told.status == 200
    assert "every header is declared" not in told.text
    for name in (DOCUMENT, "dbt.html"):
        assert site.get(f"/statewide/docs/zz/{name}", "user").status == 200
        assert site.get(f"/statewide/docs/zz/{name}", "viewer").status == 403


def test_what_the_runbook_links_to_and_shows_is_served(site):
    told = site.get("/statewide/runbook", "viewer").text
    links = set(re.findall(r'(?:href|src)="([^"#:]+)(?:#[^"]*)?"', told.partition("<article>")[2]))
    assert {"disclosure.md", "CONTRIBUTING.md", "images/airflow-question.png"} <= links
    for link in links:
        assert site.get(f"/statewide/{link}", "viewer").status == 200, link
    for name in ("secret.md", "..%2fREADME.md", "images/..%2frunbook.md"):
        assert site.get(f"/statewide/{name}", "admin").status == 404, name


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed(site, method):
    for path in PAGES[:-1]:
        assert site.get(f"/statewide{path}", "admin", method=method).status == 405


def test_a_header_of_a_file_is_text_and_never_a_script(site):
    for path in ("/", "/state/zz", "/state/zz/extract/directory/2025"):
        told = site.get(f"/statewide{path}", "admin").text
        assert SCRIPT not in told
    assert "&lt;script&gt;" in told
    document = site.get(f"/statewide/docs/zz/{DOCUMENT}", "admin")
    assert "script-src" not in document.headers["Content-Security-Policy"]
    assert "default-src 'none'" in document.headers["Content-Security-Policy"]
    dbt = site.get("/statewide/docs/zz/dbt.html", "admin")
    assert dbt.headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")


@pytest.mark.parametrize(
    "path",
    [
        "../../hmac.key",
        "..%2f..%2fhmac.key",
        "%2e%2e/%2e%2e/hmac.key",
        "/etc/passwd",
        "directory/../../../hmac.key",
        "directory%5c..%5c..%5chmac.key",
        "%00",
    ],
)
def test_no_file_is_served_that_is_no_page(site, path):
    told = site.get(f"/statewide/docs/zz/{path}", "admin")
    assert told.status in (403, 404)
    assert "key of identifiers" not in told.text


@pytest.mark.skipif(
    not shutil.which("chromium"), reason="needs Chromium (apt-get install chromium)"
)
def test_a_browser_shows_the_page_in_airflows_frame_and_runs_no_script_of_a_file(site):
    told = instance.client(instance.running())
    with browser.opened() as chromium:
        page = browser.signed_in(chromium, f"{told.url}/plugin/statewide", told.user, told.password)
        framed = page.frame_locator("iframe")
        framed.get_by_role("link", name="Franklin", exact=True).wait_for()
        assert page.locator("iframe").get_attribute("src").startswith("/statewide/")
        assert not framed.get_by_role("link", name="Airflow", exact=True).is_visible()
        assert "every header" not in framed.locator("body").inner_text()
        # The same by itself, as an alert links to it, has a way to Airflow.
        page.goto(f"{told.url}/statewide/runbook#check")
        assert page.get_by_role("link", name="Airflow", exact=True).is_visible()
        assert page.get_by_role("heading", name="Check", exact=True).is_visible()
        page.goto(f"{told.url}/statewide/docs/zz/{quote(DOCUMENT)}")
        assert "Data Docs" in page.content()
        assert page.title() != "owned"


def test_the_page_is_in_airflows_navigation(site):
    [plugin] = [
        it
        for it in json.loads(site.get("/api/v2/plugins", "admin").text)["plugins"]
        if it["name"] == "statewide"
    ]
    [view] = plugin["external_views"]
    assert (view["href"], view["destination"]) == ("/statewide/", "nav")
    assert json.loads(site.get("/api/v2/plugins/importErrors", "admin").text)["total_entries"] == 0


def test_the_plugin_costs_other_processes_nothing(tmp_path):
    import subprocess
    import sys

    told = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path.insert(0, 'plugins'); import airflow; "
         "before = set(sys.modules); import statewide; "
         "print(sorted({m.split('.')[0] for m in set(sys.modules) - before}))"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path)},
    ).stdout  # fmt: skip
    assert not {"fastapi", "duckdb", "include", "console", "pyarrow"} & set(
        json.loads(told.strip().splitlines()[-1].replace("'", '"'))
    )
