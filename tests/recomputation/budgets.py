"""Weighted pupils, budgets and real spending, from the definitions and a state's amounts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from tests.recomputation.standard import FLAT, TISA, Amounts, Cell, rows

# Dollars for every pupil, by school year.
BASE = {"tisa": {2024: 6860, 2025: 7075, 2026: 7295}, "flat": {2024: 7300, 2025: 7300}}
WEIGHTS = {"tisa": TISA, "flat": FLAT}
# Dollars for each pupil of kindergarten to grade 3, beside the weights.
DIRECT = {"tisa": {}, "flat": {"early_grades": Fraction(300)}}
STATE_SHARE = {"tisa": Fraction("0.7"), "flat": None}
# CPI-U, U.S. city average, annual (CUUR0000SA0); dollars of 2024.
PRICES = {2024: Fraction("313.689"), 2025: Fraction("321.943")}
DOLLARS_OF = 2024


def weighted(amounts: Amounts, formula: str, cell: Cell) -> Fraction:
    """Pupils of the organization of a cell, each as one and its weights."""
    pupils = amounts.get(Cell(*cell[:3], "average_daily_membership", "all", "all"), Fraction(0))
    return pupils + sum(
        weight * brought(amounts, formula, name, cell) for name, weight in WEIGHTS[formula].items()
    )


def brought(amounts: Amounts, formula: str, weight: str, cell: Cell) -> Fraction:
    """Pupils of the organization of a cell who bring a weight."""
    found = Cell(*cell[:3], "budget_pupils", "budget_weight", f"{formula}.{weight}")
    return amounts.get(found, Fraction(0))


def metrics(amounts: Amounts, state: str) -> dict[Cell, Fraction | None]:
    """Weighted pupils, spending on each and the need index, by organization and formula."""
    found: dict[Cell, Fraction | None] = {}
    everyone = [
        cell for cell in amounts
        if cell.measure == "average_daily_membership" and cell.group_category == "all"
    ]  # fmt: skip
    for cell in everyone:
        top = Cell(cell.school_year, "SEA", state, "average_daily_membership", "all", "all")
        for formula in WEIGHTS:
            groups = [("formula", formula)] + [("all", "all")] * (formula == "tisa")
            mine, theirs = weighted(amounts, formula, cell), weighted(amounts, formula, top)
            dollars, pupils = (
                {one: amounts.get(one._replace(measure=m)) for one in (cell, top)}
                for m in ("expenditure_current", "finance_pupils")
            )
            index = None
            if dollars[cell] is not None and pupils[cell] and amounts[cell]:
                spending = (dollars[cell] / pupils[cell]) / (dollars[top] / pupils[top])
                need = (mine / amounts[cell]) / (theirs / amounts[top])
                index = spending / need
            for group in groups:
                told = Cell(*cell[:3], "", *group)
                found[told._replace(measure="weighted_pupils")] = mine
                found[told._replace(measure="ppe_per_weighted_pupil")] = (
                    dollars[cell] / mine if mine and dollars[cell] is not None else None
                )
                found[told._replace(measure="need_index")] = index
    return found


def budgets(amounts: Amounts) -> dict[tuple, Fraction]:
    """Dollars of each school year, level, organization, formula and weight."""
    found: dict[tuple, Fraction] = {}
    for cell, pupils in amounts.items():
        if cell.measure == "average_daily_membership" and cell.group_category == "all":
            for formula, weights in WEIGHTS.items():
                base = BASE[formula][cell.school_year]
                found[*cell[:3], formula, "base"] = base * pupils
                for name, weight in weights.items():
                    dollars = base * weight * brought(amounts, formula, name, cell)
                    found[*cell[:3], formula, name] = dollars
                for name, dollars in DIRECT[formula].items():
                    found[*cell[:3], formula, name] = dollars * brought(
                        amounts, formula, name, cell
                    )
    return found


def real(amounts: Amounts, raw: Path, state: str) -> dict[Cell, Fraction]:
    """Current spending per pupil in base dollars at national labor costs."""
    found: dict[Cell, Fraction] = {}
    for year in sorted({cell.school_year for cell in amounts}):
        folder = raw / state / str(year)
        costs = {row["lea_id"]: Fraction(row["cwift"]) for row in rows(folder, "lea_reference")}
        leas = {
            (row["org_level"], row["org_id"]): row["parent_org_id"] or row["org_id"]
            for row in rows(folder, "directory")
        }
        dollars, pupils = Fraction(0), Fraction(0)
        for (level, org), lea in leas.items():
            cell = Cell(year, level, org, "ppe_real", "all", "all")
            spent = amounts.get(cell._replace(measure="expenditure_current"))
            heads = amounts.get(cell._replace(measure="finance_pupils"))
            if spent is None or not heads:
                continue
            worth = spent * PRICES[DOLLARS_OF] / PRICES[year] / costs[lea]
            found[cell] = worth / heads
            if level == "LEA":
                dollars, pupils = dollars + worth, pupils + heads
        if pupils:
            found[Cell(year, "SEA", state, "ppe_real", "all", "all")] = dollars / pupils
    return found
