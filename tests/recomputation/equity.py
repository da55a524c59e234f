"""Equity of spending and federal relief, from the definitions and a state's added-up amounts.

Exact fractions until a root or a logarithm is taken; the Gini coefficient sums over all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import pandas as pd

from tests.recomputation.standard import Amounts, Cell

HORIZONTAL = (
    "ppe_cv", "ppe_federal_range_ratio", "ppe_mcloone", "ppe_verstegen", "ppe_gini", "ppe_theil",
)  # fmt: skip
VERTICAL = ("ppe_poverty_correlation", "ppe_poverty_elasticity", "ppe_progressivity")
STATISTICS = (*HORIZONTAL, *VERTICAL, "ppe_poverty_gap")
RELIEF = (
    "federal_relief_reliance", "federal_relief_cliff_per_pupil", "federal_relief_recurring_share",
)  # fmt: skip
MEASURE = {"CURRENT": "expenditure_current", "TOTAL": "expenditure"}
# Fiscal years of ESSER, and the last whole one.
FUND, LAST_FULL_YEAR = range(2020, 2026), 2024


class Family(NamedTuple):
    """One member of what is compared: spending per pupil, pupils, poor pupils, members."""

    org_id: str
    spending: Fraction
    pupils: Fraction
    poor: Fraction


def quantile(family: list[Family], share: Fraction) -> Fraction:
    """The smallest spending whose cumulative share of pupils reaches `share`."""
    whole = sum(one.pupils for one in family)
    seen = Fraction(0)
    for one in sorted(family, key=lambda one: one.spending):
        seen += one.pupils
        if seen >= share * whole:
            return one.spending
    raise ValueError("nobody is in the family")


def _index(chosen: Iterable[Family], median: Fraction) -> float | None:
    part = list(chosen)
    pupils = sum(one.pupils for one in part)
    if not pupils or not median:
        return None
    return float(sum(one.pupils * one.spending for one in part) / (median * pupils))


def statistics(family: list[Family], include_median: bool = False) -> dict[str, float | None]:
    """Every statistic of one family of organizations with pupils; None where it has no meaning."""
    found: dict[str, float | None] = dict.fromkeys(STATISTICS)
    if len(family) < 2:
        return found
    pupils = sum(one.pupils for one in family)
    mean = sum(one.pupils * one.spending for one in family) / pupils
    median = quantile(family, Fraction(1, 2))
    low, high = quantile(family, Fraction(1, 20)), quantile(family, Fraction(19, 20))
    squares = sum(one.pupils * (one.spending - mean) ** 2 for one in family)
    if mean:
        found["ppe_cv"] = math.sqrt(squares / pupils) / float(mean)
        pairs = sum(
            one.pupils * other.pupils * abs(one.spending - other.spending)
            for one in family
            for other in family
        )
        found["ppe_gini"] = float(pairs / (2 * pupils**2 * mean))
    if low:
        found["ppe_federal_range_ratio"] = float((high - low) / low)
    found["ppe_mcloone"] = _index(
        (
            one
            for one in family
            if one.spending < median or (include_median and one.spending == median)
        ),
        median,
    )
    found["ppe_verstegen"] = _index(
        (
            one
            for one in family
            if one.spending > median or (include_median and one.spending == median)
        ),
        median,
    )
    if mean and all(one.spending >= 0 for one in family):
        found["ppe_theil"] = sum(
            float(one.pupils / pupils * one.spending / mean) * math.log(one.spending / mean)
            for one in family
            if one.spending
        )
    poverty = {one.org_id: one.poor / one.pupils for one in family}
    middle = sum(one.poor for one in family) / pupils
    spread = sum(one.pupils * (poverty[one.org_id] - middle) ** 2 for one in family)
    together = sum(
        one.pupils * (one.spending - mean) * (poverty[one.org_id] - middle) for one in family
    )
    if spread and squares:
        found["ppe_poverty_correlation"] = float(together) / math.sqrt(spread * squares)
    if spread and mean > 0:
        found["ppe_poverty_elasticity"] = float(together / spread * middle / mean)
    poor = sum(one.poor for one in family)
    if poor and poor < pupils:
        on_poor = sum(one.poor * one.spending for one in family) / poor
        on_others = sum((one.pupils - one.poor) * one.spending for one in family) / (pupils - poor)
        if on_others:
            found["ppe_progressivity"] = float(on_poor / on_others)
    found["ppe_poverty_gap"] = _gap(family, poverty, pupils)
    return found


def _gap(family: list[Family], poverty: dict[str, Fraction], pupils: Fraction) -> float | None:
    """By quarters of all pupils; an organization is where the middle one of its pupils is."""
    seen = Fraction(0)
    quarters: dict[int, list[Family]] = {1: [], 2: [], 3: [], 4: []}
    for one in sorted(family, key=lambda one: (poverty[one.org_id], one.org_id)):
        middle = seen + one.pupils / 2
        quarters[min(4, 1 + math.floor(4 * middle / pupils))].append(one)
        seen += one.pupils
    if not quarters[1] or not quarters[4]:
        return None
    means = [
        sum(one.pupils * one.spending for one in quarters[q])
        / sum(one.pupils for one in quarters[q])
        for q in (1, 4)
    ]
    return float(means[1] - means[0])


def equity(
    amounts: Amounts, schools: dict[tuple[int, str], str], state: str
) -> dict[Cell, float | None]:
    """Every statistic of the state across its LEAs and of each LEA across its schools.

    `schools` gives the LEA of each school and year of the directory.
    """
    found: dict[Cell, float | None] = {}

    def of(measure: str, year: int, level: str, org: str, *group: str) -> Fraction:
        cell = Cell(year, level, org, measure, *(group or ("all", "all")))
        return amounts.get(cell, Fraction(0))

    years = {cell.school_year for cell in amounts if cell.measure == "finance_pupils"}
    for year in years:
        families: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for (when, school), lea in schools.items():
            if when == year:
                families.setdefault(("LEA", lea), []).append(("SCH", school))
        leas = sorted(lea for _, lea in families)
        families["SEA", state] = [("LEA", lea) for lea in leas]
        for (level, org), children in families.items():
            for basis, measure in MEASURE.items():
                family = [
                    Family(
                        child,
                        of(measure, year, at, child) / of("finance_pupils", year, at, child),
                        of("finance_pupils", year, at, child),
                        of("membership", year, at, child, "economic", "ECODIS"),
                    )
                    for at, child in children
                    if of("finance_pupils", year, at, child)
                ]
                for metric, value in statistics(family).items():
                    found[Cell(year, level, org, metric, "basis", basis)] = value
                    if basis == "CURRENT":
                        found[Cell(year, level, org, metric, "all", "all")] = value
    return found


def relief(amounts: Amounts) -> dict[Cell, float | None]:
    """The measures of federal relief of every organization that has a ledger."""
    found: dict[Cell, float | None] = {}
    asked = [
        cell
        for cell in amounts
        if cell.measure == "expenditure_relief" and cell.group_category == "all"
    ]
    for cell in asked:
        ever = [
            one for one in asked
            if one[1:3] == cell[1:3] and one.school_year <= cell.school_year
            and one.school_year in FUND
        ]  # fmt: skip
        spent = sum(amounts[one] for one in ever)
        whole = sum(amounts[one._replace(measure="expenditure")] for one in ever)
        is_share = ever and whole > 0 and 0 <= spent <= whole
        found[cell._replace(measure=RELIEF[0])] = float(spent / whole) if is_share else None
        pupils = amounts.get(cell._replace(measure="membership"), Fraction(0))
        is_cliff = cell.school_year == LAST_FULL_YEAR and pupils
        found[cell._replace(measure=RELIEF[1])] = (
            float(amounts[cell] / pupils) if is_cliff else None
        )
        paid = amounts[cell._replace(group_category="kind", group_value="PERSONNEL")]
        is_share = amounts[cell] > 0 and 0 <= paid <= amounts[cell]
        found[cell._replace(measure=RELIEF[2])] = float(paid / amounts[cell]) if is_share else None
    return found


def among(
    spending: pd.DataFrame, pupils: pd.Series, poverty: pd.Series | None = None
) -> dict[str, float | None]:
    """The statistics of organizations whose spending per pupil, pupils and poverty are published.

    `spending` has org_id and value; the series are by org_id. Without poverty, the horizontal ones;
    with it, the vertical ones of the organizations whose share is told.
    """
    family = []
    for org_id, value in spending.set_index("org_id")["value"].dropna().items():
        n, p = pupils.get(org_id), 0.0 if poverty is None else poverty.get(org_id)
        if pd.notna(n) and n > 0 and pd.notna(p):
            heads = Fraction(n)
            family.append(Family(org_id, Fraction(value), heads, heads * Fraction(p)))
    chosen = HORIZONTAL if poverty is None else VERTICAL
    return {metric: value for metric, value in statistics(family).items() if metric in chosen}
