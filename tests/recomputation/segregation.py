"""Segregation, parity and equity gaps of a state, made a second time of what its files say.

Written from the field's definitions and not from the project's SQL: the amounts and rates are those
that `standard` added up from the raw rows, in exact fractions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from itertools import product
from math import floor
from pathlib import Path

from tests.recomputation import standard
from tests.recomputation.standard import Amounts, Cell, Value

SEGREGATED = ("race", "economic", "english_learner", "disability")
GAPS = (
    "inexperienced_teacher_rate", "provisional_teacher_rate", "out_of_field_teacher_rate",
    "stayer_rate", "mover_rate", "leaver_rate", "inexperienced_principal_rate",
    "principal_turnover_3yr", "chronic_absence_rate", "suspension_rate",
)  # fmt: skip
METRICS = ("dissimilarity", "exposure", "teacher_parity", *(f"{rate}_equity_gap" for rate in GAPS))

Found = dict[Cell, Fraction]


def schools_of(folder: Path, school_year: int, state: str) -> dict[tuple[str, str], list[str]]:
    """The schools of each LEA and of the state, as the directory has them."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in standard.rows(folder, "directory"):
        if row["org_level"] == "SCH":
            found["LEA", row["parent_org_id"]].append(row["org_id"])
            found["SEA", state].append(row["org_id"])
    return found


def everything(
    raw: Path, years: Iterable[int], state: str, amounts: Amounts, expected: dict[Cell, Value]
) -> Found:
    """Every derived metric that has a value; `raw` holds a folder for each school year."""
    found: Found = {}
    for year in years:
        places = schools_of(raw / state / str(year), year, state)
        members = {
            (cell.org_id, cell.group_category, cell.group_value): amount
            for cell, amount in amounts.items()
            if cell.measure == "membership" and cell.org_level == "SCH" and cell.school_year == year
        }
        found |= _segregation(year, places, members)
        found |= _gaps(year, places, members, expected)
    for cell, value in expected.items():
        if cell.measure == "teacher_share":
            students = expected.get(cell._replace(measure="group_share"))
            if students and students.numerator:
                share = value.numerator / value.denominator
                of_students = students.numerator / students.denominator
                found[cell._replace(measure="teacher_parity")] = share / of_students
    return found


def _segregation(
    year: int,
    places: dict[tuple[str, str], list[str]],
    members: dict[tuple[str, str, str], Fraction],
) -> Found:
    found: Found = {}
    groups = {(category, value) for _, category, value in members if category in SEGREGATED}
    for (level, org_id), schools in places.items():
        for group in groups:
            of_group = {s: members.get((s, *group), Fraction(0)) for s in schools}
            everyone = {s: members.get((s, "all", "all"), Fraction(0)) for s in schools}
            others = {s: everyone[s] - of_group[s] for s in schools}
            whole, rest = sum(of_group.values()), sum(others.values())
            if not whole or not rest:
                continue
            uneven = sum(abs(of_group[s] / whole - others[s] / rest) for s in schools) / 2
            met = sum(of_group[s] * others[s] / everyone[s] for s in schools if everyone[s])
            found[Cell(year, level, org_id, "dissimilarity", *group)] = uneven
            found[Cell(year, level, org_id, "exposure", *group)] = met / whole
    return found


def quartiles(members: dict[tuple[str, str, str], Fraction]) -> dict[str, int]:
    """Each school's quarter of the state's pupils, from the least poor to the poorest school."""
    pupils = {s: n for (s, category, _), n in members.items() if category == "all" and n}
    poor = {s: members.get((s, "economic", "ECODIS"), Fraction(0)) / n for s, n in pupils.items()}
    total, before, found = sum(pupils.values()), Fraction(0), {}
    for school in sorted(pupils, key=lambda s: (poor[s], s)):
        middle = before + pupils[school] / 2
        found[school] = min(4, 1 + floor(4 * middle / total))
        before += pupils[school]
    return found


def _gaps(
    year: int,
    places: dict[tuple[str, str], list[str]],
    members: dict[tuple[str, str, str], Fraction],
    expected: dict[Cell, Value],
) -> Found:
    found: Found = {}
    quarter = quartiles(members)
    groups = {(category, value) for _, category, value in members if category == "race"}
    groups.add(("economic", "ECODIS"))
    for rate, ((level, org_id), schools) in product(GAPS, places.items()):
        told = {
            school: value
            for school in schools
            if (value := expected.get(Cell(year, "SCH", school, rate, "all", "all")))
        }

        def gap(method: tuple[str, str], one: Fraction | None, other: Fraction | None) -> None:
            if one is not None and other is not None:
                cell = Cell(year, level, org_id, f"{rate}_equity_gap", *method)  # noqa: B023
                found[cell] = one - other

        of_quarter = {
            q: [value for school, value in told.items() if quarter.get(school) == q] for q in (1, 4)
        }
        poor, rich = (
            sum(v.numerator for v in of_quarter[q]) / sum(v.denominator for v in of_quarter[q])
            if of_quarter[q]
            else None
            for q in (4, 1)
        )
        gap(("method", "poverty_quartile"), poor, rich)

        for category, value in groups:
            met = []
            for is_member in (True, False):
                weights = {
                    s: members.get((s, category, value), Fraction(0))
                    if is_member
                    else members.get((s, "all", "all"), Fraction(0))
                    - members.get((s, category, value), Fraction(0))
                    for s in told
                }
                all_of_them = sum(weights.values())
                met.append(
                    sum(weights[s] * told[s].numerator / told[s].denominator for s in told)
                    / all_of_them
                    if all_of_them
                    else None
                )
            is_poverty = category == "economic"
            method = ("method", "exposure") if is_poverty else (
                f"method*{category}", f"exposure*{value}"
            )  # fmt: skip
            gap(method, *met)
    return found
