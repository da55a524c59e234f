"""Moves: how hidden cells can shift together, and which further ones it takes.

A hidden cell is as wide as it needs if all that is hidden can move so that every published sum
stays what it is, and the cell moves by the width. So a program looks for a move of many cells at
once, in which hidden cells move for nothing, and others at the price of hiding them. What has to
move is hidden; the move then proves every cell that it moves far enough, whoever asked for it.

Prices are linear, hiding is not. So each program is solved again with the prices of those cells
that it chose, by how far they moved, which leaves fewer of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from include.disclosure import audit, programs
from include.disclosure.audit import CLOSE, FAR
from include.disclosure.system import SAME, Pieces, System

# What taking a range back costs for each step beyond it: less than hiding anybody.
RANGE = 1e-3
# How often a program is solved again, and what a cell that moved so little costs then.
AGAIN = 1
LITTLE = 0.5
# One in so many of the cells of a program is helped at once: more get in each other's way, and
# hide more than they need.
APART = 100
# Sums that are one equation farther away count this much less when districts are chosen; and what
# would have to be hidden first counts so much of what is hidden.
NEARER, SHOWN = 4.0, 0.05
# Of a district that is too large by itself, so much of the room is for its own schools.
OF_DISTRICT = 0.7


@dataclass
class Opening:
    """What a program found: who asked, and what has to be hidden or told less closely for it."""

    asked: np.ndarray
    hide: np.ndarray
    uncode: np.ndarray


class Moves:
    """The least and greatest value that each hidden cell has been shown to be able to take.

    What was shown stays true when more is hidden, or less told.
    """

    def __init__(self, system: System) -> None:
        self.system = system
        self.least = system.value.copy()
        self.most = system.value.copy()
        self._random = np.random.default_rng(0)

    def proven(self, hidden: np.ndarray) -> np.ndarray:
        """Which of the hidden cells have been shown to have the width they need."""
        return hidden & self.are_wide(slice(None))

    def are_wide(self, cells: np.ndarray | slice) -> np.ndarray:
        """Which of some cells have been shown to have the width they need."""
        return self.most[cells] - self.least[cells] >= self.system.need[cells] - CLOSE

    def see(self, cells: np.ndarray, *points: np.ndarray) -> None:
        """Keep points: values of some cells that the equations allow together."""
        for values in points:
            self.least[cells] = np.minimum(self.least[cells], values)
            self.most[cells] = np.maximum(self.most[cells], values)

    def open(
        self,
        free: np.ndarray,
        coded: np.ndarray,
        plain: tuple[np.ndarray, np.ndarray],
        cells: np.ndarray,
        *,
        size: int,
        is_alone: bool,
        is_both: bool,
        worth: float,
        zeros: np.ndarray | None = None,
    ) -> Opening:
        """Give some cells the width that they need, at the least price.

        `free` are the cells that move for nothing, `coded` those of them of which a range is told,
        and `plain` the bounds without it. The first of the `cells` is helped, and unless it
        `is_alone` others of them that are near, as far as about `size` cells can help; what that
        shows is kept. A cell may move up and, with `is_both`, down as well: that takes less, and
        longer to find. What one step of it is `worth` is the most that is paid for it. Of the
        zeros, those that are named may be hidden as well.
        """
        seed = int(cells[0])
        may_move = movable(self.system, free, zeros)
        at, is_near = _around(self.system, may_move, free, seed, size)
        program = _Program(self.system, free, coded, plain, at)
        chosen = program.points.apart(np.isin(at, cells) & is_near, self._random)
        most = 0 if is_alone else len(at) // APART
        chosen[self._random.permutation(np.flatnonzero(chosen))[most:]] = False
        chosen[np.searchsorted(at, seed)] = True
        need = np.where(chosen, self.system.need[at], 0.0)
        up, down = program.solve(need, worth, is_both)
        missed = np.abs(up - down) < need - CLOSE
        if missed.any():
            # Nothing is hidden for those whom it would not help enough.
            need[missed] = 0
            program.keep((np.abs(up) > SAME) | (np.abs(down) > SAME))
            up, down = program.solve(need, worth, is_both)
        self.see(at, program.value + up, program.value + down)
        most, least = np.maximum(up, down), np.minimum(up, down)
        moved = (most > SAME) | (least < -SAME)
        beyond = (most > program.rise + SAME) | (least < -program.fall - SAME)
        return Opening(at[chosen], at[moved & ~free[at]], at[beyond & free[at]])


def _nearest(
    system: System,
    may_move: np.ndarray,
    seed: int,
    size: int,
    through: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells that may move nearest to one, about so many; `through` some equations, or all.

    With how many equations each is away, and whether all others around it are among them.
    """
    layers = [np.array([seed])]
    inside = layers[0]
    while len(layers[-1]):
        equations = system.equations_of(layers[-1])
        if through is not None:
            equations = equations[through[equations]]
        new = system.cells_of(equations)
        new = np.setdiff1d(new[may_move[new]], inside, assume_unique=True)
        if len(inside) + len(new) > size and len(layers) > 1:
            break
        layers.append(new)
        inside = np.union1d(inside, new)
    away = np.repeat(np.arange(len(layers)), [len(layer) for layer in layers])
    away = away[np.argsort(np.concatenate(layers))]
    # The last layer is empty unless there was no more room.
    return inside, away, away < len(layers) - 1


def _around(
    system: System, may_move: np.ndarray, free: np.ndarray, seed: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cells that may move around one, about so many, and which of them have others around them.

    First its district; where that is too large, its school and others of the district. Then other
    districts, and those that they lead to, while there is room.
    """
    at, away, is_inner = _nearest(system, may_move, seed, size, ~system.districts.joins)
    border = at[~is_inner]
    if len(border):
        at, away, is_inner = _nearest(system, may_move, seed, size, ~system.schools.joins)
        border = at[~is_inner]
        of_district = int(OF_DISTRICT * size)
        at, away = _with_others(system, may_move, free, system.schools, at, away, of_district)
    many = 0
    while many < len(at) < size:
        many = len(at)
        at, away = _with_others(system, may_move, free, system.districts, at, away, size)
    return at, ~np.isin(at, border)


def _with_others(
    system: System,
    may_move: np.ndarray,
    free: np.ndarray,
    pieces: Pieces,
    at: np.ndarray,
    away: np.ndarray,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Some cells and other pieces, whole, up to `size`; and how many equations each is `away`.

    Those pieces that can make up for most in the nearest sums, for their size.
    """
    position, equation = system.standing(at)
    is_join = pieces.joins[equation]
    met, place = np.unique(equation[is_join], return_inverse=True)
    far = np.full(len(met), len(at))
    np.minimum.at(far, place, away[position[is_join]])
    row, cell, _ = system.entries(met)
    is_other = may_move[cell] & ~np.isin(pieces.label[cell], pieces.label[at])
    row, cell = row[is_other], cell[is_other]
    room = np.minimum(system.value[cell] - system.lower[cell], system.need.max(initial=0))
    room *= np.where(free[cell], 1.0, SHOWN) * NEARER ** -far[row].astype(float)
    names, where = np.unique(pieces.label[cell], return_inverse=True)
    beyond = np.full(len(names), len(at))
    np.minimum.at(beyond, where, far[row] + 1)
    sizes = np.bincount(pieces.label[may_move], minlength=len(pieces.label))[names]
    found, left = [(at, away)], size - len(at)
    for chosen in np.argsort(-np.bincount(where, room, len(names)) / sizes, kind="stable"):
        if sizes[chosen] <= left:
            cells = pieces.cells(int(names[chosen]))
            cells = cells[may_move[cells]]
            found.append((cells, np.full(len(cells), beyond[chosen])))
            left -= len(cells)
    at, away = (np.concatenate(it) for it in zip(*found, strict=True))
    order = np.argsort(at)
    return at[order], away[order]


def most_width(system: System, may_move: np.ndarray, cell: int, size: int) -> float | None:
    """The width that one cell has at most whatever else is hidden, where that is too little.

    `may_move` are all cells that are hidden or may be (`movable`). The sums, of about `size` cells,
    are fewer than there are: it is certain, that there is none is not.
    """
    at, *_ = _nearest(system, may_move, cell, size)
    # No sum in which something else may move as well.
    matrix = audit.restricted(system, at)[_are_within(system, may_move, at)]
    lower, upper = audit.reach(system, at)
    # More than it needs is not asked for.
    need = system.need[cell]
    far = np.where(at == cell, need, np.inf)
    low = np.maximum(lower - system.value[at], -far)
    high = np.minimum(upper - system.value[at], far)
    goal = np.where(at == cell, 1.0, 0.0)
    reach = 0.0
    for sign in (1, -1):
        try:
            found = programs.least(sign * goal, matrix, low, high, from_rest=True)
        except programs.NotSolved:
            return None
        reach += abs(float(found.move[at == cell][0]))
        if reach >= need - CLOSE:
            return None
    return reach


def _are_within(system: System, may_move: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Of which equations of some cells all that may move is among these."""
    equations = system.equations_of(at)
    row, cell, _ = system.entries(equations)
    return np.bincount(row, may_move[cell] & ~np.isin(cell, at), len(equations)) == 0


class _Program:
    """Some cells that may move, and what their equations say of them."""

    def __init__(self, system, free, coded, plain, at):
        self.at, self.matrix = at, audit.restricted(system, at)
        self.value, self.is_free = system.value[at], free[at]
        lower, upper = audit.reach(system, at)
        self.rise, self.fall = upper - self.value, self.value - lower
        # Nobody needs to run away for the others to move by what they need.
        far = FAR * system.need.max(initial=0)
        needy = self.is_free & (system.need[at] > 0)
        self.rise[needy] = np.minimum(self.rise[needy], far)
        self.fall[needy] = np.minimum(self.fall[needy], far)
        self.price = np.where(self.is_free, RANGE, system.cost[at] + RANGE)
        # A step up and a step down of cells that are not hidden, and beyond the range of a rate.
        self.more_rise, self.more_fall = np.zeros(len(at)), np.zeros(len(at))
        shown = ~self.is_free
        self.more_rise[shown], self.more_fall[shown] = self.rise[shown], self.fall[shown]
        self.rise[shown] = self.fall[shown] = 0
        told = coded[at]
        self.more_rise[told] = np.minimum(plain[1][at] - upper, far)[told]
        self.more_fall[told] = np.minimum(lower - plain[0][at], far)[told]
        self.is_up = self.rise + self.more_rise >= self.fall + self.more_fall
        self.points = audit.Points(self.matrix, self.value, lower, upper)

    def keep(self, moved: np.ndarray) -> None:
        """Hide nothing but what moved, and take back no other range."""
        self.more_rise[~moved] = self.more_fall[~moved] = 0

    def solve(self, need: np.ndarray, worth: float, is_both: bool) -> tuple[np.ndarray, np.ndarray]:
        """The cheapest two moves between which every cell has as much of its `need` as can be.

        Unless it `is_both`, one of them is no move, and a cell moves to where it has more room.
        """
        n, asks = len(self.at), np.flatnonzero(need > 0)
        k = len(asks)
        if not k:
            return np.zeros(n), np.zeros(n)
        ups, downs = np.flatnonzero(self.more_rise > 0), np.flatnonzero(self.more_fall > 0)
        matrix = self.matrix.astype(float).tocsc()
        one = sparse.hstack([matrix, matrix[:, ups], -matrix[:, downs]], format="csc")
        more = np.concatenate([self.more_rise[ups], self.more_fall[downs]])
        price = np.concatenate([self.price[ups], self.price[downs]])
        low = np.concatenate([-self.fall, np.zeros(len(more))])
        high = np.concatenate([self.rise, more])
        wide = self._widths(asks, ups, downs, np.where(is_both | self.is_up, 1.0, -1.0)[asks])
        # A block of columns for each move, and one for the widths that are reached.
        moves, columns = (2 if is_both else 1), one.shape[1]
        rows = sparse.block_diag([one] * moves, format="csc")
        rows = sparse.hstack([rows, sparse.csc_array((rows.shape[0], k))], format="csc")
        width = sparse.hstack([*(-wide, wide)[:moves], sparse.eye_array(k)], format="csc")
        low = np.concatenate([*[low] * moves, np.zeros(k)])
        high = np.concatenate([*[high] * moves, need[asks]])
        asked = price
        for _ in range(AGAIN + 1):
            by_column = np.concatenate([np.zeros(n), asked])
            cost = np.concatenate([*[by_column] * moves, np.full(k, -worth)])
            try:
                found = programs.least(
                    cost, rows, low, high, width, from_rest=k == 1, is_reduced=k > 1
                )
            except programs.NotSolved:
                # It helps nobody, then; who is not helped is never passed for it.
                return np.zeros(n), np.zeros(n)
            found = found.move[: moves * columns].reshape(moves, columns)
            steps = np.maximum(found[:, n:].max(axis=0, initial=0), 0)
            if not (steps > SAME).any():
                break
            asked = price / (steps + LITTLE)
            # Who is not needed now is not needed for less.
            for move in range(moves):
                high[move * columns + n :][: len(more)][steps <= SAME] = 0
        up = self._moved(found[0], ups, downs)
        return up, self._moved(found[1], ups, downs) if is_both else np.zeros(n)

    def _moved(self, steps: np.ndarray, ups: np.ndarray, downs: np.ndarray) -> np.ndarray:
        n = len(self.at)
        move = steps[:n].copy()
        move[ups] += steps[n : n + len(ups)]
        move[downs] -= steps[n + len(ups) :]
        return move

    def _widths(
        self, asks: np.ndarray, ups: np.ndarray, downs: np.ndarray, to: np.ndarray
    ) -> sparse.csc_array:
        """A row for each cell that asks, which adds its columns up to its move, or its fall."""
        n, k = len(self.at), len(asks)
        place = np.full(n, -1)
        place[asks] = np.arange(k)
        cell = np.concatenate([np.arange(n), ups, downs])
        sign = np.concatenate([np.ones(n + len(ups)), -np.ones(len(downs))])
        kept = np.flatnonzero(place[cell] >= 0)
        at = place[cell[kept]]
        return sparse.csc_array((sign[kept] * to[at], (at, kept)), (k, len(cell)))


def can_hide(system: System, hidden: np.ndarray, cell: np.ndarray | slice) -> np.ndarray:
    """Which of some cells may be hidden for another's sake: not a zero, which is often known."""
    return (
        ~hidden[cell]
        & ~system.fixed[cell]
        & ~system.virtual[cell]
        & (system.value[cell] - system.lower[cell] > SAME)
    )


def movable(system: System, free: np.ndarray, zeros: np.ndarray | None = None) -> np.ndarray:
    """Which cells move for nothing or may be hidden, the zeros that are named as well."""
    found = free | can_hide(system, free, slice(None))
    return found if zeros is None else found | zeros
