"""Many years in any order end where one pass ends.

Some figures of a year are made of earlier years too (who took two courses of a cluster, say). Where
readers have such a year already and an earlier one is loaded after it, its figures move, and a
person is asked; the release that follows is that of one pass all the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include import approvals, disclosure, lake, release, warehouse
from tests import pipeline

ROOT = Path(__file__).parents[1]
WHY = "2024 was loaded after 2025"
pytestmark = pytest.mark.machines


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("publisher")
    draw = ["-m", "include.demo", "--out", folder, "--students", 2000, "--districts", 3]
    subprocess.run([sys.executable, *map(str, draw)], cwd=ROOT, check=True, capture_output=True)
    return folder


def end_of(home: Path, files: Path, *steps: int | str) -> dict[str, bytes]:
    """Load years, and publish where a step says so. Returns the files of the last release."""
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(home))
        patch.setenv("STATEWIDE_EXTRACTS", str(files))
        # Persons are hashed with the same key in both homes, as on one machine.
        patch.setenv("STATEWIDE_HMAC_KEY", "k" * 40)
        for step in steps:
            if step == "publish":
                pipeline.publish("zz")
            elif step == "publish with a reason":
                publish_what_moved()
            else:
                pipeline.load("zz", int(step))
        assert not warehouse.changed("zz")
        folder = lake.published("zz") / os.readlink(lake.published("zz") / "current")
        told = {path.name: path.read_bytes() for path in folder.iterdir()}
        # What was warned of depends on what readers had; nothing else does.
        told.pop(release.MANIFEST)
        return told | {"name": folder.name.encode()}


def publish_what_moved() -> None:
    """Publish a build of which a year moved that is out already: not without a person's word."""
    build = disclosure.protect("zz", pipeline.build("zz"))
    with pytest.raises(release.NotReady, match="moved figures that readers have"):
        release.publish("zz", build)
    approvals.answer("zz", build, is_yes=True, by="rosa", how="in a shell", reason=WHY)
    assert release.publish("zz", build)


def test_every_order_of_years_ends_in_the_same_release(files, tmp_path):
    one_pass = end_of(tmp_path / "a", files, 2024, 2025, "publish")
    backwards = end_of(tmp_path / "b", files, 2025, "publish", 2024, "publish with a reason")
    twice = end_of(tmp_path / "c", files, 2025, 2024, 2025, 2024, "publish", "publish")
    assert one_pass.keys() == backwards.keys() == twice.keys()
    for name, content in one_pass.items():
        assert content == backwards[name] == twice[name], name
