"""Proof, or the lack of it: what a reader of everything published can work out of what is hidden.

**Exact.** A hidden cell can be worked out if and only if its unit vector lies in the row space of
the equations, restricted to the hidden cells; that is, if and only if every vector of their null
space is zero there. So a random vector of the null space, over the integers modulo a large prime,
answers for all cells at once: it is zero at a cell that can be worked out, and not zero at any
other, but for a chance of 1 in PRIME. Two such vectors are drawn. That the prime divides a minor
of these matrices of 0 and 1, and makes a determined cell look free, is the other thing that could
go wrong; the interval audit, in other arithmetic, would contradict it.

**Interval.** The least and the greatest value that a hidden cell can take, by linear programming
(HiGHS). Two points that keep to every equation and differ by the width asked for prove it for all
cells in which they do, so that some programs over everything answer for most cells. In a component
of up to WHOLE cells each cell left is asked about by itself, so the answer is exact. In a larger
one the cells left are counted and reported as not proven; none of them can be worked out exactly,
and in each equation by itself it has the width it needs.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

from include.disclosure.system import System

PRIME = 2**31 - 1
TRIALS = 2
# A width is believed to this: values come from divisions, programs from floating point.
CLOSE = 1e-4
# No move of more than so many times the width asked for is looked at. It can only refuse a proof.
REACH = 100
# Directions in which everything is pushed before cells are asked about one by one.
DIRECTIONS = 4
# In large components movement is looked for so many equations around a cell.
AROUND = 5
# Cells in one program, together: more are no faster.
CHUNK = 2_000
# A component of at most so many cells is asked about cell by cell until all is known.
WHOLE = 600
# A larger one is cut into parts of about so many; two points of a part are points of the whole.
PART = 4_000


class AuditFailed(RuntimeError):
    """A linear program did not end. Nothing is known of what it was asked, so nothing passes."""


def recoverable(system: System, hidden: np.ndarray, seed: int = 0) -> np.ndarray:
    """Which hidden cells can be worked out exactly. One boolean for each cell of the system."""
    found = np.zeros(system.cells, bool)
    at = np.flatnonzero(hidden)
    found[at] = ~_free(_restricted(system, at), np.random.default_rng(seed))
    return found


def _restricted(system: System, at: np.ndarray) -> sparse.csr_array:
    """The equations as far as they speak of some cells, as a matrix of these cells only."""
    equations = system.equations_of(at)
    row, cell, weight = system.entries(equations)
    column = np.full(system.cells, -1)
    column[at] = np.arange(len(at))
    kept = column[cell] >= 0
    shape = (len(equations), len(at))
    return sparse.csr_array((weight[kept], (row[kept], column[cell[kept]])), shape)


def _free(matrix: sparse.csr_array, random: np.random.Generator) -> np.ndarray:
    """Which columns are not zero in every vector of the null space modulo PRIME."""
    rows, columns = matrix.shape
    vectors = random.integers(1, PRIME, (TRIALS, columns))
    if np.any(matrix.data != np.rint(matrix.data)):
        raise ValueError("the coefficients of an equation must be whole numbers")
    if rows == 0:
        return np.ones(columns, bool)
    matrix = matrix.astype(np.int64)
    row_of = np.repeat(np.arange(rows), np.diff(matrix.indptr))
    active = np.ones(rows, bool)
    peeled = []
    while True:
        # A cell that stands in one equation only takes up whatever the others leave there: the
        # equation says nothing more of them. Many at once, and none of it fills the matrix.
        live = active[row_of]
        degree = np.bincount(matrix.indices[live], minlength=columns)
        single = live & (degree[matrix.indices] == 1) & (np.abs(matrix.data) == 1)
        chosen, first = np.unique(row_of[single], return_index=True)
        if not len(chosen):
            break
        peeled.append((chosen, np.flatnonzero(single)[first]))
        active[chosen] = False
    _solve_core(matrix, np.flatnonzero(active), vectors)
    for chosen, entry in reversed(peeled):
        pivot, weight = matrix.indices[entry], matrix.data[entry]
        vectors[:, pivot] = 0
        row, column, data = _entries(matrix, chosen)
        for vector in vectors:
            # Whole numbers below 2^31 by small weights: no sum leaves 64 bits.
            rest = np.zeros(len(chosen), np.int64)
            np.add.at(rest, row, data * vector[column] % PRIME)
            vector[pivot] = -weight * rest % PRIME
    return (vectors != 0).any(axis=0)


def _entries(matrix: sparse.csr_array, rows: np.ndarray):
    lengths = np.diff(matrix.indptr)[rows]
    row = np.repeat(np.arange(len(rows)), lengths)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = np.arange(lengths.sum()) - first + np.repeat(matrix.indptr[rows], lengths)
    return row, matrix.indices[at], matrix.data[at]


def _solve_core(matrix: sparse.csr_array, rows: np.ndarray, vectors: np.ndarray) -> None:
    """Eliminate what peeling leaves, shortest row first, and set the pivots of `vectors`."""
    sets: dict[int, dict[int, int]] = {}
    where: dict[int, set[int]] = defaultdict(set)
    for row in rows.tolist():
        start, stop = matrix.indptr[row], matrix.indptr[row + 1]
        sets[row] = dict(
            zip(matrix.indices[start:stop].tolist(), matrix.data[start:stop].tolist(), strict=True)
        )
        for column in sets[row]:
            where[column].add(row)
    queue = [(len(entries), row) for row, entries in sets.items()]
    heapq.heapify(queue)
    pivots = []
    while queue:
        length, row = heapq.heappop(queue)
        if row not in sets or length != len(sets[row]):
            continue
        entries = sets.pop(row)
        for column in entries:
            where[column].discard(row)
        if not entries:
            continue
        pivot = min(entries, key=lambda column: (len(where[column]), column))
        inverse = pow(entries.pop(pivot) % PRIME, -1, PRIME)
        scaled = {column: weight * inverse % PRIME for column, weight in entries.items()}
        for other in where.pop(pivot):
            factor = sets[other].pop(pivot)
            for column, weight in scaled.items():
                left = (sets[other].get(column, 0) - factor * weight) % PRIME
                if left:
                    sets[other][column] = left
                    where[column].add(other)
                else:
                    sets[other].pop(column, None)
                    where[column].discard(other)
            heapq.heappush(queue, (len(sets[other]), other))
        pivots.append((pivot, scaled))
    for pivot, entries in reversed(pivots):
        for vector in vectors:
            vector[pivot] = -sum(w * int(vector[c]) for c, w in entries.items()) % PRIME


def narrow(system: System, hidden: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the `asked` cells, all hidden, have a narrower range than they need, and of which
    it is not known: cells of large components for which no two points were found.

    One boolean for each cell of the system, twice. Raises AuditFailed.
    """
    found, unknown = np.zeros(system.cells, bool), np.zeros(system.cells, bool)
    at = np.flatnonzero(hidden)
    open_ = asked[at] & (system.need[at] > 0)
    if not open_.any():
        return found, unknown
    matrix = _restricted(system, at)
    need = system.need[at]
    point = _Points(matrix, system.value[at], *_reach(system, at))
    alone = np.diff(matrix.tocsc().indptr) == 0
    found[at[open_ & alone & (point.upper - point.lower < need - CLOSE)]] = True
    open_ &= ~alone
    random = np.random.default_rng(0)
    group = components(matrix)
    large = np.bincount(group)[group] > WHOLE
    # Nobody needs to run away for the others to move by what they need.
    close_by = 1.2 * np.maximum(need, need[need > 0].min())
    for turn in range(DIRECTIONS):
        before = int(open_.sum())
        open_ &= point.width < need - CLOSE
        if not open_.any():
            return found, unknown
        if turn > 1 and open_.sum() > 0.95 * before:
            break
        goal = np.where(open_, random.integers(1, 16, len(at)) * random.choice((-1, 1), len(at)), 0)
        point.push(goal, _blocks(matrix, group, large, open_, random, turn), close_by)
    # Cell by cell, and the component as a whole: what is left there is narrow indeed.
    while True:
        open_ &= point.width < need - CLOSE
        if not open_.any():
            return found, unknown
        small = open_ & ~large
        if not small.any():
            break
        first = np.flatnonzero(small)[np.unique(group[small], return_index=True)[1]]
        goal = np.zeros(len(at))
        goal[first] = 1
        point.push(goal, group)
        failed = first[point.width[first] < need[first] - CLOSE]
        found[at[failed]] = True
        open_[failed] = False
    unknown[at[open_]] = True
    return found, unknown


def _blocks(matrix, group, large, open_, random, turn: int) -> np.ndarray:
    """Parts in which to look for movement: whole components, the large ones cut around some cells.

    Moves inside a part that keep to what each equation has in it keep to the equation.
    """
    label = group.copy()
    todo = np.flatnonzero(large)
    if not len(todo):
        return label
    row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    length = np.diff(matrix.indptr)[row_of]
    seeds = np.flatnonzero(large & open_)
    seeds = random.choice(seeds, min(len(seeds), 1 + len(todo) // PART), replace=False)
    part = np.full(len(group), -1)
    part[seeds] = np.arange(len(seeds))
    bound = (12, 40, 10**9)
    for most in bound[turn % 2 :]:
        near = length <= most
        row, column = row_of[near], matrix.indices[near]
        for _ in range(AROUND):
            told = part[column] >= 0
            by_row = np.full(matrix.shape[0], -1)
            np.maximum.at(by_row, row[told], part[column[told]])
            fresh = (part[column] < 0) & (by_row[row] >= 0)
            if not fresh.any():
                break
            taken = np.full(len(part), -1)
            np.maximum.at(taken, column[fresh], by_row[row[fresh]])
            part = np.where(part < 0, taken, part)
    # What no seed reaches has nothing that is asked about.
    label[todo] = np.where(part[todo] >= 0, part[todo] + group.max() + 1, -1)
    return label


def ranges(system: System, hidden: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The least and greatest value of each of the `asked` cells (their numbers), one row each.

    Exact as long as it is within REACH; for reports and tests, a program or two for each cell.
    """
    at = np.flatnonzero(hidden)
    matrix = _restricted(system, at)
    lower, upper = _reach(system, at)
    group = components(matrix)
    found = []
    for cell in asked:
        point = _Points(matrix, system.value[at], lower, upper)
        goal = np.zeros(len(at))
        goal[np.searchsorted(at, cell)] = 1
        point.push(goal, group)
        found.append([point.least[goal == 1][0], point.most[goal == 1][0]])
    return np.array(found).reshape(-1, 2)


def _reach(system: System, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value = system.value[at]
    reach = REACH * max(1.0, float(system.need[at].max(initial=0)))
    lower = np.maximum(system.lower[at], value - reach)
    upper = np.minimum(system.upper[at], value + reach)
    return np.minimum(lower, value), np.maximum(upper, value)


def components(matrix: sparse.csr_array) -> np.ndarray:
    """The component of each column: columns that share an equation belong together."""
    rows, columns = matrix.shape
    pattern = abs(matrix)
    both = sparse.block_array([[None, pattern], [pattern.T, None]], format="csr") if rows else None
    if both is None:
        return np.arange(columns)
    return connected_components(both, directed=False)[1][rows:]


class _Points:
    """What hidden cells have been shown to be able to be, by points that keep to every equation."""

    def __init__(self, matrix, value, lower, upper):
        self.matrix, self.value, self.lower, self.upper = matrix, value, lower, upper
        self.least, self.most = value.copy(), value.copy()
        self.row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))

    @property
    def width(self) -> np.ndarray:
        return self.most - self.least

    def push(self, goal: np.ndarray, label: np.ndarray, reach: np.ndarray | None = None) -> None:
        """Look for the points at which goal . x is least and greatest, in each part by itself.

        `label` is the part of each cell; -1 stays where it is, and so does a part without a goal.
        """
        wanted = np.unique(label[(goal != 0) & (label >= 0)])
        moving = np.isin(label, wanted)
        cells = np.flatnonzero(moving)
        cells = cells[np.argsort(label[cells], kind="stable")]
        sizes = np.unique(label[cells], return_counts=True)[1]
        chunks = np.repeat((np.cumsum(sizes) - sizes) // CHUNK, sizes)
        entry = np.flatnonzero(moving[self.matrix.indices])
        # Each equation once for each part that it has cells in.
        rows = self.row_of[entry] * (int(label.max()) + 1) + label[self.matrix.indices[entry]]
        column = np.full(len(label), -1)
        column[cells] = np.arange(len(cells))
        _, row = np.unique(rows, return_inverse=True)
        shape = (row.max(initial=-1) + 1, len(cells))
        data = self.matrix.data[entry].astype(float)
        whole = sparse.csc_array((data, (row, column[self.matrix.indices[entry]])), shape)
        for chunk in np.unique(chunks):
            at = np.flatnonzero(chunks == chunk)
            part = whole[:, at[0] : at[-1] + 1].tocsr()
            part = part[np.flatnonzero(np.diff(part.indptr))]
            here = cells[at]
            low, high = self.lower[here], self.upper[here]
            if reach is not None:
                low = np.maximum(low, self.value[here] - reach[here])
                high = np.minimum(high, self.value[here] + reach[here])
            for sign in (1, -1):
                done = linprog(
                    sign * goal[here],
                    A_eq=part,
                    b_eq=part @ self.value[here],
                    bounds=np.column_stack([low, high]),
                    method="highs",
                )
                if done.x is None:
                    raise AuditFailed(f"a program over {len(here)} hidden cells: {done.message}")
                self.least[here] = np.minimum(self.least[here], done.x)
                self.most[here] = np.maximum(self.most[here], done.x)
