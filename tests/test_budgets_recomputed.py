"""Student-based budgets, weighted pupils and real spending of random states, by two roads."""

from __future__ import annotations

from fractions import Fraction

import duckdb
import pytest

from tests import record_level
from tests.recomputation import budgets
from tests.recomputation.standard import Cell

METRICS = ("weighted_pupils", "ppe_per_weighted_pupil", "need_index", "ppe_real")


def ask(built: record_level.Built, sql: str, *told: object) -> list[tuple]:
    with duckdb.connect(str(built.database), read_only=True) as connection:
        return connection.execute(sql, list(told)).fetchall()


def near(value: Fraction | float):
    return pytest.approx(float(value), rel=1e-9, abs=1e-9)


def test_a_pupil_of_tennessee_brings_what_the_rule_says():
    pupil = Cell(2024, "SCH", "A", "average_daily_membership", "all", "all")
    brings = ("economically_disadvantaged", "concentrated_poverty", "uln4")
    amounts = {pupil: Fraction(1)} | {
        pupil._replace(
            measure="budget_pupils", group_category="budget_weight", group_value=f"tisa.{weight}"
        ): Fraction(1)
        for weight in brings
    }
    later = {cell._replace(school_year=2026): amount for cell, amount in amounts.items()}
    one = budgets.weighted(amounts, "tisa", pupil)

    assert one * budgets.BASE["tisa"][2024] == Fraction("13034.00")
    assert one * budgets.BASE["tisa"][2026] == Fraction("13860.50")
    assert budgets.weighted(later, "tisa", pupil._replace(school_year=2026)) == one


def test_weighted_pupils_and_real_spending_are_what_the_raw_files_say(built):
    found = {
        Cell(*row[:6]): row[6:]
        for row in ask(
            built,
            "select school_year, org_level, org_id, metric_id, group_category, group_value, value, "
            "status from marts.fct_metric where list_contains(?, metric_id)",
            METRICS,
        )
    }
    expected = budgets.metrics(built.amounts, record_level.STATE)
    expected |= budgets.real(built.amounts, built.raw, record_level.STATE)
    wrong = {
        cell: (found.get(cell), value)
        for cell, value in expected.items()
        if (found.get(cell, (None,))[0] is not None) != (value is not None)
        or (value is not None and found[cell] != (near(value), "reported"))
    }
    invented = [
        cell for cell, (value, _) in found.items() if value is not None and cell not in expected
    ]

    assert not wrong, f"{len(wrong)} differ, such as {sorted(wrong.items())[:5]}"
    assert not invented, invented[:5]


def test_every_line_of_a_budget_is_what_the_raw_files_say(built):
    lines = ask(
        built,
        "select school_year, org_level, org_id, formula, weight_id, dollars, status, budget, "
        "state_dollars, local_dollars from marts.student_based_budget",
    )
    expected = budgets.budgets(built.amounts)
    found = {row[:5]: row[5] for row in lines}
    whole: dict[tuple, Fraction] = {}
    for (*place, _), dollars in expected.items():
        whole[tuple(place)] = whole.get(tuple(place), Fraction(0)) + dollars

    # A school that spends and enrolls nobody has no pupils to be budgeted for.
    assert {key for key, dollars in found.items() if dollars is not None} == expected.keys()
    assert not [key for key, dollars in expected.items() if found[key] != near(dollars)]
    for *place, weight, dollars, status, budget, of_state, of_localities in lines:
        if tuple(place) not in whole:
            assert status in ("missing", "not_collected")
            assert (dollars, budget) == (None, None)
            continue
        assert status == "reported"
        assert budget == near(whole[tuple(place)])
        share = budgets.STATE_SHARE[place[3]]
        if weight in budgets.DIRECT[place[3]]:
            assert (of_state, of_localities) == (dollars, 0)
        elif share is None:
            assert (of_state, of_localities) == (None, None)
        else:
            assert of_state == near(dollars * float(share))
            assert of_localities == near(dollars * (1 - float(share)))


def test_who_gains_by_the_other_formula_is_what_the_raw_files_say(built):
    expected = budgets.budgets(built.amounts)
    whole: dict[tuple, Fraction] = {}
    for (*place, _), dollars in expected.items():
        whole[tuple(place)] = whole.get(tuple(place), Fraction(0)) + dollars
    rows = ask(
        built,
        "select school_year, org_level, org_id, change, outcome, change_at_same_cost, cv, "
        "other_cv, progressivity, other_progressivity, cv_status from marts.budget_comparison "
        "where status = 'reported'",
    )

    assert len(rows) == len(whole) / 2
    for year, level, org, change, outcome, at_same_cost, *even in rows:
        own, other = whole[year, level, org, "tisa"], whole[year, level, org, "flat"]
        top = [whole[year, "SEA", record_level.STATE, formula] for formula in ("tisa", "flat")]
        assert change == near(other - own)
        assert outcome == ("gains" if other > own else "loses" if other < own else "same")
        assert at_same_cost == pytest.approx(float(other * top[0] / top[1] - own), abs=1e-6)
        if level != "SEA":
            continue
        # Of the state, across its districts.
        for formula, cv, progressivity in (("tisa", even[0], even[2]), ("flat", even[1], even[3])):
            family = []
            for cell, pupils in built.amounts.items():
                if cell[:2] == (year, "LEA") and cell[3:] == (
                    "average_daily_membership", "all", "all",
                ) and pupils:  # fmt: skip
                    members, poor = (
                        built.amounts.get(cell._replace(measure="membership", **group), 0)
                        for group in (
                            {},
                            {"group_category": "economic", "group_value": "ECODIS"},
                        )
                    )
                    spent = whole[year, "LEA", cell.org_id, formula]
                    family.append((float(spent / pupils), float(pupils), float(poor / members)))
            if len(family) < 2:
                assert even[4] == "not_applicable"
                continue
            n = sum(pupils for _, pupils, _ in family)
            mean = sum(x * pupils for x, pupils, _ in family) / n
            square = sum(pupils * (x - mean) ** 2 for x, pupils, _ in family) / n
            poor = sum(pupils * p for _, pupils, p in family)
            on_poor = sum(x * pupils * p for x, pupils, p in family) / poor
            on_others = sum(x * pupils * (1 - p) for x, pupils, p in family) / (n - poor)
            assert cv == pytest.approx(square**0.5 / mean)
            assert progressivity == pytest.approx(on_poor / on_others)
