"""Complementary suppression: further cells hidden until subtraction gives none back.

Two steps, in turn, until the audits pass:

- `close` looks at one equation at a time, all of a family at once: while what is hidden in it
  leaves a hidden cell too narrow a range, the cheapest further cell is hidden, counting what that
  would ask for in the other equations it stands in.
- Each cell that the audits still find too narrow gets a linear program (witness.py) for the
  cheapest way to move it by the width it needs. What has to move is hidden.

What turned out not to be needed is shown again, in systems small enough to try. Zeros are hidden
last, and never beside public numbers: that a high school has nobody in grade 1 is known without a
table.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from include.disclosure import audit
from include.disclosure.system import System
from include.disclosure.witness import Found, Witnesses, can_hide

# Nothing is said about wider ranges than this many times the width needed.
ENOUGH = audit.REACH
# A component of the whole system with at most so many cells is thinned.
SMALL = 400
# Of more failed cells than this, each equation hides one more cell, so often at most; fewer, and
# those left then, get a program each.
MANY = 300
PATIENCE = 4


@dataclass
class Choice:
    """What is hidden, and what cannot be protected because everything else is public."""

    hidden: np.ndarray
    # Narrower than they need whatever is hidden; of these, `known` are told exactly.
    exposed: np.ndarray
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
    widened: int = 0
    # Cells that an audit found too narrow on the way, by what found it.
    found: dict[str, int] = field(default_factory=dict)


def protect(
    system: System,
    hidden: np.ndarray,
    *,
    coded: np.ndarray | None = None,
    plain: tuple[np.ndarray, np.ndarray] | None = None,
    is_thinned: bool = True,
    is_complementary: bool = True,
    before: Choice | None = None,
) -> Choice:
    """Hide what it takes to protect the hidden cells; to a fixed point that includes both audits.

    Every cell that is still hidden then and not `exposed` has passed them. Deterministic. `coded`
    are hidden cells of which a range is told, in the system's bounds: where that gives something
    away, the range is taken back first, and the bounds are `plain` again. `before` is what was
    chosen for the same reader when less was hidden: what was shown then is not asked again.
    """
    choice = Choice(
        system.spread(hidden & ~system.fixed | (system.virtual & hidden)),
        np.zeros(system.cells, bool),
        np.zeros(system.cells, bool),
        coded.copy() if coded is not None else np.zeros(system.cells, bool),
        plain or (system.lower, system.upper),
        np.zeros(system.cells, bool),
        _beside(system, system.fixed),
    )
    choice.exposed = hidden & system.fixed & (system.need > 0)
    if before is not None:
        choice.exposed |= before.exposed
        choice.known = before.known.copy()
        choice.points = before.points
    if not is_complementary:
        # Nothing is proven of any of them.
        choice.exposed = (choice.hidden | hidden) & (system.need > 0)
        return choice
    primary = choice.hidden.copy()
    close(system, choice, system.equations_of(np.flatnonzero(choice.hidden)))
    _prove(system, choice)
    if is_thinned:
        _thin(system, choice, primary)
        # They may move what is told again.
        choice.points = None
    return choice


def _beside(system: System, told: np.ndarray) -> np.ndarray:
    """Which cells hang together, by whatever sums, with one that is told."""
    group = audit.components(system.matrix)
    found = np.zeros(int(group.max(initial=-1)) + 1, bool)
    found[group[told]] = True
    return found[group]


def failures(system: System, choice: Choice, within: np.ndarray) -> np.ndarray:
    """The hidden cells of a part that an audit finds too narrow or told; not what is exposed."""
    unknown = choice.hidden & ~choice.known
    asked = unknown & ~choice.exposed & (system.need > 0) & within
    told = audit.recoverable(system, unknown, asked) & asked
    return told | audit.narrow(system, unknown, asked & ~told)


def _prove(system: System, choice: Choice) -> None:
    """Show that every hidden cell is as wide as it needs, hiding more where it is not.

    To a fixed point: what is hidden on the way is asked about as well.
    """
    shown = Witnesses(system)
    if choice.points is not None:
        shown.see(np.arange(system.cells), *choice.points)
    while True:
        choice.rounds += 1
        unknown = choice.hidden & ~choice.known
        asked = unknown & ~choice.exposed & (system.need > 0) & ~shown.proven(choice.hidden)
        if not asked.any():
            break
        told = audit.recoverable(system, unknown, asked) & asked
        shown.see(*audit.sweep(system, unknown, asked & ~told))
        failed = np.flatnonzero(asked & ~shown.proven(choice.hidden))
        choice.found["exact"] = choice.found.get("exact", 0) + int(told.sum())
        choice.found["interval"] = choice.found.get("interval", 0) + len(failed) - int(told.sum())
        before, exempt = choice.hidden.copy(), choice.exposed.copy()
        shown.start(choice.hidden, choice.known)
        if len(failed) > MANY and choice.widened < PATIENCE:
            choice.widened += 1
            _widen(system, choice, failed)
        else:
            # What helps one often helps its neighbours: these wait until it is known what is left.
            waiting = np.zeros(system.matrix.shape[0], bool)
            for cell in failed:
                equations = system.equations_of(np.array([cell]))
                if not waiting[equations].any():
                    waiting[equations] = _help(system, choice, shown, cell)
            choice.hidden = shown.hidden
        if (choice.exposed & ~exempt).any():
            unknown = choice.hidden & ~choice.known
            new = choice.exposed & ~exempt
            choice.known |= audit.recoverable(system, unknown, new & unknown) & new
        close(system, choice, system.equations_of(np.flatnonzero(choice.hidden & ~before)))
    choice.proven = shown.proven(choice.hidden)
    choice.points = shown.least, shown.most


def _widen(system: System, choice: Choice, failed: np.ndarray) -> None:
    """Hide one more cell in each equation of the failed cells, or take the ranges in it back."""
    equations = system.equations_of(failed)
    _uncode(system, choice, system.cells_of(equations))
    lacking = np.full(len(equations), system.need[failed].min(initial=1.0))
    chosen, _ = _cheapest(system, choice, equations, lacking, np.ones(len(equations), bool))
    _hide(system, choice, chosen)


def _hide(system: System, choice: Choice, cells: np.ndarray) -> np.ndarray:
    """Hide further cells, and what is left of their sums. Returns all that is hidden by it."""
    before = choice.hidden
    choice.hidden = before.copy()
    choice.hidden[cells] = True
    choice.hidden = system.spread(choice.hidden)
    return np.flatnonzero(choice.hidden & ~before)


def _help(system: System, choice: Choice, shown: Witnesses, cell: int) -> bool:
    """Make one cell wide enough: by taking ranges around it back, or by hiding more.

    Where neither can, it is exposed. Whether less is told now than before.
    """
    if _uncode(system, choice, system.cells_of(system.equations_of(np.array([cell])))):
        return True
    outcome = shown.repair(cell)
    if outcome is Found.HOPELESS:
        around = _zeros(system, choice, system.equations_of(np.array([cell])))
        around = around[~shown.hidden[around]]
        shown.hide(around)
        choice.exposed[cell] = not len(around)
    elif outcome is Found.UNKNOWN:
        choice.exposed[cell] = not shown.surround(cell)
    elif not shown.has(cell):
        raise audit.AuditFailed("a program for one hidden cell gave no point to rely on")
    return not choice.exposed[cell]


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
        family = system.family[wrong].min()
        turn = system.family[wrong] == family
        chosen, hopeless = _cheapest(system, choice, wrong, lacking[lacking > 0], turn)
        if len(hopeless):
            zeros = _zeros(system, choice, hopeless)
            chosen = np.union1d(chosen, zeros)
            hopeless = np.setdiff1d(hopeless, system.equations_of(zeros))
            given_up = culprits[np.isin(culprits[:, 0], hopeless), 1]
            choice.exposed[given_up] = True
            _know(system, choice, hopeless)
            waiting[system.equations_of(given_up)] = True
        if len(chosen):
            waiting[system.equations_of(_hide(system, choice, chosen))] = True


def _zeros(system: System, choice: Choice, equations: np.ndarray) -> np.ndarray:
    """The zeros of some equations, to be hidden where nothing else can be.

    Not beside public numbers: there it is these that tell, and zeros are mostly known besides.
    """
    cells = system.cells_of(equations)
    cells = cells[~choice.hidden[cells] & ~system.fixed[cells] & ~system.virtual[cells]]
    return cells[~choice.beside_public[cells]]


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
    need = np.where(choice.exposed[cell], 0.0, system.need[cell])
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
    part = audit.components(system.matrix)
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
