"""The procedures of docs/runbook.md that need a database, as they are written there."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from ops import deployment
from ops.client import Client, Refused
from tests import deployed, services

pytestmark = [
    pytest.mark.machines,
    pytest.mark.skipif(bool(services.missing()), reason=f"needs: {services.missing()}"),
    pytest.mark.skipif(not shutil.which("pg_dump"), reason="needs: apt-get install postgresql"),
]
PASSWORD = "what-only-the-connection-knows"


def said(it: deployed.Deployment, *command: str) -> str:
    """What a command of the runbook prints. Fails with its words if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "ops.deployment", *command],
        cwd=it.root,
        env=it.environment("prepare"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def postgres_says(
    it: deployed.Deployment, program: str, *arguments: str, password: str | None = None
) -> None:
    user, _, place = it.settings["STATEWIDE_DATABASE"].partition("@")
    address, _, database = place.partition("/")
    host, _, port = address.partition(":")
    environment = {
        "PGHOST": host, "PGPORT": port, "PGUSER": user, "PGDATABASE": database,
        "PGPASSWORD": password or it.settings["STATEWIDE_DATABASE_PASSWORD"],
        "PATH": os.environ["PATH"],
    }  # fmt: skip
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_backup_is_restored_upgraded_and_its_fernet_key_rotated(tmp_path):
    dump, (old, new) = tmp_path / "airflow.dump", tmp_path_of(tmp_path, "old", "new")
    with deployed.deployed(old) as it:
        settings = it.settings
        uri = f"http://user:{PASSWORD}@files.example.gov"
        said(it, "airflow", "connections", "add", "publisher", "--conn-uri", uri)
        said(it, "airflow", "pools", "set", "warehouse", "7", "more of them")
        postgres_says(it, "pg_dump", "--format=custom", f"--file={dump}")

    kept = {name: settings[name] for name in ("STATEWIDE_FERNET_KEY", "STATEWIDE_JWT_SECRET")}
    with deployed.deployed(new, prepared=False, **kept) as it:
        postgres_says(it, "pg_restore", "--dbname=airflow", "--no-owner", str(dump))
        said(it, "prepare")
        said(it, "prepare")  # running it again is safe, as after an upgrade
        said(it, "forget")
        assert PASSWORD in said(it, "airflow", "connections", "get", "publisher", "-o", "json")
        assert "7" in line_of(said(it, "airflow", "pools", "list", "-o", "plain"), "warehouse"), (
            "slots are kept"
        )
        assert "admin" in said(it, "airflow", "users", "list", "-o", "plain")

        before, after = settings["STATEWIDE_FERNET_KEY"], fernet_key()
        it.settings["STATEWIDE_FERNET_KEY"] = f"{after},{before}"
        said(it, "airflow", "rotate-fernet-key")
        it.settings["STATEWIDE_FERNET_KEY"] = after
        assert PASSWORD in said(it, "airflow", "connections", "get", "publisher", "-o", "json")


def test_every_secret_is_changed_and_the_old_ones_open_nothing(tmp_path, object_store):
    """Tokens and sessions, database, broker, store: as the runbook has it, all on one evening."""
    lake = {"STATEWIDE_LAKE": f"s3://{object_store.bucket()}/lake", "STATEWIDE_SCHEDULES": "off"}
    with deployed.deployed(tmp_path, **object_store.environment | lake) as it:
        start(it)
        assert watch(it) == "success"
        session, old = it.client().session(), dict(it.settings)
        for name in list(it.processes):
            it.kill(name)

        new = deployment.made_settings()
        it.settings |= {name: new[name] for name in CHANGED}
        password = it.settings["STATEWIDE_DATABASE_PASSWORD"]
        postgres_says(
            it, "psql", "-c", f"alter user airflow password '{password}'",
            password=old["STATEWIDE_DATABASE_PASSWORD"],
        )  # fmt: skip
        broker(it, old).config_set("requirepass", it.settings["STATEWIDE_BROKER_PASSWORD"])
        object_store.admit(new["AWS_ACCESS_KEY_ID"], new["AWS_SECRET_ACCESS_KEY"])

        start(it)
        assert watch(it) == "success"
        late = Client(it.url, "admin", "")
        late._token = session
        with pytest.raises(Refused) as refused:
            late.get("dags")
        assert refused.value.status in (401, 403)
        with pytest.raises(AssertionError, match="password authentication failed"):
            postgres_says(it, "psql", "-c", "select 1", password=old["STATEWIDE_DATABASE_PASSWORD"])
        with pytest.raises(redis.exceptions.AuthenticationError):
            broker(it, old).ping()


CHANGED = (
    "STATEWIDE_JWT_SECRET",
    "STATEWIDE_SECRET_KEY",
    "STATEWIDE_DATABASE_PASSWORD",
    "STATEWIDE_BROKER_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)


def start(it: deployed.Deployment) -> None:
    for component in ("api-server", "scheduler", "dag-processor", "worker"):
        it.start(component)
    it.wait_until_up()


def watch(it: deployed.Deployment) -> str:
    """Run `statewide_watch` on the worker, which looks into the lake. Returns how it ended."""
    client, dag = it.client(), "statewide_watch"
    it.wait_for(dag, lambda: client.get(f"dags/{dag}"))
    client.patch(f"dags/{dag}", {"is_paused": False})
    run = client.trigger(dag, {})
    ends = ("success", "failed")
    it.wait_for(dag, lambda: client.run(dag, run)["state"] in ends)
    return client.run(dag, run)["state"]


def broker(it: deployed.Deployment, settings: dict[str, str]) -> redis.Redis:
    host, _, port = it.settings["STATEWIDE_BROKER"].partition("/")[0].partition(":")
    return redis.Redis(host, int(port), password=settings["STATEWIDE_BROKER_PASSWORD"])


def tmp_path_of(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).mkdir()
    return [folder / name for name in names]


def fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def line_of(text: str, word: str) -> str:
    return next(line for line in text.splitlines() if word in line)
