"""Resource allocation reviews are what the raw files say: who is selected, and how each stands."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

from tests.recomputation import reviews
from tests.recomputation.reviews import Number, State, Target
from tests.recomputation.standard import Cell

SEEDS = Path(__file__).parents[1] / "dbt_project" / "seeds"
YEARS = (2024, 2025)
WEIGHTS = {
    "identified": (Fraction(40, 100), None, 1),
    "poverty": (Fraction(15, 100), ("group_share", "economic", "ECODIS"), 1),
    "concentration": (Fraction(15, 100), None, 1),
    "funding": (Fraction(15, 100), ("ppe_total", "all", "all"), -1),
    "teaching": (Fraction(15, 100), ("inexperienced_teacher_rate", "all", "all"), 1),
}


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def ask(built, sql: str, *values) -> list[tuple]:
    with duckdb.connect(str(built.database), read_only=True) as connection:
        return connection.execute(sql, values).fetchall()


def known(built, year: int) -> State:
    """What the raw files say of one year."""
    folder = built.raw / "zz" / str(year)
    directory = rows(folder / "directory.csv")
    agency_of = {
        row["org_id"]: row["parent_org_id"] for row in directory if row["org_level"] == "SCH"
    }
    numbers, pupils = {}, {}
    for cell, value in built.expected.items():
        if cell.school_year != year:
            continue
        organization = (cell.org_level, cell.org_id)
        over, under = float(value.numerator), value.denominator
        numbers[organization, (cell.measure, cell.group_category, cell.group_value)] = Number(
            over if under is None else over / float(under), value.numerator, under
        )
        if cell.measure == "membership" and cell.group_category == "all":
            pupils[organization] = over
    # Metrics that are made of metrics are worked out again elsewhere; here they are compared.
    for level, org, *measure, value in ask(
        built,
        "select org_level, org_id, metric_id, group_category, group_value, value "
        "from marts.fct_metric semi join seeds.metrics on fct_metric.metric_id = metrics.metric_id "
        "and metrics.numerator is null where school_year = ? and value is not null",
        year,
    ):
        numbers[(level, org), tuple(measure)] = Number(value)
    state = State(
        agency_of=agency_of,
        agencies={row["org_id"] for row in directory if row["org_level"] == "LEA"},
        designations={
            row["org_id"]: {name for name in ("csi", "tsi", "atsi") if row[name] == "Y"}
            for row in rows(folder / "identification.csv")
        },
        numbers=numbers,
        pupils=pupils,
    )
    poor = ("group_share", "economic", "ECODIS")
    everyone = Cell(year, "SCH", "", "membership", "all", "all")
    shares = {
        # A school that knows who is disadvantaged, and has nobody who is.
        school: numbers[("SCH", school), poor].value if (("SCH", school), poor) in numbers else 0.0
        for school in agency_of
        if everyone._replace(org_id=school) in built.amounts
    }
    students = {school: pupils.get(("SCH", school), 0.0) for school in agency_of}
    state.quartiles = reviews.poverty_quartiles(shares, students)
    return state


@pytest.fixture(scope="module")
def states(built) -> dict[int, State]:
    return {year: known(built, year) for year in YEARS}


def test_the_agencies_that_are_selected_are_those_that_serve_many_identified_schools(built, states):
    for year, state in states.items():
        found = {
            org: reviews.Selected(*told)
            for org, *told in ask(
                built,
                "select org_id, schools, csi_schools, tsi_schools, identified_schools, is_selected "
                "from marts.rar_selection where school_year = ?",
                year,
            )
        }

        assert found == reviews.selection(state)


def test_every_threshold_of_the_simulation_selects_as_many(built, states):
    for year, state in states.items():
        told = ask(
            built,
            "select designation, combination, minimum_count, "
            "cast(round(20 * minimum_share) as integer), leas_selected, "
            "identified_schools_covered, pupils_selected "
            "from marts.rar_threshold_simulation where school_year = ?",
            year,
        )

        assert len(told) == 3 * 2 * 120
        for *threshold, leas, covered, pupils in told:
            assert (leas, covered, pupils) == reviews.simulated(state, *threshold), threshold


def near(found: float | None, expected: float | None) -> bool:
    """Whether both are nothing, or alike up to the rounding of a sum."""
    if found is None or expected is None:
        return found is expected
    return found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def polarities() -> dict[str, str]:
    """What is better, by measure of the review: the seed's word, else the metric's."""
    of_metric = {row["metric_id"]: row["polarity"] for row in rows(SEEDS / "metrics.csv")}
    return {
        row["measure"]: row["polarity"] or of_metric[row["metric_id"]]
        for row in rows(SEEDS / "rar_dimension.csv")
    }


def test_every_line_of_the_review_is_what_the_raw_files_say(built, states):
    better = polarities()
    for year, state in states.items():
        chosen = {org for org, told in reviews.selection(state).items() if told.is_selected}
        lines = ask(
            built,
            "select lea_id, org_level, org_id, measure, metric_id, group_category, group_value, "
            "value, lea_value, state_value, percentile, flag, poverty_gap, state_poverty_gap "
            "from marts.rar_review where school_year = ?",
            year,
        )
        schools = {org for org, agency in state.agency_of.items() if agency in chosen}
        there = {(level, org) for _, level, org, *_ in lines}
        places = {}
        gaps = {}
        everywhere = list(state.agency_of)

        assert there == {("LEA", org) for org in chosen} | {("SCH", org) for org in schools}
        assert len(lines) == len(there) * len(better)
        for (
            lea,
            level,
            org,
            measure,
            *of,
            value,
            of_lea,
            of_state,
            at,
            flag,
            gap,
            all_gap,
        ) in lines:
            key = tuple(of)
            if (level, key) not in places:
                places[level, key] = reviews.percentiles(state, level, key)
            if (lea, key) not in gaps:
                own = [school for school, agency in state.agency_of.items() if agency == lea]
                gaps[lea, key] = reviews.poverty_gap(state, key, own)
                gaps[None, key] = reviews.poverty_gap(state, key, everywhere)
            expected = [
                told.value if (told := state.numbers.get((one, key))) else None
                for one in ((level, org), ("LEA", lea), ("SEA", "zz"))
            ]
            place = places[level, key].get(org)
            line = (year, lea, level, org, measure)

            # A rate of which the numerator is nobody is 0, and told.
            assert [value or None, of_lea or None, of_state or None] == [
                one or None for one in expected
            ], line
            assert at == place, line
            assert flag == reviews.flag(place, better[measure]), line
            assert near(gap, gaps[lea, key]), (line, gap, gaps[lea, key])
            assert near(all_gap, gaps[None, key]), (line, all_gap, gaps[None, key])


def test_what_no_extract_has_stands_in_the_review_as_not_collected(built):
    statuses = ask(
        built,
        "select distinct dimension, status, percentile_status, poverty_gap_status, value "
        "from marts.rar_review where metric_id is null",
    )
    dimensions = ask(
        built, "select count(distinct dimension) from marts.rar_review group by org_level, org_id"
    )

    assert {told[1:] for told in statuses} <= {("not_collected",) * 3 + (None,)}
    assert {number for (number,) in dimensions} <= {10}


def test_the_order_of_need_is_what_the_raw_files_say(built, states):
    for year, state in states.items():
        for level in ("LEA", "SCH"):
            told = ask(
                built,
                "select org_id, score, weight_told, priority from marts.rar_monitoring_priority "
                "where school_year = ? and org_level = ?",
                year,
                level,
            )
            expected = reviews.priorities(state, level, WEIGHTS)
            in_order = [org for org, *_, priority in sorted(told, key=lambda row: row[3] or 0)]

            assert {org for org, *_ in told} == set(expected)
            for org, score, weight, _ in told:
                assert weight == pytest.approx(float(expected[org][1]))
                if weight >= 0.5:
                    assert score == pytest.approx(expected[org][0], rel=1e-12), (year, level, org)
            scores = dict((org, score) for org, score, *_ in told if score is not None)
            assert [org for org in in_order if org in scores] == sorted(
                scores, key=lambda org: (-scores[org], org)
            )


def test_a_target_is_met_on_track_or_off_track_as_the_raw_files_say(built):
    """The demo's targets name no organization: each is put to every one of its level."""
    better = {row["metric_id"]: row["polarity"] for row in rows(SEEDS / "metrics.csv")}
    agencies = {
        year: {
            row["org_id"]
            for row in rows(built.raw / "zz" / str(year) / "directory.csv")
            if row["org_level"] == "LEA"
        }
        for year in YEARS
    }
    expected = {}
    for seed in rows(SEEDS / "performance_targets.csv"):
        if seed["state"] != "zz":
            continue
        measure = (seed["metric_id"], seed["group_category"], seed["group_value"])
        first = int(seed["baseline_year"])
        for year in (year for year in YEARS if year >= first):
            for org in [seed["org_id"]] if seed["org_id"] else sorted(agencies[year]):
                organization = (seed["org_level"], org)
                then, now = (
                    exact(built, Cell(when, *organization, *measure)) for when in (first, year)
                )
                target = Target(
                    first, then, int(seed["target_year"]), Fraction(seed["target_value"]),
                    better[seed["metric_id"]],
                )  # fmt: skip
                wanted = target.expected(year)
                expected[(year, *organization, *measure)] = (
                    now and float(now), then and float(then), wanted and float(wanted),
                    target.status(year, now),
                )  # fmt: skip
    found = {
        tuple(told[:6]): told[6:]
        for told in ask(
            built,
            "select school_year, org_level, org_id, metric_id, group_category, group_value, "
            "nullif(value, 0), nullif(baseline_value, 0), expected_value, target_status "
            "from marts.performance_target",
        )
    }

    assert set(found) == set(expected)
    for key, (*numbers, status) in expected.items():
        assert found[key][3] == status, key
        assert all(map(near, found[key], [one or None for one in numbers])), key


def exact(built, cell: Cell) -> Fraction | None:
    """A rate as the raw files tell it, not rounded."""
    told = built.expected.get(cell)
    if told is None or not told.denominator:
        return None
    return Fraction(told.numerator) / Fraction(told.denominator)


@pytest.mark.parametrize(
    ("polarity", "value", "status"),
    [
        ("lower_is_better", Fraction(16, 100), "on_track"),
        ("lower_is_better", Fraction(1601, 10000), "off_track"),
        ("lower_is_better", Fraction(10, 100), "met"),
        ("lower_is_better", None, None),
    ],
)
def test_the_second_road_knows_the_way_to_a_target(polarity, value, status):
    """From .18 to .10 over four years, in the first of them."""
    way = Target(2024, Fraction(18, 100), 2028, Fraction(10, 100), polarity)

    assert way.expected(2025) == Fraction(16, 100)
    assert way.status(2025, value) == status
