"""The facts of the Statewide page: what was loaded, refused, set aside, late and published."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import date

import duckdb
import pytest

from include import dbt, differences, disclosure, incidents, lake, registry, release, status
from tests import builds
from tests.landing import EXTRACT, STATE, YEAR, Landing

PERSONAL = {"student_id": {"headers": ["Student"], "personal": True, "optional": True}}


@pytest.fixture(autouse=True)
def small_builds(monkeypatch) -> None:
    monkeypatch.setattr(dbt, "derive", builds.derive)


@pytest.fixture(autouse=True)
def states_are_read_anew() -> Iterator[None]:
    yield
    registry.states.cache_clear()


@pytest.fixture
def landing(home, tmp_path, monkeypatch) -> Landing:
    return Landing(tmp_path / "states", monkeypatch)


def rows(count: int) -> list[list]:
    return [[YEAR, f"{n:04}", "KG", 10 + n, ""] for n in range(count)]


def test_a_load_is_told_with_its_rows_its_file_and_its_time(landing):
    load = landing.load([*rows(8), [YEAR, "0100", "99", 5, ""]])
    line = status.line(STATE, EXTRACT, YEAR)

    assert (line.load, line.condition) == (load, "loaded")
    assert (line.load.rows_in, line.load.accepted, line.load.quarantined) == (9, 8, 1)
    assert line.received == load.sha256
    assert line.loaded_at.startswith(str(status.today().year))
    assert line.verdict.verdict == "accepted"
    assert line.verdict.kept > 5


def test_a_refused_file_is_told_beside_the_load_that_stays(landing):
    load = landing.load(rows(8))
    landing.declare(rows=[5, 100])
    landing.refuse(rows(2))
    line = status.line(STATE, EXTRACT, YEAR)

    assert line.condition == "refused"
    assert line.load == load
    assert line.received != load.sha256
    assert any("rows" in promise for promise in line.verdict.stopped)


def test_what_was_set_aside_is_counted_by_reason(landing):
    landing.load([*rows(8), [YEAR, "0100", "99", 5, ""], [YEAR, "0101", "98", 5, ""]])
    found = status.quarantine(STATE, EXTRACT, YEAR)

    assert found.rows == 2
    [(reason, column, kind, times)] = found.reasons
    assert (reason, column, kind, times) == ("not an accepted code", "grade", "digits(2)", 2)
    assert [row[0] for row in found.first] == [10, 11]


def test_no_value_of_a_file_that_names_people_is_told(landing):
    landing.declare(columns=PERSONAL)
    header = ["Year", "School", "Grade", "Students", "Opened", "Student"]
    sha256 = landing.land([[YEAR, "0001", "99", 5, "", "123456789"]] * 1
                          + [[YEAR, f"{n:04}", "KG", 5, "", f"98765432{n}"] for n in range(2, 8)],
                          header)  # fmt: skip
    from include import quality

    quality.check(STATE, EXTRACT, YEAR, sha256)
    found = status.quarantine(STATE, EXTRACT, YEAR)

    assert found.names_people
    assert found.rows == 1
    assert "123456789" not in repr(found)
    assert all(row[1] == "" for row in found.first)


def test_a_promise_is_a_date_and_a_file_is_late_the_day_after(landing, monkeypatch):
    landing.declare(due="{school_year}-09-30")
    monkeypatch.setattr(status, "today", lambda: date(2019, 9, 30))
    assert status.line(STATE, EXTRACT, 2019).condition == "due"
    assert status.line(STATE, EXTRACT, 2018).condition == "late"
    monkeypatch.setattr(status, "today", lambda: date(2019, 10, 2))
    line = status.line(STATE, EXTRACT, 2019)
    assert line.is_late
    assert line.freshness == "late since 2019-09-30 (2 days)"


def test_a_promise_that_is_no_date_is_refused_with_an_example(landing):
    with pytest.raises(registry.BadDeclaration, match=r"due: '30 September' is no date"):
        landing.declare(due="30 September")


def test_when_a_file_is_promised_does_not_change_how_it_loads(landing):
    before = landing.declare().fingerprint
    assert landing.declare(due="{previous_year}-11-15").fingerprint == before


# ---- releases -----------------------------------------------------------------------------------


def published(build: str, members: int, **told) -> str:
    facts = [
        builds.fact("membership", numerator=members, org_level="SEA", org_id="zz"),
        builds.fact("membership", numerator=members),
        *told.get("more", ()),
    ]
    builds.warehouse("zz", build, facts, sha256=build[0] * 64)
    disclosure.protect("zz", build)
    return release.publish("zz", build)


@pytest.mark.usefixtures("plain_builds")
def test_two_releases_are_compared_by_what_readers_see(home):
    gone = builds.fact("ppe_total", numerator=1_200_000, denominator=100)
    before = published("a" * 12, 100, more=[gone])
    after = published("b" * 12, 110)
    found = status.compared("zz", before, after)

    [total] = found.totals
    assert (total.metric_id, total.before, total.after) == ("membership", 100, 110)
    assert total.change == pytest.approx(0.10)
    assert found.metrics_gone == [(2025, "ppe_total")]
    [rows] = found.rows
    assert (rows.added, rows.removed, rows.changed) == (0, 1, 2)
    assert found.tables["fct_metric"] == (3, 2)
    assert status.compared("zz", after, after).is_empty
    assert not found.is_empty


@pytest.mark.usefixtures("plain_builds")
def test_a_release_is_told_with_who_took_it_back_or_gave_it_again_and_why(home):
    before, after = published("a" * 12, 100), published("b" * 12, 110)
    assert [it["words"] for it in status.releases("zz")] == [[], []]
    release.rollback("zz", before, reason="a district was left out", by="rosa")
    withdrawn, again = status.releases("zz")
    assert (withdrawn["release"], again["release"]) == (after, before)
    for told, what in ((withdrawn, "withdrawn"), (again, "given to readers again")):
        [word] = told["words"]
        assert (word["what"], word["by"]) == (what, "rosa")
        assert word["reason"] == "a district was left out"


@pytest.mark.usefixtures("plain_builds")
def test_a_cell_that_is_now_withheld_is_told_apart_from_one_that_moved(home, tmp_path):
    paths = []
    for name, members in (("a" * 12, 50), ("b" * 12, 4)):
        builds.warehouse("zz", name, [builds.fact("membership", numerator=members)])
        disclosure.protect("zz", name)
        paths.append(disclosure.protected("zz", name))
    [rows] = differences.between(*paths).rows
    assert (rows.changed, rows.hidden, rows.shown) == (1, 1, 0)


@pytest.mark.usefixtures("plain_builds")
def test_a_release_that_is_not_there_is_unknown(home):
    name = published("a" * 12, 100)
    for other in ("zz-000000000000", "..", "../../warehouse", "current"):
        with pytest.raises(status.Unknown):
            status.compared("zz", name, other)
    with pytest.raises(status.Unknown):
        status.manifest("qq", name)


# ---- pages that others wrote --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../../hmac.key",
        "/etc/passwd",
        "directory/../../../hmac.key",
        "link",
        "absent.html",
        "",
        "\0",
    ],
)
def test_no_page_is_served_from_elsewhere(home, name):
    docs = lake.private(lake.data_docs("zz"))
    (home / "hmac.key").write_text("secret")
    (docs / "link").symlink_to(home / "hmac.key")
    with pytest.raises(status.Unknown):
        status.page("zz", name)


def test_a_page_is_found_through_the_links_of_its_own_folder(home):
    docs = lake.private(lake.data_docs("zz") / "static")
    (docs / "style.css").write_text("p {}")
    site = lake.private(lake.data_docs("zz") / "site")
    (site / "static").symlink_to("../static", target_is_directory=True)
    assert status.page("zz", "site/static/style.css").read_text() == "p {}"


# ---- fifty states, five years -------------------------------------------------------------------

MANY = [f"{a}{b}" for a in "bcdfg" for b in "bcdfghjklm"]
YEARS = range(2021, 2026)


def test_of_fifty_states_with_five_years_records_are_read_once(home, tmp_path, monkeypatch):
    """2,500 files. The first look reads each record, later ones only look at times."""
    folder = tmp_path / "states"
    folder.mkdir()
    monkeypatch.setattr(registry, "STATES", folder)
    names = [f"extract_{n}" for n in range(10)]
    sample = home / "sample.parquet"
    stamped = lake.Load("bb", "extract_0", 2021, "ab" * 32, "spec", 1200, 1195, 5)
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select 1 as one) to '{sample}' (format parquet, {lake.stamp(stamped)})"
        )
    verdict = {
        "verdict": "accepted", "sha256": "ab" * 32, "rows_in": 1200, "accepted": 1195,
        "quarantined": 5, "promises": [{"promise": "p", "outcome": "kept"}] * 60,
    }  # fmt: skip
    text = {"group": "finance", "description": "d", "school_years": list(YEARS), "key": ["a"],
            "source": "x", "rows": [1, 9], "columns": {"a": ["A"]}}  # fmt: skip
    for code in MANY:
        declared = {"state": code, "name": code, "agency": "a", "owner": "o", "schedule": None,
                    "extracts": {name: text for name in names}}  # fmt: skip
        (folder / f"{code}.yml").write_text(json.dumps(declared))
        for name in names:
            for year in YEARS:
                path = lake.partition(code, name, year)
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(sample, path)
                lake.write_json(lake.verdict(code, name, year, "ab" * 32), verdict)
                receipt = {"sha256": "ab" * 32, "received_at": "2025-01-01T00:00:00", "source": "x"}
                lake.write_json(lake.receipts(code, name, year), receipt)
    registry.states.cache_clear()
    for code in MANY:
        registry.states()[code]
    incidents.note("bb", "ingest", "extract_0 2021", "fetch", "no answer")

    began = time.process_time()
    first = status.overview()
    cold = time.process_time() - began
    began = time.process_time()
    status.overview()
    warm = time.process_time() - began

    assert len(first) == 50
    assert sum(line.extracts for line in first) == 2500
    assert [line.incidents for line in first if line.state == "bb"] == [1]
    # A ratio of the processor's time in one run: to look at times is not to read.
    assert warm < 0.8 * cold, f"2,500 files: {cold:.2f} s at first, {warm:.3f} s later"
