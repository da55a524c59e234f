"""What dbt makes of record-level extracts is what the raw files say, to the last cell.

Each state is built by the project itself and added up a second time by `tests/recomputation`, which
shares no code and no query with it.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

from include import demo, lake, registry, warehouse
from tests.recomputation import standard
from tests.recomputation.standard import Cell, Value

STATE = "zz"
# Sums of quotients are rounded on the way; everything else is compared to the last bit.
ROUNDED = {"average_daily_membership"}
SUBJECTS = ("enrollment", "outcomes", "finance", "staff", "cte", "identification")


@dataclass(frozen=True)
class Built:
    """A state as dbt sees it and as it was added up a second time."""

    observed: list[tuple[Cell, float | None, str, str]]
    metrics: dict[Cell, tuple[float | None, float | None, float | None, str, list[str]]]
    metric_rows: int
    amounts: standard.Amounts
    expected: dict[Cell, Value]
    # (extract, school year) to the hash of its file.
    loads: dict[tuple[str, int], str]


def _rewrite(file: Path, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> None:
    with file.open(newline="") as opened:
        told = list(csv.DictReader(opened))
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(told[0]))
        writer.writeheader()
        writer.writerows(change(told))


def largest(told: list[dict[str, str]]) -> str:
    """The LEA with the most schools, so that there is another one to go to."""
    schools = {(row["lea_id"], row["school_id"]) for row in told}
    return Counter(lea for lea, _ in sorted(schools)).most_common(1)[0][0]


def make_odd(folder: Path) -> None:
    """Add the rows that a careful definition is for, to a state that was drawn without them."""

    def students(told: list[dict[str, str]]) -> list[dict[str, str]]:
        lea = largest(told)
        upper = next(
            row
            for row in told
            if row["lea_id"] == lea and row["grade"] == "10" and row["count_date"] == "Y"
        )
        other = next(row for row in told if row["lea_id"] != lea)
        near = next(
            row for row in told if row["lea_id"] == lea and row["school_id"] != upper["school_id"]
        )
        # Not in grades 9 to 12, so that the counts of courses stay apart from those of attendance.
        plain = upper | {
            "grade": "05", "ap": "N", "ib": "N", "dual_enrollment": "N",
            "days_in_session": "180", "days_enrolled": "180", "days_absent": "0",
        }  # fmt: skip
        there = {key: other[key] for key in ("lea_id", "school_id")}
        nearby = {"school_id": near["school_id"]}
        later = {"entry_date": "2025-01-15"}
        short = {"days_enrolled": "19", "days_absent": "10"}
        none = dict.fromkeys(
            ("hispanic", "american_indian", "asian", "black", "pacific_islander", "white"), "N"
        )
        odd = [
            # Attendance at and around nine in ten, and at and around 20 days.
            {"student_id": "ODD01", "days_enrolled": "180", "days_absent": "18"},
            {"student_id": "ODD02", "days_enrolled": "180", "days_absent": "19"},
            {"student_id": "ODD03", "days_enrolled": "30", "days_absent": "3"},
            {"student_id": "ODD04", "days_enrolled": "70", "days_absent": "7"},
            {"student_id": "ODD05", "days_enrolled": "19", "days_absent": "19"},
            {"student_id": "ODD06", "days_enrolled": "20", "days_absent": "3"},
            {"student_id": "ODD07", "days_enrolled": "0", "days_absent": "0"},
            # Enough days only for the LEA, only for the state.
            {"student_id": "ODD08"} | short,
            {"student_id": "ODD08", "count_date": "N"} | short | later | nearby,
            {"student_id": "ODD09"} | short,
            {"student_id": "ODD09", "count_date": "N"} | short | later | there,
            # Counted twice, against the rules, and described in two ways; on one day, and later.
            {"student_id": "ODD10", "sex": "X", "fte": "0.4", "homeless": "D"},
            {"student_id": "ODD10", "sex": "F", "fte": "0.6", "homeless": ""} | nearby,
            {"student_id": "ODD11", "grade": "08", "english_learner": "N", "el_tier": ""},
            {"student_id": "ODD11", "grade": "09", "english_learner": "Y"} | later | there,
            {"student_id": "ODD12", "grade": "12", "fte": "0.5"},
            {"student_id": "ODD12", "grade": "11", "fte": "0.5"} | nearby,
            # Back at the same school with other needs.
            {"student_id": "ODD13", "idea": "N", "idea_type": "", "days_enrolled": "60"},
            {"student_id": "ODD13", "idea": "Y", "idea_type": "SLD", "count_date": "N"} | later,
            # Races.
            {"student_id": "ODD14", "pacific_islander": "Y"} | {**none, "pacific_islander": "Y"},
            {"student_id": "ODD15"} | {**none, "hispanic": "Y", "black": "Y", "white": "Y"},
            {"student_id": "ODD16"} | {**none, "black": "Y", "white": "Y"},
            {"student_id": "ODD17"} | {**none, "american_indian": "Y"},
            # Courses: before the count, after it elsewhere, of nobody counted.
            {"student_id": "ODD18", "grade": "11", "ap": "Y", "dual_enrollment": "Y"},
            {"student_id": "ODD19", "grade": "11"},
            {"student_id": "ODD19", "grade": "11", "ib": "Y", "count_date": "N"} | later | nearby,
            {"student_id": "ODD20", "grade": "11", "ap": "Y", "count_date": "N"},
            {"student_id": "ODD21", "grade": "12"},
            {"student_id": "ODD22", "grade": "12"},
            {"student_id": "ODD23", "grade": "12"},
            {"student_id": "ODD24", "grade": "PK", "days_in_session": "7", "days_enrolled": "3"},
            {"student_id": "ODD25", "grade": "UG", "section_504": "Y", "ap": "Y"},
        ]
        return told + [plain | row for row in odd]

    def courses(told: list[dict[str, str]]) -> list[dict[str, str]]:
        base = told[0] | {"completed": "Y", "prior_courses": "0", "term": "FALL", "credits": "1.0"}
        with (folder / "student_enrollment.csv").open(newline="") as opened:
            home = {
                row["student_id"]: {key: row[key] for key in ("lea_id", "school_id")}
                for row in csv.DictReader(opened)
                if row["student_id"].startswith("ODD") and row["count_date"] == "Y"
            }
        one = {"program": "ODD-A", "cluster": "HLTH", "course_code": "1"}
        two = {"program": "ODD-B", "cluster": "HLTH", "course_code": "2"}
        odd = [
            # One course in each of two programs; one course twice; two programs, one cluster.
            {"student_id": "ODD18"} | one,
            {"student_id": "ODD18"} | two,
            {"student_id": "ODD19"} | one,
            {"student_id": "ODD19", "term": "SPRING"} | one,
            {"student_id": "ODD21"} | one,
            {"student_id": "ODD21"} | one | {"course_code": "3"},
            {"student_id": "ODD21"} | two,
            {"student_id": "ODD21"} | two | {"course_code": "4"},
            # Earlier courses, with nothing completed now, and with one.
            {"student_id": "ODD22", "completed": "N", "prior_courses": "2"} | one,
            {"student_id": "ODD23", "prior_courses": "1"} | two | {"cluster": "HLTH"},
            # Not in grades 9 to 12, and not enrolled at all.
            {"student_id": "ODD01", "prior_courses": "5"} | one,
            {"student_id": "ODD99", "prior_courses": "5"} | one,
        ]
        return told + [base | home.get(row["student_id"], {}) | row for row in odd]

    def ledger(told: list[dict[str, str]]) -> list[dict[str, str]]:
        local = told[0] | {
            "source": "LOCAL", "assistance_listing": "", "function": "1000", "object": "610",
            "basis": "actual", "exclusion": "", "fund": "ODD",
        }  # fmt: skip
        odd = [
            {"amount": "0.01"},
            {"amount": "-123456.78", "project": "ODD2"},
            {"amount": "999999999.99", "object": "720", "function": "4000", "exclusion": "CAPITAL"},
            {"amount": "10000000.10", "object": "830", "function": "5000", "exclusion": "DEBT"},
            {"amount": "0.30", "object": "199"},
            {"amount": "0.60", "object": "299"},
            {"amount": "0.90", "object": "300"},
            {"amount": "77777.77", "basis": "budget"},
            {"amount": "88888.88", "basis": "encumbrance"},
            {"amount": "55.55", "school_id": "CENTRAL", "project": "ODD3"},
            # A school that nobody is a member of.
            {"amount": "44.44", "school_id": "ODDSCHOOL"},
        ]
        return told + [local | row for row in odd]

    def staff(told: list[dict[str, str]]) -> list[dict[str, str]]:
        lea = largest(told)
        teacher = next(
            row for row in told if row["lea_id"] == lea and row["staff_class"] == "SECTCH"
        ) | {
            "course_code": "ODD", "fte": "0.333333", "is_principal": "N", "status": "ACTIVE",
            "credential_type": "REGULAR", "prior_years": "0",
        }  # fmt: skip
        near = next(
            row["school_id"]
            for row in told
            if row["lea_id"] == lea and row["school_id"] not in ("CENTRAL", teacher["school_id"])
        )
        odd = [
            {"staff_id": "ODDA", "prior_years": "1", "credential_type": "EMERGENCY"},
            {"staff_id": "ODDA", "prior_years": "2", "school_id": near},
            {"staff_id": "ODDB", "prior_years": "0", "status": "SEPARATED", "staff_class": "UGTCH"},
            {"staff_id": "ODDC", "staff_class": "PKTCH", "school_id": "CENTRAL"},
            {"staff_id": "ODDD", "prior_years": "1", "staff_class": "SCHADM", "is_principal": "Y"},
            {"staff_id": "ODDE", "prior_years": "1", "staff_class": "SCHADM", "fte": "0"},
            # A principal who teaches: two careers, each with its own years.
            {"staff_id": "ODDF", "prior_years": "9", "credential_type": "PROVISIONAL"},
            {"staff_id": "ODDF", "prior_years": "0", "staff_class": "SCHADM", "is_principal": "Y"},
        ]
        return told + [teacher | row for row in odd]

    def cohort(told: list[dict[str, str]]) -> list[dict[str, str]]:
        year = int(told[0]["school_year"])
        odd = [
            {"student_id": "ODD01", "cohort_year": str(year), "graduated": "Y", "years": "3"},
            {"student_id": "ODD02", "cohort_year": str(year), "graduated": "Y", "years": "5"},
            {"student_id": "ODD03", "cohort_year": str(year - 1), "graduated": "Y", "years": "5"},
            {"student_id": "ODD04", "cohort_year": str(year - 1), "graduated": "N", "years": ""},
            {"student_id": "ODD05", "cohort_year": str(year - 2), "graduated": "Y", "years": "6"},
        ]
        return told + [told[0] | row for row in odd]

    def directory(told: list[dict[str, str]]) -> list[dict[str, str]]:
        school = next(row for row in told if row["org_level"] == "SCH")
        return [*told, school | {"org_id": "ODDSCHOOL", "nces_id": ""}]

    _rewrite(folder / "directory.csv", directory)
    _rewrite(folder / "student_enrollment.csv", students)
    _rewrite(folder / "cte_enrollment.csv", courses)
    _rewrite(folder / "finance_ledger.csv", ledger)
    _rewrite(folder / "staff_assignment.csv", staff)
    _rewrite(folder / "graduation_cohort.csv", cohort)


def load(extract: str, school_year: int, file: Path) -> str:
    """Put a raw file into the lake as accepted, and return its hash; other tests are of checks."""
    declared = registry.extract_of(STATE, extract)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    columns = ", ".join(f'"{name}"' for name in declared.columns)
    told = f"read_csv('{file}', all_varchar = true, header = true)"
    target = lake.partition(STATE, extract, school_year)
    lake.private(target.parent)
    with duckdb.connect() as connection:
        (rows,) = connection.sql(f"select count(*) from {told}").fetchone()
        spec = declared.fingerprint
        accepted = lake.Load(STATE, extract, school_year, sha256, spec, rows, rows, 0)
        connection.execute(
            f"copy (select row_number() over () + 1 as _row, {columns}, '{sha256}' as _file "
            f"from {told}) "
            f"to '{target}' (format parquet, {lake.stamp(accepted)})"
        )
    return sha256


# Students, districts, seed, whether the odd rows are added, and what is not sent.
STATES = {
    "small": (900, 4, 11, True, ()),
    "middling": (2400, 12, 12, True, ()),
    "sparse": (320, 8, 13, False, ("cte_enrollment", "graduation_cohort")),
    "one_district": (500, 1, 14, False, ("finance_ledger",)),
}


@pytest.fixture(scope="module", params=STATES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A random state, built and added up."""
    students, districts, seed, is_odd, unsent = STATES[request.param]
    raw = tmp_path_factory.mktemp(request.param)
    plan = demo.Plan(students=students, districts=districts, years=(2024, 2025), seed=seed)
    demo.generate(raw, plan)
    if is_odd:
        make_odd(raw / STATE / "2025")
    amounts: standard.Amounts = {}
    loads = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(tmp_path_factory.mktemp("home")))
        for year in plan.years:
            folder = raw / STATE / str(year)
            for extract in registry.states()[STATE].extracts:
                if extract in unsent:
                    (folder / f"{extract}.csv").unlink()
                else:
                    loads[extract, year] = load(extract, year, folder / f"{extract}.csv")
            amounts |= standard.observations(folder, year, STATE)

        database = warehouse.path(STATE, warehouse.create(STATE))
        with duckdb.connect(str(database), read_only=True) as found:
            observed = found.sql(
                " union all ".join(
                    "select school_year, org_level, org_id, measure, group_category, group_value, "
                    f"amount, status, source_load from intermediate.int_{subject}"
                    for subject in SUBJECTS
                )
            ).fetchall()
            metrics = found.sql(
                "select school_year, org_level, org_id, metric_id, group_category, group_value, "
                "numerator, denominator, value, status, source_loads from marts.fct_metric"
            ).fetchall()
    return Built(
        observed=[(Cell(*row[:6]), *row[6:]) for row in observed],
        metrics={Cell(*row[:6]): row[6:] for row in metrics},
        metric_rows=len(metrics),
        amounts=amounts,
        expected=standard.metrics(amounts),
        loads=loads,
    )


def same(measure: str, found: float | None, exact: Fraction) -> bool:
    """Whether a double is the nearest one to an exact amount, or near it where sums are rounded."""
    if found is None:
        return False
    if measure in ROUNDED:
        return found == pytest.approx(float(exact), rel=1e-12)
    return found == float(exact)


def test_every_measure_is_what_the_raw_files_say(built):
    found = {cell: amount for cell, amount, _, _ in built.observed}
    wrong = {
        cell: (found.get(cell), built.amounts.get(cell))
        for cell in found.keys() | built.amounts.keys()
        if not same(cell.measure, found.get(cell, 0.0), built.amounts.get(cell, Fraction(0)))
    }

    assert not wrong, f"{len(wrong)} differ, such as {sorted(wrong.items())[:5]}"


def test_no_measure_is_told_twice_and_none_is_unknown(built):
    assert len({cell for cell, *_ in built.observed}) == len(built.observed)
    assert {status for _, _, status, _ in built.observed} == {"reported"}


def test_everyone_and_every_level_of_each_measure_is_there(built):
    told = {(cell.measure, cell.org_level) for cell, *_ in built.observed}

    assert told >= {(cell.measure, cell.org_level) for cell in built.amounts}
    assert len({cell.org_level for cell in built.amounts}) == 3


def test_every_amount_names_the_file_that_it_was_counted_from(built):
    wrong = [
        (cell, load)
        for cell, _, _, load in built.observed
        if load != built.loads[standard.EXTRACT_OF[cell.measure], cell.school_year]
    ]

    assert not wrong


def test_every_metric_is_what_the_raw_files_say(built):
    def is_right(cell: Cell, value: Value) -> bool:
        numerator, denominator, found, status, _ = built.metrics.get(cell, (None,) * 5)
        if status != "reported" or not same(cell.measure, numerator, value.numerator):
            return False
        if value.denominator is None:
            return denominator is None and found == numerator
        rate = float(value.numerator) / float(value.denominator)
        return same("", denominator, value.denominator) and found == rate

    wrong = {
        cell: (built.metrics.get(cell), value)
        for cell, value in built.expected.items()
        if not is_right(cell, value)
    }

    assert not wrong, f"{len(wrong)} differ, such as {sorted(wrong.items())[:5]}"


def test_nothing_is_reported_that_the_raw_files_do_not_say(built):
    invented = {
        cell: row
        for cell, row in built.metrics.items()
        if cell not in built.expected and row[2] is not None and row[2] != 0
    }
    rates_of_nobody = {
        cell: row
        for cell, row in built.metrics.items()
        if cell not in built.expected
        and row[3] == "reported"
        and cell.measure not in (*standard.COUNTS, "group_share")
    }

    assert built.metric_rows == len(built.metrics)
    assert not invented
    assert not rates_of_nobody


def test_every_metric_names_the_files_that_fed_it(built):
    wrong = {}
    for cell, value in built.expected.items():
        files = {built.loads[standard.EXTRACT_OF[m], cell.school_year] for m in value.measures}
        if set(built.metrics[cell][4]) != files:
            wrong[cell] = built.metrics[cell][4]

    assert not wrong


def test_what_is_not_sent_is_not_reported(built):
    for cell, (_, _, value, status, _) in built.metrics.items():
        measures = standard.RATES.get(cell.measure, ())
        extracts = {standard.EXTRACT_OF[measure] for measure in measures}
        if any((extract, cell.school_year) not in built.loads for extract in extracts):
            assert value is None
            assert status in ("not_collected", "missing", "not_applicable")


def test_a_group_of_which_the_state_knows_is_counted_everywhere_if_only_as_nobody(built):
    found = {cell for cell, *_ in built.observed if cell.measure == "membership"}
    groups = {
        (cell.school_year, *cell[4:])
        for cell in found
        if cell.org_level == "SEA" and cell.group_category != "grade"
    }
    organizations = {cell[:3] for cell in found}
    missing = [
        (organization, group)
        for organization in organizations
        for year, *group in groups
        if organization[0] == year and Cell(*organization, "membership", *group) not in found
    ]

    assert not missing
