"""Nothing that anybody needs is ever removed, and what nobody needs does not stay for ever."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include import approvals, dbt, disclosure, lake, release, retention, warehouse
from include.retention import DAY, Policy
from tests import builds

POLICY = Policy(files=400, builds=30)
EXTRACTS = ("directory", "finance_ledger")


@pytest.fixture(autouse=True)
def small_builds(monkeypatch) -> None:
    monkeypatch.setattr(dbt, "derive", builds.derive)


def sha(number: int) -> str:
    return f"{number:064x}"


def land(number: int, extract: str, year: int = 2025) -> None:
    """Receive a file, with everything that its check leaves."""
    target = lake.landed_object("zz", sha(number))
    lake.private(target.parent)
    if not target.exists():
        target.write_text(str(number))
    lake.acknowledge("zz", extract, year, {"sha256": sha(number), "source": "x", "bytes": 1})
    lake.write_json(lake.verdict("zz", extract, year, sha(number)), {"promises": []})
    lake.quarantined("zz", extract, year, sha(number)).write_text("rows")
    page = lake.data_docs("zz") / extract / str(year) / sha(number)[:12] / "index.html"
    lake.private(page.parent)
    page.write_text("docs")


def load(number: int, extract: str, year: int = 2025) -> None:
    """Make a landed file the accepted one."""
    told = lake.Load("zz", extract, year, sha(number), "spec", 10, 9, 1)
    lake.private(told.path.parent)
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select 1 as one) to '{told.path}' (format parquet, {lake.stamp(told)})"
        )


def publish(number: int) -> str | None:
    """Build from one file and publish."""
    build = f"{number:012x}"
    builds.warehouse("zz", build, [builds.fact("membership", numerator=100)], sha256=sha(number))
    page = lake.data_docs("zz") / "marts" / build / "index.html"
    lake.private(page.parent)
    page.write_text("docs")
    disclosure.protect("zz", build)
    warehouse.accept("zz", build)
    return release.publish("zz", build)


def age(home: Path, days: float) -> None:
    """Let everything be this old."""
    then = time.time() - days * DAY
    for path in [home, *home.rglob("*")]:
        os.utime(path, (then, then), follow_symlinks=False)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("land"), st.integers(1, 9), st.sampled_from(EXTRACTS)),
        st.tuples(st.just("load"), st.integers(1, 9), st.sampled_from(EXTRACTS)),
        st.tuples(st.just("publish"), st.integers(1, 4), st.just("directory")),
        st.tuples(st.just("rollback"), st.just(0), st.just("")),
        st.tuples(st.just("refuse"), st.integers(1, 4), st.just("")),
        st.tuples(st.just("clean"), st.integers(1, 999), st.just("")),
    ),
    min_size=4,
    max_size=14,
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
def test_whatever_happened_before_nothing_needed_is_removed(steps, tmp_path_factory):
    home = tmp_path_factory.mktemp("retention")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(home))
        in_lake: dict[str, int] = {}
        last: dict[str, int] = {}
        for step, number, extract in [*steps, ("clean", 999, "")]:
            if step in ("land", "load", "publish"):
                land(number, extract)
                last[extract] = number
            if step in ("load", "publish"):
                load(number, extract)
                in_lake[extract] = number
            if step == "publish":
                publish(number)
            elif step == "rollback" and len(release.releases("zz")) > 1:
                try:
                    release.rollback("zz")
                except release.NoSuchRelease:
                    pass
            elif step == "refuse" and (lake.warehouse("zz") / f"{number:012x}.duckdb").exists():
                approvals.answer(
                    "zz",
                    f"{number:012x}",
                    is_yes=False,
                    by="me",
                    how="here",
                    reason="not like this",
                )
            elif step == "clean":
                age(home, number)
                retention.clean("zz", POLICY)
                everything_needed_is_there(in_lake, last)
        nothing_else_is_left(in_lake, last)


def everything_needed_is_there(in_lake: dict[str, int], last: dict[str, int]) -> None:
    for name in release.releases("zz"):
        release.verify("zz", name)
        manifest = json.loads((lake.published("zz") / name / release.MANIFEST).read_text())
        for told in manifest["inputs"]:
            assert lake.landed("zz", told["sha256"]).exists()
    for extract, number in [*in_lake.items(), *last.items()]:
        assert lake.landed("zz", sha(number)).exists()
        assert lake.verdict("zz", extract, 2025, sha(number)).exists()
        assert lake.quarantined("zz", extract, 2025, sha(number)).exists()
    for extract, number in in_lake.items():
        assert lake.accepted("zz", extract, 2025).sha256 == sha(number)
    if build := warehouse.current("zz"):
        assert warehouse.path("zz", build).exists()
        assert disclosure.protected("zz", build).exists()
    for path in lake.warehouse("zz").glob("*.approval.json"):
        build = path.name.partition(".")[0]
        assert approvals.is_refused("zz", build)
        assert (lake.warehouse("zz") / f"{build}.inputs.json").exists()


def nothing_else_is_left(in_lake: dict[str, int], last: dict[str, int]) -> None:
    """After 999 days only what somebody needs is there."""
    needed = {sha(number) for number in [*in_lake.values(), *last.values()]}
    for name in release.releases("zz"):
        manifest = json.loads((lake.published("zz") / name / release.MANIFEST).read_text())
        needed |= {told["sha256"] for told in manifest["inputs"]}
    objects = lake.home() / "landed" / "zz" / "objects"
    assert {path.name for path in objects.glob("*")} <= needed
    refused = {p.name.partition(".")[0] for p in lake.warehouse("zz").glob("*.approval.json")}
    there = {p.name.partition(".")[0] for p in lake.warehouse("zz").glob("*.inputs.json")}
    assert there <= refused | {warehouse.current("zz")}


def test_what_is_young_stays_though_nothing_needs_it(home):
    for number in (1, 2):
        land(number, "directory")
    age(home, 399)
    assert retention.clean("zz", POLICY) == []
    age(home, 401)
    gone = retention.clean("zz", POLICY)
    assert lake.landed_object("zz", sha(1)) in gone
    assert lake.landed_object("zz", sha(2)).exists()


def test_every_release_can_be_rolled_back_to_after_the_cleaning(home):
    names = []
    for number in (1, 2, 3):
        land(number, "directory")
        load(number, "directory")
        names.append(publish(number))
    age(home, 5000)
    assert retention.clean("zz", POLICY)
    for name in names:
        assert release.rollback("zz", name) == name


def test_with_a_release_that_cannot_be_read_nothing_is_removed(home):
    for number in (1, 2):
        land(number, "directory")
    load(2, "directory")
    publish(2)
    land(3, "directory")
    manifest = lake.published("zz") / "current" / release.MANIFEST
    manifest.chmod(stat.S_IRUSR | stat.S_IWUSR)
    manifest.write_text("{")
    age(home, 5000)
    with pytest.raises(json.JSONDecodeError):
        retention.clean("zz", POLICY)
    assert lake.landed_object("zz", sha(1)).exists()


def test_old_logs_go_and_new_ones_stay(tmp_path):
    old, new = tmp_path / "dag_id=a" / "old.log", tmp_path / "dag_id=b" / "new.log"
    for path in (old, new):
        path.parent.mkdir()
        path.write_text("said")
    then = time.time() - 91 * DAY
    for path in (old, old.parent):
        os.utime(path, (then, then))
    assert retention.clean_logs(tmp_path, Policy()) == 1
    assert new.exists() and not old.exists()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("STATEWIDE_KEEP_FILES", "a year", "expected a number of days"),
        ("STATEWIDE_KEEP_FILES", "0", "1 or more"),
        ("STATEWIDE_KEEP_BUILDS", "5", "may wait 7 days for a person's answer"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(monkeypatch, variable, value, said):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=said):
        Policy.configured()
