"""Witnesses: two points that keep to every published sum, and differ in a hidden cell as they must.

A witness moves few cells: the one in question, cells that make up for it in its sums, cells that
make up for those. So it is looked for in a small neighbourhood, by linear programs of some dozen
columns, and what is shown there holds for the whole system, however much hangs together. The points
of all programs are kept: they often serve as the witnesses of the neighbours too.

Where cells that are hidden already do not suffice, `repair` finds the cheapest further ones; and
where nothing could suffice, it proves that, by a program that asks less than the system does and
still has no solution. Points that the sweeps of audit.py show are kept here as well.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from include.disclosure.audit import CLOSE, REACH, AuditFailed
from include.disclosure.system import SAME, System

# Where no more than FEW cells are NEAR equations away, the cheapest of all of them are hidden.
NEAR = 3
FEW = 300
# Elsewhere: how many cells of each equation are taken into a neighbourhood, and how many in all.
STAGES = ((2, 60), (3, 200), (6, 800))
# Of an equation's cells so many are compared; they are sorted by how far they can fall.
WIDE = 24
# Of the cells that are not hidden yet, the cheapest so many of an equation are compared.
OFFERED = 6
# A proof that nothing helps asks about everything near, up to so many cells.
WHOLE = 4_000
# A program's answer is believed if it keeps to the equations to this.
EXACT = 1e-6


class Found(StrEnum):
    """What became of a cell that had no witness."""

    PROVEN = "proven"  # it has one now, and further cells are hidden for it where needed
    HOPELESS = "hopeless"  # whatever is hidden, what is public leaves it too little room
    UNKNOWN = "unknown"  # neither was shown


class Witnesses:
    """The least and greatest value that each hidden cell has been shown to be able to take.

    What was shown stays true when more is hidden, or less told.
    """

    def __init__(self, system: System) -> None:
        self.system = system
        self.least = system.value.copy()
        self.most = system.value.copy()
        rests = [i for i, name in enumerate(system.families) if name == "rest"]
        self._is_rest = np.isin(system.family, rests)
        self._equations: dict[int, list[int]] = {}
        self.start(np.zeros(system.cells, bool), np.zeros(system.cells, bool))

    def start(self, hidden: np.ndarray, known: np.ndarray) -> None:
        """Take what is hidden, and what of it readers know all the same, as given."""
        self.hidden, self.known = hidden.copy(), known.copy()
        self._fall = self.system.value - self.system.lower
        self._movable: dict[int, list[int]] = {}
        self._offered: dict[int, list[int]] = {}

    def proven(self, hidden: np.ndarray) -> np.ndarray:
        """Which of the hidden cells have been shown to have the width they need."""
        return hidden & (self.most - self.least >= self.system.need - CLOSE)

    def has(self, cell: int) -> bool:
        """Whether one cell has been shown to have the width it needs."""
        return bool(self.most[cell] - self.least[cell] >= self.system.need[cell] - CLOSE)

    def see(self, cells: np.ndarray, *points: np.ndarray) -> None:
        """Keep points: values of some cells that the equations allow together."""
        for values in points:
            self.least[cells] = np.minimum(self.least[cells], values)
            self.most[cells] = np.maximum(self.most[cells], values)

    def hide(self, cells: np.ndarray) -> None:
        """Hide further cells, and what is left of their sums."""
        new = cells[~self.hidden[cells]]
        equations = self.system.equations_of(new)
        # What is left of a sum is no longer told.
        rest = self.system.cells_of(equations[self._is_rest[equations]])
        rest = rest[self.system.virtual[rest]]
        self.hidden[new] = self.hidden[rest] = True
        for equation in self.system.equations_of(np.union1d(new, rest)).tolist():
            self._movable.pop(equation, None)
            self._offered.pop(equation, None)

    # -------------------------------------------------------------------------- neighbourhoods

    def _of(self, cell: int) -> list[int]:
        found = self._equations.get(cell)
        if found is None:
            matrix = self.system.by_cell
            found = matrix.indices[matrix.indptr[cell] : matrix.indptr[cell + 1]].tolist()
            self._equations[cell] = found
        return found

    def _split(self, equation: int) -> None:
        system, matrix = self.system, self.system.matrix
        cells = matrix.indices[matrix.indptr[equation] : matrix.indptr[equation + 1]]
        free = self.hidden[cells] & ~self.known[cells]
        movable = cells[free]
        fall = system.value[movable] - system.lower[movable]
        self._movable[equation] = movable[np.argsort(-fall, kind="stable")].tolist()
        offered = cells[can_hide(system, self.hidden, cells)]
        price = np.argsort(system.cost[offered], kind="stable")[:OFFERED]
        # What is left of a sum gives way as soon as another part of it does.
        rests = cells[system.virtual[cells] & ~self.hidden[cells]]
        self._offered[equation] = rests.tolist() + offered[price].tolist()

    def _cells_of(self, equation: int) -> list[int]:
        if equation not in self._movable:
            self._split(equation)
        return self._movable[equation][:WIDE] + self._offered[equation]

    def _around(self, target: int, each: int, most: int) -> list[int]:
        """Cells that can move together with the target: `each` of every equation they stand in, and
        so many that they can make up for what it needs.

        Preferred are cells that serve several equations at once and bring no new ones.
        """
        inside = {target: None}
        count: dict[int, int] = {}
        room: dict[int, float] = {}
        enough = 2 * self.system.need[target]
        waiting: deque[int] = deque()

        def take(cell: int) -> None:
            inside[cell] = None
            fall = float(self._fall[cell])
            for equation in self._of(cell):
                before = count.get(equation, 0)
                count[equation] = before + 1
                room[equation] = room.get(equation, 0.0) + fall
                if not before:
                    waiting.append(equation)

        take(target)
        while waiting and len(inside) < most:
            equation = waiting.popleft()
            while count[equation] < each or room[equation] < enough:
                best, lowest = -1, np.inf
                for rank, cell in enumerate(self._cells_of(equation)):
                    if cell in inside:
                        continue
                    score = 0.05 * rank
                    for other in self._of(cell):
                        had = count.get(other, 0)
                        score += 1.0 if not had else -1.5 if had < each else -0.2
                    if score < lowest:
                        best, lowest = cell, score
                if best < 0:
                    break
                take(best)
        return list(inside)

    def _part(self, cells: list[int]) -> sparse.csc_array:
        """The equations of some cells, restricted to them."""
        matrix = self.system.by_cell
        rows: dict[int, int] = {}
        indices, data, indptr = [], [], [0]
        for cell in cells:
            start, stop = matrix.indptr[cell], matrix.indptr[cell + 1]
            indices += [rows.setdefault(row, len(rows)) for row in self._of(cell)]
            data += matrix.data[start:stop].tolist()
            indptr.append(len(indices))
        return sparse.csc_array((np.array(data, float), indices, indptr), (len(rows), len(cells)))

    # ---------------------------------------------------------------------- what is hidden for it

    def repair(self, target: int) -> Found:
        """Hide the cheapest further cells that give one cell a witness, if anything does."""
        near, _ = self._all_around(target, NEAR)
        if len(near) <= FEW and self._helped(target, near):
            return Found.PROVEN
        for radius, (each, most) in enumerate(STAGES, 1):
            cells = np.array(self._around(target, each, most))
            if self._helped(target, cells):
                return Found.PROVEN
            whole, equations = self._all_around(target, radius)
            is_tried = radius > 1 and len(whole) <= WHOLE
            if is_tried and self._move(target, whole, equations) is None:
                return Found.HOPELESS
        # As much as a program can take: everything near, in all of its equations.
        while len(whole) <= WHOLE:
            if self._helped(target, whole):
                return Found.PROVEN
            radius, before = radius + 1, len(whole)
            whole, equations = self._all_around(target, radius)
            if len(whole) == before:
                return Found.HOPELESS
            if len(whole) <= WHOLE and self._move(target, whole, equations) is None:
                return Found.HOPELESS
        return Found.UNKNOWN

    def surround(self, target: int) -> bool:
        """Hide all that can be hidden in the equations of one cell. Whether there was anything."""
        cells = self.system.cells_of(self.system.equations_of(np.array([target])))
        cells = cells[can_hide(self.system, self.hidden, cells)]
        if len(cells):
            self.hide(cells)
        return bool(len(cells))

    def _helped(self, target: int, cells: np.ndarray) -> bool:
        found = self._move(target, cells, self._part(cells.tolist()), keep=True)
        if found is not None:
            self.hide(found)
        return found is not None

    def _all_around(self, target: int, radius: int) -> tuple[np.ndarray, sparse.csc_array]:
        """Every cell that may move, up to some equations away, and these equations only."""
        system = self.system
        cells = np.array([target])
        for _ in range(radius):
            equations = system.equations_of(cells)
            cells = system.cells_of(equations)
            may = self.hidden[cells] & ~self.known[cells]
            may |= can_hide(system, self.hidden, cells) | (
                system.virtual[cells] & ~self.known[cells]
            )
            cells = np.union1d(cells[may], [target])
            if len(cells) > WHOLE:
                break
        row, cell, weight = system.entries(equations)
        column = np.searchsorted(cells, cell)
        column[column == len(cells)] = 0
        kept = cells[column] == cell
        shape = (len(equations), len(cells))
        part = sparse.csc_array((weight[kept].astype(float), (row[kept], column[kept])), shape)
        return cells, part

    def _move(
        self, target: int, at: np.ndarray, part: sparse.csc_array, keep: bool = False
    ) -> np.ndarray | None:
        """The cells of `at` to hide so that the target has the width it needs; None if none do.

        Two points, one above and one below, both within what `part` and the bounds allow; they are
        kept if `part` has all the equations of these cells.
        """
        system = self.system
        n = len(at)
        value, need = system.value[at], max(system.need[target], 1e-3)
        most = REACH * need
        rise = np.clip(system.upper[at] - value, 0, most)
        fall = np.clip(value - system.lower[at], 0, most)
        free = (self.hidden[at] & ~self.known[at]) | system.virtual[at]
        # Far moves of cells that are hidden anyway cost next to nothing, but are not wanted.
        price = np.where(free, 1e-6, system.cost[at] + 1e-3)
        spot = int(np.flatnonzero(at == target)[0])
        wide = np.zeros(4 * n)
        wide[[spot, 3 * n + spot]] = 1
        wide[[n + spot, 2 * n + spot]] = -1
        # up = rise+ - fall-, down likewise: four columns for each cell, each at least zero.
        nothing = sparse.csc_array(part.shape)
        rows = sparse.block_array(
            [
                [part, -part, nothing, nothing],
                [nothing, nothing, part, -part],
                [sparse.csc_array(wide.reshape(1, -1)[:, i * n : (i + 1) * n]) for i in range(4)],
            ],
            format="csc",
        )
        zeros = np.zeros(2 * part.shape[0])
        done = milp(
            np.tile(price, 4),
            constraints=LinearConstraint(rows, np.append(zeros, need), np.append(zeros, np.inf)),
            bounds=Bounds(np.zeros(4 * n), np.concatenate([rise, fall, rise, fall])),
        )
        if done.x is None:
            if done.status == 2:
                return None
            raise AuditFailed(f"a program for one hidden cell: {done.message}")
        up, down = (done.x[i : i + n] - done.x[i + n : i + 2 * n] for i in (0, 2 * n))
        missed = max(np.abs(part @ up).max(initial=0), np.abs(part @ down).max(initial=0))
        if keep and missed < EXACT:
            low, high = system.lower[at], system.upper[at]
            self.see(at, np.clip(value + up, low, high), np.clip(value + down, low, high))
        moved = (np.abs(up) > 1e-7) | (np.abs(down) > 1e-7)
        return at[moved & ~system.virtual[at]]


def can_hide(system: System, hidden: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Which of some cells may be hidden for another's sake: not a zero, which is often known."""
    return (
        ~hidden[cell]
        & ~system.fixed[cell]
        & ~system.virtual[cell]
        & (system.value[cell] - system.lower[cell] > SAME)
    )
