"""The general ledger: how much each LEA spends per pupil from which source, and on what.

Targets come first and lines are cut from them, so an LEA's lines sum to its target to the cent.
Poor LEAs raise less locally and receive more from the federal government; the state's money
makes up for a part of the difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from include.demo.extracts import Writers, coded, constant, dollars
from include.demo.organizations import Organizations
from include.demo.plan import Plan
from include.demo.truths import VALUES, Truths

SOURCES = ("FED", "STATE", "LOCAL")
BASES = ("actual", "budget", "encumbrance")
LOW_SPENDING = 0.7
# ARP ESSER. Its last full fiscal year is 2024; what was ordered by then is paid for in 2025.
RELIEF = "84.425U"
LAST_FULL_YEAR = 2024


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


# The shares of each source sum to 1 while there is federal relief; `shares` says what comes after.
LINES = (
    Line("FED", "30", "0410", "1000", "110", 0.26, "84.010"),
    Line("FED", "30", "0410", "1000", "210", 0.09, "84.010"),
    Line("FED", "30", "0410", "2200", "320", 0.04, "84.010"),
    Line("FED", "30", "0427", "1000", "110", 0.14, "84.027"),
    Line("FED", "30", "0427", "2100", "210", 0.05, "84.027"),
    Line("FED", "60", "0555", "3100", "630", 0.18, "10.555"),
    Line("FED", "31", "0425", "1000", "110", 0.06, RELIEF),
    Line("FED", "31", "0425", "2600", "430", 0.04, RELIEF),
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


def relief_left(year: int) -> float:
    """How much of a full year's federal relief is spent in a year."""
    return {LAST_FULL_YEAR + 1: 0.2}.get(year, 1.0 if year <= LAST_FULL_YEAR else 0.0)


def shares(year: int) -> np.ndarray:
    """The share of its source's money of each line. When relief ends, the other federal lines keep
    their dollars, so their shares of what is left grow."""
    share = np.array([entry.share for entry in LINES])
    is_relief = np.array([entry.listing == RELIEF for entry in LINES])
    is_federal = np.array([entry.source == "FED" for entry in LINES])
    share[is_relief] *= relief_left(year)
    share[is_federal] /= share[is_federal].sum()
    return share


def targets(plan: Plan, it: Organizations, year: int, pupils: np.ndarray) -> np.ndarray:
    """Cents that each LEA spends, by source (columns as SOURCES).

    The planted LEA spends 70 % per pupil of what all others together spend per pupil.
    """
    # The same LEA has the same luck in every year; prices rise by 3 % a year.
    rng = plan.rng(3)
    luck = rng.normal(1, 0.03, (len(it.lea_ids), len(SOURCES)))
    poverty = it.lea_poverty - it.lea_poverty.mean()
    of_relief = sum(entry.share for entry in LINES if entry.listing == RELIEF)
    relief = 1 - of_relief * (1 - relief_left(year))
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
    parts = shares(year)
    for source, name in enumerate(SOURCES):
        poverty = 0.35 + it.school_poverty if name == "FED" else np.ones(schools)
        weight = members * poverty * np.clip(rng.normal(1, 0.06, schools), 0.8, 1.2)
        whole = np.bincount(it.school_lea, weights=weight, minlength=leas)
        share = weight / np.maximum(whole[it.school_lea], 1e-9)
        for at, line in enumerate(LINES):
            if line.source != name:
                continue
            money = parts[at] * cents[:, source]
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
    _add_up(it, year, members, amounts, truths)


def _add_up(
    it: Organizations,
    year: int,
    members: np.ndarray,
    amounts: np.ndarray,
    truths: Truths,
) -> None:
    """An LEA has what its schools' and its central lines say, which sum to its targets."""
    schools, leas = len(it.school_ids), len(it.lea_ids)
    source = np.array([entry.source for entry in LINES])
    personnel = np.array([entry.object[0] in "12" for entry in LINES])
    current = np.array([entry.exclusion is None for entry in LINES])
    relief = np.array([entry.listing == RELIEF for entry in LINES])
    everything = np.ones(len(LINES), bool)
    everyone = np.zeros(len(LINES), int)
    groups = {
        "all": everyone,
        "source": (source != "FED").astype(int),
        "kind": (~personnel).astype(int),
        "source*kind": 2 * (source != "FED") + ~personnel,
    }

    def add(measure: str, chosen: np.ndarray, categories: Iterable[str]) -> None:
        for category in categories:
            for code in range(len(VALUES[category])):
                lines = chosen & (groups[category] == code)
                found = amounts[lines].sum(axis=0)
                of_schools = np.bincount(it.school_lea, weights=found[:schools], minlength=leas)
                whole = found[schools:] + of_schools.astype(np.int64)
                told = {"SCH": found[:schools], "LEA": whole, "SEA": whole.sum(keepdims=True)}
                for level, amount in told.items():
                    place = np.arange(len(amount))
                    code_of_each = {category: np.full(len(place), code)}
                    truths.add(year, measure, level, place, code_of_each, amount)

    add("expenditure", everything, groups)
    add("expenditure_current", current, groups)
    add("expenditure_relief", relief, ("all", "kind"))
    for name, chosen in (
        ("federal", source == "FED"),
        ("state", source == "STATE"),
        ("local", source == "LOCAL"),
        ("state_local", source != "FED"),
        ("personnel", personnel),
        ("nonpersonnel", ~personnel),
    ):
        add(f"expenditure_{name}", chosen, ("all",))
    truths.add_up(
        year, "finance_pupils", np.arange(schools), {"all": np.zeros(schools, int)}, members
    )
