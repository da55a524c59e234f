"""What the engine hides, against the least that must be hidden and the practice by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from ops import utility

TABLES = 18
# Measured: 3 to 4 % on average over 120 tables (docs/disclosure.md); 10 % is what was asked for.
MOST = 0.08


def table(counts: list[list[int]]) -> utility.Example:
    """A table of two ways with its margins, cells row by row, totals last."""
    inner = np.array(counts, float)
    full = np.block([[inner, inner.sum(1, keepdims=True)], [inner.sum(0), inner.sum()]])
    rows, columns = full.shape
    at = np.arange(full.size).reshape(full.shape)
    matrix = np.zeros((rows + columns, full.size))
    for i, line in enumerate([*at, *at.T]):
        matrix[i, line] = 1
        matrix[i, line[-1]] = -1
    places = [
        ("all" if r == rows - 1 else f"r{r}", "all" if c == columns - 1 else f"c{c}")
        for r in range(rows)
        for c in range(columns)
    ]
    frame = pd.DataFrame(places, columns=["row", "column"]).assign(pupils=full.ravel())
    declared = {
        "dimensions": {"row": {"total": "all"}, "column": {"total": "all"}},
        "tables": {"table": {"dimensions": ["row", "column"], "count": "pupils"}},
    }
    return utility.Example("by hand", frame, declared, full.ravel(), matrix)


GOLDEN = [[4, 22, 61, 75, 138], [12, 15, 40, 55, 78], [17, 31, 29, 60, 113]]


def test_the_exact_program_finds_the_golden_box():
    example = table(GOLDEN)

    found = utility.least(example, example.value + utility.N)

    assert np.flatnonzero(found).tolist() == [0, 1, 6, 7]
    assert example.value[found].sum() == 4 + 49
    assert utility.leaks(example, found) == 0
    assert utility.leaks(example, example.small) == 1


@pytest.mark.parametrize("counts", [[[4, 30], [20, 25]], [[4, 15], [7, 11]], [[3, 0], [40, 12]]])
def test_no_cheaper_set_of_cells_is_safe(counts):
    """All sets, one after the other."""
    example = table(counts)
    cost = example.value + utility.N
    found = utility.least(example, cost)

    small = np.flatnonzero(example.small)
    others = np.flatnonzero(~example.small & (example.value > 0))
    for size in range(len(others) + 1):
        for chosen in combinations(others, size):
            hidden = np.zeros(len(cost), bool)
            hidden[[*small, *chosen]] = True
            if cost[hidden].sum() < cost[found].sum() - 1e-6:
                assert utility.leaks(example, hidden) > 0
    assert utility.leaks(example, found) == 0


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    return utility.measure(TABLES)


@pytest.mark.parametrize("what", ["cells", "pupils"])
def test_the_engine_hides_little_more_than_the_least(measured, what):
    assert utility.more(measured, what, "least") <= MOST


def test_nothing_that_the_engine_hides_leaks(measured):
    assert measured["engine.leaks"].sum() == 0


def test_the_practice_by_hand_leaks_and_saves_next_to_nothing(measured):
    assert measured["by_hand.leaks"].sum() > 0
    assert measured["engine.cells"].sum() <= 1.05 * measured["by_hand.cells"].sum()
    assert (measured["small.leaks"] > 0).mean() > 0.9
