"""Gaps in career and technical education are what the raw files say, by every method."""

from __future__ import annotations

import duckdb
import pytest

from tests.recomputation import gaps
from tests.recomputation.standard import Cell


@pytest.fixture(scope="module")
def expected(built):
    return gaps.gaps(built.expected)


@pytest.fixture
def told(built):
    with duckdb.connect(str(built.database), read_only=True) as connection:
        rows = connection.sql(
            "select school_year, org_level, org_id, metric_id, group_category, group_value, "
            "method, comparison, value, margin, status from marts.cte_gap"
        ).fetchall()
    found = {(Cell(*row[:6]), row[6]): row[7:] for row in rows}
    assert len(found) == len(rows)
    return found


def test_every_gap_is_what_the_raw_files_say(expected, told):
    def is_right(gap: gaps.Gap, row: tuple | None) -> bool:
        if row is None:
            return False
        comparison, value, margin, status = row
        if gap.value is None:
            return value is None and status == "not_applicable"
        return (
            comparison == gap.comparison
            and status == "reported"
            and value == pytest.approx(float(gap.value), rel=1e-9, abs=1e-9)
            and (gap.margin is None) == (margin is None)
            and (margin is None or margin == pytest.approx(gap.margin, rel=1e-9))
        )

    wrong = {
        key: (told.get(key), gap)
        for key, gap in expected.items()
        if not is_right(gap, told.get(key))
    }

    assert not wrong, f"{len(wrong)} differ, such as {list(wrong.items())[:5]}"


def test_no_gap_is_told_that_the_raw_files_do_not_say(expected, told):
    assert [key for key, row in told.items() if row[1] is not None and key not in expected] == []


def test_a_gap_stands_as_a_metric_too(built, told):
    methods = {
        "cte_gap_points": "points",
        "cte_gap_proportionality": "proportionality",
        "cte_gap_eighty_percent": "eighty_percent",
        "cte_gap_risk_ratio": "risk_ratio",
    }
    with duckdb.connect(str(built.database), read_only=True) as connection:
        rows = connection.sql(
            "select school_year, org_level, org_id, metric_id, group_category, group_value, value, "
            "status from marts.fct_metric where metric_id like 'cte_gap_%' "
            "and group_category <> 'all'"
        ).fetchall()
    found = {}
    for year, level, org, metric, category, value, amount, status in rows:
        if metric in methods:
            rate, group = value.split("*", 1)
            cell = Cell(year, level, org, rate, category.removeprefix("rate*"), group)
            found[cell, methods[metric]] = (amount, status)

    assert found == {key: (row[1], row[3]) for key, row in told.items()}
