"""Random states that send record-level extracts, built, and added up a second time."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from include import demo, lake, registry, warehouse
from tests.recomputation import career, standard, work
from tests.recomputation.standard import Cell, Value

STATE = "zz"
SUBJECTS = ("enrollment", "outcomes", "finance", "staff", "cte", "identification")


@dataclass(frozen=True)
class Built:
    """A state as dbt sees it and as it was added up a second time."""

    # The publisher's files, <raw>/<state>/<school year>/<extract>.csv, and the build made of them.
    raw: Path
    database: Path

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
            # Suspended at the second school only.
            {"student_id": "ODD08", "count_date": "N", "out_of_school_suspensions": "2"}
            | short
            | later
            | nearby,
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
        welding = {"program": "ODD-W", "cluster": "MANU", "course_code": "5", "cip": "48.0508"}
        nursing = {"program": "ODD-N", "cluster": "HLTH", "course_code": "6", "cip": "51.3902"}
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
            # Two programs in fields that are nontraditional for one sex, or the other.
            {"student_id": "ODD10", "prior_courses": "2", "is_single_parent": "Y"} | welding,
            {"student_id": "ODD10", "prior_courses": "2", "is_out_of_workforce": "Y"} | nursing,
            {"student_id": "ODD12", "prior_courses": "2", "is_nontraditional": "Y"} | welding,
            # Earlier courses, with nothing completed now, and with one.
            {"student_id": "ODD22", "completed": "N", "prior_courses": "2"} | one,
            {"student_id": "ODD23", "prior_courses": "1"} | two | {"cluster": "HLTH"},
            # Not in grades 9 to 12, and not enrolled at all.
            {"student_id": "ODD01", "prior_courses": "5"} | one,
            {"student_id": "ODD99", "prior_courses": "5"} | one,
        ]
        return told + [base | home.get(row["student_id"], {}) | row for row in odd]

    def outcomes(told: list[dict[str, str]]) -> list[dict[str, str]]:
        base = told[0] | {
            "program": "ODD-A", "cluster": "HLTH", "is_concentrator": "Y", "graduation": "REGULAR",
            "placement": "NONE", "credential": "N", "postsecondary_credits": "0", "wbl_type": "",
            "wbl_hours": "", "wbl_employer": "", "proficient_reading": "",
            "proficient_mathematics": "", "proficient_science": "", "state_quality_measure": "",
        }  # fmt: skip
        worked = {"wbl_type": "COOP", "wbl_employer": "E1"}
        odd = [
            # Not placed, of whom nothing is known, and placed in each way.
            {"student_id": "ODD21", "placement": "UNKNOWN"},
            {"student_id": "ODD22", "placement": "SERVICE", "graduation": "EQUIVALENCY"},
            {"student_id": "ODD23", "placement": "MILITARY", "graduation": "ALTERNATE"},
            # Two programs: a credential in the one, credits in the other, described in two ways.
            {"student_id": "ODD18", "credential": "Y", "proficient_reading": "Y", "cip": "51.3902"},
            {"student_id": "ODD18", "program": "ODD-B", "postsecondary_credits": "0.5",
             "is_foster": "Y", "cluster": "MANU", "cip": "48.0508"},
            {"student_id": "ODD19", "postsecondary_credits": "1", "wbl_hours": "0.5"} | worked,
            {"student_id": "ODD20", "wbl_hours": "1", "credential": "Y", "graduation": "NONE"}
            | worked,
            # Reported against the courses, both ways, and of somebody without a record.
            {"student_id": "ODD12", "program": "ODD-W", "is_concentrator": "N"},
            {"student_id": "ODD98", "is_single_parent": "Y", "is_out_of_workforce": "Y"},
        ]  # fmt: skip
        return told + [base | row for row in odd]

    def crosswalk(told: list[dict[str, str]]) -> list[dict[str, str]]:
        # A program that leads to nothing here, one that leads nowhere, one to an odd occupation.
        gone = ("48.0508", "52.0302", "46.0201")
        # Their occupations are ones that no program leads to, like one that the labor file has.
        kept = [row | {"cip": "99.9999"} if row["cip"] in gone else row for row in told]
        return [
            *kept,
            told[0] | {"cip": "99.9999", "soc": "51-9997"},
            told[0] | {"cip": "48.0508", "soc": "51-9999"},
            told[0] | {"cip": "52.0302", "soc": "99-9999"},
            told[0] | {"cip": "46.0201", "soc": "51-9998"},
        ]

    def labor(told: list[dict[str, str]]) -> list[dict[str, str]]:
        # Small, badly paid and shrinking; not told at all; at the median of openings exactly.
        poor = {
            "soc": "51-9998", "employment": "10", "projected_employment": "1", "openings": "0",
            "wage_p25": "1000", "wage_median": "1000", "wage_p75": "1000",
            "entry_education": "HIGH_SCHOOL",
        }  # fmt: skip
        untold = dict.fromkeys(
            ("employment", "projected_employment", "openings", "wage_p25", "wage_median",
             "wage_p75"), "*"
        )  # fmt: skip
        regions = sorted({row["region"] for row in told})
        odd = [told[0] | poor | {"region": region} for region in regions]
        return told + odd + [told[0] | untold | {"soc": "51-9997", "entry_education": ""}]

    def places(told: list[dict[str, str]]) -> list[dict[str, str]]:
        base = told[0] | {"employer_id": "E0001", "requested": "9", "filled": "4", "hours": "2.5"}
        odd = [
            {"school_id": "CENTRAL", "wbl_type": "APPRENTICESHIP"},
            {"wbl_type": "OTHER", "cluster": ""},
            {"filled": "0", "employer_id": "E9999"},
        ]
        return told + [
            base | row | {"opportunity_id": f"ODD{number}"} for number, row in enumerate(odd)
        ]

    def diplomas(told: list[dict[str, str]]) -> list[dict[str, str]]:
        # Exactly enough, one short, and of somebody who is not enrolled.
        base = told[0] | {"version": "TN_14"}
        steps = {
            "ATTENDANCE": "3", "DRUG_FREE": "1", "CTE_COURSEWORK": "3", "GRADE_POINT_AVERAGE": "3",
            "DISCIPLINE": "2", "TARDINESS": "2",
        }  # fmt: skip
        found = [
            base | {"student_id": student, "standard": standard, "step": step}
            for student in ("ODD18", "ODD19", "ODD98")
            for standard, step in steps.items()
        ]
        return [
            *told,
            *found,
            base | {"student_id": "ODD18", "standard": "DUAL_ENROLLMENT", "step": "1"},
            base | {"student_id": "ODD19", "standard": "INDUSTRY_AWARENESS", "step": "1"},
        ]

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
            # At the edges of current spending.
            {"amount": "1000.01", "function": "3200"},
            {"amount": "2000.02", "function": "3300"},
            {"amount": "4000.04", "function": "3000"},
            {"amount": "8000.08", "object": "730", "exclusion": "CAPITAL"},
            {"amount": "16000.16", "exclusion": "ADULT"},
            # Relief that is ESSER's, and relief that is not.
            {"amount": "320.32", "source": "FED", "assistance_listing": "84.425D"},
            {"amount": "640.64", "source": "FED", "assistance_listing": "84.425R", "project": "R"},
            {"amount": "1280.10", "source": "FED", "assistance_listing": "84.425", "object": "110"},
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
            # Courses: endorsed whatever the LEA says, not endorsed, of no list.
            {
                "staff_id": "ODDG",
                "course_code": "MAT1",
                "endorsements": "ENG; MAT",
                "is_out_of_field": "Y",
            },
            {"staff_id": "ODDH", "course_code": "MAT1", "endorsements": "", "is_out_of_field": "N"},
            {
                "staff_id": "ODDI",
                "course_code": "XYZ",
                "endorsements": "ENG",
                "is_out_of_field": "Y",
            },
            # Two races, and none.
            {"staff_id": "ODDJ", "race": "WH7"},
            {"staff_id": "ODDJ", "race": "BL7", "school_id": near},
            {"staff_id": "ODDK", "race": ""},
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
        with (folder / "student_enrollment.csv").open(newline="") as opened:
            of_all_grades = {
                row["school_id"]
                for row in csv.DictReader(opened)
                if row["student_id"].startswith("ODD")
            }
        widened = [
            row | {"grade_low": "PK", "grade_high": "12"} if row["org_id"] in of_all_grades else row
            for row in told
        ]
        return [*widened, school | {"org_id": "ODDSCHOOL", "nces_id": ""}]

    def identification(told: list[dict[str, str]]) -> list[dict[str, str]]:
        # Additional targeted support by itself, of as many schools as there are.
        return [row | {"tsi": "N"} if row["atsi"] == "Y" else row for row in told]

    _rewrite(folder / "student_enrollment.csv", students)
    _rewrite(folder / "directory.csv", directory)
    _rewrite(folder / "identification.csv", identification)
    _rewrite(folder / "cte_enrollment.csv", courses)
    _rewrite(folder / "cte_outcome.csv", outcomes)
    _rewrite(folder / "cip_soc.csv", crosswalk)
    _rewrite(folder / "labor_market.csv", labor)
    _rewrite(folder / "work_based_learning.csv", places)
    _rewrite(folder / "work_ethic.csv", diplomas)
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
    "sparse": (320, 8, 13, False, ("cte_enrollment", "cte_outcome", "graduation_cohort")),
    "one_district": (500, 1, 14, False, ("finance_ledger",)),
}


def build(name: str, scratch: Path) -> Built:
    """One of STATES, built and added up in folders below `scratch`."""
    students, districts, seed, is_odd, unsent = STATES[name]
    raw = scratch / "raw"
    plan = demo.Plan(students=students, districts=districts, years=(2024, 2025), seed=seed)
    demo.generate(raw, plan)
    if is_odd:
        make_odd(raw / STATE / "2025")
    amounts: standard.Amounts = {}
    loads = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(scratch / "home"))
        for year in plan.years:
            folder = raw / STATE / str(year)
            for extract in registry.states()[STATE].extracts:
                if extract in unsent:
                    (folder / f"{extract}.csv").unlink()
                else:
                    loads[extract, year] = load(extract, year, folder / f"{extract}.csv")
            amounts |= standard.observations(folder, year, STATE)
            amounts |= work.observations(folder, year, STATE)
        folders = {year: raw / STATE / str(year) for year in plan.years}
        amounts |= career.observations(folders, STATE)

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
                "numerator, denominator, value, status, source_loads from marts.fct_metric "
                # Metrics that are made of metrics have roads of their own.
                "semi join seeds.metrics on fct_metric.metric_id = metrics.metric_id "
                "and metrics.numerator is not null"
            ).fetchall()
    return Built(
        raw=raw,
        database=database,
        observed=[(Cell(*row[:6]), *row[6:]) for row in observed],
        metrics={Cell(*row[:6]): row[6:] for row in metrics},
        metric_rows=len(metrics),
        amounts=amounts,
        expected=standard.metrics(amounts) | career.metrics(amounts) | work.metrics(amounts),
        loads=loads,
    )
