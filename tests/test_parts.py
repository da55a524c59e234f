"""A system worked out in parts, by several processes, is what it is worked out as a whole."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy import sparse

from include.disclosure import audit, complementary, parts
from include.disclosure.system import System


def tables(many: int, random: np.random.Generator, size: int = 6) -> System:
    """Square tables with their margins, that have nothing to do with each other."""
    square = np.arange(size * size).reshape(size, size)
    lines = np.vstack([square, square.T])
    of_one = size * size + len(lines)
    rows, columns, weights, values = [], [], [], []
    for table in range(many):
        counts = random.integers(0, 40, size * size).astype(float)
        values.append(np.concatenate([counts, counts[lines].sum(axis=1)]))
        for number, line in enumerate(lines):
            rows += [table * len(lines) + number] * (size + 1)
            columns += [*(table * of_one + line), table * of_one + size * size + number]
            weights += [*np.ones(size, int), -1]
    value = np.concatenate(values)
    matrix = sparse.csr_array((weights, (rows, columns)), (many * len(lines), len(value)))
    return System(
        value=value,
        lower=np.zeros(len(value)),
        upper=np.full(len(value), np.inf),
        need=np.full(len(value), 10.0),
        cost=value + 10,
        fixed=np.tile(np.arange(of_one) >= size * size, many),
        virtual=np.zeros(len(value), bool),
        matrix=matrix,
        gap=np.zeros(matrix.shape[0]),
        family=np.tile(np.repeat([0, 1], size), many),
        families=("rows", "columns"),
    )


def small(system: System) -> np.ndarray:
    return (system.value > 0) & (system.value < 10) & ~system.fixed


def fails(system: System) -> None:
    raise ValueError("what is wrong with it")


def dies(system: System) -> None:
    os._exit(1)


@pytest.fixture
def processes(monkeypatch) -> None:
    monkeypatch.setattr(parts, "WORTH", 0)
    monkeypatch.setattr(parts, "processors", lambda: 2)


def test_each_hidden_cell_is_in_one_part_and_no_sum_is_in_two(monkeypatch):
    monkeypatch.setattr(parts, "LARGE", 80)
    system = tables(7, np.random.default_rng(1))
    hidden = small(system)
    hidden[: 36 + 12] = False

    found = parts.split(system, hidden)

    assert len(found) > 1
    together = np.concatenate(found)
    assert len(together) == len(np.unique(together))
    assert not system.fixed[together].any()
    # Of the first table nothing is hidden.
    assert together.min() >= 48
    assert set(np.flatnonzero(hidden)) <= set(together)
    equations = [set(system.equations_of(at).tolist()) for at in found]
    assert sum(map(len, equations)) == len(set.union(*equations))


def test_processes_choose_what_one_alone_chooses(monkeypatch, processes):
    monkeypatch.setattr(parts, "LARGE", 80)
    system = tables(8, np.random.default_rng(2))

    by_two = complementary.protect(system, small(system))
    monkeypatch.setattr(parts, "processors", lambda: 1)
    alone = complementary.protect(system, small(system))

    assert by_two.hidden.sum() > small(system).sum()
    assert (by_two.hidden == alone.hidden).all()
    assert (by_two.proven == alone.proven).all()
    assert (by_two.exposed == alone.exposed).all()
    assert by_two.found == alone.found
    assert (by_two.proven | by_two.exposed)[by_two.hidden].all()


def test_what_a_part_raises_is_raised(processes):
    system = tables(1, np.random.default_rng(3))

    with parts.Workers() as workers, pytest.raises(ValueError, match="what is wrong with it"):
        workers.work_out(fails, lambda _: (system,), [system.cells] * 3)


def test_a_process_that_ends_leaves_nothing_protected(processes):
    system = tables(1, np.random.default_rng(3))

    message = r"ended before it was done .* nothing is published"
    with parts.Workers() as workers, pytest.raises(audit.AuditFailed, match=message):
        workers.work_out(dies, lambda _: (system,), [system.cells] * 3)
