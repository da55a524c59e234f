"""Who may do what, request by request: Admin, Op, Viewer, and people who are nobody.

A real api-server with FAB's roles, on PostgreSQL. The table below is what docs/operating.md says.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml

from tests import deployed, services

pytestmark = [
    pytest.mark.machines,
    pytest.mark.skipif(bool(services.missing()), reason=f"needs: {services.missing()}"),
]

PASSWORDS = {"op": "Operator-of-the-tests-1", "viewer": "Viewer-of-the-tests-22"}
SECRET = "what-only-a-connection-knows"
DAG, RUN = "dags/zz_ingest", "dags/zz_ingest/dagRuns/by_hand"

# Everybody who is somebody sees what runs and why it failed; logs hold no secrets.
SEEN_BY_ALL = [
    ("GET", "dags"),
    ("GET", DAG),
    ("GET", f"{DAG}/details"),
    ("GET", "dagSources/zz_ingest"),
    ("GET", f"{DAG}/dagRuns"),
    ("GET", RUN),
    ("GET", f"{RUN}/taskInstances"),
    ("GET", f"{RUN}/taskInstances/report"),
    ("GET", f"{RUN}/taskInstances/report/logs/1"),
    ("GET", f"{RUN}/taskInstances/report/xcomEntries"),
    ("GET", "importErrors"),
    ("GET", "assets"),
    ("GET", "assets/events"),
    ("GET", "pools"),
    ("GET", "jobs"),
    ("GET", "dagWarnings"),
    ("GET", "/statewide/"),
    ("GET", "/statewide/runbook"),
]
# What operates: Op and Admin.
OPERATES = [
    ("POST", f"{DAG}/dagRuns", {"logical_date": None, "conf": {"school_year": 2025}}),
    ("PATCH", DAG, {"is_paused": True}),
    ("POST", f"{DAG}/clearTaskInstances", {"dag_run_id": "by_hand", "dry_run": False}),
    ("POST", f"{RUN}/clear", {"dry_run": False}),
    ("PATCH", RUN, {"state": "failed"}),
    ("PATCH", f"{RUN}/taskInstances/report", {"new_state": "failed"}),
    ("DELETE", f"{DAG}/dagRuns/no_such_run"),
    ("POST", "assets/events", {"asset_id": 1}),
    ("POST", "pools", {"name": "new", "slots": 1}),
    ("PATCH", "pools/warehouse", {"name": "warehouse", "slots": 2}),
    ("DELETE", "pools/new"),
    ("POST", "backfills", {"dag_id": "zz_ingest"}),
    ("GET", "connections"),
    ("GET", "connections/store"),
    ("POST", "connections", {"connection_id": "other", "conn_type": "http"}),
    ("DELETE", "connections/other"),
    ("GET", "variables"),
    ("GET", "variables/word"),
    ("POST", "variables", {"key": "other", "value": "x"}),
    ("DELETE", "variables/other"),
    ("GET", "plugins"),
    ("GET", "providers"),
]
# What decides who may do what, and the record of who did it: Admin.
ADMINISTERS = [
    ("GET", "/auth/fab/v1/users"),
    ("GET", "/auth/fab/v1/roles"),
    ("POST", "/auth/fab/v1/users", {}),
    ("POST", "/auth/fab/v1/roles", {}),
    ("GET", "eventLogs"),
]
MATRIX = [
    *((request, {"viewer", "op", "admin"}) for request in SEEN_BY_ALL),
    *((request, {"op", "admin"}) for request in OPERATES),
    *((request, {"admin"}) for request in ADMINISTERS),
]


@dataclass
class Site:
    url: str
    tokens: dict[str, str]

    def ask(self, who: str, method: str, path: str, body=None) -> tuple[int, str]:
        """Status and text of one request."""
        url = self.url + (path if path.startswith("/") else f"/api/v2/{path}")
        headers = {"Content-Type": "application/json"}
        if who in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect to the login page is no answer."""

    def redirect_request(self, *_):
        return None


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    with deployed.deployed(tmp_path_factory.mktemp("site"), STATEWIDE_SCHEDULES="off") as it:
        it.run("dag-processor", "--num-runs", "1")
        add_people(it)
        it.start("api-server")
        it.wait_until_up()
        passwords = PASSWORDS | {"admin": it.settings["STATEWIDE_ADMIN_PASSWORD"]}
        tokens = {name: it.client(name, told).session() for name, told in passwords.items()}
        made = Site(it.url, tokens)
        run = {"logical_date": None, "dag_run_id": "by_hand", "conf": {"school_year": 2025}}
        store = {"connection_id": "store", "conn_type": "aws", "password": SECRET, "login": "we"}
        for path, body in (
            (f"{DAG}/dagRuns", run),
            ("connections", store),
            ("variables", {"key": "word", "value": "spoken"}),
        ):
            status, text = made.ask("admin", "POST", path, body)
            assert status in (200, 201), text
        yield made


def add_people(it: deployed.Deployment) -> None:
    code = (
        "import json, sys; from ops import deployment\n"
        "for name, password in json.load(sys.stdin).items():\n"
        "    assert deployment.create_user(name, name.capitalize(), password)\n"
    )
    from ops import deployment

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=deployment.environment(it.environment("prepare"), "prepare"),
        cwd=it.root,
        input=json.dumps(PASSWORDS),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def named(case) -> str:
    return f"{case[0][0]} {case[0][1]}" if isinstance(case[0], tuple) else str(case)


@pytest.mark.parametrize("case", MATRIX, ids=named)
def test_who_may_do_what(case, site):
    (method, path, *body), allowed = case
    answers = {who: site.ask(who, method, path, *body) for who in ("viewer", "op", "admin")}
    for who, (status, text) in answers.items():
        if who in allowed:
            assert status not in (401, 403) and status < 500, f"{who}: {status} {text[:300]}"
        else:
            assert status == 403, f"{who}: {status} {text[:300]}"


@pytest.mark.parametrize("case", MATRIX, ids=named)
def test_nobody_gets_nothing(case, site):
    (method, path, *body), _ = case
    status, text = site.ask("nobody", method, path, *body)
    # Pages for people send them to where they log in.
    wanted = (302, 303, 307, 401, 403) if path.startswith("/statewide") else (401, 403)
    assert status in wanted, f"{status} {text[:300]}"
    assert "zz_ingest" not in text and "Franklin" not in text


def test_a_forged_token_is_nobody(site):
    forged = Site(site.url, {"viewer": site.tokens["viewer"][:-4] + "AAAA"})
    assert forged.ask("viewer", "GET", "dags")[0] in (401, 403)


def test_a_wrong_password_opens_nothing(site):
    login = {"username": "admin", "password": "admin"}
    assert site.ask("nobody", "POST", "/auth/token", login)[0] == 401


def test_no_page_shows_the_secret_of_a_connection(site):
    """Airflow takes it, and gives it to tasks only."""
    for who in ("admin", "op"):
        for path in ("connections", "connections/store"):
            status, text = site.ask(who, "GET", path)
            assert status == 200 and "store" in text
            assert SECRET not in text


def test_what_is_open_to_all_tells_nothing_of_the_state(site):
    """Whether Airflow is up and which version it is; the pages themselves are empty shells."""
    for path in ("monitor/health", "version"):
        status, text = site.ask("nobody", "GET", path)
        assert status == 200
        assert "zz" not in text
    # The shell that any address gets, and no console to try requests in.
    for path in ("/docs", "/redoc"):
        assert "swagger" not in site.ask("nobody", "GET", path)[1].lower(), path
    for path in ("/ui/dags", "/ui/config", "/ui/dashboard/dag_stats", "/ui/auth/menus"):
        assert site.ask("nobody", "GET", path)[0] in (401, 403), path


def test_every_route_that_reads_wants_to_know_who_asks(site):
    """Also those that nobody thought of, and those that come with a new version."""
    known = dict(routes())
    status, text = site.ask("admin", "GET", "/openapi.json")
    assert status == 200, text[:300]
    served = {path for path in json.loads(text)["paths"] if path.startswith(("/api", "/ui"))}
    assert len(served) > 60 and served <= known.keys()
    open_to_all = {"/api/v2/monitor/health", "/api/v2/version"}
    # These send people to the page where they log in, or out.
    logins = {"/api/v2/auth/login", "/api/v2/auth/logout", "/api/v2/auth/refresh"}
    kept_apart, asked = ("/api", "/ui", "/auth/fab"), 0
    for path, methods in known.items():
        if "get" not in methods or path in open_to_all or not path.startswith(kept_apart):
            continue
        filled = path.replace("{dag_id}", "zz_ingest").replace("{dag_run_id}", "by_hand")
        filled = filled.replace("{", "").replace("}", "")
        status, answer = site.ask("nobody", "GET", filled)
        asked += 1
        assert status in ((307,) if path in logins else (401, 403)), (
            f"{path}: {status} {answer[:200]}"
        )
    assert asked > 90


def routes() -> Iterator[tuple[str, dict]]:
    """Every route of Airflow's API, of its pages' and of FAB's, as its packages list them."""
    folders = {
        "apache-airflow-core": "airflow/api_fastapi/core_api/openapi",
        "apache-airflow-providers-fab": "airflow/providers/fab/auth_manager/api_fastapi/openapi",
    }
    for package, folder in folders.items():
        for file in sorted(Path(str(distribution(package).locate_file(folder))).glob("*.yaml")):
            yield from yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["paths"].items()
