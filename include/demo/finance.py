"""The general ledger: how much each LEA spends per pupil from which source, and on what.

Targets come first and lines are cut from them, so an LEA's lines sum to its target to the cent.
Poor LEAs raise less locally and receive more from the federal government; the state's money
makes up for a part of the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.demo.extracts import Writers, coded, constant, dollars
from include.demo.organizations import Organizations
from include.demo.plan import Plan
from include.demo.truths import Truths

SOURCES = ("FED", "STATE", "LOCAL")
BASES = ("actual", "budget", "encumbrance")
LOW_SPENDING = 0.7


@dataclass(frozen=True)
class Line:
    """One account string: which share of its source's money goes there, at schools or centrally."""

    source: str
    fund: str
    project: str
    function: str
    object: str
    share: float
    listing: str | None = None
    exclusion: str | None = None
    is_central: bool = False


# The shares of each source sum to 1.
LINES = (
    Line("FED", "30", "0410", "1000", "110", 0.26, "84.010"),
    Line("FED", "30", "0410", "1000", "210", 0.09, "84.010"),
    Line("FED", "30", "0410", "2200", "320", 0.04, "84.010"),
    Line("FED", "30", "0427", "1000", "110", 0.14, "84.027"),
    Line("FED", "30", "0427", "2100", "210", 0.05, "84.027"),
    Line("FED", "60", "0555", "3100", "630", 0.18, "10.555"),
    Line("FED", "31", "0425", "1000", "110", 0.06, "84.425"),
    Line("FED", "31", "0425", "2600", "430", 0.04, "84.425"),
    Line("FED", "30", "0367", "2200", "330", 0.06, "84.367", is_central=True),
    Line("FED", "30", "0048", "1000", "610", 0.03, "84.048", is_central=True),
    Line("FED", "30", "0410", "2300", "110", 0.05, "84.010", is_central=True),
    Line("STATE", "10", "0000", "1000", "110", 0.51),
    Line("STATE", "10", "0000", "1000", "210", 0.19),
    Line("STATE", "10", "0000", "2100", "110", 0.07),
    Line("STATE", "10", "0000", "2400", "110", 0.06),
    Line("STATE", "10", "0000", "2400", "210", 0.02),
    Line("STATE", "10", "0000", "1000", "610", 0.04),
    Line("STATE", "10", "0000", "2700", "110", 0.06, is_central=True),
    Line("STATE", "10", "0000", "2700", "620", 0.05, is_central=True),
    Line("LOCAL", "20", "0000", "1000", "110", 0.28),
    Line("LOCAL", "20", "0000", "1000", "210", 0.10),
    Line("LOCAL", "20", "0000", "1000", "650", 0.05),
    Line("LOCAL", "20", "0000", "2600", "110", 0.09),
    Line("LOCAL", "20", "0000", "2600", "620", 0.08),
    Line("LOCAL", "20", "0000", "2200", "640", 0.03),
    Line("LOCAL", "20", "0000", "2300", "110", 0.07, is_central=True),
    Line("LOCAL", "20", "0000", "2300", "210", 0.03, is_central=True),
    Line("LOCAL", "20", "0000", "2500", "340", 0.06, is_central=True),
    Line("LOCAL", "40", "0000", "4000", "720", 0.11, exclusion="CAPITAL", is_central=True),
    Line("LOCAL", "50", "0000", "5000", "830", 0.08, exclusion="DEBT", is_central=True),
    Line("LOCAL", "20", "0000", "3300", "110", 0.02, exclusion="COMMUNITY", is_central=True),
)


def targets(plan: Plan, it: Organizations, year: int, pupils: np.ndarray) -> np.ndarray:
    """Cents that each LEA spends, by source (columns as SOURCES).

    The planted LEA spends 70 % per pupil of what all others together spend per pupil.
    """
    # The same LEA has the same luck in every year; prices rise by 3 % a year.
    rng = plan.rng(3)
    luck = rng.normal(1, 0.03, (len(it.lea_ids), len(SOURCES)))
    poverty = it.lea_poverty - it.lea_poverty.mean()
    relief = 1 if year <= 2024 else 0.85
    per_pupil = np.column_stack(
        [
            (1500 + 2400 * poverty) * relief,
            6300 + 900 * poverty,
            np.where(it.lea_is_charter, 0.6, 1) * (4600 - 5200 * poverty),
        ]
    )
    per_pupil *= luck * 1.03 ** (year - plan.years[0])
    cents = np.round(per_pupil * pupils[:, None] * 100).astype(np.int64)
    low = it.planted_leas["low_spending"]
    others = np.arange(len(it.lea_ids)) != low
    if pupils[others].sum() and cents[low].sum():
        usual = cents[others].sum() / pupils[others].sum()
        total = round(LOW_SPENDING * usual * pupils[low])
        cents[low] = np.round(cents[low] * (total / cents[low].sum()))
        cents[low, -1] += total - cents[low].sum()
    return cents


def write(
    plan: Plan, it: Organizations, year: int, members: np.ndarray, writers: Writers, truths: Truths
) -> None:
    """Write the ledger of one year. `members` counts pupils by school."""
    rng = plan.rng(4, year)
    leas, schools = len(it.lea_ids), len(it.school_ids)
    pupils = np.bincount(it.school_lea, weights=members, minlength=leas)
    cents = targets(plan, it, year, pupils)

    # Cells of line by place; places are the schools, then the central offices.
    amounts = np.zeros((len(LINES), schools + leas), np.int64)
    for source, name in enumerate(SOURCES):
        poverty = 0.35 + it.school_poverty if name == "FED" else np.ones(schools)
        weight = members * poverty * np.clip(rng.normal(1, 0.06, schools), 0.8, 1.2)
        whole = np.bincount(it.school_lea, weights=weight, minlength=leas)
        share = weight / np.maximum(whole[it.school_lea], 1e-9)
        for at, line in enumerate(LINES):
            if line.source != name:
                continue
            money = line.share * cents[:, source]
            if line.is_central:
                amounts[at, schools:] = np.floor(money)
            else:
                amounts[at, :schools] = np.floor(money[it.school_lea] * share)
        mine = [at for at, line in enumerate(LINES) if line.source == name]
        central = next(at for at in mine if LINES[at].is_central)
        spent = amounts[mine, :schools].sum(axis=0)
        spent = np.bincount(it.school_lea, weights=spent, minlength=leas).astype(np.int64)
        spent += amounts[mine, schools:].sum(axis=0)
        amounts[central, schools:] += cents[:, source] - spent

    line, place = np.nonzero(amounts)
    actual = amounts[line, place]
    budget = (
        np.round(actual * np.clip(rng.normal(1, 0.03, len(actual)), 0.9, 1.1) / 10_000).astype(
            np.int64
        )
        * 10_000
    )
    supplies = np.array([entry.object.startswith("6") for entry in LINES])[line]
    ordered = supplies & (rng.random(len(actual)) < 0.25)
    open_orders = np.round(actual[ordered] * 0.05).astype(np.int64)
    basis = np.repeat([0, 1, 2], [len(actual), len(actual), ordered.sum()])
    line = np.concatenate([line, line, line[ordered]])
    place = np.concatenate([place, place, place[ordered]])
    amount = np.concatenate([actual, budget, open_orders])
    order = np.lexsort((basis, line, place))
    basis, line, place, amount = basis[order], line[order], place[order], amount[order]
    lea = np.where(place < schools, it.school_lea[np.minimum(place, schools - 1)], place - schools)
    rows = len(line)
    writers[year, "finance_ledger"].write(
        {
            "fiscal_year": constant(year, rows),
            "lea_id": coded(it.lea_ids, lea),
            "school_id": coded([*it.school_ids, "CENTRAL"], np.minimum(place, schools)),
            "fund": coded([entry.fund for entry in LINES], line),
            "source": coded([entry.source for entry in LINES], line),
            "assistance_listing": coded([entry.listing for entry in LINES], line),
            "function": coded([entry.function for entry in LINES], line),
            "object": coded([entry.object for entry in LINES], line),
            "project": coded([entry.project for entry in LINES], line),
            "amount": dollars(amount),
            "basis": coded(BASES, basis),
            "exclusion": coded([entry.exclusion for entry in LINES], line),
        }
    )
    _add_up(it, year, members, amounts, cents, truths)


def _add_up(
    it: Organizations,
    year: int,
    members: np.ndarray,
    amounts: np.ndarray,
    cents: np.ndarray,
    truths: Truths,
) -> None:
    """Totals of LEAs and of the state are the targets; schools have what their own lines say."""
    schools = len(it.school_ids)
    own = amounts[:, :schools]
    personnel = np.array([entry.object[0] in "12" for entry in LINES])
    by_school = {
        f"expenditure_{name}": own[[entry.source == source for entry in LINES]].sum(axis=0)
        for source, name in zip(SOURCES, ("federal", "state", "local"), strict=True)
    }
    by_lea = {
        f"expenditure_{name}": cents[:, source]
        for source, name in enumerate(("federal", "state", "local"))
    }
    by_school["expenditure"], by_lea["expenditure"] = own.sum(axis=0), cents.sum(axis=1)
    for name, chosen in (("personnel", personnel), ("nonpersonnel", ~personnel)):
        of_schools = own[chosen].sum(axis=0)
        by_school[f"expenditure_{name}"] = of_schools
        central = amounts[chosen, schools:].sum(axis=0)
        summed = np.bincount(it.school_lea, weights=of_schools, minlength=len(central))
        by_lea[f"expenditure_{name}"] = central + summed.astype(np.int64)
    by_school["finance_pupils"] = members
    by_lea["finance_pupils"] = np.bincount(it.school_lea, weights=members)
    for level, found in (("SCH", by_school), ("LEA", by_lea)):
        for measure, amount in found.items():
            place = np.arange(len(amount))
            truths.add(year, measure, level, place, {"all": np.zeros(len(place), int)}, amount)
    for measure, amount in by_lea.items():
        nowhere = np.zeros(len(amount), int)
        truths.add(year, measure, "SEA", nowhere, {"all": nowhere}, amount)
