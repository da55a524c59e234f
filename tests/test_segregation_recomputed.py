"""Segregation, parity, equity gaps, and what needs more years than two, by a second road.

The numbers are made again in tests/recomputation from the raw files, in exact fractions, and must
be the marts' own for every organization and group.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from include import dbt, demo, lake, registry, warehouse
from tests import record_level
from tests.recomputation import segregation, standard
from tests.recomputation.standard import Cell, Value

STATE = record_level.STATE


@pytest.fixture(scope="module")
def recomputed(built) -> segregation.Found:
    years = sorted(
        int(folder.name) for folder in (built.raw / STATE).iterdir() if folder.name.isdigit()
    )
    return segregation.everything(built.raw, years, STATE, built.amounts, built.expected)


@pytest.fixture(scope="module")
def derived(built) -> dict[Cell, tuple[float | None, str, list[str]]]:
    with duckdb.connect(str(built.database), read_only=True) as connection:
        rows = connection.execute(
            "select school_year, org_level, org_id, metric_id, group_category, group_value, value, "
            "status, source_loads from marts.fct_metric where list_contains(?, metric_id)",
            [list(segregation.METRICS)],
        ).fetchall()
    return {Cell(*row[:6]): row[6:] for row in rows}


def test_every_derived_metric_is_what_the_raw_files_make_of_it(derived, recomputed):
    wrong = {
        cell: (float(value), derived.get(cell))
        for cell, value in recomputed.items()
        if cell not in derived
        or derived[cell][1] != "reported"
        or derived[cell][0] != pytest.approx(float(value), rel=1e-9, abs=1e-12)
    }

    assert recomputed
    assert not wrong, f"{len(wrong)} differ, such as {sorted(wrong.items())[:5]}"


def test_nothing_is_derived_that_the_raw_files_do_not_make(derived, recomputed):
    invented = {
        cell: row
        for cell, row in derived.items()
        if cell not in recomputed and (row[0] is not None or row[1] == "reported")
    }

    assert not invented, sorted(invented.items())[:5]


def test_every_lea_and_the_state_is_answered_about_every_derived_metric(derived, built):
    asked = {cell[:3] for cell in built.metrics if cell.org_level in ("LEA", "SEA")}
    missing = {
        (organization, metric) for organization in asked for metric in segregation.METRICS
    } - {(cell[:3], cell.measure) for cell in derived}

    assert not missing


def test_a_derived_number_names_the_files_of_its_parts(derived, built):
    known = set(built.loads.values())
    for cell, (_, status, loads) in derived.items():
        if status == "reported":
            assert loads, cell
            assert set(loads) <= known, cell


def test_the_years_before_the_last_are_followed_and_the_last_is_not(derived, recomputed):
    told = {cell.school_year for cell in recomputed if cell.measure == "stayer_rate_equity_gap"}
    last = {
        row[1]
        for cell, row in derived.items()
        if cell.measure == "stayer_rate_equity_gap" and cell.school_year == 2025
    }

    assert told == {2024}
    assert last == {"not_collected"}


# ------------------------------------------------------------------------ four years


@pytest.fixture(scope="module")
def four_years(tmp_path_factory) -> tuple[dict[Cell, Value], Path]:
    """A state of four years, added up a second time, and as base metrics."""
    scratch = tmp_path_factory.mktemp("four_years")
    raw, database = scratch / "raw", scratch / "statewide.duckdb"
    years = (2022, 2023, 2024, 2025)
    demo.generate(raw, demo.Plan(students=1500, districts=4, years=years, seed=21))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(scratch / "home"))
        found = []
        for year in years:
            for extract in registry.states()[STATE].extracts:
                sha256 = record_level.load(
                    extract, year, raw / STATE / str(year) / f"{extract}.csv"
                )
                path = lake.partition(STATE, extract, year)
                kept = scratch / f"{extract}-{year}.parquet"
                shutil.copy(path, kept)
                found.append((lake.read_load(path), kept))
                assert found[-1][0].sha256 == sha256
        with duckdb.connect(str(database)) as connection:
            warehouse.show_lake(connection, STATE, found)
        dbt.run(
            STATE, database, "build", "--select", "+int_base_metrics",
            "--exclude-resource-type", "unit_test", "test",
        )  # fmt: skip
    amounts: standard.Amounts = {}
    for year in years:
        amounts |= standard.observations(raw / STATE / str(year), year, STATE)
    return standard.metrics(amounts), database


@pytest.mark.parametrize(
    "metric", ["principal_turnover_3yr", "stayer_rate", "mover_rate", "leaver_rate"]
)
def test_what_needs_other_years_is_told_where_they_are(four_years, metric):
    metrics, database = four_years
    expected = {
        cell: (float(value.numerator), float(value.denominator))
        for cell, value in metrics.items()
        if cell.measure == metric
    }
    with duckdb.connect(str(database), read_only=True) as connection:
        found = {
            Cell(*row[:6]): row[6:]
            for row in connection.execute(
                "select school_year, org_level, org_id, metric_id, group_category, group_value, "
                "numerator, denominator from intermediate.int_base_metrics "
                "where metric_id = ? and status = 'reported'",
                [metric],
            ).fetchall()
        }

    assert found == expected
    years = {2025} if metric == "principal_turnover_3yr" else {2022, 2023, 2024}
    assert {cell.school_year for cell in found} == years
    # Some do and some do not, or the test would not see one taken for the other.
    assert any(0 < numerator < denominator for numerator, denominator in found.values())
