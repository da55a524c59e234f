"""Published cells and the additive equations between them: what protection is worked out on.

A cell is one number, however many tables show it. An equation is a sum that readers know of: the
schools of a district, the races of a school, a rate's numerator and all the others. Both are plain
arrays, so that a state of some million cells is a few sparse products and no loop over cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

# Two numbers that differ by less are the same: values come from divisions.
SAME = 1e-6
# Fewer numbers than one in so many are sorted; of more, all are looked through.
SPARSE = 50


class Pieces:
    """What some equations join: `label` is the piece of each cell that hangs together without."""

    def __init__(self, matrix: sparse.csr_array, joins: np.ndarray) -> None:
        self.joins = joins
        self.label = label = components(matrix[np.flatnonzero(~joins)])
        self._order = np.argsort(label, kind="stable")
        self._starts = np.searchsorted(label[self._order], np.arange(label.max(initial=-1) + 2))

    def cells(self, piece: int) -> np.ndarray:
        """The cells of a piece, in order."""
        return self._order[self._starts[piece] : self._starts[piece + 1]]

    def around(self, cells: np.ndarray) -> np.ndarray:
        """The cells of the pieces of some cells, in order."""
        return np.flatnonzero(np.isin(self.label, self.label[cells]))


@dataclass
class System:
    """Cells 0 .. n-1 and equations 0 .. m-1: `matrix @ value = gap`, exactly.

    `gap` is what a sum misses by. Readers are taken to know it: who is protected from them is
    protected from everybody who knows less.
    """

    # What it is; imputed for a cell that is unknown to us as well.
    value: np.ndarray
    # What a reader knows of it, were it hidden: no count is negative, and none that is hidden zero.
    lower: np.ndarray
    upper: np.ndarray
    # The width its range must keep when hidden. Next to nothing: it must not be told exactly.
    need: np.ndarray
    # What hiding it costs: the people it counts.
    cost: np.ndarray
    # Known to every reader whatever we do: public, or published before.
    fixed: np.ndarray
    # No table shows it, it is told by the others of its first equation: hidden when one of them is.
    virtual: np.ndarray
    # Row r of the sparse matrix is equation r; coefficients are whole numbers.
    matrix: sparse.csr_array
    gap: np.ndarray
    # The family of each equation: in one family no two share a cell, or hardly ever.
    family: np.ndarray
    families: Sequence[str]
    by_cell: sparse.csc_array = field(init=False)

    def __post_init__(self) -> None:
        self.matrix.sort_indices()
        self.by_cell = self.matrix.tocsc()

    @property
    def cells(self) -> int:
        return len(self.value)

    def entries(self, equations: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The entries of some equations: position in `equations`, cell, coefficient."""
        return _slices(self.matrix, equations)

    def standing(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which equations each of some cells stands in: position in `cells`, equation."""
        position, equation, _ = _slices(self.by_cell, cells)
        return position, equation

    def equations_of(self, cells: np.ndarray) -> np.ndarray:
        """Every equation that one of the cells stands in, in order."""
        return _distinct(self.standing(cells)[1], self.matrix.shape[0])

    def cells_of(self, equations: np.ndarray) -> np.ndarray:
        """Every cell that stands in one of the equations, in order."""
        return _distinct(self.entries(equations)[1], self.cells)

    @cached_property
    def is_of_sums(self) -> np.ndarray:
        """Which equations add up what are sums themselves, of the same family: districts.

        A cell is the sum of the others in whose equation it has a negative coefficient.
        """
        row, cell, weight = self.entries(np.arange(self.matrix.shape[0]))
        found = np.zeros(self.matrix.shape[0], bool)
        for family in range(len(self.families)):
            within = self.family[row] == family
            is_sum = np.zeros(self.cells, bool)
            is_sum[cell[within & (weight < 0)]] = True
            found[row[within & (weight > 0) & is_sum[cell]]] = True
        return found

    @cached_property
    def districts(self) -> Pieces:
        """What hangs together without the sums of sums: a district and its schools."""
        return Pieces(self.matrix, self.is_of_sums)

    @cached_property
    def schools(self) -> Pieces:
        """What hangs together without any sums of a family that has sums of sums: a school."""
        families = np.unique(self.family[self.is_of_sums])
        return Pieces(self.matrix, np.isin(self.family, families))

    def spread(self, hidden: np.ndarray, new: np.ndarray | None = None) -> np.ndarray:
        """`hidden`, with every virtual cell that can no longer be worked out by its definition.

        A virtual cell's definition is the one equation of the family "rest" that it stands in. Only
        cells that are `new` in `hidden` are looked at, if they are named.
        """
        if "rest" not in self.families or not self.virtual.any():
            return hidden
        every = np.arange(self.matrix.shape[0]) if new is None else self.equations_of(new)
        rests = every[self.family[every] == list(self.families).index("rest")]
        row, cell, _ = self.entries(rests)
        touched = np.bincount(row, hidden[cell] & ~self.virtual[cell], len(rests)) > 0
        more = hidden.copy()
        more[cell[self.virtual[cell] & touched[row]]] = True
        return more


def components(matrix: sparse.csr_array) -> np.ndarray:
    """The component of each column: columns that share an equation belong together."""
    rows, columns = matrix.shape
    pattern = abs(matrix)
    both = sparse.block_array([[None, pattern], [pattern.T, None]], format="csr") if rows else None
    if both is None:
        return np.arange(columns)
    return connected_components(both, directed=False)[1][rows:]


def _distinct(numbers: np.ndarray, size: int) -> np.ndarray:
    """Each of some numbers below `size` once, in order."""
    if len(numbers) < size // SPARSE:
        return np.unique(numbers)
    found = np.zeros(size, bool)
    found[numbers] = True
    return np.flatnonzero(found)


def _slices(
    compressed: sparse.csr_array | sparse.csc_array, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The entries of some rows of a compressed matrix, without copying the rest of it."""
    starts = compressed.indptr[chosen]
    lengths = compressed.indptr[np.asarray(chosen) + 1] - starts
    row = np.repeat(np.arange(len(chosen)), lengths)
    first = np.cumsum(lengths) - lengths
    at = np.arange(lengths.sum()) - np.repeat(first, lengths) + np.repeat(starts, lengths)
    return row, compressed.indices[at], compressed.data[at]
