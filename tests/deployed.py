"""An Airflow of several machines, as processes of this one: what `docker-compose.yaml` starts.

Every process is started by `ops.deployment`, on settings as `make env` makes them. A worker is a
machine of its own: its own STATEWIDE_HOME, and no way into Airflow's database.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ops import deployment
from ops.client import Client, Refused, Unreachable
from tests import services

ROOT = Path(__file__).parents[1]
PATIENCE = 300


@dataclass
class Deployment:
    """The processes, by name, and how to talk to them."""

    folder: Path
    settings: dict[str, str]
    root: Path = ROOT
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.settings["STATEWIDE_API"]

    def client(self, user: str = "admin", password: str | None = None) -> Client:
        return Client(self.url, user, password or self.settings["STATEWIDE_ADMIN_PASSWORD"])

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def environment(self, name: str) -> dict[str, str]:
        inherited = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        return inherited | self.settings | {
            "HOME": str(self.folder),
            "PYTHONPATH": str(self.root),
            "STATEWIDE_HOME": str(self.folder / name),
            "STATEWIDE_HOSTNAME": name,
            # One log folder stands for the logs that workers serve over the network: on one
            # address, two of them cannot serve at one port.
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.folder / "logs"),
        }  # fmt: skip

    def run(self, component: str, *more: str) -> None:
        """Run a component to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "ops.deployment", component, *more],
            cwd=self.root,
            env=self.environment(component),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

    def start(self, component: str, name: str | None = None, *more: str) -> subprocess.Popen:
        """Start a component, under another name if there are two of it."""
        name = name or component
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "ops.deployment", component, *more],
                cwd=self.root,
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.processes[name]

    def kill(self, name: str) -> None:
        """A machine is gone: its process and all that came of it, at once."""
        process = psutil.Process(self.processes.pop(name).pid)
        gone = [process, *process.children(recursive=True)]
        for one in gone:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        psutil.wait_procs(gone, timeout=10)

    def wait_for(self, what: str, answers, patience: float = PATIENCE):
        """The first answer that is true; fails with the ends of the logs."""
        until = time.monotonic() + patience
        while True:
            with suppress(Unreachable, Refused):
                if found := answers():
                    return found
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended:\n{self.log(name)[-4000:]}"
            if time.monotonic() > until:
                tails = "\n".join(f"--- {it}\n{self.log(it)[-1500:]}" for it in self.processes)
                raise AssertionError(f"{what} did not come in {patience:g} s\n{tails}")
            time.sleep(0.5)

    def wait_until_up(self) -> None:
        self.wait_for("the api-server", lambda: self.client().health())


@contextmanager
def deployed(
    folder: Path, root: Path = ROOT, *, prepared: bool = True, **settings: str
) -> Iterator[Deployment]:
    """PostgreSQL and Redis, and settings that name them; the database is `prepared`, or empty.

    `root` is the checkout that is deployed.
    """
    with ExitStack() as held:
        database = held.enter_context(services.postgres())
        broker = held.enter_context(services.redis())
        port = services.free_port()
        made = deployment.made_settings(f"http://127.0.0.1:{port}") | {
            "STATEWIDE_HOST": "127.0.0.1",
            "STATEWIDE_API": f"http://127.0.0.1:{port}",
            "STATEWIDE_DATABASE": database.address,
            "STATEWIDE_DATABASE_PASSWORD": database.password,
            "STATEWIDE_BROKER": broker.address,
            "STATEWIDE_BROKER_PASSWORD": broker.password,
        }
        it = Deployment(folder, made | settings, root)
        if prepared:
            it.run("prepare")
        try:
            yield it
        finally:
            for name in list(it.processes):
                if it.processes[name].poll() is None:
                    it.kill(name)
