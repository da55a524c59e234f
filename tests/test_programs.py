"""A program over moves finds the same however it begins, and keeps to every equation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from include.disclosure import programs


@given(st.integers(0, 2**16), st.booleans())
@settings(max_examples=80, deadline=None)
def test_what_is_found_is_the_least_however_it_begins(seed, is_bounded):
    random = np.random.default_rng(seed)
    rows, columns = int(random.integers(1, 6)), int(random.integers(2, 12))
    equal = random.integers(-1, 2, (rows, columns)).astype(float)
    low, high = -random.integers(0, 6, columns) * 1.0, random.integers(0, 6, columns) * 1.0
    cost = random.integers(-3, 4, columns).astype(float)
    at_most = random.integers(-1, 2, (2, columns)).astype(float) if is_bounded else None

    found = [
        programs.least(
            cost,
            sparse.csr_array(equal),
            low,
            high,
            None if at_most is None else sparse.csr_array(at_most),
            **how,
        )
        for how in ({}, {"from_rest": True}, {"is_reduced": True})
    ]

    done = linprog(
        cost,
        A_eq=equal,
        b_eq=np.zeros(rows),
        A_ub=at_most,
        b_ub=None if at_most is None else np.zeros(2),
        bounds=np.column_stack([low, high]),
    )
    for one in found:
        assert cost @ one.move == pytest.approx(done.fun, abs=1e-6)
        assert equal @ one.move == pytest.approx(np.zeros(rows), abs=1e-6)
        assert (one.move >= low - 1e-6).all() and (one.move <= high + 1e-6).all()
        assert at_most is None or (at_most @ one.move <= 1e-6).all()


def test_from_rest_nobody_moves_who_is_not_needed():
    # Two sums that have nothing to do with each other; one cell of the first is asked to rise.
    equal = sparse.csr_array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    far = np.full(4, 5.0)

    found = programs.least(np.array([-1.0, 0, 0, 0]), equal, -far, far, from_rest=True)

    assert found.move.tolist() == [5, -5, 0, 0]
    assert found.work > 0


def test_where_nothing_can_move_nothing_does():
    none = np.zeros(2)

    found = programs.least(
        -np.ones(2), sparse.csr_array(np.ones((1, 2))), none, none, from_rest=True
    )

    assert found.move.tolist() == [0, 0]


def test_a_program_that_does_not_end_is_an_error():
    # Nothing holds the first back.
    equal = sparse.csr_array(np.zeros((1, 1)))

    with pytest.raises(programs.NotSolved, match="nbounded"):
        programs.least(np.array([-1.0]), equal, np.zeros(1), np.array([np.inf]))
