"""Gaps in career and technical education are what the raw files say, by every method."""

from __future__ import annotations

from fractions import Fraction

import duckdb
import pytest

from tests.recomputation import gaps, work
from tests.recomputation.standard import Cell
from tests.record_level import STATE


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


@pytest.fixture(scope="module")
def labor(built):
    """The labor market's metrics of every year, from the raw files."""
    told = {}
    for year in sorted({year for _, year in built.loads}):
        told |= work.by_market(built.raw / STATE / str(year), year, STATE, built.amounts)
    return told


def test_the_labor_market_is_what_the_raw_files_say(built, labor):
    with duckdb.connect(str(built.database), read_only=True) as connection:
        rows = connection.sql(
            "select school_year, org_level, org_id, metric_id, group_category, group_value, "
            "numerator, denominator, value from marts.fct_metric "
            "where metric_id like 'labor_%' and status = 'reported'"
        ).fetchall()
    found = {Cell(*row[:6]): row[6:] for row in rows}
    wrong = {
        cell: (found.get(cell), value)
        for cell, value in labor.items()
        if found.get(cell)
        != pytest.approx(
            (
                float(value.numerator),
                float(value.denominator),
                float(value.numerator / value.denominator),
            )
        )
    }

    assert not wrong, f"{len(wrong)} differ, such as {list(wrong.items())[:5]}"
    assert set(found) == set(labor)


def test_a_justification_carries_completers_to_occupations(built):
    with duckdb.connect(str(built.database), read_only=True) as connection:
        rows = connection.sql(
            "select school_year, region, soc, cip, supply_of_occupation, supply_demand_ratio, "
            "supply_demand, supply_status from marts.program_justification"
        ).fetchall()
    assert rows
    is_counted = any(cell.measure == "concentrators_graduating" for cell in built.amounts)
    for year in {row[0] for row in rows}:
        folder = built.raw / STATE / str(year)
        supplied, _ = work.supply(folder, year, built.amounts)
        pairs = {
            (region, soc, cip)
            for cip, socs in work.leads_to(folder).items()
            for region, soc in supplied
            if soc in socs
        }
        here = [row for row in rows if row[0] == year]
        assert {row[1:4] for row in here} == pairs
        for _, region, soc, _, supply, ratio, verdict, status in here:
            if not is_counted:
                assert (supply, ratio, verdict, status) == (None, None, None, "not_collected")
                continue
            total, openings = supplied[region, soc]
            assert supply == pytest.approx(float(total))
            if not openings:
                assert (ratio, verdict) == (None, None)
                continue
            exact = total / openings
            assert ratio == pytest.approx(float(exact))
            over, under = exact > Fraction(3, 2), exact < Fraction(1, 2)
            named = "over_supplied" if over else "under_supplied" if under else "balanced"
            assert verdict == named


def test_an_occupation_is_judged_by_what_its_region_says(built):
    with duckdb.connect(str(built.database), read_only=True) as connection:
        rows = connection.sql(
            "select school_year, region, soc, is_high_wage, is_in_demand, is_high_skill "
            "from marts.fct_labor_market"
        ).fetchall()
    found = {row[:3]: row[3:] for row in rows}
    expected = {
        (year, *key): one[2:]
        for year in {row[0] for row in rows}
        for key, one in work.occupations(built.raw / STATE / str(year)).items()
    }

    assert found == expected
