"""A reader with a solver gets nothing back from what is published, and much from less."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pytest
from scipy import sparse

from include.disclosure import audit, complementary, decide
from include.disclosure.model import Kind
from include.disclosure.system import System
from include.registry import Disclosure
from tests import builds
from tests.attacks import GROUPS, Reader
from tests.builds import fact

STATES = 1_000
# Of so many the range of each withheld cell is worked out, which takes a program or two each.
MEASURED = 200
POLICY = Disclosure(minimum_n=10)


def system_of(counts: list[list[int]], minimum_n: int = 10) -> System:
    """A table with both its margins and their total, cells row by row."""
    inner = np.array(counts, float)
    rows, columns = inner.shape
    full = np.zeros((rows + 1, columns + 1))
    full[:rows, :columns] = inner
    full[rows, :columns] = inner.sum(axis=0)
    full[:, columns] = full[:, :columns].sum(axis=1)
    at = np.arange(full.size).reshape(full.shape)
    sums = [*at, *at.T]
    column = np.concatenate(sums)
    row = np.repeat(np.arange(len(sums)), [len(it) for it in sums])
    weight = np.concatenate([[1] * (len(it) - 1) + [-1] for it in sums])
    value = full.ravel()
    size = len(value)
    return System(
        value=value,
        lower=np.zeros(size),
        upper=np.full(size, np.inf),
        need=np.full(size, float(minimum_n)),
        cost=value.copy(),
        fixed=np.zeros(size, bool),
        virtual=np.zeros(size, bool),
        matrix=sparse.csr_array((weight, (row, column)), (len(sums), size)),
        gap=np.zeros(len(sums)),
        family=np.array([0] * (rows + 1) + [1] * (columns + 1)),
        families=("row", "column"),
    )


def of(system: System, *cells: int) -> np.ndarray:
    hidden = np.zeros(system.cells, bool)
    hidden[list(cells)] = True
    return hidden


# S1 to S3 by AM7 AS7 BL7 HI7 WH7; a row of the system has six cells, the last is its total.
GOLDEN = [[4, 22, 61, 75, 138], [12, 15, 40, 55, 78], [17, 31, 29, 60, 113]]
S1_AM7, S1_AS7, S2_AM7, S2_AS7 = 0, 1, 6, 7


def test_one_or_two_cells_of_a_row_are_recovered_and_a_box_is_not():
    system = system_of(GOLDEN)

    assert audit.recoverable(system, of(system, S1_AM7))[S1_AM7]
    assert audit.recoverable(system, of(system, S1_AM7, S1_AS7))[S1_AM7]
    box = of(system, S1_AM7, S1_AS7, S2_AM7, S2_AS7)
    assert not audit.recoverable(system, box).any()
    assert audit.ranges(system, box, np.array([S1_AM7])).tolist() == [[0, 16]]


def test_the_cheapest_box_is_chosen_and_costs_49_pupils():
    system = system_of(GOLDEN)
    primary = of(system, S1_AM7)

    choice = complementary.protect(system, primary)

    assert np.flatnonzero(choice.hidden).tolist() == [S1_AM7, S1_AS7, S2_AM7, S2_AS7]
    assert system.value[choice.hidden & ~primary].sum() == 49
    assert choice.proven[choice.hidden].all()


def test_what_everything_else_gives_away_is_called_exposed():
    system = system_of(GOLDEN)
    system.fixed[:] = True
    system.fixed[S1_AM7] = False

    choice = complementary.protect(system, of(system, S1_AM7))

    assert choice.exposed[S1_AM7]


def test_what_public_numbers_narrow_down_is_kept_to_some_of_what_they_leave():
    system = system_of(GOLDEN)
    # Of the first group 4 and 17 are hidden, and everybody knows that they are 21 together.
    system.fixed[[S2_AM7, 18]] = True

    choice = complementary.protect(system, of(system, S1_AM7))

    at = np.flatnonzero(choice.hidden & ~system.fixed)
    ranges = audit.ranges(system, choice.hidden & ~system.fixed, at)
    assert not choice.exposed[at].any()
    assert (np.diff(ranges, axis=1) >= 10).all()

    # And here no more than 8.
    few = system_of([[3, 22, 61], [12, 15, 40], [5, 31, 29]])
    few.fixed[[4, 12]] = True
    choice = complementary.protect(few, of(few, 0))

    at = np.flatnonzero(choice.hidden & ~few.fixed)
    assert choice.exposed[[0, 8]].all()
    least, most = audit.ranges(few, choice.hidden & ~few.fixed, np.array([0]))[0]
    assert 4 <= most - least <= 8
    assert choice.proven[at].all()


def drawn(states: int) -> list[dict[str, Any]]:
    """Membership by race of small districts of every shape, each a state of its own."""
    random = np.random.default_rng(2026)
    facts = []
    for number in range(states):
        schools = int(random.integers(2, 5))
        groups = GROUPS[: int(random.integers(2, 6))]
        counts = np.rint(random.lognormal(random.uniform(1.5, 4), 1.2, (schools, len(groups))))
        counts[random.random(counts.shape) < 0.1] = 0
        places = [f"S{k}" for k in range(schools)] + ["LEA"]
        table = np.vstack([counts, counts.sum(axis=0)])
        for place, row in zip(places, table, strict=True):
            for group, count in zip((*groups, "all"), (*row, row.sum()), strict=True):
                facts.append(
                    fact(
                        "membership",
                        state=f"s{number:04}",
                        org_level="LEA" if place == "LEA" else "SCH",
                        org_id=place,
                        group_category="all" if group == "all" else "race",
                        group_value=group,
                        numerator=float(count),
                    )
                )
    return facts


@pytest.fixture(scope="module")
def published() -> dict[str, dict[str, Any]]:
    """The same states twice, as readers see them: `protected`, and with `small` counts hidden."""
    facts = drawn(STATES)
    with duckdb.connect() as connection:
        builds.insert(connection, facts)
        connection.execute(
            "create table organizations as select distinct state, school_year, org_level, org_id, "
            "case when org_level = 'SCH' then 'LEA' end as parent_org_id "
            "from intermediate.int_base_metrics"
        )
        kinds = {"membership": Kind.PEOPLE}
        decide.decide(connection, "intermediate", "organizations", POLICY, kinds, "protected")
        rows = connection.execute(
            "select state, org_id, group_value, value, status from protected"
        ).fetchall()
    told: dict[str, dict[str, dict]] = {"protected": {}, "small": {}}
    statuses: dict[str, dict] = {}
    for state, place, group, value, status in rows:
        told["protected"].setdefault(state, {})[place, group] = value
        statuses.setdefault(state, {})[place, group] = status
    for row in facts:
        value = None if 0 < row["value"] < 10 else row["value"]
        cell = row["org_id"], row["group_value"]
        told["small"].setdefault(row["state"], {})[cell] = value
    readers = {
        how: {state: Reader(cells) for state, cells in states.items()}
        for how, states in told.items()
    }
    return readers | {"statuses": statuses}


def test_hiding_small_counts_alone_gives_most_of_them_back(published):
    broken = [state for state, reader in published["small"].items() if reader.recovered()]

    assert len(broken) > STATES / 3


def test_no_withheld_count_of_a_thousand_states_is_recovered(published):
    recovered = {
        state: cells
        for state, reader in published["protected"].items()
        if (cells := reader.recovered())
    }

    assert recovered == {}
    assert sum(len(reader.hidden) for reader in published["protected"].values()) > STATES


def test_every_small_count_is_withheld(published):
    for state, reader in published["small"].items():
        assert set(reader.hidden) <= set(published["protected"][state].hidden)


def test_no_withheld_count_is_known_more_closely_than_the_minimum(published):
    narrow = {}
    for state, reader in list(published["protected"].items())[:MEASURED]:
        widths = reader.widths(reader.hidden)
        if widths and min(widths) < POLICY.minimum_n - 1e-3:
            narrow[state] = min(widths)

    assert narrow == {}


def test_no_small_count_is_known_to_who_reads_which_are_small(published):
    told = []
    for state, reader in list(published["protected"].items())[:MEASURED]:
        statuses = published["statuses"][state]
        small = [cell for cell in reader.hidden if statuses[cell] == "suppressed_primary"]
        bounds = {cell: (POLICY.minimum_n, None) for cell in reader.hidden}
        bounds |= {cell: (1, POLICY.minimum_n - 1) for cell in small}
        told += [width for width in reader.widths(small, bounds) if width < decide.LEFT - 1e-3]

    assert told == []
