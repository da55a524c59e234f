"""What dbt makes of record-level extracts is what the raw files say, to the last cell.

Each state is built by the project itself and added up a second time by `tests/recomputation`, which
shares no code and no query with it. Here are the metrics that are made of measures.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.recomputation import standard
from tests.recomputation.standard import Cell, Value

# Sums of quotients are rounded on the way; everything else is compared to the last bit.
ROUNDED = {"average_daily_membership", "budget_pupils"}


def same(measure: str, found: float | None, exact: Fraction) -> bool:
    """Whether a double is the nearest one to an exact amount, or near it where sums are rounded."""
    if found is None:
        return False
    if measure in ROUNDED:
        return found == pytest.approx(float(exact), rel=1e-12)
    return found == float(exact)


def test_every_measure_is_what_the_raw_files_say(built):
    found = {cell: amount for cell, amount, _, _ in built.observed}
    wrong = {
        cell: (found.get(cell), built.amounts.get(cell))
        for cell in found.keys() | built.amounts.keys()
        if not same(cell.measure, found.get(cell, 0.0), built.amounts.get(cell, Fraction(0)))
    }

    assert not wrong, f"{len(wrong)} differ, such as {sorted(wrong.items())[:5]}"


def test_no_measure_is_told_twice_and_none_is_unknown(built):
    assert len({cell for cell, *_ in built.observed}) == len(built.observed)
    assert {status for _, _, status, _ in built.observed} == {"reported"}


def test_everyone_and_every_level_of_each_measure_is_there(built):
    told = {(cell.measure, cell.org_level) for cell, *_ in built.observed}

    assert told >= {(cell.measure, cell.org_level) for cell in built.amounts}
    assert len({cell.org_level for cell in built.amounts}) == 3


def test_every_amount_names_the_file_that_it_was_counted_from(built):
    wrong = [
        (cell, load)
        for cell, _, _, load in built.observed
        if load.split(" ")
        != [
            built.loads[standard.EXTRACT_OF[cell.measure], year]
            for year in sorted(
                standard.years_of(cell.measure, cell.school_year),
                key=lambda year, own=cell.school_year: year != own,
            )
        ]
    ]

    assert not wrong


def test_every_metric_is_what_the_raw_files_say(built):
    def is_right(cell: Cell, value: Value) -> bool:
        numerator, denominator, found, status, _ = built.metrics.get(cell, (None,) * 5)
        if status != "reported" or not same(cell.measure, numerator, value.numerator):
            return False
        if value.denominator is None:
            return denominator is None and found == numerator
        rate = float(value.numerator) / float(value.denominator)
        return same("", denominator, value.denominator) and found == rate

    wrong = {
        cell: (built.metrics.get(cell), value)
        for cell, value in built.expected.items()
        if not is_right(cell, value)
    }

    assert not wrong, f"{len(wrong)} differ, such as {sorted(wrong.items())[:5]}"


def test_nothing_is_reported_that_the_raw_files_do_not_say(built):
    invented = {
        cell: row
        for cell, row in built.metrics.items()
        if cell not in built.expected and row[2] is not None and row[2] != 0
    }
    rates_of_nobody = {
        cell: row
        for cell, row in built.metrics.items()
        if cell not in built.expected
        and row[3] == "reported"
        and cell.measure not in (*standard.COUNTS, "group_share")
    }

    assert built.metric_rows == len(built.metrics)
    assert not invented
    assert not rates_of_nobody


def test_every_metric_names_the_files_that_fed_it(built):
    wrong = {}
    for cell, value in built.expected.items():
        files = {
            built.loads[standard.EXTRACT_OF[m], year]
            for m in value.measures
            for year in standard.years_of(m, cell.school_year)
        }
        if set(built.metrics[cell][4]) != files:
            wrong[cell] = built.metrics[cell][4]

    assert not wrong


def test_what_is_not_sent_is_not_reported(built):
    for cell, (_, _, value, status, _) in built.metrics.items():
        measures = (standard.RATES | standard.DOLLARS).get(cell.measure, ())
        extracts = {standard.EXTRACT_OF[measure] for measure in measures}
        if any((extract, cell.school_year) not in built.loads for extract in extracts):
            assert value is None
            assert status in ("not_collected", "missing", "not_applicable")


def test_a_group_of_which_the_state_knows_is_counted_everywhere_if_only_as_nobody(built):
    found = {cell for cell, *_ in built.observed if cell.measure == "membership"}
    groups = {
        (cell.school_year, *cell[4:])
        for cell in found
        if cell.org_level == "SEA" and cell.group_category != "grade"
    }
    organizations = {cell[:3] for cell in found}
    missing = [
        (organization, group)
        for organization in organizations
        for year, *group in groups
        if organization[0] == year and Cell(*organization, "membership", *group) not in found
    ]

    assert not missing
