"""Fixtures that every test module may use."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from include import dbt
from tests import builds, record_level
from tests import object_store as s3


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A STATEWIDE_HOME of its own for one test."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("STATEWIDE_HOME", str(folder))
    return folder.resolve()


@pytest.fixture
def extracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that STATEWIDE_EXTRACTS names, for one test."""
    folder = tmp_path / "extracts"
    folder.mkdir()
    monkeypatch.setenv("STATEWIDE_EXTRACTS", str(folder))
    return folder.resolve()


@pytest.fixture
def plain_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds of tests/builds.py: dbt could make nothing of them, and `derive` stands in for it."""
    monkeypatch.setattr(dbt, "derive", builds.derive)


@pytest.fixture(scope="session")
def object_store() -> Iterator[s3.ObjectStore]:
    """A real S3 server for the whole session; see tests/object_store.py."""
    with s3.running() as store:
        yield store


@pytest.fixture(scope="session", params=record_level.STATES)
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> record_level.Built:
    """A random state that sends record-level extracts, built and added up a second time.

    Built once for all modules and all workers of a session, and only read by its tests.
    """
    scratch = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        scratch = scratch.parent
    folder = scratch / f"built-{request.param}"
    folder.mkdir(exist_ok=True)
    kept = folder / "built.pickle"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            made = record_level.build(request.param, folder)
            kept.with_suffix(".part").write_bytes(pickle.dumps(made))
            kept.with_suffix(".part").rename(kept)
    return pickle.loads(kept.read_bytes())
