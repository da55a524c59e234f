"""Programs know who only moves together, and run in blocks; what they show stays true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg import null_space
from scipy.optimize import linprog

from include.disclosure import audit, moves
from include.disclosure.moves import Moves
from include.disclosure.system import System

CLOSE = 1e-6


def system(equations: list[list[int]], values: list[float], need: float = 10.0) -> System:
    """Equations by the coefficients of their cells, all of one family."""
    matrix = sparse.csr_array(np.array(equations))
    value = np.array(values, float)
    return System(
        value=value,
        lower=np.zeros(len(value)),
        upper=np.full(len(value), np.inf),
        need=np.full(len(value), need),
        cost=value + 10,
        fixed=np.zeros(len(value), bool),
        virtual=np.zeros(len(value), bool),
        matrix=matrix,
        gap=matrix @ value,
        family=np.zeros(matrix.shape[0], int),
        families=("sums",),
    )


@st.composite
def equations(draw) -> np.ndarray:
    """Some cells, and equations of one to four of them."""
    cells = draw(st.integers(2, 9))
    rows = []
    for _ in range(draw(st.integers(1, 8))):
        row = np.zeros(cells, int)
        at = draw(st.lists(st.integers(0, cells - 1), min_size=1, max_size=4, unique=True))
        row[at] = [draw(st.sampled_from((1, -1))) for _ in at]
        rows.append(row)
    return np.array(rows)


@given(equations())
@settings(max_examples=200, deadline=None)
def test_what_is_merged_can_move_as_before_and_no_further(rows):
    merged = audit.Merged.of(sparse.csr_array(rows))

    columns = merged.matrix.shape[1]
    free = columns - (np.linalg.matrix_rank(merged.matrix.toarray()) if columns else 0)
    assert free == rows.shape[1] - np.linalg.matrix_rank(rows)
    # Every move of what is left is one of the cells.
    if columns:
        moves = merged.cells @ null_space(merged.matrix.toarray())
        assert np.allclose(rows @ moves, 0, atol=1e-9)


@given(equations(), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_ranges_are_those_of_the_equations_as_they_are(rows, seed):
    value = np.random.default_rng(seed).integers(1, 30, rows.shape[1]).astype(float)
    asked = system(rows.tolist(), value.tolist())
    every = np.ones(asked.cells, bool)

    ranges = audit.ranges(asked, every, np.flatnonzero(every))

    low, high = audit.reach(asked, np.flatnonzero(every))
    for cell in range(asked.cells):
        goal = np.eye(asked.cells)[cell]
        ends = [
            linprog(sign * goal, A_eq=rows, b_eq=rows @ value, bounds=np.column_stack([low, high]))
            for sign in (1, -1)
        ]
        assert ranges[cell] == pytest.approx([ends[0].fun, -ends[1].fun], abs=1e-4)


def districts(many: int, random: np.random.Generator) -> System:
    """A state of districts of three schools and four groups, with all their sums."""
    inner = random.integers(0, 20, (many, 3, 4)).astype(float)
    inner = np.concatenate([inner, inner.sum(axis=1, keepdims=True)], axis=1)
    inner = np.concatenate([inner, inner.sum(axis=2, keepdims=True)], axis=2)
    whole = inner[:, 3].sum(axis=0)
    at = np.arange(inner.size).reshape(inner.shape)
    top = inner.size + np.arange(5)
    lines = [(0, [*at[d, :3, g], at[d, 3, g]]) for d in range(many) for g in range(5)]
    lines += [(1, at[d, s].tolist()) for d in range(many) for s in range(4)]
    lines += [(0, [*at[:, 3, g], top[g]]) for g in range(5)] + [(1, top.tolist())]
    matrix = np.zeros((len(lines), inner.size + 5), int)
    for row, (_, cells) in enumerate(lines):
        matrix[row, cells[:-1]], matrix[row, cells[-1]] = 1, -1
    found = system(matrix.tolist(), [*inner.ravel(), *whole])
    found.family = np.array([family for family, _ in lines])
    found.families = ("schools", "groups")
    return found


def test_sums_of_sums_are_those_of_districts():
    found = districts(6, np.random.default_rng(0)).is_of_sums

    assert np.flatnonzero(found).tolist() == list(range(6 * 5 + 6 * 4, 6 * 5 + 6 * 4 + 5))


def test_what_blocks_show_is_true_and_all_that_can_be_is_shown(monkeypatch):
    state = districts(12, np.random.default_rng(3))
    hidden = (state.value < 40) & (np.arange(state.cells) < state.cells - 5)
    asked = hidden & (state.value > 0) & (state.value < 10)
    whole = audit.narrow(state, hidden, asked)
    monkeypatch.setattr(audit, "BLOCK", 30)
    used = []
    blocks = audit.Points._blocks
    monkeypatch.setattr(
        audit.Points, "_blocks", lambda *told: used.append(blocks(*told)) or used[-1]
    )

    at, least, most = audit.sweep(state, hidden, asked)

    assert used
    assert len(np.unique(used[0])) > 3
    ranges = audit.ranges(state, hidden, at)
    assert (least >= ranges[:, 0] - CLOSE).all()
    assert (most <= ranges[:, 1] + CLOSE).all()
    assert (audit.narrow(state, hidden, asked) == whole).all()
    assert (most - least)[asked[at] & ~whole[at]].mean() > 10


def test_a_search_ends_where_nothing_can_move():
    # The first is told by its only equation, and so is the second by what is left of it.
    told = system([[1, 0], [1, 1]], [5, 7])
    every = np.ones(2, bool)

    at, least, most = audit.sweep(told, every, every)

    assert at.tolist() == [0, 1]
    assert least.tolist() == most.tolist() == [5, 7]


def test_a_cell_that_cannot_rise_is_helped_to_fall():
    row = system([[1, 1, 1, -1]], [9, 30, 50, 89], need=2)
    row.upper[0] = 9
    row.fixed[3] = True
    moves = Moves(row)

    found = moves.open(
        np.array([True, False, False, False]), np.zeros(4, bool), (row.lower, row.upper),
        np.array([0]), size=100, is_alone=True, is_both=False, worth=1e6,
    )  # fmt: skip

    assert found.hide.tolist() == [1]
    assert moves.are_wide(0)


@pytest.mark.parametrize("size", [10, 30, 200])
def test_nothing_is_called_hopeless_that_the_whole_state_could_help(size):
    state = districts(6, np.random.default_rng(5))
    state.fixed = state.value >= 12
    everything = (state.value > 0) & ~state.fixed
    cells = np.flatnonzero(everything)
    told = {cell: moves.most_width(state, everything, cell, size) for cell in cells.tolist()}
    ranges = audit.ranges(state, everything, cells)
    true = dict(zip(cells.tolist(), ranges[:, 1] - ranges[:, 0], strict=True))

    assert any(width is not None for width in told.values())
    assert all(told[cell] >= true[cell] - CLOSE for cell in told if told[cell] is not None)
    assert all(told[cell] is None for cell in told if true[cell] >= 10)
    assert size < 200 or all(width is not None for cell, width in told.items() if true[cell] < 10)


def test_a_program_takes_a_district_whole_before_it_takes_others():
    state = districts(12, np.random.default_rng(4))
    one = state.districts.cells(int(state.districts.label[0]))
    free = (state.value > 0) & ~state.fixed

    within, _ = moves._around(state, free, free, 0, len(one))
    beyond, has_all = moves._around(state, free, free, 0, 3 * len(one))

    assert set(within) == set(one[free[one]])
    assert set(beyond) > set(one[free[one]])
    assert has_all.all()
    districts_of = np.unique(state.districts.label[beyond])
    for piece in districts_of:
        cells = state.districts.cells(int(piece))
        assert set(cells[free[cells]]) <= set(beyond)
    assert 1 < len(districts_of) <= 4


def test_of_other_districts_those_come_first_that_can_make_up_for_it():
    # What the first district's hidden cells are added to, only the last two have hidden as well.
    state = districts(12, np.random.default_rng(4))
    cells = np.arange(12 * 20).reshape(12, 4, 5)
    free = np.zeros(state.cells, bool)
    free[cells[0, :, :2]] = free[cells[10, :, :2]] = free[cells[11, :, :2]] = True
    free[cells[1:10, :, 2:4]] = True
    free &= state.value > 0

    at, _ = moves._around(state, moves.movable(state, free), free, int(cells[0, 0, 0]), 60)

    assert {0, 10, 11} == set(np.unique(at // 20))


def test_of_a_large_district_a_program_takes_the_school_and_others_of_it():
    state = districts(12, np.random.default_rng(4))
    one = state.districts.cells(int(state.districts.label[0]))
    free = (state.value > 0) & ~state.fixed

    at, _ = moves._around(state, free, free, 0, len(one) - 4)

    assert len(at) <= len(one) - 4
    assert 1 < len(np.unique(state.schools.label[at])) < 4
    for school in np.unique(state.schools.label[at]):
        cells = state.schools.cells(int(school))
        assert set(cells[free[cells]]) <= set(at)


def test_a_program_goes_on_to_districts_that_others_lead_to():
    # The first two have a group hidden, the second and the third another one.
    state = districts(12, np.random.default_rng(4))
    cells = np.arange(12 * 20).reshape(12, 4, 5)
    free = np.zeros(state.cells, bool)
    free[cells[:2, :, 0]] = free[cells[1:3, :, 1]] = True
    may_move = free & (state.value > 0)

    at, _ = moves._around(state, may_move, free, int(cells[0, 3, 0]), 100)

    assert set(np.unique(at // 20)) == {0, 1, 2}
