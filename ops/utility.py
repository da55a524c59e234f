"""How much protection hides, against the least that must be hidden and against practice by hand.

    python -m ops.utility                 120 small tables, the report that docs/disclosure.md has
    python -m ops.utility --tables 30 --aims

For each table of counts, four answers to the same question:

- the engine's, as `protect_tables` gives it;
- the least: an exact integer program (below);
- by hand: in each row and column with one hidden number, or with hidden numbers of fewer than n in
  all, the next smallest is hidden as well, until there is none, as spreadsheets are done;
- small counts alone.

**The exact program** is that of cell suppression (Fischetti and Salazar-Gonzalez, "Models and
algorithms for optimizing cell suppression in tabular data with linear constraints", Journal of the
American Statistical Association 95, 2000): choose the cheapest set of cells so that every hidden
number has a range of at least n for a reader of all others, none below zero. Which sets do not, is
said by the dual of the reader's linear program, one cut at a time; HiGHS solves both. A second
reader, who is told which numbers are below n, must be left a range of 2 (docs/disclosure.md). As in
the engine no zero is hidden. Its points are kept within 20 n of the truth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from include.disclosure.tables import protect_tables

N = 10
SEED = 2026
# No number is moved further than this many times n; and what is close enough to n.
REACH = 20
CLOSE = 1e-4


@dataclass
class Example:
    """One table of counts with all its margins, and the sums between them."""

    kind: str
    frame: pd.DataFrame
    declared: dict[str, Any]
    # By row of the frame: the count. A row of the matrix is a sum: parts 1, total -1.
    value: np.ndarray
    matrix: np.ndarray

    @property
    def small(self) -> np.ndarray:
        return (self.value > 0) & (self.value < N)


def examples(count: int, seed: int = SEED) -> Iterator[Example]:
    """Tables of varied shape, each with a small count at least: flat, of three ways, of levels."""
    random = np.random.default_rng(seed)
    made = 0
    while made < count:
        kind = ("two ways", "three ways", "levels")[made % 3]
        if kind == "two ways":
            trees = [_flat(random.integers(3, 7)), _flat(random.integers(3, 8))]
        elif kind == "three ways":
            trees = [_flat(random.integers(2, 5)), _flat(3), _flat(2)]
        else:
            trees = [_levels(random), _flat(random.integers(3, 6))]
        example = _drawn(kind, trees, random)
        if example.small.any():
            made += 1
            yield example


def _flat(members: int) -> dict[str, str]:
    return {f"m{i}": "all" for i in range(members)}


def _levels(random: np.random.Generator) -> dict[str, str]:
    """Two or three districts of two or three schools."""
    tree = {}
    for district in range(int(random.integers(2, 4))):
        tree[f"d{district}"] = "all"
        for school in range(int(random.integers(2, 4))):
            tree[f"d{district}s{school}"] = f"d{district}"
    return tree


def _drawn(kind: str, trees: list[dict[str, str]], random: np.random.Generator) -> Example:
    leaves = [[m for m in tree if m not in tree.values()] for tree in trees]
    shape = [len(it) for it in leaves]
    # Some groups are large everywhere and some are small, as pupils are.
    scale = random.uniform(2.2, 4.2) + sum(
        np.expand_dims(random.normal(0, 0.8, n), tuple(k for k in range(len(shape)) if k != i))
        for i, n in enumerate(shape)
    )
    counts = random.poisson(np.exp(np.clip(scale, -2, 7)))
    members = [["all", *tree] for tree in trees]
    under = [
        {m: [i for i, leaf in enumerate(names) if _within(tree, leaf, m)] for m in all_}
        for tree, names, all_ in zip(trees, leaves, members, strict=True)
    ]
    places = list(product(*members))
    value = np.array(
        [counts[np.ix_(*[it[m] for it, m in zip(under, p, strict=True)])].sum() for p in places],
        float,
    )
    at = {place: i for i, place in enumerate(places)}
    rows = []
    for place in places:
        for i, tree in enumerate(trees):
            parts = [m for m in members[i] if tree.get(m) == place[i]]
            if parts:
                row = np.zeros(len(places))
                row[at[place]] = -1
                row[[at[(*place[:i], m, *place[i + 1 :])] for m in parts]] = 1
                rows.append(row)
    names = [f"way{i}" for i in range(len(trees))]
    frame = pd.DataFrame(places, columns=names).assign(pupils=value)
    declared = {
        "policy": {"minimum_n": N},
        "dimensions": {name: {"parents": tree} for name, tree in zip(names, trees, strict=True)},
        "tables": {"table": {"dimensions": names, "count": "pupils"}},
    }
    return Example(kind, frame, declared, value, np.array(rows))


def _within(tree: dict[str, str], leaf: str, member: str) -> bool:
    while leaf != member and leaf in tree:
        leaf = tree[leaf]
    return leaf == member


# ----------------------------------------------------------------------------------- the answers


def by_engine(example: Example) -> np.ndarray:
    """What the engine hides. One boolean for each cell."""
    shown = protect_tables({"table": example.frame}, example.declared).tables["table"]
    return shown["pupils"].isna().to_numpy()


def by_hand(example: Example) -> np.ndarray:
    """What is hidden row by row and column by column, the next smallest each time."""
    hidden = example.small.copy()
    while True:
        before = hidden.copy()
        for row in example.matrix:
            cells = np.flatnonzero(row)
            while (told := hidden[cells]).any() and (
                told.sum() == 1 or example.value[cells[told]].sum() < N
            ):
                left = cells[~told & (example.value[cells] > 0)]
                if not len(left):
                    break
                hidden[left[np.argmin(example.value[left])]] = True
        if (hidden == before).all():
            return hidden


def least(example: Example, cost: np.ndarray) -> np.ndarray:
    """The cheapest cells to hide so that each that is hidden has a range of N, by exact program."""
    count = len(example.value)
    low = example.small.astype(float)
    high = (example.value > 0).astype(float)
    cuts: list[np.ndarray] = []
    while True:
        limits = LinearConstraint(np.array(cuts), lb=0) if cuts else None
        done = milp(
            cost,
            integrality=np.ones(count),
            bounds=Bounds(low, high),
            constraints=limits,
            options={"mip_rel_gap": 0},
        )
        if done.x is None:
            raise RuntimeError(f"no set of cells protects the table: {done.message}")
        hidden = done.x > 0.5
        fresh = [
            cut
            for cell in np.flatnonzero(hidden)
            for reader in _readers(example)
            if (cut := _cut(example, hidden, cell, *reader)) is not None
        ]
        if not fresh:
            return hidden
        cuts += fresh


def _readers(example: Example) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """By how much each hidden number may rise and fall as far as they know, and the range due."""
    value, small = example.value, example.small
    far = np.full(len(value), float(REACH * N))
    return [
        (far, np.minimum(value, far), float(N)),
        (
            np.where(small, N - 1 - value, far),
            np.minimum(np.where(small, value - 1, np.maximum(value - N, 0)), far),
            min(2.0, N - 2.0),
        ),
    ]


def _cut(
    example: Example,
    hidden: np.ndarray,
    cell: int,
    rise: np.ndarray,
    fall: np.ndarray,
    due: float,
) -> np.ndarray | None:
    """What any set of cells must meet to give this one its range, where this set does not.

    A row r of `r . x >= 0`, by weak duality: at no x is the range wider than r says.
    """
    weight, width = np.zeros(len(hidden)), 0.0
    for sign in (1, -1):
        goal = np.zeros(len(hidden))
        goal[cell] = -sign
        done = linprog(
            goal,
            A_eq=example.matrix,
            b_eq=np.zeros(len(example.matrix)),
            bounds=np.column_stack([-fall * hidden, rise * hidden]),
            method="highs",
        )
        width -= done.fun
        # The price of each bound: how much wider the range were, were the cell hidden and free.
        reduced = goal - example.matrix.T @ done.eqlin.marginals
        weight += np.where(reduced < 0, -reduced * rise, reduced * fall)
    if width >= due - CLOSE:
        return None
    need = due - weight[cell]
    cut = np.minimum(weight, need)
    cut[cell] = -need
    return cut


def leaks(example: Example, hidden: np.ndarray) -> int:
    """How many hidden numbers one of the readers knows more closely than is due."""
    return sum(
        any(_cut(example, hidden, cell, *reader) is not None for reader in _readers(example))
        for cell in np.flatnonzero(hidden)
    )


# ------------------------------------------------------------------------------------- measuring


def measure(count: int, seed: int = SEED, *, is_of_one_aim: bool = False) -> pd.DataFrame:
    """A row for each table: cells and pupils that each answer hides, and its leaks.

    `is_of_one_aim` adds the fewest cells and the fewest pupils, each by a program of its own.
    """
    rows = []
    for example in examples(count, seed):
        cost = np.maximum(example.value, 0) + N
        answers = {
            "engine": by_engine(example),
            "least": least(example, cost),
            "by_hand": by_hand(example),
            "small": example.small,
        }
        if is_of_one_aim:
            answers["least_cells"] = least(example, 1 + example.value / (1e4 * example.value.sum()))
            answers["least_pupils"] = least(example, example.value + 1e-3)
        row: dict[str, Any] = {"kind": example.kind, "size": len(cost)}
        for name, hidden in answers.items():
            row[f"{name}.cells"] = int(hidden.sum())
            row[f"{name}.pupils"] = float(example.value[hidden].sum())
            row[f"{name}.cost"] = float(cost[hidden].sum())
            if not name.startswith("least"):
                row[f"{name}.leaks"] = leaks(example, hidden)
        rows.append(row)
    return pd.DataFrame(rows)


def more(found: pd.DataFrame, what: str, than: str, answer: str = "engine") -> float:
    """By what share more an answer hides than another, on average over the tables."""
    return float((found[f"{answer}.{what}"] / found[f"{than}.{what}"]).mean() - 1)


def report(found: pd.DataFrame) -> str:
    """What was measured, as Markdown."""
    lines = [
        f"{len(found)} tables of {found['size'].min()} to {found['size'].max()} numbers, n = {N}.",
        "",
        "| tables | | cells hidden | pupils hidden | leaks | more cells than the least | more "
        "pupils than the least |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind, some in [*found.groupby("kind", sort=False), ("all", found)]:
        for answer, named in (
            ("engine", "engine"), ("least", "the least cost"), ("by_hand", "by hand"),
            ("small", "small counts alone"),
        ):  # fmt: skip
            told = some.get(f"{answer}.leaks")
            lines.append(
                f"| {kind} | {named} | {some[f'{answer}.cells'].sum():,} "
                f"| {some[f'{answer}.pupils'].sum():,.0f} "
                f"| {0 if told is None else told.sum():,} "
                f"| {100 * more(some, 'cells', 'least', answer):.1f} % "
                f"| {100 * more(some, 'pupils', 'least', answer):.1f} % |"
            )
    if "least_cells.cells" in found:
        lines += [
            "",
            f"Against programs of one aim: {100 * more(found, 'cells', 'least_cells'):.1f} % more "
            f"cells than the fewest cells, {100 * more(found, 'pupils', 'least_pupils'):.1f} % "
            "more pupils than the fewest pupils.",
        ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", type=int, default=120)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--aims", action="store_true", help="also the fewest cells, and pupils")
    told = parser.parse_args()
    started = time.perf_counter()
    print(report(measure(told.tables, told.seed, is_of_one_aim=told.aims)))
    print(f"\n{time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
