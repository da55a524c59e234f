"""`make pictures`: what Airflow shows of the demo state, photographed for the documentation.

Needs Chromium (Debian: apt-get install chromium) and a `make demo` before it. The browser knows no
password: a server in between, on this machine and for these few seconds, adds the local user's
session to each request.
"""

from __future__ import annotations

import http.client
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from ops import configuration, instance
from ops.client import Client, quoted

IMAGES = configuration.ROOT / "docs" / "images"
SIZE = "1600,1000"
# The page draws itself from many requests; time in the browser is virtual while they last.
PATIENCE = 25_000
# Headless and silent: no look-ups of its own, and it runs as root in a container.
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


class NoBrowser(RuntimeError):
    """Chromium is not installed."""


def _signed_in(client: Client) -> type[BaseHTTPRequestHandler]:
    """A handler that passes every request on to Airflow, with a session."""
    upstream, session = urlsplit(client.url).netloc, client.session()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            connection = http.client.HTTPConnection(upstream, timeout=60)
            accepted = self.headers.get("Accept", "*/*")
            connection.request(
                "GET", self.path, headers={"Accept": accepted, "Cookie": f"_token={session}"}
            )
            answer = connection.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the session is nobody's business."""

    return Handler


@contextmanager
def signed_in(client: Client) -> Iterator[str]:
    """The address at which Airflow answers as to its local user, for as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _signed_in(client))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def photograph(address: str, picture: Path) -> None:
    """One page as PNG. Raises NoBrowser with the command that installs it."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    _browse(address, f"--screenshot={picture}")
    print(picture, flush=True)


def drawn(address: str) -> str:
    """One page's HTML as the browser has it, once its scripts have run. Raises NoBrowser."""
    return _browse(address, "--dump-dom").decode(errors="replace")


def _browse(address: str, *what: str) -> bytes:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise NoBrowser("Chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [
                browser,
                *QUIET,
                f"--user-data-dir={profile}",
                f"--window-size={SIZE}",
                f"--virtual-time-budget={PATIENCE}",
                *what,
                address,
            ],
            check=True,
            capture_output=True,
            timeout=180,
        ).stdout


def main() -> None:
    with instance.using() as client, signed_in(client) as here:
        for dag in ("zz_ingest", "zz_publish"):
            runs = client.get(f"dags/{dag}/dagRuns", order_by="-run_after", limit=1)["dag_runs"]
            if not runs:
                raise SystemExit(f"{dag} has not run yet; run `make demo` first")
            picture = IMAGES / f"airflow-{dag.removeprefix('zz_')}.png"
            photograph(f"{here}/dags/{dag}/runs/{quoted(runs[0]['dag_run_id'])}", picture)
        # The page as Airflow frames it, and a state's own.
        photograph(f"{here}/plugin/statewide", IMAGES / "statewide.png")
        photograph(f"{here}/statewide/state/zz", IMAGES / "statewide-state.png")


if __name__ == "__main__":
    main()
