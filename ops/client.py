"""Airflow's public REST API, as far as the commands of the Makefile need it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any


class Refused(RuntimeError):
    """Airflow answered a request with an error. `status` is the HTTP status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Unreachable(ConnectionError):
    """Nobody answers at Airflow's address."""


@dataclass
class Client:
    """Speaks for one user. The token is asked for at the first request, and again when it ends."""

    url: str
    user: str
    password: str
    _token: str = field(default="", repr=False)

    def get(self, path: str, **query: Any) -> Any:
        return self._call("GET", path, query)

    def post(self, path: str, content: Any) -> Any:
        return self._call("POST", path, {}, content)

    def patch(self, path: str, content: Any, **query: Any) -> Any:
        return self._call("PATCH", path, query, content)

    def put(self, path: str) -> Any:
        return self._call("PUT", path, {})

    def health(self) -> dict[str, Any]:
        """What each component last said of itself. Raises Unreachable."""
        return self._send("GET", f"{self.url}/api/v2/monitor/health", None, {})

    def trigger(self, dag: str, conf: dict[str, Any]) -> str:
        """Start a run with these params. Returns its id."""
        return self.post(f"dags/{dag}/dagRuns", {"conf": conf, "logical_date": None})["dag_run_id"]

    def run(self, dag: str, run: str) -> dict[str, Any]:
        return self.get(f"dags/{dag}/dagRuns/{quoted(run)}")

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Every task of a run with its state, in no particular order."""
        return self.get(f"dags/{dag}/dagRuns/{quoted(run)}/taskInstances", limit=1000)[
            "task_instances"
        ]

    def log(self, dag: str, run: str, task: str, tries: int) -> list[dict[str, Any]]:
        """The structured lines that one try of a task wrote."""
        path = f"dags/{dag}/dagRuns/{quoted(run)}/taskInstances/{quoted(task)}/logs/{tries}"
        content = self.get(path, full_content="true").get("content", [])
        return [line for line in content if isinstance(line, dict)]

    def caused_by(self, dag: str, run: str) -> list[dict[str, Any]] | None:
        """Runs that the lake announced by this run has started; None if it announced nothing.

        Empty while the scheduler has not started them yet.
        """
        told = self.get("assets/events", source_dag_id=dag, source_run_id=run, limit=1000)
        events = [it for it in told["asset_events"] if it["source_task_id"] == "announce"]
        if not events:
            return None
        return [caused for event in events for caused in event["created_dagruns"]]

    def session(self) -> str:
        """The token that speaks for the user, asked for if there is none yet."""
        if not self._token:
            login = {"username": self.user, "password": self.password}
            told = self._send("POST", f"{self.url}/auth/token", login, {})
            self._token = told["access_token"]
        return self._token

    def _call(self, method: str, path: str, query: dict[str, Any], content: Any = None) -> Any:
        url = f"{self.url}/api/v2/{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        for again in (False, True):
            self.session()
            try:
                headers = {"Authorization": f"Bearer {self._token}"}
                return self._send(method, url, content, headers)
            except Refused as error:
                if error.status != 401 or again:
                    raise
                self._token = ""
        return None

    def _send(self, method: str, url: str, content: Any, headers: dict[str, str]) -> Any:
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"} | headers
        request = urllib.request.Request(url, body, headers, method=method)
        # A busy machine may drop a connection; asking again is safe only where nothing was started.
        for attempt in range(1 if method == "POST" and headers.get("Authorization") else 5):
            if attempt:
                time.sleep(0.2 * attempt)
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    request, timeout=60
                ) as answer:
                    told = answer.read()
                return json.loads(told) if told else None
            except urllib.error.HTTPError as error:
                if error.code >= 500 and method == "GET" and attempt < 4:
                    continue
                detail = error.read().decode(errors="replace")
                try:
                    detail = json.loads(detail)["detail"]
                except (ValueError, KeyError, TypeError):
                    pass
                raise Refused(error.code, f"{method} {url}: {error.code}: {detail}") from None
            except OSError as error:
                failed = error
        raise Unreachable(f"{method} {url}: {failed}") from failed


def quoted(name: str) -> str:
    """A name as one segment of a path."""
    return urllib.parse.quote(name, safe="")
