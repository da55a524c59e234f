"""A corrected release tells, together with the one before, no more than either by itself."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from include.disclosure import decide
from include.disclosure.model import FACT_COLUMNS, Kind
from include.registry import Disclosure
from tests import builds
from tests.attacks import Reader
from tests.builds import fact
from tests.test_attacks import drawn

STATES = 300
MEASURED = 60
POLICY = Disclosure(minimum_n=10)
N = POLICY.minimum_n


def corrected(facts: list[dict], random: np.random.Generator, least: int, most: int) -> list[dict]:
    """The same states; of each one school's group has at least so many pupils more, or fewer."""
    by_key = {(f["state"], f["org_id"], f["group_value"]): f["numerator"] for f in facts}
    for state in sorted({f["state"] for f in facts}):
        inner = [k for k in by_key if k[0] == state and k[1] != "LEA" and k[2] != "all"]
        _, school, group = inner[random.integers(len(inner))]
        there = int(by_key[state, school, group])
        moved = int(random.integers(least, most + 1))
        moved = -moved if moved < there and random.random() < 0.5 else max(moved, -there)
        for place in (school, "LEA"):
            for value in (group, "all"):
                by_key[state, place, value] += moved
    return [
        fact(
            "membership",
            **{
                name: f[name]
                for name in ("state", "org_level", "org_id", "group_category", "group_value")
            },
            numerator=by_key[f["state"], f["org_id"], f["group_value"]],
        )
        for f in facts
    ]


def published(connection: duckdb.DuckDBPyConnection, facts: list[dict], into: str, earlier=()):
    """Protect facts into the table `into`. Returns the outcome."""
    connection.execute("drop schema if exists intermediate cascade")
    builds.insert(connection, facts)
    connection.execute(
        "create or replace table organizations as select distinct state, school_year, org_level, "
        "org_id, case when org_level = 'SCH' then 'LEA' end as parent_org_id "
        "from intermediate.int_base_metrics"
    )
    kinds = {"membership": Kind.PEOPLE}
    outcome = decide.decide(
        connection, "intermediate", "organizations", POLICY, kinds, "protected", earlier
    )
    connection.execute(
        f"create or replace table {into} as select {', '.join(FACT_COLUMNS)} from protected"
    )
    return outcome


def told(connection: duckdb.DuckDBPyConnection, table: str) -> dict[tuple, float | None]:
    rows = connection.execute(f"select state, org_id, group_value, value from {table}").fetchall()
    return {tuple(key): value for *key, value in rows}


@pytest.fixture(scope="module")
def releases():
    """Both releases, the second made with and without knowing the first, and the exact counts.

    What was corrected moved by more than the minimum: what the first release told of it is history.
    """
    first = drawn(STATES)
    second = corrected(first, np.random.default_rng(7), N, 3 * N)
    exact = [
        {(f["state"], f["org_id"], f["group_value"]): f["value"] for f in facts}
        for facts in (first, second)
    ]
    with duckdb.connect() as connection:
        published(connection, first, "one")
        published(connection, second, "alone")
        outcome = published(connection, second, "two", ("one",))
        tables = {name: told(connection, name) for name in ("one", "alone", "two")}
    return tables, exact, outcome


def readers_of_both(releases, second: str) -> dict[str, tuple[Reader, set]]:
    """Of each state a reader who fills the second release in with what the first one told and was
    not corrected; and the cells that both withhold, or whose number is another one now."""
    tables, exact, _ = releases
    cells: dict[str, dict] = {}
    secret: dict[str, set] = {}
    for key, value in tables[second].items():
        state, *cell = key
        before = tables["one"][key]
        is_known = value is None and before is not None and exact[0][key] == exact[1][key]
        cells.setdefault(state, {})[tuple(cell)] = before if is_known else value
        if value is None and before is None:
            secret.setdefault(state, set()).add(tuple(cell))
    return {state: (Reader(told), secret.get(state, set())) for state, told in cells.items()}


def test_a_release_that_forgets_the_one_before_tells_what_both_hide(releases):
    broken = [
        state
        for state, (reader, secret) in readers_of_both(releases, "alone").items()
        if secret.intersection(reader.recovered())
    ]

    assert broken


def test_what_both_releases_hide_is_not_worked_out_of_both(releases):
    recovered = {
        state: found
        for state, (reader, secret) in readers_of_both(releases, "two").items()
        if (found := secret.intersection(reader.recovered()))
    }

    assert recovered == {}


def test_what_both_releases_hide_stays_as_wide_as_the_minimum(releases):
    narrow = {}
    for state, (reader, secret) in list(readers_of_both(releases, "two").items())[:MEASURED]:
        widths = reader.widths(sorted(secret))
        if widths and min(widths) < N - 1e-3:
            narrow[state] = min(widths)

    assert narrow == {}


def test_what_the_first_release_hid_stays_hidden_unless_it_is_told_by_the_rest(releases):
    tables, exact, _ = releases

    for key, value in tables["two"].items():
        if tables["one"][key] is None and value is not None:
            assert exact[1][key] == 0 or not 0 < exact[1][key] < N, key


def test_a_release_of_the_same_counts_again_is_the_same(releases):
    facts = drawn(40)
    with duckdb.connect() as connection:
        published(connection, facts, "one")
        outcome = published(connection, facts, "two", ("one",))
        assert told(connection, "two") == told(connection, "one")
        assert connection.execute("select status from two order by all").fetchall() == (
            connection.execute("select status from one order by all").fetchall()
        )
    assert outcome.exposed_before == 0


def test_small_counts_that_an_earlier_release_told_are_counted():
    # Twelve pupils were published, and nine of them were counted rightly: that is known now.
    first = drawn(STATES)
    second = corrected(first, np.random.default_rng(7), -4, -1)
    exact = {(f["state"], f["org_id"], f["group_value"]): f["value"] for f in second}
    with duckdb.connect() as connection:
        published(connection, first, "one")
        outcome = published(connection, second, "two", ("one",))
        before, after = told(connection, "one"), told(connection, "two")

    slipped = [key for key, value in before.items() if value is not None and 0 < exact[key] < N]
    assert outcome.exposed_before == len(slipped) > 0
    assert all(after[key] is None for key in slipped)
