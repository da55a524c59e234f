"""Bounds carried from one equation to the next: who is too narrow for certain, and where to help.

What a sum leaves for one of its hidden cells, when the others are at their least and their most,
bounds that cell; and its bounds go into its other sums. Whatever that finds too narrow is, without
any linear program. What it does not find may be so all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from include.disclosure import audit
from include.disclosure.system import System

# Bounds are carried over so many equations at most.
STEPS = 12
# A bound that moves by less is taken as the same.
SAME = 1e-9


@dataclass
class Narrow:
    """Cells too narrow for certain: what each lacks, and the equations that bound it; -1 if none.

    The first keeps it from rising, the second from falling.
    """

    cell: np.ndarray
    lacking: np.ndarray
    above: np.ndarray
    below: np.ndarray


@dataclass
class _Carried:
    """Bounds of the unknown cells as far as they were carried, by how far each is from its value.

    `above` and `below` are the equation of the last that moved each bound, by position.
    """

    at: np.ndarray
    equations: np.ndarray
    low: np.ndarray
    high: np.ndarray
    above: np.ndarray
    below: np.ndarray


def narrow(
    system: System,
    unknown: np.ndarray,
    asked: np.ndarray,
    *,
    is_first: bool = False,
    within: np.ndarray | None = None,
) -> Narrow:
    """The `asked` cells that bounds show to be too narrow.

    With `is_first`, those alone that the fewest steps show: where these are helped, others may be.
    With the equations of the cells `within` alone, not all are found.
    """
    for carried in _steps(system, unknown, within):
        at = carried.at
        need = np.where(asked[at], system.need[at], -1.0)
        found = np.flatnonzero(carried.high - carried.low < need - audit.CLOSE)
        if is_first and len(found):
            break
    told = np.append(carried.equations, -1)
    lacking = (need - (carried.high - carried.low))[found]
    return Narrow(at[found], lacking, told[carried.above[found]], told[carried.below[found]])


def widths(system: System, unknown: np.ndarray) -> np.ndarray:
    """The width that bounds leave each unknown cell at most; one for each cell of the system."""
    *_, carried = _steps(system, unknown)
    found = np.zeros(system.cells)
    found[carried.at] = carried.high - carried.low
    return found


def _steps(
    system: System, unknown: np.ndarray, within: np.ndarray | None = None
) -> Iterator[_Carried]:
    """Carry the bounds of the unknown from equation to equation, a step at a time."""
    if within is None:
        at = np.flatnonzero(unknown)
        equations = system.equations_of(at)
    else:
        equations = system.equations_of(within[unknown[within]])
        at = system.cells_of(equations)
        at = at[unknown[at]]
    row, cell, weight = system.entries(equations)
    place = np.full(system.cells, -1)
    place[at] = np.arange(len(at))
    kept = place[cell] >= 0
    every = rows, columns, _ = row[kept], place[cell[kept]], weight[kept].astype(float)
    row, column, weight = every
    lower, upper = audit.reach(system, at)
    low, high = lower - system.value[at], upper - system.value[at]
    above, below = np.full(len(at), -1), np.full(len(at), -1)
    for _ in range(STEPS):
        is_up = weight > 0
        least = weight * np.where(is_up, low[column], high[column])
        most = weight * np.where(is_up, high[column], low[column])
        # Each term is at most what the others can make up for, and at least.
        to = (least - np.bincount(row, least, len(equations))[row]) / weight
        from_ = (most - np.bincount(row, most, len(equations))[row]) / weight
        moved = _carry(high, above, column, row, np.where(is_up, to, from_), np.minimum)
        moved |= _carry(low, below, column, row, np.where(is_up, from_, to), np.maximum)
        yield _Carried(at, equations, low, high, above, below)
        # What says nothing new of a cell than it did is not asked again.
        is_touched = np.zeros(len(equations), bool)
        is_touched[rows[moved[columns]]] = True
        is_left = is_touched[rows]
        row, column, weight = (it[is_left] for it in every)
        if not len(row):
            return


def _carry(bound, by, column, row, new, tighter) -> np.ndarray:
    """Take the tighter bounds, and which equation each is `by`. Which were moved."""
    # Few of them say anything new.
    gain = bound[column] - new if tighter is np.minimum else new - bound[column]
    says = np.flatnonzero(gain > SAME)
    column, row, new = column[says], row[says], new[says]
    best = bound.copy()
    tighter.at(best, column, new)
    # Its own value is possible, whatever rounding says.
    best = np.maximum(best, 0) if tighter is np.minimum else np.minimum(best, 0)
    moved = np.abs(best - bound) > SAME
    # Beyond its own value, a bound hits as well.
    hit = moved[column] & (np.abs(tighter(best[column], new) - new) <= SAME)
    by[column[hit]] = row[hit]
    bound[moved] = best[moved]
    return moved
