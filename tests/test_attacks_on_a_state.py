"""A whole small state, attacked: pupils, shares, rates and crossings at once, by who has a solver.

Written from what the columns of fct_metric mean and from nothing of the engine. The state is drawn
by ops/large_state.py.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from include.disclosure import decide, model
from include.registry import Disclosure
from ops import large_state

N = 10
SCHOOLS = (2, 3)
# How many small counts of each state get a program for their range.
MEASURED = 40
# What the rows of a metric tell: the counts of its numerator and of its denominator.
COUNTS = {
    "membership": ("members", ""),
    "group_share": ("members", "members of all"),
    "chronic_absence_rate": ("absent", "eligible"),
    "suspension_rate": ("suspended", "members"),
    "graduation_rate_4yr": ("graduates", "cohort"),
}
PARTS = (("absent", "eligible"), ("suspended", "members"), ("graduates", "cohort"))
ALL = ("all", "all")


@dataclass
class Reader:
    """Counts by (what, organization, category, member): told, told within limits, or not told."""

    above: dict[str, str | None]
    told: dict[tuple, float] = field(default_factory=dict)
    limits: dict[tuple, tuple[float, float]] = field(default_factory=dict)
    cells: dict[tuple, None] = field(default_factory=dict)

    def read(self, row: dict) -> None:
        """Take in one published row."""
        part, base = COUNTS[row["metric_id"]]
        place = (row["org_id"], row["group_category"], row["group_value"])
        over, under = (part, *place), (base, *place)
        if base == "members of all":
            under = ("members", row["org_id"], *ALL)
        numerator, denominator, value = row["numerator"], row["denominator"], row["value"]
        if not base:
            numerator = value if numerator is None else numerator
        elif None not in (value, denominator) and numerator is None:
            numerator = value * denominator
        elif None not in (value, numerator) and denominator is None and value:
            denominator = numerator / value
        self.cells[over] = None
        if numerator is not None:
            self.told[over] = numerator
        if base:
            self.cells[under] = None
            if denominator is not None:
                self.told[under] = denominator
                if row["value_lower"] is not None:
                    ends = row["value_lower"] * denominator, row["value_upper"] * denominator
                    self.limits[over] = ends

    def solve(self) -> None:
        """Every sum between the counts, as a matrix of those that are not told."""
        sums: list[tuple[tuple, list[tuple]]] = []
        groups: dict[tuple, list[tuple]] = defaultdict(list)
        for cell in self.cells:
            what, org, category, member = cell
            groups["of", what, org, category].append(cell)
            groups["in", what, self.above.get(org), category, member].append(cell)
            if "*" in category:
                one, other = category.split("*")
                first, second = member.split("*")
                groups["cross", what, org, one, first, category].append(cell)
                groups["cross", what, org, other, second, category].append(cell)
        for (kind, what, org, *rest), parts in groups.items():
            if kind == "of" and "*" not in rest[0] and rest[0] != "all":
                sums.append(((what, org, *ALL), parts))
            elif kind == "in" and org is not None:
                sums.append(((what, org, *rest), parts))
            elif kind == "cross":
                sums.append(((what, org, *rest[:2]), parts))
        for part, base in PARTS:
            for cell in [it for it in self.cells if it[0] == part]:
                sums.append(((base, *cell[1:]), [cell, (f"not {part}", *cell[1:])]))
        named = [it for total, parts in sums for it in (total, *parts)]
        self.hidden = [it for it in dict.fromkeys([*self.cells, *named]) if it not in self.told]
        self.at = {cell: i for i, cell in enumerate(self.hidden)}
        rows, owed = [], []
        for total, parts in sums:
            row, rest = {}, 0.0
            for cell, sign in [(total, -1.0), *((it, 1.0) for it in parts)]:
                if cell in self.at:
                    row[self.at[cell]] = sign
                else:
                    rest -= sign * self.told[cell]
            if row:
                rows.append(row)
                owed.append(rest)
        entries = [(i, j, sign) for i, row in enumerate(rows) for j, sign in row.items()]
        i, j, sign = (np.array(it) for it in zip(*entries, strict=True))
        shape = (len(rows), len(self.hidden))
        self.matrix = sparse.csr_array((sign, (i.astype(int), j.astype(int))), shape)
        self.owed = np.array(owed)
        self.bounds = [self.limits.get(it, (0, None)) for it in self.hidden]

    def recovered(self) -> set[tuple]:
        """The counts that the sums determine: no direction of the null space moves them."""
        square = (self.matrix.T @ self.matrix).toarray()
        sizes, vectors = np.linalg.eigh(square)
        moves = np.abs(vectors[:, sizes < 1e-8]).max(axis=1, initial=0)
        return {cell for cell, move in zip(self.hidden, moves, strict=True) if move < 1e-6}

    def width(self, cell: tuple) -> float:
        """How far apart the least and the greatest value of a hidden count are."""
        goal = np.zeros(len(self.hidden))
        goal[self.at[cell]] = 1
        ends = []
        for sign in (1, -1):
            done = linprog(
                sign * goal, A_eq=self.matrix, b_eq=self.owed, bounds=self.bounds, method="highs"
            )
            assert done.status in (0, 3), done.message
            ends.append(np.inf if done.status == 3 else done.fun)
        return sum(ends) * -1 if np.isfinite(ends).all() else np.inf


@dataclass
class Attacked:
    """A state as published in two ways, and its exact counts."""

    protected: Reader
    small_hidden: Reader
    exact: dict[tuple, float]

    @property
    def small(self) -> set[tuple]:
        return {cell for cell, count in self.exact.items() if 0 < count < N}


@pytest.fixture(scope="module", params=SCHOOLS)
def attacked(request, tmp_path_factory) -> Attacked:
    path = tmp_path_factory.mktemp("state") / "state.duckdb"
    large_state.create(path, request.param, 1, seed=request.param)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as exact (read_only)")
        kinds = model.kinds(connection, "exact")
        schema = "exact.intermediate"
        places = f"{schema}.int_organizations"
        outcome = decide.decide(connection, schema, places, Disclosure(minimum_n=N), kinds, "told")
        above = dict(connection.execute(f"select org_id, parent_org_id from {places}").fetchall())
        assert outcome.exposed_exactly == 0
        exact = Reader(above)
        readers = Reader(above), Reader(above)
        for row in _rows(connection, f"{schema}.{model.FACTS}"):
            exact.read(row)
        for part, base in PARTS:
            for cell in [it for it in exact.cells if it[0] == part]:
                left = exact.told[base, *cell[1:]] - exact.told[cell]
                exact.told[f"not {part}", *cell[1:]] = left
        for row in _rows(connection, "told"):
            readers[0].read(row)
        for cell, count in exact.told.items():
            if not cell[0].startswith("not "):
                readers[1].cells[cell] = None
                if not 0 < count < N:
                    readers[1].told[cell] = count
    for reader in readers:
        reader.solve()
    return Attacked(*readers, exact.told)


def _rows(connection: duckdb.DuckDBPyConnection, relation: str) -> list[dict]:
    metrics = ", ".join(f"'{metric}'" for metric in COUNTS)
    found = connection.execute(f"from {relation} where metric_id in ({metrics})")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_no_small_count_is_told(attacked):
    assert attacked.small
    assert {cell for cell in attacked.small if cell in attacked.protected.told} == set()


def test_no_small_count_can_be_worked_out(attacked):
    assert attacked.protected.recovered() & attacked.small == set()


def test_of_small_counts_hidden_alone_many_can_be_worked_out(attacked):
    assert len(attacked.small_hidden.recovered() & attacked.small) > 10


def test_no_small_count_is_known_more_closely_than_the_minimum(attacked):
    random = np.random.default_rng(0)
    asked = sorted(attacked.small)
    asked = [asked[i] for i in random.permutation(len(asked))[:MEASURED]]

    assert not {cell for cell in asked if attacked.protected.width(cell) < N - 1e-3}


def test_what_is_told_is_exact(attacked):
    for cell, count in attacked.protected.told.items():
        assert count == pytest.approx(attacked.exact[cell])
