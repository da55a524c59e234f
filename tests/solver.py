"""What a reader of any published tables can work out: exact elimination, and linear programs.

Written from the rules (docs/disclosure.md) and from nothing of the engine: fractions instead of
residues, one dense program for each cell, sums made by going through all combinations of members.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
from scipy.optimize import linprog

Cell = Hashable
NONE: Mapping[Cell, tuple[float, float]] = {}
# No count is looked for beyond.
MOST = 1e4


def sums_of(
    members: Sequence[Sequence[str]], parents: Sequence[Mapping[str, str]], measure: str
) -> list[tuple[Cell, list[Cell]]]:
    """Every total of a table of all combinations of members, with its parts."""
    found = []
    for place in product(*members):
        for i, tree in enumerate(parents):
            parts = [it for it in members[i] if tree.get(it) == place[i]]
            if parts:
                found.append(
                    (
                        (measure, *place),
                        [(measure, *place[:i], it, *place[i + 1 :]) for it in parts],
                    )
                )
    return found


@dataclass
class Solver:
    """Published numbers by cell, None where they are hidden, and the sums between them.

    A cell of a sum that is not among the published ones is hidden as well.
    """

    told: dict[Cell, float | None]
    sums: list[tuple[Cell, list[Cell]]]

    def __post_init__(self) -> None:
        named = [cell for total, parts in self.sums for cell in (total, *parts)]
        cells = dict.fromkeys([*self.told, *named])
        self.hidden = [cell for cell in cells if self.told.get(cell) is None]
        self.at = {cell: i for i, cell in enumerate(self.hidden)}
        self.rows, self.owed = [], []
        for total, parts in self.sums:
            row, owed = [0] * len(self.hidden), 0.0
            for cell, sign in [(total, -1), *((part, 1) for part in parts)]:
                if cell in self.at:
                    row[self.at[cell]] += sign
                else:
                    owed -= sign * self.told[cell]
            if any(row):
                self.rows.append(row)
                self.owed.append(owed)

    def recovered(self) -> set[Cell]:
        """The hidden cells that the sums determine: by elimination in fractions."""
        rows = [[Fraction(it) for it in row] for row in self.rows]
        done: list[tuple[int, list[Fraction]]] = []
        for column in range(len(self.hidden)):
            row = next((it for it in rows if it[column]), None)
            if row is None:
                continue
            rows.remove(row)
            row = [it / row[column] for it in row]
            rows = [_less(it, row, column) for it in rows]
            done = [(pivot, _less(it, row, column)) for pivot, it in done] + [(column, row)]
        return {self.hidden[pivot] for pivot, row in done if sum(it != 0 for it in row) == 1}

    def widths(
        self, cells: Iterable[Cell], limits: Mapping[Cell, tuple[float, float]] = NONE
    ) -> dict[Cell, float]:
        """How far apart the least and the greatest value of each hidden cell are, none below 0.

        `limits` are the least and greatest value of cells of which more is known.
        """
        bounds = [limits.get(cell, (0, MOST)) for cell in self.hidden]
        matrix = np.array(self.rows, float).reshape(len(self.rows), len(self.hidden))
        found = {}
        for cell in cells:
            goal = np.zeros(len(self.hidden))
            goal[self.at[cell]] = 1
            ends = []
            for sign in (1, -1):
                done = linprog(
                    sign * goal,
                    A_eq=matrix if len(matrix) else None,
                    b_eq=self.owed if len(matrix) else None,
                    bounds=bounds,
                    method="highs",
                )
                ends.append(sign * done.fun)
            found[cell] = ends[1] - ends[0]
        return found


def _less(row: list[Fraction], other: list[Fraction], column: int) -> list[Fraction]:
    factor = row[column]
    if not factor:
        return row
    return [a - factor * b for a, b in zip(row, other, strict=True)]
