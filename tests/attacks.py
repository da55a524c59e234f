"""What a reader can work out: a solver that has the published rows and the sums everybody knows.

Written from the rules (docs/disclosure.md), and from nothing of the engine that it is set upon:
dense matrices, one small state at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

GROUPS = ("AM7", "AS7", "BL7", "HI7", "WH7")


@dataclass
class Reader:
    """The numbers of one district by (school or LEA, group); None where they are withheld."""

    told: dict[tuple[str, str], float | None]

    def __post_init__(self) -> None:
        self.hidden = sorted(cell for cell, number in self.told.items() if number is None)
        places = sorted({place for place, _ in self.told})
        groups = sorted({group for _, group in self.told})
        sums = [
            [((place, g), 1) for g in groups if g != "all"] + [((place, "all"), -1)]
            for place in places
        ] + [
            [((place, group), 1) for place in places if place != "LEA"] + [(("LEA", group), -1)]
            for group in groups
        ]
        self.matrix = np.zeros((len(sums), len(self.hidden)))
        self.owed = np.zeros(len(sums))
        at = {cell: position for position, cell in enumerate(self.hidden)}
        for row, terms in enumerate(sums):
            for cell, sign in terms:
                if cell in at:
                    self.matrix[row, at[cell]] = sign
                else:
                    self.owed[row] -= sign * self.told[cell]

    def recovered(self) -> list[tuple[str, str]]:
        """The withheld cells with one value only: no direction of the null space moves them."""
        if not self.hidden:
            return []
        _, sizes, vectors = np.linalg.svd(self.matrix)
        null = vectors[np.count_nonzero(sizes > 1e-9) :]
        moves = np.abs(null).max(axis=0, initial=0)
        return [cell for cell, move in zip(self.hidden, moves, strict=True) if move < 1e-9]

    def widths(
        self,
        cells: Iterable[tuple[str, str]],
        bounds: dict[tuple[str, str], tuple[float, float | None]] | None = None,
    ) -> list[float]:
        """How far apart the least and the greatest value of each cell are, none below zero.

        `bounds` are those of a reader who knows more of some cells.
        """
        limits = [(bounds or {}).get(cell, (0, None)) for cell in self.hidden]
        found = []
        for cell in cells:
            goal = np.zeros(len(self.hidden))
            goal[self.hidden.index(cell)] = 1
            ends = []
            for sign in (1, -1):
                done = linprog(
                    sign * goal, A_eq=self.matrix, b_eq=self.owed, bounds=limits, method="highs"
                )
                ends.append(np.inf if done.status == 3 else abs(done.fun))
            found.append(ends[1] - ends[0])
        return found
