"""Complementary suppression: further cells hidden until subtraction gives none back.

Three steps, in turn, until the audits pass:

- `close` looks at one equation at a time, all of a family at once: while what is hidden in it
  leaves a hidden cell too narrow a range, the cheapest further cell is hidden, counting what that
  would ask for in the other equations it stands in.
- In large systems, bounds carried from equation to equation (bounds.py) show most of the cells
  that are too narrow all the same, and which equations to hide a further cell in.
- Cells that the audits still find too narrow get linear programs (moves.py) for the cheapest way
  to move them by the width they need, many at a time. What has to move is hidden.

A number that public ones narrow down whatever is hidden is kept to half of what these leave, and
one that nothing more can be done for to a fifth of its need, or to more than one number.

What turned out not to be needed is shown again, in systems small enough to try. Zeros are hidden
last, and never beside public numbers: that a high school has nobody in grade 1 is known without a
table.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import numpy as np

from include.disclosure import audit, bounds, parts
from include.disclosure.moves import Moves, can_hide, most_width, movable
from include.disclosure.system import System, components

# Nothing is said about wider ranges than this many times the width needed.
ENOUGH = audit.REACH
# A component of the whole system with at most so many cells is thinned.
SMALL = 400
# One in so many of the equations that lack something is looked at before the others, and so many
# at least: schools that choose after each other choose alike, and hide less in their district.
TURNS, AT_ONCE = 4, 20
# With how much around it a cell is helped, whether with others at once, and what that may take: in
# turn. The first is quick; those alone fail for nobody else's sake. Small systems begin with the
# third, which leaves less hidden and in large ones helps too few for the time that it takes.
TRIES = (
    {"size": 3_000, "is_alone": False, "is_both": False, "worth": 1e5},
    {"size": 5_000, "is_alone": True, "is_both": True, "worth": 1e9},
    {"size": 30_000, "is_alone": False, "is_both": True, "worth": 1e9},
    {"size": 10_000, "is_alone": True, "is_both": True, "worth": 1e9},
    {"size": 20_000, "is_alone": True, "is_both": True, "worth": 1e9},
)
CHEAP, WELL, ALONE = 0, 2, 3
# Cells within which it is looked for a proof that nothing helps one: before anything is tried,
# before it is helped by itself, and before it is given up for lost.
NEAR, FARTHER, FAR = 300, (3_000, 10_000), 30_000
LOST, HOPELESS = len(TRIES), len(TRIES) + 1
# With so few hidden cells, who needs no help is found faster than help.
QUICK = 10_000
# Systems of so few cells are done well from the start.
FEW = 2_000
# What a cell is kept to that cannot be as wide as it needs: a share of that, or of what is left to
# it; and to ONE more number before it is given up.
SHARE, OF_LEFT, ONE = 1 / 5, 1 / 2, 1.0


@dataclass
class Choice:
    """What is hidden, and what cannot be protected because everything else is public."""

    hidden: np.ndarray
    # Narrower than they should be whatever is hidden; of these, `known` are told exactly.
    exposed: np.ndarray
    # The width that each cell is kept to when it is hidden: what it needs, or what is left of it.
    need: np.ndarray
    known: np.ndarray
    # Told as a range: what readers know of these is less once the range is taken back.
    coded: np.ndarray
    plain: tuple[np.ndarray, np.ndarray]
    # Shown by the interval audit to be able to be as many numbers as it needs.
    proven: np.ndarray
    # Whether anything that it hangs together with is public.
    beside_public: np.ndarray
    # The least and the greatest value that each cell has been shown to be able to take.
    points: tuple[np.ndarray, np.ndarray] | None = None
    rounds: int = 0
    # Cells that were found too narrow on the way, although bounds did not say so.
    found: int = 0

    def of(self, at: np.ndarray) -> Choice:
        """The same of some cells."""
        return replace(
            self,
            plain=(self.plain[0][at], self.plain[1][at]),
            points=None if self.points is None else (self.points[0][at], self.points[1][at]),
            found=0,
            **{name: getattr(self, name)[at] for name in _OF_CELLS},
        )

    def take(self, at: np.ndarray, part: Choice) -> None:
        """Make of some cells what was chosen of them by themselves; `points` must be there."""
        for name in _OF_CELLS:
            getattr(self, name)[at] = getattr(part, name)
        for mine, its in zip(self.points, part.points, strict=True):
            mine[at] = its
        self.rounds = max(self.rounds, part.rounds)
        self.found += part.found


_OF_CELLS = ("hidden", "exposed", "need", "known", "coded", "proven", "beside_public")


def protect(
    system: System,
    hidden: np.ndarray,
    *,
    coded: np.ndarray | None = None,
    plain: tuple[np.ndarray, np.ndarray] | None = None,
    is_thinned: bool = True,
    is_complementary: bool = True,
    before: Choice | None = None,
    workers: parts.Workers | None = None,
) -> Choice:
    """Hide what it takes to protect the hidden cells; to a fixed point that includes their proof.

    Every cell that is still hidden then has been shown to be as wide as `Choice.need`, which no
    cell is that can be worked out; the exact audit, in other arithmetic, is the caller's.
    Deterministic. `coded`
    are hidden cells of which a range is told, in the system's bounds: where that gives something
    away, the range is taken back first, and the bounds are `plain` again. `before` is what was
    chosen for the same reader when less was hidden: what was shown then is not asked again.
    `workers` are those of the caller, who asks more than once.
    """
    choice = Choice(
        system.spread(hidden & ~system.fixed | (system.virtual & hidden)),
        np.zeros(system.cells, bool),
        system.need.copy(),
        np.zeros(system.cells, bool),
        coded.copy() if coded is not None else np.zeros(system.cells, bool),
        plain or (system.lower, system.upper),
        np.zeros(system.cells, bool),
        _beside(system, system.fixed),
    )
    choice.exposed = hidden & system.fixed & (system.need > 0)
    if before is not None:
        choice.exposed |= before.exposed
        choice.need = np.minimum(choice.need, before.need)
        choice.known = before.known.copy()
        choice.points = before.points
    if not is_complementary:
        # Nothing is proven of any of them.
        choice.exposed = (choice.hidden | hidden) & (system.need > 0)
        choice.need[:] = 0
        return choice
    places = parts.split(system, choice.hidden)

    def task(number: int) -> tuple[System, Choice, bool]:
        at = places[number]
        return parts.of(system, at), choice.of(at), is_thinned

    with contextlib.nullcontext(workers) if workers else parts.Workers() as working:
        done = working.work_out(_protect, task, [len(at) for at in places])
    choice.points = system.value.copy(), system.value.copy()
    for at, (part, lower, upper) in zip(places, done, strict=True):
        system.lower[at], system.upper[at] = lower, upper
        choice.take(at, part)
    choice.exposed |= choice.hidden & (choice.need < system.need)
    return choice


def _protect(
    system: System, choice: Choice, is_thinned: bool
) -> tuple[Choice, np.ndarray, np.ndarray]:
    """Protect a part of a system. Returns its choice, and the bounds as they are told then."""
    primary = choice.hidden.copy()
    # What of it cannot be kept to is seen on the way.
    due, system.need = system.need, choice.need
    _limit(system, choice)
    close(system, choice, system.equations_of(np.flatnonzero(choice.hidden)))
    _Proof(system, choice, due).run()
    if is_thinned:
        _thin(system, choice, primary)
        # They may move what is told again.
        choice.points = system.value.copy(), system.value.copy()
    return choice, system.lower, system.upper


def _limit(system: System, choice: Choice) -> None:
    """Keep who is too narrow whatever is hidden, as bounds show it, to some of what is left."""
    every = slice(None)
    may_move = choice.hidden & ~choice.known | can_hide(system, choice.hidden, every)
    may_move |= _hidden_last(system, choice, every) | system.virtual
    plain = replace(system, lower=choice.plain[0], upper=choice.plain[1])
    left = bounds.widths(plain, may_move)
    cells = np.flatnonzero(may_move & (left < system.need - audit.CLOSE))
    _lower(choice, cells, left[cells])
    told = cells[system.need[cells] == 0]
    choice.known[told] |= choice.hidden[told]


def _lower(choice: Choice, cells: np.ndarray, left: np.ndarray | float = np.inf) -> None:
    """Keep some cells, which nothing helps, to less, and in the end to nothing.

    What is `left` to them at most says how much less, where it is below their need.
    """
    need = choice.need[cells]
    share = SHARE * need
    some = np.maximum(np.minimum(left, share), OF_LEFT * np.minimum(left, need))
    less = np.maximum(share, ONE)
    is_known = left < need - audit.CLOSE
    lower = np.where(is_known, np.where(left < audit.CLOSE, 0.0, some), less)
    choice.need[cells] = np.where(lower < need, lower, 0.0)


def _beside(system: System, told: np.ndarray) -> np.ndarray:
    """Which cells hang together, by whatever sums, with one that is told."""
    group = components(system.matrix)
    found = np.zeros(int(group.max(initial=-1)) + 1, bool)
    found[group[told]] = True
    return found[group]


def failures(system: System, choice: Choice, within: np.ndarray) -> np.ndarray:
    """The hidden cells of a part that an audit finds too narrow or told."""
    unknown = choice.hidden & ~choice.known
    asked = unknown & (system.need > 0) & within
    told = audit.recoverable(system, unknown, asked) & asked
    return told | audit.narrow(system, unknown, asked & ~told)


class _Proof:
    """Shows that every hidden cell is as wide as it needs, hiding more where it is not.

    To a fixed point: what is hidden on the way is asked about as well.
    """

    def __init__(self, system: System, choice: Choice, due: np.ndarray) -> None:
        self.system, self.choice = system, choice
        # The width that each cell is due; what it is kept to may be less.
        self.due = due
        self.shown = Moves(system)
        if choice.points is not None:
            self.shown.see(np.arange(system.cells), *choice.points)
        # As it would be were no range told.
        self.plain = replace(system, lower=choice.plain[0], upper=choice.plain[1])
        # Which of TRIES each cell is to be helped by. LOST: none did; HOPELESS: nothing could.
        self.start = WELL if system.cells <= FEW else CHEAP
        self.tries = np.full(system.cells, self.start)
        # Before which of TRIES it was last asked whether they need any help, or nothing helps.
        self.screened = np.zeros(system.cells, int)
        # The width that nothing could take them beyond, as far as it was looked for.
        self.left = np.full(system.cells, np.inf)

    def run(self) -> None:
        """Raises AuditFailed."""
        system, choice = self.system, self.choice
        swept = np.zeros(system.cells, bool)
        while True:
            choice.rounds += 1
            if self.start == CHEAP:
                _squeeze(system, choice)
            unknown = choice.hidden & ~choice.known
            asked = unknown & (system.need > 0)
            asked &= ~self.shown.proven(choice.hidden)
            if not asked.any():
                break
            new = asked & ~swept
            if audit.pays(new.sum(), choice.hidden.sum()):
                self.shown.see(*audit.sweep(system, unknown, asked))
                swept |= asked
                asked &= ~self.shown.proven(choice.hidden)
                choice.found += int((new & asked).sum())
            self._open(np.flatnonzero(asked))
            failed = asked & ~self.shown.proven(choice.hidden)
            if failed.any():
                self._give_up(failed)
        choice.proven = self.shown.proven(choice.hidden)
        choice.points = self.shown.least, self.shown.most

    def _open(self, cells: np.ndarray) -> None:
        """Help cells by programs for some at a time, each of which knows what the last one hid.

        Who is not helped is tried better, unless it is certain that nothing helps it.
        """
        while True:
            cells = cells[~self.shown.are_wide(cells) & (self.tries[cells] < LOST)]
            if not len(cells):
                return
            often = self.tries[cells].min()
            first = cells[self.tries[cells] == often]
            if often == WELL and self.start == CHEAP:
                self.tries[first] = ALONE
                continue
            if often == ALONE:
                # Who is kept to less than is due is kept to less still before that takes long.
                need = self.system.need[first]
                is_less = (need < self.due[first]) & (need > ONE)
                self.tries[first[is_less]] = HOPELESS
                first = first[~is_less]
                if not len(first):
                    continue
            new = first[self.screened[first] < min(often, ALONE)]
            if len(new):
                self._screen(new, often)
                continue
            free = self._free()
            seed = int(first[0])
            self.tries[self._help(first, free, **TRIES[often])] += 1
            if self.tries[seed] == LOST and not self.shown.are_wide(seed):
                self._is_hopeless(seed, movable(self.plain, free), FAR)

    def _screen(self, cells: np.ndarray, often: int) -> None:
        """Look which of some cells nothing near could help, and which need no help any more."""
        system, choice = self.system, self.choice
        is_first = not self.screened[cells].any()
        self.screened[cells] = often
        if is_first:
            lost = self._bounded(cells)
            self.tries[lost] = HOPELESS
            cells = self._hopeful(np.setdiff1d(cells, lost), NEAR)
        if self.start == CHEAP and audit.pays(len(cells), choice.hidden.sum()):
            # Many were helped with others; and the fewer are asked, the more room each has.
            asked = np.zeros(system.cells, bool)
            asked[cells] = True
            unknown = choice.hidden & ~choice.known
            one_by_one = often == ALONE and unknown.sum() <= QUICK
            self.shown.see(*audit.sweep(system, unknown, asked, one_by_one=one_by_one))
        if not is_first:
            cells = cells[~self.shown.are_wide(cells)]
            for size in FARTHER:
                cells = self._hopeful(cells, size)

    def _hopeful(self, cells: np.ndarray, size: int) -> np.ndarray:
        """Those of some cells that something near could help."""
        may_move = movable(self.plain, self._free())
        return cells[[not self._is_hopeless(cell, may_move, size) for cell in cells]]

    def _bounded(self, cells: np.ndarray, zeros: np.ndarray | None = None) -> np.ndarray:
        """Those of some cells that bounds show to stay too narrow, whatever else is hidden."""
        if not len(cells):
            return cells
        system = self.system
        may_move = movable(system, self._free(), zeros)
        asked = np.zeros(system.cells, bool)
        asked[cells] = True
        found = bounds.narrow(self.plain, may_move, asked)
        self._see_left(found.cell, system.need[found.cell] - found.lacking)
        return found.cell

    def _see_left(self, cells: np.ndarray | int, width: np.ndarray | float) -> None:
        self.left[cells] = np.minimum(self.left[cells], width)

    def _help(self, cells: np.ndarray, free: np.ndarray, **how) -> np.ndarray:
        """Hide what a program finds for some cells. Returns those that it was asked to help."""
        system, choice = self.system, self.choice
        found = self.shown.open(free, choice.coded, choice.plain, cells, **how)
        _uncode(system, choice, found.uncode)
        if len(found.hide):
            close(system, choice, system.equations_of(_hide(system, choice, found.hide)))
        return found.asked

    def _is_hopeless(self, cell: int, may_move: np.ndarray, size: int) -> bool:
        width = most_width(self.plain, may_move, cell, size)
        if width is None:
            return False
        self._see_left(cell, width)
        self.tries[cell] = HOPELESS
        return True

    def _give_up(self, failed: np.ndarray) -> None:
        """Hide zeros for those cells that nothing else helps; the others are kept to less.

        Around those of which it is not certain that nothing helps, everything is hidden before.
        """
        system, choice = self.system, self.choice
        cells = np.flatnonzero(failed)
        lost = cells[self.tries[cells] == LOST]
        around = system.cells_of(system.equations_of(lost))
        new = _hide(system, choice, around[can_hide(system, choice.hidden, around)])
        is_left = np.ones(len(cells), bool)
        if len(new):
            is_left = ~np.isin(cells, system.cells_of(system.equations_of(new)))
            self.tries[cells[~is_left]] = self.start
            close(system, choice, system.equations_of(new))
        left = cells[is_left]
        bounded = self._bounded(left, _hidden_last(system, choice, slice(None)))
        others = np.setdiff1d(left, bounded).tolist()
        helpless = [cell for cell in others if not self._zeros_help(cell)]
        lowered = np.union1d(bounded, np.array(helpless, int))
        _lower(choice, lowered, self.left[lowered])
        self.left[lowered] = np.inf
        self.tries[lowered], self.screened[lowered] = self.start, 0
        gone = np.zeros(system.cells, bool)
        gone[lowered] = system.need[lowered] == 0
        unknown = choice.hidden & ~choice.known
        choice.known |= audit.recoverable(system, unknown, gone & unknown) & gone
        close(system, choice, system.equations_of(cells))

    def _zeros_help(self, cell: int) -> bool:
        """Help one cell with zeros as well, those nearby and then those farther away."""
        for size in () if self.choice.beside_public[cell] else (NEAR, *FARTHER, FAR):
            free, zeros = self._free(), _hidden_last(self.system, self.choice, slice(None))
            if size < FAR:
                may_move = movable(self.plain, free, zeros)
                width = most_width(self.plain, may_move, cell, size)
                if width is not None:
                    self.left[cell] = width
                    return False
            self._help(np.array([cell]), free, **TRIES[-1] | {"size": size, "zeros": zeros})
            if self.shown.are_wide(cell):
                return True
        return False

    def _free(self) -> np.ndarray:
        """What moves for nothing."""
        system, choice = self.system, self.choice
        return (choice.hidden | system.virtual) & ~choice.known & ~system.fixed


def _squeeze(system: System, choice: Choice) -> None:
    """Hide until no cell is too narrow by bounds that are carried from equation to equation."""
    # Those that nothing in their equations can help are left to the programs.
    left = np.ones(system.cells, bool)
    within = None
    while True:
        unknown = choice.hidden & ~choice.known
        asked = unknown & (system.need > 0) & left
        found = bounds.narrow(system, unknown, asked, is_first=True, within=within)
        if not len(found.cell):
            if within is None:
                return
            within = None
            continue
        # Until nothing is left to do in their districts it is not looked elsewhere.
        within = system.districts.around(found.cell)
        cell = np.tile(found.cell, 2)
        equation = np.concatenate([found.above, found.below])
        is_bound = equation >= 0
        wrong, position = np.unique(equation[is_bound], return_inverse=True)
        if _uncode(system, choice, system.cells_of(wrong)):
            continue
        lacking = np.zeros(len(wrong))
        np.maximum.at(lacking, position, np.tile(found.lacking, 2)[is_bound])
        turn = _some(np.ones(len(wrong), bool))
        chosen, hopeless = _cheapest(system, choice, wrong, lacking, turn)
        left[found.cell] = False
        left[cell[is_bound & ~np.isin(equation, hopeless)]] = True
        if len(chosen):
            close(system, choice, system.equations_of(_hide(system, choice, chosen)))


def _some(turn: np.ndarray) -> np.ndarray:
    """Some of the equations whose turn it is, so that the others see what these chose."""
    at = np.flatnonzero(turn)
    some = np.zeros(len(turn), bool)
    some[np.random.default_rng(len(at)).permutation(at)[: max(AT_ONCE, len(at) // TURNS)]] = True
    return some


def _hide(system: System, choice: Choice, cells: np.ndarray) -> np.ndarray:
    """Hide further cells, and what is left of their sums. Returns all that is hidden by it."""
    before = choice.hidden
    choice.hidden = before.copy()
    choice.hidden[cells] = True
    choice.hidden = system.spread(choice.hidden, cells)
    return np.flatnonzero(choice.hidden & ~before)


# ------------------------------------------------------------------------- one equation at a time


def close(system: System, choice: Choice, pending: np.ndarray) -> None:
    """Hide until no equation by itself leaves a hidden cell too narrow a range.

    `pending` are the equations to look at first; others follow where cells are hidden.
    """
    waiting = np.zeros(system.matrix.shape[0], bool)
    waiting[pending] = True
    while waiting.any():
        asked = np.flatnonzero(waiting)
        lacking, culprits = _lacking(system, choice, asked)
        waiting[asked[lacking <= 0]] = False
        if not (lacking > 0).any():
            continue
        wrong = asked[lacking > 0]
        if _uncode(system, choice, system.cells_of(wrong)):
            continue
        turn = _some(system.family[wrong] == system.family[wrong].min())
        chosen, hopeless = _cheapest(system, choice, wrong, lacking[lacking > 0], turn)
        if len(hopeless):
            zeros = _zeros(system, choice, hopeless)
            chosen = np.union1d(chosen, zeros)
            hopeless = np.setdiff1d(hopeless, system.equations_of(zeros))
            given_up = culprits[np.isin(culprits[:, 0], hopeless), 1]
            _lower(choice, given_up)
            _know(system, choice, hopeless)
            waiting[system.equations_of(given_up)] = True
        if len(chosen):
            waiting[system.equations_of(_hide(system, choice, chosen))] = True


def _zeros(system: System, choice: Choice, equations: np.ndarray) -> np.ndarray:
    """The zeros of some equations, to be hidden where nothing else can be."""
    cells = system.cells_of(equations)
    return cells[_hidden_last(system, choice, cells)]


def _hidden_last(system: System, choice: Choice, cells: np.ndarray | slice) -> np.ndarray:
    """Which of some cells may be hidden where nothing else helps, zeros or not.

    Not beside public numbers: there it is these that tell, and zeros are mostly known besides.
    """
    told = choice.hidden[cells] | system.fixed[cells] | system.virtual[cells]
    return ~(told | choice.beside_public[cells])


def _uncode(system: System, choice: Choice, cells: np.ndarray) -> bool:
    """Take the ranges of some cells back. Whether there were any."""
    told = cells[choice.coded[cells]]
    choice.coded[told] = False
    system.lower[told], system.upper[told] = choice.plain[0][told], choice.plain[1][told]
    return bool(len(told))


def _know(system: System, choice: Choice, equations: np.ndarray) -> None:
    """A cell that is the only hidden one of an equation without a remedy is known from now on."""
    row, cell, _ = system.entries(equations)
    unknown = choice.hidden[cell] & ~choice.known[cell]
    single = np.bincount(row, unknown, len(equations)) == 1
    choice.known[cell[unknown & single[row]]] = True


def _room(system: System, cell: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far a term of an equation can rise and fall, were its cell hidden."""
    most = ENOUGH * np.maximum(1.0, system.need.max(initial=0))
    rise = np.minimum(system.upper[cell] - system.value[cell], most)
    fall = np.minimum(system.value[cell] - system.lower[cell], most)
    is_up = weight > 0
    size = np.abs(weight)
    return np.where(is_up, rise, fall) * size, np.where(is_up, fall, rise) * size


def _lacking(
    system: System, choice: Choice, equations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The width that is lacking in each equation, and each (equation, cell) that lacks any."""
    row, cell, weight = system.entries(equations)
    unknown = choice.hidden[cell] & ~choice.known[cell]
    row, cell, weight = row[unknown], cell[unknown], weight[unknown]
    rise, fall = _room(system, cell, weight)
    up = np.bincount(row, rise, len(equations))[row] - rise
    down = np.bincount(row, fall, len(equations))[row] - fall
    width = (np.minimum(rise, down) + np.minimum(fall, up)) / np.abs(weight)
    need = system.need[cell]
    lack = need - width
    lack[lack < np.minimum(audit.CLOSE, need / 2)] = 0
    worst = np.zeros(len(equations))
    np.maximum.at(worst, row, lack)
    at = lack > 0
    return worst, np.column_stack([equations[row[at]], cell[at]])


def _cheapest(
    system: System, choice: Choice, wrong: np.ndarray, lacking: np.ndarray, turn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A cell to hide for each equation whose turn it is, and the equations that have none."""
    row, cell, weight = system.entries(wrong)
    usable = can_hide(system, choice.hidden, cell)
    row, cell, weight = row[usable], cell[usable], weight[usable]
    if not len(cell):
        return cell, wrong[turn]
    candidates, position = np.unique(cell, return_inverse=True)
    # How many of the equations that are wrong it would serve at once.
    serves = np.bincount(position, minlength=len(candidates))
    score = (system.cost[candidates] + _consequences(system, choice, candidates, wrong)) / serves
    rise, fall = _room(system, cell, weight)
    short = np.maximum(lacking[row] - np.maximum(np.minimum(rise, fall), 0), 0)
    total = score[position] + short
    now = turn[row]
    row, cell, total = row[now], cell[now], total[now]
    order = np.lexsort((cell, total, row))
    _, first = np.unique(row[order], return_index=True)
    best = order[first]
    helped = np.isfinite(total[best])
    hopeless = turn.copy()
    hopeless[row[best[helped]]] = False
    return np.unique(cell[best[helped]]), wrong[hopeless]


def _consequences(
    system: System, choice: Choice, candidates: np.ndarray, wrong: np.ndarray
) -> np.ndarray:
    """What hiding each candidate would ask for at least in its other equations."""
    at, equation = system.standing(candidates)
    others, position = np.unique(equation, return_inverse=True)
    row, cell, _ = system.entries(others)
    is_hidden = np.bincount(row, choice.hidden[cell] & ~choice.known[cell], len(others)) > 0
    usable = can_hide(system, choice.hidden, cell)
    # What is left of a sum hides itself when a part of it is hidden.
    price = np.where(usable, system.cost[cell], np.where(system.virtual[cell], 0, np.inf))
    order = np.lexsort((price, row))
    starts = np.searchsorted(row[order], np.arange(len(others)))
    stops = np.append(starts[1:], len(row))
    cheapest = price[order[starts]]
    cheapest_cell = cell[order[starts]]
    after = np.minimum(starts + 1, stops - 1)
    second = np.where(stops - starts > 1, price[order[after]], np.inf)
    ask = np.where(cheapest_cell[position] == candidates[at], second[position], cheapest[position])
    ask[is_hidden[position]] = 0
    found = np.zeros(len(candidates))
    np.add.at(found, at, ask)
    return found


# -------------------------------------------------------------------------------- what was too much


def _thin(system: System, choice: Choice, primary: np.ndarray) -> None:
    """Show again what is hidden without need, the dearest first, in small parts of the system."""
    part = components(system.matrix)
    sizes = np.bincount(part)
    extra = choice.hidden & ~primary & ~system.virtual
    for cell in np.flatnonzero(extra & (sizes[part] <= SMALL))[
        np.argsort(-system.cost[extra & (sizes[part] <= SMALL)], kind="stable")
    ]:
        trial = replace(choice, hidden=choice.hidden.copy())
        trial.hidden[cell] = False
        trial.hidden[system.virtual] = primary[system.virtual]
        trial.hidden = system.spread(trial.hidden)
        lacking, _ = _lacking(system, trial, system.equations_of(np.array([cell])))
        if (lacking > 0).any():
            continue
        if not failures(system, trial, part == part[cell]).any():
            choice.hidden = trial.hidden
