"""PostgreSQL and Redis for tests, on free ports, with passwords, gone afterwards.

The programs come from Debian's packages `postgresql` and `redis-server`; `missing` names what is
not there. PostgreSQL does not run as root, so a test that does hands it to the user `postgres`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"postgres": "postgresql", "initdb": "postgresql", "redis-server": "redis-server"}


class DidNotStart(RuntimeError):
    """A server ended, or did not answer in time. The message ends with what it printed."""


@dataclass(frozen=True)
class Service:
    """A running server: its address as settings name it, and the password."""

    address: str
    password: str


def program(name: str) -> str | None:
    """Where a program is. Debian keeps PostgreSQL's away from the path."""
    if found := shutil.which(name):
        return found
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(places[-1]) if places else None


def missing() -> str:
    """What to install, as one sentence; empty if nothing is missing."""
    packages = sorted({package for name, package in PACKAGES.items() if not program(name)})
    return f"apt-get install {' '.join(packages)}" if packages else ""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def postgres() -> Iterator[Service]:
    """An empty database `airflow` of user `airflow`."""
    folder = Path(tempfile.mkdtemp(prefix="statewide-pg-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    password, port = secrets.token_urlsafe(24), free_port()
    (folder / "password").write_text(password)
    if user:
        shutil.chown(folder / "password", user)
    data = folder / "data"
    told = ["-D", data, "-U", "airflow", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
    initdb = [program("initdb"), *told, "--no-sync", "-E", "UTF8", "--locale=C"]
    try:
        subprocess.run(list(map(str, initdb)), user=user, check=True, capture_output=True)
        settings = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder,
            "fsync": "off", "max_connections": 200,
        }  # fmt: skip
        told = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with _running([program("postgres"), "-D", data, *told], folder, user=user):
            _wait(lambda: _create_database(port, password), folder)
            yield Service(f"airflow@127.0.0.1:{port}/airflow", password)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _create_database(port: int, password: str) -> None:
    import psycopg2

    connection = psycopg2.connect(
        host="127.0.0.1", port=port, user="airflow", password=password, dbname="postgres"
    )
    connection.autocommit = True
    connection.cursor().execute("create database airflow")
    connection.close()


@contextmanager
def redis() -> Iterator[Service]:
    """An empty Redis that keeps nothing on disk."""
    folder = Path(tempfile.mkdtemp(prefix="statewide-redis-"))
    password, port = secrets.token_urlsafe(24), free_port()
    configuration = folder / "redis.conf"
    configuration.write_text(
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\ndir {folder}\n'
    )
    try:
        with _running([program("redis-server"), configuration], folder):
            _wait(lambda: _ping(port, password), folder)
            yield Service(f"127.0.0.1:{port}/0", password)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ping(port: int, password: str) -> None:
    import redis as client

    client.Redis("127.0.0.1", port, password=password).ping()


@contextmanager
def _running(command: list, folder: Path, user: str | None = None) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(it) for it in command], stdout=log, stderr=log, user=user, cwd=folder
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(answers, folder: Path, patience: float = 60) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            answers()
            return
        except Exception as error:
            if time.monotonic() > until:
                said = (folder / "log").read_text(errors="replace")[-2000:]
                raise DidNotStart(f"no answer within {patience:g} s: {error}\n{said}") from error
            time.sleep(0.2)
