"""Equity of spending and federal relief of random states, by two roads; and the worked example."""

from __future__ import annotations

from fractions import Fraction

import duckdb
import pytest

from tests import record_level
from tests.recomputation import equity, standard
from tests.recomputation.standard import Cell

# Spending per pupil, pupils, share of poor pupils, as in the definitions.
EXAMPLE = (
    (8000, 1000, 10), (9000, 2000, 30), (10000, 500, 50), (11000, 3000, 20), (12500, 1500, 60),
    (15000, 2000, 70),
)  # fmt: skip


def told(built: record_level.Built, metrics: tuple[str, ...]) -> dict[Cell, tuple]:
    with duckdb.connect(str(built.database), read_only=True) as connection:
        rows = connection.execute(
            "select school_year, org_level, org_id, metric_id, group_category, group_value, value, "
            "status from marts.fct_metric where list_contains(?, metric_id)",
            [list(metrics)],
        ).fetchall()
    return {Cell(*row[:6]): row[6:] for row in rows}


def directory(built: record_level.Built) -> dict[tuple[int, str], str]:
    return {
        (int(row["school_year"]), row["org_id"]): row["parent_org_id"]
        for year in (2024, 2025)
        for row in standard.rows(built.raw / "zz" / str(year), "directory")
        if row["org_level"] == "SCH"
    }


def differ(found: dict[Cell, tuple], expected: dict[Cell, float | None]) -> dict[Cell, tuple]:
    def is_right(cell: Cell, value: float | None) -> bool:
        mine, status = found.get(cell, (None, None))
        if value is None:
            return mine is None and status == "not_applicable"
        # A correlation of nearly nothing is the remainder of larger numbers.
        return status == "reported" and mine == pytest.approx(value, rel=1e-9, abs=1e-12)

    return {
        cell: (found.get(cell), value)
        for cell, value in expected.items()
        if not is_right(cell, value)
    }


def test_the_worked_example_is_the_one_of_the_definitions():
    family = [
        equity.Family(str(i), Fraction(x), Fraction(n), Fraction(n * p, 100))
        for i, (x, n, p) in enumerate(EXAMPLE)
    ]
    found = equity.statistics(family)
    other = equity.statistics(family, include_median=True)

    assert {metric: round(value, 6) for metric, value in found.items()} == {
        "ppe_cv": 0.202479,
        "ppe_federal_range_ratio": 0.875,
        "ppe_mcloone": 0.805195,
        "ppe_verstegen": 1.266234,
        "ppe_gini": 0.112528,
        "ppe_theil": 0.020232,
        "ppe_poverty_correlation": 0.834293,
        "ppe_poverty_elasticity": 0.299119,
        "ppe_progressivity": 1.164977,
        "ppe_poverty_gap": 7000.0,
    }
    assert round(other["ppe_mcloone"], 6) == 0.895105
    assert round(other["ppe_verstegen"], 6) == 1.143357


def test_equity_is_what_the_raw_files_say(built):
    found = told(built, equity.STATISTICS)
    expected = equity.equity(built.amounts, directory(built), record_level.STATE)
    wrong = differ(found, expected)
    invented = [
        cell for cell, (value, _) in found.items() if value is not None and cell not in expected
    ]

    assert not wrong, f"{len(wrong)} differ, such as {sorted(wrong.items())[:5]}"
    assert not invented
    # Without a ledger there is nothing to be unequal; with one, some of it is a number.
    has_ledger = any(cell.measure == "finance_pupils" for cell in built.amounts)
    assert bool([value for value in expected.values() if value is not None]) == has_ledger


def test_federal_relief_is_what_the_raw_files_say(built):
    found = told(built, equity.RELIEF)
    expected = equity.relief(built.amounts)
    wrong = differ(found, expected)
    invented = [
        cell for cell, (value, _) in found.items() if value is not None and cell not in expected
    ]

    assert not wrong, f"{len(wrong)} differ, such as {sorted(wrong.items())[:5]}"
    assert not invented
