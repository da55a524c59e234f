"""The procedures of docs/runbook.md that need a database, as they are written there."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


def postgres_says(it: deployed.Deployment, program: str, *arguments: str) -> None:
    user, _, place = it.settings["STATEWIDE_DATABASE"].partition("@")
    address, _, database = place.partition("/")
    host, _, port = address.partition(":")
    environment = {
        "PGHOST": host, "PGPORT": port, "PGUSER": user, "PGDATABASE": database,
        "PGPASSWORD": it.settings["STATEWIDE_DATABASE_PASSWORD"], "PATH": os.environ["PATH"],
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


def tmp_path_of(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).mkdir()
    return [folder / name for name in names]


def fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def line_of(text: str, word: str) -> str:
    return next(line for line in text.splitlines() if word in line)
