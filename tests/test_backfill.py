"""Many years in any order end where one pass ends.

Some figures of a year are made of earlier years too (who took two courses of a cluster, say). Where
readers have such a year already and an earlier one is loaded after it, its figures move, and a
person is asked. The figures that follow are those of one pass all the same; which of them are
withheld goes by what readers were told on the way: what a release hid stays hidden.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from include import approvals, disclosure, lake, release, warehouse
from tests import pipeline
from tests.drawn import Publisher

WHY = "2024 was loaded after 2025"
pytestmark = pytest.mark.machines


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    return Publisher.drawn(tmp_path_factory.mktemp("publisher")).files


@pytest.fixture(scope="module")
def one_pass(files, tmp_path_factory) -> Path:
    """The release of both years, loaded in their order and published once."""
    return end_of(tmp_path_factory.mktemp("one") / "home", files, 2024, 2025, "publish")


def end_of(home: Path, files: Path, *steps: int | str) -> Path:
    """Load years, and publish where a step says so. Returns the folder of the last release."""
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
        return lake.published("zz") / os.readlink(lake.published("zz") / "current")


def told_by(folder: Path) -> dict[str, bytes]:
    """The files of a release."""
    told = {path.name: path.read_bytes() for path in folder.iterdir()}
    # What was warned of depends on what readers had; nothing else does.
    told.pop(release.MANIFEST)
    return told


def publish_what_moved() -> None:
    """Publish a build of which a year moved that is out already: not without a person's word."""
    build = disclosure.protect("zz", pipeline.build("zz"))
    with pytest.raises(release.NotReady, match="moved figures that readers have"):
        release.publish("zz", build)
    approvals.answer("zz", build, is_yes=True, by="rosa", how="in a shell", reason=WHY)
    assert release.publish("zz", build)


def rows(database: Path, schema: str) -> dict[str, Counter]:
    """Every table of a schema, as a bag of its rows."""
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = ?", [schema]
        ).fetchall()
        return {
            name: Counter(map(repr, connection.execute(f'from {schema}."{name}"').fetchall()))
            for (name,) in tables
        }


FIGURES = """
select (school_year, metric_id, org_level, org_id, group_category, group_value)::text, value
from published.fct_metric
"""


def figures(folder: Path) -> dict[str, float | None]:
    """What a release tells of each organization, metric and group; None where it tells nothing."""
    with duckdb.connect(str(folder / "statewide.duckdb"), read_only=True) as connection:
        return dict(connection.execute(FIGURES).fetchall())


def test_every_order_of_years_ends_in_the_same_release(one_pass, files, tmp_path):
    twice = end_of(tmp_path / "home", files, 2025, 2024, 2025, 2024, "publish", "publish")
    assert one_pass.name == twice.name
    assert one_pass != twice and told_by(one_pass).keys() == told_by(twice).keys()
    for name, content in told_by(one_pass).items():
        assert content == told_by(twice)[name], name


def test_what_was_published_on_the_way_moves_no_figure(one_pass, files, tmp_path):
    backwards = end_of(tmp_path / "home", files, 2025, "publish", 2024, "publish with a reason")
    assert one_pass.name == backwards.name, "made of the same files by the same code"
    homes = [it.parents[2] for it in (one_pass, backwards)]
    exact = [rows(home / "warehouse/zz/current.duckdb", "marts") for home in homes]
    assert len(exact[0]) > 10 and exact[0] == exact[1]

    here, there = figures(one_pass), figures(backwards)
    assert here.keys() == there.keys()
    both = [it for it in here if here[it] is not None and there[it] is not None]
    assert len(both) > 0.8 * sum(value is not None for value in here.values())
    assert {it: here[it] for it in both} == {it: there[it] for it in both}
