"""Gaps between a group and the others, worked out a second time from exact counts.

Written from the definitions of the methods, in fractions. Every count is known here, as in the
restricted marts; what protection leaves of them is the matter of another test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from math import sqrt
from typing import NamedTuple

from tests.recomputation.standard import EVERYONE, Cell, Value

CATEGORIES = ("race", "sex", "special_population", "migrant", "career_cluster")
RATES = (
    "cte_participation_rate", "cte_concentration_rate", "perkins_1s1", "perkins_1s2", "perkins_2s1",
    "perkins_2s2", "perkins_2s3", "perkins_3s1", "perkins_4s1", "perkins_5s1", "perkins_5s2",
    "perkins_5s3", "perkins_5s4",
)  # fmt: skip
CELL, N = 10, 30


class Gap(NamedTuple):
    """One method's answer for one group; None where the method does not apply."""

    comparison: str
    value: Fraction | None
    margin: float | None = None


def gaps(metrics: Mapping[Cell, Value]) -> dict[tuple[Cell, str], Gap]:
    """Every gap of every group of which somebody was asked, by cell of the rate and method."""
    found: dict[tuple[Cell, str], Gap] = {}
    told = {
        cell: (value.numerator, value.denominator)
        for cell, value in metrics.items()
        if cell.measure in RATES and _is_own(cell)
    }
    highest: dict[tuple, Fraction] = defaultdict(Fraction)
    for cell, (a, n) in told.items():
        highest[cell[:5]] = max(highest[cell[:5]], a / n)
    states = {cell[0]: cell.org_id for cell in told if cell.org_level == "SEA"}
    for cell, (a, n) in told.items():
        if cell.group_category not in CATEGORIES:
            continue
        whole = _everyone(cell)
        rest = _others(told, cell)
        points = 100 * (a / n - rest[0] / rest[1]) if rest[1] else None
        margin = 196 * sqrt(0.25 / n) if rest[1] else None
        found[cell, "points"] = Gap("others", points, margin)
        share = (a / told[whole][0]) / (n / told[whole][1]) if told[whole][0] else None
        found[cell, "proportionality"] = Gap("all", share)
        top = highest[cell[:5]]
        found[cell, "eighty_percent"] = Gap("highest", a / n / top if top else None)
        found[cell, "risk_ratio"] = _risk_ratio(told, cell, states)
    return found


# Of students, each in one group of a category or in none.
STUDENTS = (
    "race", "sex", "economic", "english_learner", "disability", "homeless", "foster", "military",
    "migrant",
)  # fmt: skip


def suspension_risk_ratios(metrics: Mapping[Cell, Value]) -> dict[Cell, Fraction | None]:
    """Suspended students of a group over those of all others, each among its own; by the rate's
    cell, None where there are too few to say."""
    told = {
        cell: (value.numerator, value.denominator)
        for cell, value in metrics.items()
        if cell.measure == "suspension_rate"
    }
    states = {cell[0]: cell.org_id for cell in told if cell.org_level == "SEA"}
    return {
        cell: _risk_ratio(told, cell, states).value
        for cell in told
        if cell.group_category in STUDENTS
    }


def _is_own(cell: Cell) -> bool:
    """A cluster's share of all students is no rate of the students of the cluster."""
    return not (cell.measure == "cte_concentration_rate" and cell.group_category in CATEGORIES[4:])


def _everyone(cell: Cell) -> Cell:
    return Cell(*cell[:4], *EVERYONE)


def _others(told: Mapping, cell: Cell) -> tuple[Fraction, Fraction]:
    a, n = told[cell]
    whole = told[_everyone(cell)]
    return whole[0] - a, whole[1] - n


def _risk_ratio(told: Mapping, cell: Cell, states: Mapping[int, str]) -> Gap:
    a, n = told[cell]
    rest = _others(told, cell)
    if _is_enough(rest):
        return Gap("others", a / n / (rest[0] / rest[1]) if _is_enough((a, n)) else None)
    if cell.org_level == "SEA":
        return Gap("others", None)
    above = cell._replace(org_level="SEA", org_id=states[cell.school_year])
    # Who is described in two ways may be of a group at a school, and of another in the state.
    others = _others(told, above) if above in told else (Fraction(0), Fraction(0))
    if not _is_enough((a, n)) or not _is_enough(others):
        return Gap("state", None)
    return Gap("state", a / n / (others[0] / others[1]))


def _is_enough(counts: tuple[Fraction, Fraction]) -> bool:
    return counts[0] >= CELL and counts[1] >= N
