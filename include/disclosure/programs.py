"""Linear programs over moves, solved by HiGHS.

A move says by how much each cell leaves its value; none is always one. Left to itself HiGHS begins
at the ends of ranges, where no sum is kept to, and takes a step for nearly every sum even where few
cells of many are asked to move. So each cell rises by one column and falls by another, which begin
at no move: who is not needed stays where it is, and takes no step.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from include.disclosure import memory

# The dual simplex method, whatever HiGHS would choose: what is found must be the same each time.
DUAL = 1
COLUMNWISE = int(highspy.MatrixFormat.kColwise)
MINIMIZE = int(highspy.ObjSense.kMinimize)
# A program of so many columns leaves some hundred megabytes.
LARGE = 50_000


class NotSolved(RuntimeError):
    """A program did not end; why, in the words of HiGHS."""


@dataclass
class Found:
    """A move, one number for each column, and what it took: steps times columns.

    That grows about as the time does, and is the same on every machine.
    """

    move: np.ndarray
    work: int


def least(
    cost: np.ndarray,
    equal: sparse.sparray,
    low: np.ndarray,
    high: np.ndarray,
    at_most: sparse.sparray | None = None,
    *,
    from_rest: bool = False,
    is_reduced: bool = False,
) -> Found:
    """The move at which cost @ move is least; equal @ move is 0, and at_most @ move 0 or less.

    Each column moves from its `low`, 0 or less, to its `high`, 0 or more. To begin `from_rest` is
    faster where few are asked to move; where many are, the others move farther without it, which
    costs nothing and may prove something. `is_reduced` has HiGHS make the program smaller first,
    which pays where much of it has a price. Raises NotSolved.
    """
    rows = equal if at_most is None else sparse.vstack([at_most, equal])
    low_of_rows = np.zeros(rows.shape[0])
    low_of_rows[: rows.shape[0] - equal.shape[0]] = -np.inf
    steps = None
    if from_rest:
        steps, high = _steps(low, high)
        if not len(high):
            return Found(np.zeros(len(cost)), 0)
        cost, rows, low = cost @ steps, rows @ steps, np.zeros(len(high))
    solver = _solver(is_reduced)
    rows, none = sparse.csc_array(rows), np.zeros(rows.shape[0])
    solver.passModel(
        len(cost), len(none), rows.nnz, COLUMNWISE, MINIMIZE, 0.0,
        cost, low, high, low_of_rows, none,
        rows.indptr, rows.indices, rows.data, np.zeros(len(cost), np.int32),
    )  # fmt: skip
    solver.run()
    status = solver.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise NotSolved(solver.modelStatusToString(status))
    move = np.array(solver.getSolution().col_value)
    work = solver.getInfo().simplex_iteration_count * len(move)
    if len(move) >= LARGE:
        del solver
        memory.give_back()
    return Found(move if steps is None else steps @ move, work)


def _solver(is_reduced: bool) -> highspy.Highs:
    solver = highspy.Highs()
    solver.silent()
    for name, value in (
        ("presolve", "on" if is_reduced else "off"),
        ("solver", "simplex"),
        ("simplex_strategy", DUAL),
        # Nearly all coefficients are 1 or -1, and many ways are equally short.
        ("simplex_scale_strategy", 0),
        ("dual_simplex_cost_perturbation_multiplier", 5.0),
        ("threads", 1),
    ):
        solver.setOptionValue(name, value)
    return solver


def _steps(low: np.ndarray, high: np.ndarray) -> tuple[sparse.csc_array, np.ndarray]:
    """The columns by which each cell rises and falls, as far as it can, and how far that is."""
    rises, falls = np.flatnonzero(high > 0), np.flatnonzero(low < 0)
    sign = np.repeat([1.0, -1.0], [len(rises), len(falls)])
    cell = np.concatenate([rises, falls])
    steps = sparse.csc_array((sign, (cell, np.arange(len(cell)))), (len(low), len(cell)))
    return steps, np.concatenate([high[rises], -low[falls]])
