"""School years are decided each by itself, side by side, and all of them or none."""

from __future__ import annotations

import threading
import time

import duckdb
import numpy as np
import pytest

from include.disclosure import audit, decide, facts, model, parts
from include.disclosure.system import System
from include.registry import Disclosure
from ops import large_state
from tests.builds import fact
from tests.test_disclosure import shown
from tests.test_parts import tables

POLICY = Disclosure(minimum_n=10, public_metrics=("membership",))
YEARS = (2021, 2022, 2023)


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state of three years, attached as `exact`."""
    path = tmp_path_factory.mktemp("years") / "state.duckdb"
    large_state.create(path, schools=10, years=len(YEARS))
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as exact (read_only)")
        yield connection


def decided(connection: duckdb.DuckDBPyConnection, schema: str) -> tuple[decide.Outcome, list]:
    """The outcome for a schema of facts, and what may be told of them."""
    kinds = model.kinds(connection, "exact")
    places = "exact.intermediate.int_organizations"
    outcome = decide.decide(connection, schema, places, POLICY, kinds, "told")
    return outcome, connection.execute("from told").fetchall()


def test_years_together_are_what_each_is_by_itself(state, monkeypatch):
    # Processes take turns between the years.
    monkeypatch.setattr(parts, "WORTH", 0)
    together, rows = decided(state, "exact.intermediate")

    alone, by_year = [], []
    for year in YEARS:
        state.execute("create schema if not exists only_one")
        for table in (model.FACTS, model.MEASURES):
            state.execute(
                f"create or replace table only_one.{table} as "
                f"from exact.intermediate.{table} where school_year = {year}"
            )
        outcome, told = decided(state, "only_one")
        alone.append(outcome)
        by_year += told

    (many,) = state.execute(f"select count(*) from exact.intermediate.{model.FACTS}").fetchone()
    assert len(rows) == many
    assert sorted(map(repr, rows)) == sorted(map(repr, by_year))
    assert together.hidden == sum(outcome.hidden for outcome in alone) > 0
    assert together.rounds == max(outcome.rounds for outcome in alone)


def test_a_year_that_cannot_be_protected_stops_all_and_is_named(state, monkeypatch):
    protected = decide._protected

    def fails(mapped: facts.Mapped, *others):
        if next(turns) == 1:
            raise audit.AuditFailed("2 hidden cells can be worked out")
        return protected(mapped, *others)

    turns = iter(range(9))
    monkeypatch.setattr(decide, "_protected", fails)
    monkeypatch.setattr(decide, "AT_ONCE", 1)
    state.execute("drop table if exists told")

    with pytest.raises(audit.AuditFailed, match="school year 2022: 2 hidden cells"):
        decided(state, "exact.intermediate")
    with pytest.raises(duckdb.CatalogException):
        state.execute("from told")


def test_a_sum_that_holds_in_one_year_is_known_in_that_year():
    """Of 2024 the halves make everyone, of 2023 they do not: what is masked in 2024 can be told."""

    def school(year: int, number: int, poor: int, others: int | None) -> list[dict]:
        it = {"school_year": year, "org_id": f"{number:06}"}
        return [
            fact("membership", numerator=100, **it),
            *(
                fact(
                    "membership", group_category="economic", group_value=half, numerator=count, **it
                )
                for half, count in (("ECODIS", poor), ("NECODIS", others))
            ),
        ]

    given = [row for number in range(30) for row in school(2023, number, 40, 10)]
    given += [row for number in range(10) for row in school(2024, number, 40, 60)]
    given += school(2024, 11, 40, None)
    rows = shown(given, Disclosure(minimum_n=10))[-3:]
    hidden = [(row["group_value"], row["rule"]) for row in rows if row["value"] is None]

    # Together the halves would tell it: one more number of that school has to go.
    assert [group for group, _ in hidden] in (["ECODIS", "NECODIS"], ["all", "NECODIS"])
    assert ("NECODIS", "masked_by_publisher") in hidden


def sleeps(system: System) -> None:
    time.sleep(60)


def test_who_waits_for_a_process_is_told_that_it_was_stopped(monkeypatch):
    monkeypatch.setattr(parts, "WORTH", 0)
    raised: list[Exception] = []

    def waits() -> None:
        try:
            workers.work_out(sleeps, lambda _: (small,), [small.cells] * 3)
        except audit.AuditFailed as error:
            raised.append(error)

    small = tables(1, np.random.default_rng(5))
    with parts.Workers() as workers:
        waiting = threading.Thread(target=waits)
        waiting.start()
        while not workers._started:
            time.sleep(0.01)
        running = list(workers._started)
    waiting.join(timeout=20)

    assert not waiting.is_alive()
    assert len(raised) == 1 and "nothing is published" in str(raised[0])
    assert all(process.poll() is not None for process in running)
