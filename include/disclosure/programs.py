"""Linear programs over moves, solved by HiGHS through scipy.

A move says by how much each cell leaves its value; none is always one. Left to itself HiGHS begins
at the ends of ranges, where no sum is kept to, and takes a step for nearly every sum even where few
cells of many are asked to move. So each cell rises by one column and falls by another, which begin
at no move: who is not needed stays where it is, and takes no step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog


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
    if from_rest:
        steps, most = _steps(low, high)
        if not len(most):
            return Found(np.zeros(len(cost)), 0)
        bounds = np.column_stack([np.zeros(len(most)), most])
    else:
        steps, bounds = sparse.eye_array(len(cost), format="csc"), np.column_stack([low, high])
    done = linprog(
        cost @ steps,
        A_eq=equal @ steps,
        b_eq=np.zeros(equal.shape[0]),
        A_ub=None if at_most is None else at_most @ steps,
        b_ub=None if at_most is None else np.zeros(at_most.shape[0]),
        bounds=bounds,
        method="highs",
        options={"presolve": is_reduced},
    )
    if done.x is None:
        raise NotSolved(done.message)
    return Found(steps @ done.x, done.nit * steps.shape[1])


def _steps(low: np.ndarray, high: np.ndarray) -> tuple[sparse.csc_array, np.ndarray]:
    """The columns by which each cell rises and falls, as far as it can, and how far that is."""
    rises, falls = np.flatnonzero(high > 0), np.flatnonzero(low < 0)
    sign = np.repeat([1.0, -1.0], [len(rises), len(falls)])
    cell = np.concatenate([rises, falls])
    steps = sparse.csc_array((sign, (cell, np.arange(len(cell)))), (len(low), len(cell)))
    return steps, np.concatenate([high[rises], -low[falls]])
