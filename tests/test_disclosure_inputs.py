"""Facts that cannot be protected stop a release, by name and without a number."""

from __future__ import annotations

import duckdb
import pytest

from include import disclosure
from include.disclosure import inputs, model
from include.disclosure.model import Unprotected
from tests import builds
from tests.builds import fact

STATE = ("SEA", "zz", None)
DISTRICT = ("LEA", "D1", "zz")
SCHOOLS = (("SCH", "S1", "D1"), ("SCH", "S2", "D1"))
PLACES = (STATE, DISTRICT, *SCHOOLS)


def members(level: str, org: str, count: float, **told):
    return fact("membership", org_level=level, org_id=org, numerator=count, **told)


SOUND = [
    members("SEA", "zz", 44.0), members("LEA", "D1", 44.0), members("SCH", "S1", 4.0),
    members("SCH", "S2", 40.0), fact("ppe_total", org_id="S1", numerator=-73.0, denominator=4.0),
]  # fmt: skip


def check(facts, places=PLACES) -> None:
    with duckdb.connect() as connection:
        builds.insert(connection, facts)
        connection.execute(
            "create table organizations (state varchar, school_year integer, org_level varchar, "
            "org_id varchar, parent_org_id varchar)"
        )
        connection.executemany("insert into organizations values ('zz', 2025, ?, ?, ?)", places)
        kinds = {metric: model.KINDS[unit] for metric, unit in builds.UNITS.items()}
        inputs.check(connection, "intermediate", "organizations", kinds)


def test_sound_facts_pass_and_money_may_be_taken_back():
    check(SOUND)


def test_a_charter_school_is_its_own_district():
    check([members("SCH", "C1", 30.0), members("LEA", "C1", 30.0)],
          [STATE, ("LEA", "C1", "zz"), ("SCH", "C1", "C1")])  # fmt: skip


RACE = {"group_category": "race", "group_value": "AM7"}
BAD = {
    "a negative count": (
        [*SOUND, members("SCH", "S1", -3.0, **RACE)],
        "membership 2025 of SCH S1 in zz (race AM7): numerator is negative; expected a count",
    ),
    "a negative denominator": (
        [*SOUND, fact("ppe_total", org_id="S2", numerator=9.0, denominator=-4.0)],
        "ppe_total 2025 of SCH S2 in zz (all): denominator is negative",
    ),
    "no number": (
        [*SOUND, members("SCH", "S1", float("nan"), **RACE)],
        "membership 2025 of SCH S1 in zz (race AM7): numerator is no finite number",
    ),
    "an endless number": (
        [*SOUND, members("SCH", "S1", float("inf"), **RACE)],
        "membership 2025 of SCH S1 in zz (race AM7): numerator is no finite number",
    ),
    "a row twice": (
        [*SOUND, members("SCH", "S1", 5.0)],
        "membership 2025 of SCH S1 in zz (all): 2 rows; expected one",
    ),
    "a missing level": (
        [it for it in SOUND if it["org_level"] != "LEA"],
        "membership 2025 of SCH S1 in zz (all): a level is missing: no row of its LEA D1",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_facts_are_named(what):
    facts, message = BAD[what]

    with pytest.raises(Unprotected) as raised:
        check(facts)

    assert f"int_base_metrics: {message}" in str(raised.value)
    assert "-3" not in str(raised.value)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([STATE, ("LEA", "D1", "S1"), *SCHOOLS], "LEA D1 in zz 2025 is part of S1, which is SCH"),
        ([STATE, DISTRICT, ("SCH", "S1", "D9"), SCHOOLS[1]], "part of D9, which is not there"),
        ([STATE, DISTRICT, ("SCH", "S1", "S2"), SCHOOLS[1]], "part of S2, which is SCH; expected"),
        ([("SEA", "zz", "D1"), DISTRICT, *SCHOOLS], "part of D1, which is LEA; expected nothing"),
    ],
)
def test_a_hierarchy_that_goes_round_or_nowhere_is_named(places, message):
    with pytest.raises(Unprotected) as raised:
        check(SOUND, places)

    assert message in str(raised.value)


def test_of_many_rows_some_are_named_and_the_rest_counted():
    with pytest.raises(Unprotected, match="and 15 more rows like the last"):
        check([*SOUND, *(members("SCH", "S1", -1.0, group_value=f"g{n}") for n in range(20))])


def test_bad_facts_stop_a_release_and_the_last_protection_stays(home, plain_builds):
    good = builds.warehouse("zz", "b1", [fact("membership", numerator=30.0)])
    disclosure.protect("zz", good)
    before = disclosure.protected("zz", good).read_bytes()
    bad = builds.warehouse("zz", "b2", [fact("membership", numerator=-30.0)])

    with pytest.raises(Unprotected, match="numerator is negative"):
        disclosure.protect("zz", bad)

    assert not disclosure.protected("zz", bad).exists()
    assert not disclosure.record("zz", bad).exists()
    assert disclosure.protected("zz", good).read_bytes() == before
