"""What happens when a file is wrong: the error an operator reads, and what is left standing.

Copies of North Carolina's real files are spoilt on purpose, as publishers and lines spoil them. In
every case the last good load stays, and every row is accounted for.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from include import lake, portals, quality, registry, tables, warehouse
from tests import pipeline
from tests.test_north_carolina import DATA, pytestmark  # noqa: F401

YEAR = 2019


@pytest.fixture
def publisher(extracts: Path, home: Path) -> Path:
    """A folder that mirrors the publisher's, in which files may be spoilt."""
    shutil.copytree(DATA / "nc" / str(YEAR), extracts / "nc" / str(YEAR))
    shutil.copytree(DATA / "reference", extracts / "reference")
    for file in extracts.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    return extracts / "nc" / str(YEAR)


def rows(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        return list(csv.reader(lines))


def rewrite(file: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    changed = change(rows(file))
    with file.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows(changed)


def refused(extract: str, error: type[Exception]) -> str:
    """Load an extract again; it must be refused, and the earlier load must stay."""
    before = lake.accepted("nc", extract, YEAR)
    with pytest.raises(error) as caught:
        pipeline.load("nc", YEAR, extract)

    assert lake.accepted("nc", extract, YEAR) == before
    return str(caught.value)


def test_a_renamed_column_is_named_with_what_was_expected(publisher):
    pipeline.load("nc", YEAR, "teachers")
    rewrite(
        publisher / "rcd_eq.csv",
        lambda table: [[h.replace("beg_teacher", "beginning") for h in table[0]], *table[1:]],
    )

    told = refused("teachers", quality.BrokenPromises)

    assert "'beginning'" in told
    assert "beginning_teachers (header beg_teacher)" in told
    assert "rcd_eq.csv" in told
    assert "The last good load stays" in told


def test_half_of_the_rows_are_not_a_load(publisher):
    pipeline.load("nc", YEAR, "membership")
    rewrite(publisher / "ec_pupils.csv", lambda table: table[: len(table) // 2])

    told = refused("membership", quality.BrokenPromises)

    assert "fewer rows than the last good load" in told


def test_a_mass_change_passes_with_a_reason_that_is_kept(publisher):
    pipeline.load("nc", YEAR, "membership")
    rewrite(publisher / "ec_pupils.csv", lambda table: table[: 1 + int(len(table) * 0.79)])
    sha256 = portals.fetch("nc", "membership", YEAR)

    with pytest.raises(quality.BrokenPromises, match="fewer rows"):
        quality.check("nc", "membership", YEAR, sha256)
    # Below the declared number of rows as well: no reason makes that believable.
    with pytest.raises(quality.BrokenPromises, match="2,000 to 3,500 rows"):
        quality.check("nc", "membership", YEAR, sha256, override_reason="two districts left")


def test_another_years_file_is_refused(publisher):
    pipeline.load("nc", YEAR, "teachers")
    rewrite(
        publisher / "rcd_eq.csv",
        lambda table: [
            table[0],
            *([row[0].replace("2019", "2018"), *row[1:]] for row in table[1:]),
        ],
    )

    told = refused("teachers", quality.BrokenPromises)

    assert "of school year 2019" in told


def test_another_years_membership_is_refused_though_a_closed_school_may_be_of_an_earlier_one(
    publisher,
):
    pipeline.load("nc", YEAR, "membership")
    shutil.copy(DATA / "nc" / "2018" / "ec_pupils.csv", publisher / "ec_pupils.csv")

    told = refused("membership", quality.BrokenPromises)

    assert "odd" in told
    assert "of school year 2019" in told


def test_a_quarantine_that_is_gone_stops_the_build_until_the_file_is_checked_again(publisher):
    load = pipeline.load("nc", YEAR, "advanced_courses", "directory")["advanced_courses"]
    aside = lake.quarantined("nc", "advanced_courses", YEAR, load.sha256)
    aside.unlink()

    with pytest.raises(warehouse.EvidenceLost, match="10 rows were set aside"):
        warehouse.create("nc")
    pipeline.load("nc", YEAR, "advanced_courses")

    assert aside.exists()


def test_a_load_that_stays_keeps_its_evidence_when_its_file_is_refused(publisher, monkeypatch):
    """The same bytes, judged by a stricter declaration: what the builds read is the load's own."""
    load = pipeline.load("nc", YEAR, "advanced_courses")["advanced_courses"]
    aside = lake.quarantined("nc", "advanced_courses", YEAR, load.sha256)
    before = aside.read_bytes()
    state = registry.states()["nc"]
    stricter = state.extracts["advanced_courses"].model_copy(update={"max_bad_rows": 0.0})
    monkeypatch.setitem(state.extracts, "advanced_courses", stricter)

    refused("advanced_courses", quality.BrokenPromises)

    assert aside.read_bytes() == before


def test_a_year_that_is_missing_is_not_an_empty_year(publisher):
    pipeline.load("nc", YEAR, "teachers")
    (publisher / "rcd_eq.csv").unlink()

    told = refused("teachers", portals.NotPublished)

    assert "rcd_eq.csv" in told


def test_a_file_cut_off_within_a_row_is_refused_with_its_row(publisher):
    pipeline.load("nc", YEAR, "school_spending")
    file = publisher / "rcd_funds2.csv"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 9 // 10 - 7])

    told = refused("school_spending", tables.Unreadable)

    assert told.startswith("nc school_spending 2019: ")
    assert "rcd_funds2.csv" in told
    assert "row" in told
    assert "The last good load stays: 19,648 rows" in told


def test_an_error_page_is_not_data(publisher):
    pipeline.load("nc", YEAR, "teachers")
    (publisher / "rcd_eq.csv").write_text(
        "<!DOCTYPE html>\n<html><body>Service unavailable</body></html>"
    )

    told = refused("teachers", portals.NotData)

    assert "HTML" in told or "html" in told


def test_a_misspelt_code_is_set_aside_with_its_reason_and_takes_no_total_with_it(publisher):
    """One school's row is quarantined, and no total above it pretends to be whole."""

    def misspell(table: list[list[str]]) -> list[list[str]]:
        at = next(i for i, row in enumerate(table) if row[1] == "010324" and row[2] == "AGNR")
        table[at][2] = "AGRN"
        return table

    rewrite(publisher / "rcd_cte_concentrators.csv", misspell)
    loads = pipeline.load("nc", YEAR)
    load = loads["cte_concentrators"]

    assert (load.rows_in, load.accepted, load.quarantined) == (4331, 4330, 1)
    [(organization, column, reason, value)] = duckdb.execute(
        'select organization, "column", reason, value from read_parquet(?)',
        [str(lake.quarantined("nc", "cte_concentrators", YEAR, load.sha256))],
    ).fetchall()
    assert (organization, column, value) == ("010324", "cluster", "AGRN")
    assert reason == "not an accepted code"

    build = pipeline.build("nc")
    with duckdb.connect(str(warehouse.path("nc", build)), read_only=True) as marts:
        found = dict(
            marts.execute(
                "select org_level || ' ' || org_id, status from marts.fct_metric "
                "where metric_id = 'cte_concentrators' and group_value = 'AGNR' "
                "and org_id in ('NC-SEA', '010LEA', '920LEA', '010324')"
            ).fetchall()
        )
        (members,) = marts.execute(
            "select value from marts.fct_metric where metric_id = 'membership' "
            "and org_level = 'SEA' and group_category = 'all'"
        ).fetchone()

    assert found == {
        "SEA NC-SEA": "missing",
        "LEA 010LEA": "missing",
        "SCH 010324": "missing",
        "LEA 920LEA": "reported",
    }
    assert members == 1_434_240
