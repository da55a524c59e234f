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
cells in which they do, so that some programs over everything answer for most cells; the cells left
are asked about one by one.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from include.disclosure import programs
from include.disclosure.system import System, components

PRIME = 2**31 - 1
TRIALS = 2
# A width is believed to this: values come from divisions, programs from floating point.
CLOSE = 1e-4
# No move of more than so many times the width asked for is looked at. It can only refuse a proof.
REACH = 100
# Cells in one program, together: more are no faster.
CHUNK = 2_000
# Moves longer than so many times the width asked for help nobody.
FAR = 1.2
# Cells that share an equation of up to so many cells are not pushed at once.
SHORT = 40
# Less than this share of cells shown to be wide enough: the rest is asked for one by one.
ENOUGH = 0.15
# More cells that hang together are moved in blocks of about so many, and of so many at the end:
# what a program takes grows faster than its size.
BLOCK, LAST_BLOCK = 10_000, 60_000
# What a program for one of them in its neighborhood takes: in cells of a program for many, which
# tells whether to begin with these, and in their work, which tells when to end.
ALONE, WORK = 4_000, 10_000_000
# Programs in which a smaller share of the cells is asked for begin from rest.
FEW = 0.01
# Equations of two terms are worked into the others so often; each time new ones come of it.
MERGES = 3


class AuditFailed(RuntimeError):
    """A linear program did not end. Nothing is known of what it was asked, so nothing passes."""


def recoverable(
    system: System, hidden: np.ndarray, asked: np.ndarray | None = None, seed: int = 0
) -> np.ndarray:
    """Which hidden cells can be worked out exactly. One boolean for each cell of the system.

    Of the `asked` and of all that hangs together with one of them; of all, if none are named.
    """
    found = np.zeros(system.cells, bool)
    at = _concerned(system, hidden, asked)
    found[at] = ~_free(restricted(system, at), np.random.default_rng(seed))
    return found


def _concerned(system: System, hidden: np.ndarray, asked: np.ndarray | None) -> np.ndarray:
    """The hidden cells that hang together with one of the `asked`, by hidden cells alone."""
    at = np.flatnonzero(hidden)
    if asked is None:
        return at
    group = components(restricted(system, at))
    return at[np.isin(group, group[asked[at]])]


def restricted(system: System, at: np.ndarray) -> sparse.csr_array:
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


def narrow(system: System, hidden: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Which of the `asked` cells, all hidden, have a narrower range than they need.

    One boolean for each cell of the system. Raises AuditFailed.
    """
    found = np.zeros(system.cells, bool)
    at = np.flatnonzero(hidden)
    if not len(at):
        return found
    point, need, group = _points(system, at)
    point.search(asked[at] & (need > 0), need, group)
    found[at[point.one_by_one(asked[at], need, group)]] = True
    return found


def sweep(
    system: System, hidden: np.ndarray, asked: np.ndarray, *, one_by_one: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far apart hidden cells can be, as far as programs for many cells at once show it.

    With `one_by_one`, as far as it is so. Returns the hidden cells concerned (their numbers), and
    the least and greatest value of each.
    """
    at = _concerned(system, hidden, asked)
    point, need, group = _points(system, at)
    point.search(asked[at] & (need > 0), need, group, is_last=one_by_one)
    if one_by_one:
        point.one_by_one(asked[at], need, group)
    return at, point.least, point.most


def pays(answers: int, cells: int) -> bool:
    """Whether programs over so many cells take less than one for each of so many answers."""
    return answers * ALONE >= max(1, cells)


def _points(system: System, at: np.ndarray) -> tuple[Points, np.ndarray, np.ndarray]:
    matrix = restricted(system, at)
    joins = system.is_of_sums[system.equations_of(at)]
    point = Points(matrix, system.value[at], *reach(system, at), joins)
    # No equation holds these: their bounds are all that is known of them.
    alone = np.diff(matrix.tocsc().indptr) == 0
    point.least[alone], point.most[alone] = point.lower[alone], point.upper[alone]
    return point, system.need[at], components(matrix)


def ranges(system: System, hidden: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The least and greatest value of each of the `asked` cells (their numbers), one row each.

    Exact as long as it is within REACH; for reports and tests, a program or two for each cell.
    """
    at = np.flatnonzero(hidden)
    matrix = restricted(system, at)
    lower, upper = reach(system, at)
    group = components(matrix)
    found = []
    for cell in asked:
        point = Points(matrix, system.value[at], lower, upper)
        goal = np.zeros(len(at))
        goal[np.searchsorted(at, cell)] = 1
        point.push(goal, group)
        found.append([point.least[goal == 1][0], point.most[goal == 1][0]])
    return np.array(found).reshape(-1, 2)


def reach(system: System, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value = system.value[at]
    reach = REACH * max(1.0, float(system.need[at].max(initial=0)))
    lower = np.maximum(system.lower[at], value - reach)
    upper = np.minimum(system.upper[at], value + reach)
    return np.minimum(lower, value), np.maximum(upper, value)


class Points:
    """What hidden cells have been shown to be able to be, by points that keep to every equation.

    `joins` are the equations that blocks of cells may be told apart by.
    """

    def __init__(self, matrix, value, lower, upper, joins=None):
        self.matrix, self.value, self.lower, self.upper = matrix, value, lower, upper
        self.least, self.most = value.copy(), value.copy()
        self.row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        self.joins = joins if joins is not None else np.zeros(matrix.shape[0], bool)

    @cached_property
    def merged(self) -> Merged:
        return Merged.of(self.matrix)

    @cached_property
    def pieces(self) -> np.ndarray:
        """What hangs together without the sums of sums: the piece of each cell."""
        return components(self.matrix[np.flatnonzero(~self.joins)])

    @property
    def width(self) -> np.ndarray:
        return self.most - self.least

    def search(
        self, asked: np.ndarray, need: np.ndarray, group: np.ndarray, *, is_last: bool = True
    ) -> None:
        """Look for points in which the `asked` are as far apart as they need, many at a time.

        Cells that are asked for together share no short equation, so that each has room to move
        and the program little to do; the others go along. It ends when few of them succeed; unless
        it `is_last` and nobody looks after it, in the largest blocks when one by itself takes less.
        """
        random = np.random.default_rng(0)
        # Nobody needs to run away for the others to move by what they need.
        widest = np.zeros(int(group.max(initial=-1)) + 1)
        np.maximum.at(widest, group, need)
        reach = np.where(need > 0, FAR * widest[group], np.inf)
        asked = asked & (self.width < need - CLOSE)
        largest = np.bincount(group, minlength=1).max()
        sizes = (BLOCK, LAST_BLOCK) if largest > BLOCK else (LAST_BLOCK,)
        for size in sizes:
            while asked.any():
                chosen = self.apart(asked, random)
                goal = np.where(chosen, random.choice((-1, 1), len(asked)), 0)
                label = self._blocks(group, size, random) if largest > size else group
                work = self.push(goal, label, reach)
                before = asked.sum()
                asked &= self.width < need - CLOSE
                if is_last or size != sizes[-1]:
                    is_enough = (chosen & asked).sum() > (1 - ENOUGH) * chosen.sum()
                else:
                    is_enough = (before - asked.sum()) * WORK <= work
                if is_enough:
                    break

    def _blocks(self, group: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
        """The block of each cell: some of what hangs together without the sums of sums, at random.

        Between blocks nothing moves; in each, districts can still make up for one another.
        """
        piece = self.pieces
        sizes, of = np.bincount(piece), np.zeros(int(piece.max()) + 1, int)
        of[piece] = group
        order = random.permutation(len(sizes))
        order = order[np.argsort(of[order], kind="stable")]
        block = np.empty(len(sizes), int)
        block[order] = (np.cumsum(sizes[order]) - sizes[order]) // size
        # A block may reach from one group into the next.
        return block[piece] * (int(group.max(initial=0)) + 1) + group

    def one_by_one(self, asked: np.ndarray, need: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Ask for each cell by itself, in all that hangs together with it. Returns the narrow."""
        narrow = np.zeros(len(asked), bool)
        open_ = asked & (self.width < need - CLOSE)
        while open_.any():
            first = np.flatnonzero(open_)[np.unique(group[open_], return_index=True)[1]]
            goal = np.zeros(len(asked))
            goal[first] = 1
            self.push(goal, group)
            narrow[first] = self.width[first] < need[first] - CLOSE
            open_[first] = False
            open_ &= self.width < need - CLOSE
        return narrow

    def apart(self, asked: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Some of the `asked`, no two of which stand in one short equation."""
        short = np.flatnonzero((np.diff(self.matrix.indptr) <= SHORT)[self.row_of])
        row, column = self.row_of[short], self.matrix.indices[short]
        rank = np.where(asked, random.random(len(asked)), -1)
        chosen = np.zeros(len(asked), bool)
        for _ in range(3):
            first = np.full(self.matrix.shape[0], -1.0)
            np.maximum.at(first, row, rank[column])
            beaten = np.zeros(len(asked), bool)
            beaten[column[rank[column] < first[row]]] = True
            new = (rank >= 0) & ~beaten
            chosen |= new
            taken = np.zeros(self.matrix.shape[0], bool)
            taken[row[new[column]]] = True
            rank[column[taken[row]]] = -1
            rank[new] = -1
        return chosen

    def push(self, goal: np.ndarray, label: np.ndarray, reach: np.ndarray | None = None) -> int:
        """Look for the points at which goal . x is least and greatest, in each part by itself.

        `label` is the part of each cell; a part without a goal stays where it is. Returns what it
        took, as programs.Found has it.
        """
        merged = self.merged
        low, high = self.lower - self.value, self.upper - self.value
        if reach is not None:
            low, high = np.maximum(low, -reach), np.minimum(high, reach)
        low, high = merged.bounds(low, high)
        goal, label = merged.cells.T @ goal, label[merged.first]
        wanted = np.unique(label[goal != 0])
        moving = np.isin(label, wanted)
        cells = np.flatnonzero(moving)
        cells = cells[np.argsort(label[cells], kind="stable")]
        sizes = np.unique(label[cells], return_counts=True)[1]
        chunks = np.repeat((np.cumsum(sizes) - sizes) // CHUNK, sizes)
        matrix = merged.matrix
        entry = np.flatnonzero(moving[matrix.indices])
        # Each equation once for each part that it has cells in.
        row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        rows = row_of[entry] * (int(label.max(initial=0)) + 1) + label[matrix.indices[entry]]
        column = np.full(len(label), -1)
        column[cells] = np.arange(len(cells))
        _, row = np.unique(rows, return_inverse=True)
        shape = (row.max(initial=-1) + 1, len(cells))
        place = (row, column[matrix.indices[entry]])
        whole = sparse.csc_array((matrix.data[entry], place), shape)
        moves, work = np.zeros((2, len(goal))), 0
        for chunk in np.unique(chunks):
            at = np.flatnonzero(chunks == chunk)
            part = whole[:, at[0] : at[-1] + 1].tocsr()
            part = part[np.flatnonzero(np.diff(part.indptr))]
            here = cells[at]
            asked = np.count_nonzero(goal[here])
            for sign, move in zip((1, -1), moves, strict=True):
                try:
                    found = programs.least(
                        sign * goal[here],
                        part,
                        low[here],
                        high[here],
                        from_rest=asked < FEW * len(here),
                    )
                except programs.NotSolved as error:
                    message = f"a program over {len(here)} hidden cells: {error}"
                    raise AuditFailed(message) from error
                move[here] = found.move
                work += found.work
        for move in moves:
            point = self.value + merged.cells @ move
            self.least = np.minimum(self.least, point)
            self.most = np.maximum(self.most, point)
        return work


@dataclass
class Merged:
    """Equations without those of two terms: cells that only move together are one.

    `cells` says how each cell moves with each of these: a row for each cell, a column for each that
    is left, 1, -1, or no entry for a cell that cannot move. `first` is a cell of each.
    """

    matrix: sparse.csr_array
    cells: sparse.csr_array
    first: np.ndarray

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> Merged:
        matrix = sparse.csr_array(matrix.astype(float))
        cells = sparse.eye_array(matrix.shape[1], format="csr")
        for _ in range(MERGES):
            lengths = np.diff(matrix.indptr)
            if not (lengths <= 2).any():
                break
            together = _together(matrix)
            cells = sparse.csr_array(cells @ together)
            matrix = _distinct(sparse.csr_array(matrix @ together))
        columns = cells.tocsc()
        return cls(matrix, cells, columns.indices[columns.indptr[:-1]])

    def bounds(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far each can move at least and at most, where its cells can so far."""
        entries = self.cells.tocoo()
        is_up = entries.data > 0
        low, high = low[entries.row], high[entries.row]
        least, most = np.full((2, self.cells.shape[1]), np.inf)
        np.minimum.at(most, entries.col, np.where(is_up, high, -low))
        np.minimum.at(least, entries.col, np.where(is_up, -low, high))
        return -least, most


def _together(matrix: sparse.csr_array) -> sparse.csr_array:
    """Which cells the equations of one and two terms tie together, as `Merged.cells` has it."""
    size = matrix.shape[1]
    first = matrix.indptr[np.flatnonzero(np.diff(matrix.indptr) == 2)]
    one, other = matrix.indices[first], matrix.indices[first + 1]
    weights = matrix.data[first], matrix.data[first + 1]
    is_even = np.abs(weights[0]) == np.abs(weights[1])
    one, other = one[is_even], other[is_even]
    is_same = (weights[0] * weights[1] < 0)[is_even]
    # Each cell twice, as it rises and as it falls: who falls when it rises itself does not move.
    from_ = np.concatenate([one, one + size])
    to = np.concatenate([other + size * ~is_same, other + size * is_same])
    graph = sparse.csr_array((np.ones(len(from_)), (from_, to)), (2 * size, 2 * size))
    label = connected_components(graph, directed=False)[1]
    up, down = label[:size], label[size:]
    name = np.minimum(up, down)
    alone = matrix.indices[matrix.indptr[np.flatnonzero(np.diff(matrix.indptr) == 1)]]
    is_fixed = np.isin(name, np.concatenate([name[up == down], name[alone]]))
    moving = np.flatnonzero(~is_fixed)
    names, column = np.unique(name[moving], return_inverse=True)
    sign = np.where(up < down, 1.0, -1.0)[moving]
    return sparse.csr_array((sign, (moving, column)), (size, len(names)))


def _distinct(matrix: sparse.csr_array) -> sparse.csr_array:
    """The equations that say something, each once, be it with the signs turned."""
    matrix.eliminate_zeros()
    matrix.sort_indices()
    marks = np.random.default_rng(0).integers(1, 2**31, (matrix.shape[1], 2)).astype(float)
    some = np.flatnonzero(np.diff(matrix.indptr))
    # Whole numbers, so that the same terms make the same sum in whatever order.
    signs = (matrix @ marks)[some]
    signs *= np.sign(signs[:, :1])
    _, first = np.unique(signs, axis=0, return_index=True)
    return sparse.csr_array(matrix[np.sort(some[first])])
