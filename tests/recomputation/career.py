"""Concentrators and what became of them, added up a second time from the raw files.

Written from Perkins V and the field's definitions, not from the project's SQL: each student is held
with the set of groups that any of their rows puts them in, and counted once in each.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

from tests.recomputation import standard
from tests.recomputation.standard import (
    EVERYONE,
    HIGH_SCHOOL,
    Amounts,
    Cell,
    Group,
    Organization,
    Row,
    Value,
)

SEEDS = Path(__file__).parents[2] / "dbt_project/seeds"
POPULATIONS = {
    "DISABLED": "is_disabled",
    "ECODIS": "is_economically_disadvantaged",
    "NONTRAD": "is_nontraditional",
    "SINGLEPAR": "is_single_parent",
    "OUTOFWORK": "is_out_of_workforce",
    "EL": "is_english_learner",
    "HOMELESS": "is_homeless",
    "FOSTER": "is_foster",
    "MILITARY": "is_military",
}
PLACED = {"EDUCATION", "TRAINING", "MILITARY", "SERVICE", "EMPLOYED"}
DIPLOMAS = {"REGULAR", "ALTERNATE"}
TESTS = ("reading", "mathematics", "science")

RATES = {
    "cte_concentration_rate": ("cte_concentrators", "grade_9_12_students"),
    "perkins_1s1": ("concentrators_graduates_4yr", "concentrators_cohort_4yr"),
    "perkins_1s2": ("concentrators_graduates_5yr", "concentrators_cohort_5yr"),
    "perkins_2s1": ("proficient_reading", "tested_reading"),
    "perkins_2s2": ("proficient_mathematics", "tested_mathematics"),
    "perkins_2s3": ("proficient_science", "tested_science"),
    "perkins_3s1": ("concentrators_placed", "concentrators_left"),
    "perkins_4s1": ("concentrators_nontraditional", "concentrators_in_nontraditional_fields"),
    "perkins_5s1": ("graduating_with_credential", "concentrators_graduating"),
    "perkins_5s2": ("graduating_with_credits", "concentrators_graduating"),
    "perkins_5s3": ("graduating_with_work", "concentrators_graduating"),
    "perkins_5s4": ("graduating_with_quality", "concentrators_graduating"),
}
# Which extract a measure is counted from.
ORIGIN = {
    "graduation_cohort": [m for name in ("perkins_1s1", "perkins_1s2") for m in RATES[name]],
    "cte_enrollment": RATES["perkins_4s1"],
    "cte_outcome": [
        *(m for name in RATES if name[8:10] in ("2s", "3s", "5s") for m in RATES[name]),
        "concentrators_reported",
        "concentrators_unreported",
    ],
}
EXTRACT_OF = {measure: extract for extract, names in ORIGIN.items() for measure in names}


def nontraditional() -> dict[str, str]:
    """The sex that is rare in the occupations of a program, by CIP code."""
    with (SEEDS / "nontraditional_programs.csv").open() as opened:
        return {row["cip"]: row["sex"] for row in csv.DictReader(opened)}


class People:
    """Who is in which group of which organization; a measure holds sets of people."""

    def __init__(self, state: str) -> None:
        self.state = state
        self._found: dict[tuple[int, Organization, str, Group], set[str]] = defaultdict(set)

    def put(
        self,
        year: int,
        organization: Organization,
        student: str,
        groups: Iterable[Group],
        held: Mapping[str, bool],
    ) -> None:
        """Put the student into each measure of `held`; where it is false, ask about it."""
        for group in groups:
            for measure, is_held in held.items():
                people = self._found[year, organization, measure, group]
                if is_held:
                    people.add(student)

    def add(
        self,
        year: int,
        row: Row,
        groups: Iterable[Group],
        held: Mapping[str, bool],
        crossed: Iterable[Group] = (),
    ) -> None:
        """Put the row's student, in the school, the LEA and the state; `crossed` in the state."""
        for organization in standard.organizations(row, self.state):
            all_groups = [*groups, *(crossed if organization[0] == "SEA" else ())]
            self.put(year, organization, row["student_id"], all_groups, held)

    def amounts(self) -> Amounts:
        """How many people; none where there could have been some."""
        return {
            Cell(year, *organization, measure, *group): Fraction(len(people))
            for (year, organization, measure, group), people in self._found.items()
        }


def populations(person: Row) -> set[str]:
    """The special populations that a student's own record tells."""
    told = {
        "DISABLED": person["idea"] == "Y" or person.get("section_504") == "Y",
        "ECODIS": person["economically_disadvantaged"] == "Y",
        "EL": person["english_learner"] == "Y",
        "HOMELESS": bool(person["homeless"]),
        "FOSTER": person["foster"] == "Y",
        "MILITARY": person["military"] == "Y",
    }
    return {name for name, holds in told.items() if holds}


def asked(person: Row | None, special: set[str], program: Row) -> tuple[list[Group], list[Group]]:
    """The groups of Perkins V, and those that are crossed for the state alone."""
    groups: list[Group] = [("cip", program["cip"]), ("career_cluster", program["cluster"])]
    crossed: list[Group] = []
    by: list[Group] = [("special_population", one) for one in sorted(special)]
    if person:
        by += [("race", standard.race(person)), ("sex", person["sex"])]
        groups.append(("migrant", person["migrant"]))
    for category, value in by:
        crossed.append((f"career_cluster*{category}", f"{program['cluster']}*{value}"))
    return [EVERYONE, *groups, *by], crossed


def last_stays(stays: list[Row]) -> dict[str, Row]:
    """Each student's stay that speaks for them in the whole state."""
    by: dict[str, list[Row]] = defaultdict(list)
    for stay in stays:
        by[stay["student_id"]].append(stay)
    return {student: standard.speaker(found) for student, found in by.items()}


def programs(courses: list[Row]) -> dict[tuple[str, str], int]:
    """Courses completed by the end of the year, by student and program."""
    prior: dict[tuple[str, str], int] = defaultdict(int)
    now: dict[tuple[str, str], set[str]] = defaultdict(set)
    for course in courses:
        key = (course["student_id"], course["program"])
        prior[key] = max(prior[key], int(course["prior_courses"]))
        if course["completed"] == "Y":
            now[key].add(course["course_code"])
    return {key: before + len(now.get(key, ())) for key, before in prior.items()}


def described(courses: list[Row]) -> dict[str, Row]:
    """Each program's CIP code and cluster in one year."""
    return {
        name: {
            "cip": max(c["cip"] for c in courses if c["program"] == name),
            "cluster": max(c["cluster"] for c in courses if c["program"] == name),
        }
        for name in {course["program"] for course in courses}
    }


def observations(folders: Mapping[int, Path], state: str) -> Amounts:
    """Every amount about concentrators, of all years, from the folder of each."""
    people = People(state)
    files = {
        year: {
            name: standard.rows(folder, name)
            for name in ("student_enrollment", "graduation_cohort", "cte_enrollment", "cte_outcome")
        }
        for year, folder in folders.items()
    }
    done = {year: programs(told["cte_enrollment"]) for year, told in files.items()}
    for year, told in files.items():
        _members(people, year, told, state)
        _left(people, year, told)
        _compared(people, year, told, done)
        _graduated(people, year, files, done)
    return people.amounts()


def _members(people: People, year: int, told: Mapping[str, list[Row]], state: str) -> None:
    if not told["cte_enrollment"]:
        return
    rare, about = nontraditional(), described(told["cte_enrollment"])
    courses = standard.by_person(told["cte_enrollment"], "student_id", state)
    students = standard.by_person(told["student_enrollment"], "student_id", state)
    for organization, found in students.items():
        for student, stays in found.items():
            counted = [stay for stay in stays if stay["count_date"] == "Y"]
            if not counted or standard.speaker(counted)["grade"] not in HIGH_SCHOOL:
                continue
            member = standard.speaker(counted)
            taken = courses.get(organization, {}).get(student, [])
            finished = programs(taken)
            concentrated = [
                name for (_, name), courses_done in finished.items() if courses_done >= 2
            ]
            special = [("special_population", one) for one in sorted(populations(member))]
            held = {
                "grade_9_12_students": True,
                "cte_participants": any(course["completed"] == "Y" for course in taken),
                "cte_concentrators": bool(concentrated),
            }
            people.put(year, organization, student, special, held)
            for name in concentrated:
                cip = [("cip", about[name]["cip"])]
                people.put(year, organization, student, cip, {"cte_concentrators": True})
                if about[name]["cip"] not in rare:
                    continue
                own = [course for course in taken if course["program"] == name]
                flagged = {
                    value
                    for value in ("NONTRAD", "SINGLEPAR", "OUTOFWORK")
                    if any(course[POPULATIONS[value]] == "Y" for course in own)
                }
                groups, crossed = asked(member, populations(member) | flagged, about[name])
                is_rare = member["sex"] == rare[about[name]["cip"]]
                people.put(
                    year,
                    organization,
                    student,
                    [*groups, *(crossed if organization[0] == "SEA" else ())],
                    {
                        "concentrators_in_nontraditional_fields": True,
                        "concentrators_nontraditional": is_rare,
                    },
                )


def _left(people: People, year: int, told: Mapping[str, list[Row]]) -> None:
    persons = last_stays(told["student_enrollment"])
    rows = told["cte_outcome"]
    tests = [test for test in TESTS if any(row[f"proficient_{test}"] for row in rows)]
    has_quality = any(row["state_quality_measure"] for row in rows)
    for row in rows:
        if row["is_concentrator"] != "Y":
            continue
        special = {value for value, flag in POPULATIONS.items() if row[flag] == "Y"}
        groups, crossed = asked(persons.get(row["student_id"]), special, row)
        graduated = row["graduation"] in DIPLOMAS
        held = {
            "concentrators_left": True,
            "concentrators_placed": row["placement"] in PLACED,
            "concentrators_graduating": graduated,
            "graduating_with_credential": graduated and row["credential"] == "Y",
            "graduating_with_credits": graduated and Fraction(row["postsecondary_credits"]) >= 1,
            "graduating_with_work": graduated and Fraction(row["wbl_hours"] or 0) >= 1,
        }
        if has_quality:
            held["graduating_with_quality"] = graduated and row["state_quality_measure"] == "Y"
        for test in tests:
            held[f"tested_{test}"] = bool(row[f"proficient_{test}"])
            held[f"proficient_{test}"] = row[f"proficient_{test}"] == "Y"
        people.add(year, row, groups, held, crossed)


def _compared(
    people: People,
    year: int,
    told: Mapping[str, list[Row]],
    done: Mapping[int, dict[tuple[str, str], int]],
) -> None:
    """Under one kind of evidence, the gravest of all programs that are reported of a student."""
    by = standard.by_person(told["cte_outcome"], "student_id", people.state)
    for organization, students in by.items():
        for student, rows in students.items():
            kinds, missed = set(), False
            for row in rows:
                key = (student, row["program"])
                known = [d[key] for then, d in done.items() if then <= year and key in d]
                two = bool(known) and max(known) >= 2
                if row["is_concentrator"] == "Y":
                    kinds.add(0 if known and not two else 2 if two else 1)
                missed = missed or (row["is_concentrator"] != "Y" and two)
            held = {"concentrators_reported": bool(kinds), "concentrators_unreported": missed}
            people.put(year, organization, student, [EVERYONE], held)
            for kind, name in enumerate(("CONTRADICTED", "UNVERIFIED", "CONFIRMED")):
                is_kind = {"concentrators_reported": bool(kinds) and min(kinds) == kind}
                people.put(year, organization, student, [("evidence", name)], is_kind)


def _concentrations(
    year: int, files: Mapping[int, Mapping[str, list[Row]]], done: Mapping[int, dict]
) -> Iterator[tuple[str, Row]]:
    """Every student known as a concentrator by the end of a year, with the program."""
    for then, told in files.items():
        if then > year:
            continue
        about = described(told["cte_enrollment"])
        for (student, name), courses in done[then].items():
            if courses >= 2:
                yield student, about[name]
        for row in told["cte_outcome"]:
            if row["is_concentrator"] == "Y":
                yield row["student_id"], row


def _graduated(
    people: People,
    year: int,
    files: Mapping[int, Mapping[str, list[Row]]],
    done: Mapping[int, dict],
) -> None:
    known: dict[str, list[Row]] = defaultdict(list)
    for student, program in _concentrations(year, files, done):
        known[student].append(program)
    flagged: dict[str, set[str]] = defaultdict(set)
    for then, told in files.items():
        for row in told["cte_outcome"] if then <= year else ():
            for value in ("NONTRAD", "SINGLEPAR", "OUTOFWORK"):
                if row[POPULATIONS[value]] == "Y":
                    flagged[row["student_id"]].add(value)
    for row in files[year]["graduation_cohort"]:
        late = year - int(row["cohort_year"])
        if late not in (0, 1):
            continue
        span = {0: "4yr", 1: "5yr"}[late]
        in_time = row["graduated"] == "Y" and int(row["years"]) <= 4 + late
        for program in known.get(row["student_id"], ()):
            special = populations(row) | flagged.get(row["student_id"], set())
            groups, crossed = asked(row, special, program)
            held = {
                f"concentrators_cohort_{span}": True,
                f"concentrators_graduates_{span}": in_time,
            }
            people.add(year, row, groups, held, crossed)


def metrics(amounts: Amounts) -> dict[Cell, Value]:
    """Every metric about concentrators that has a value."""
    told: dict[Cell, Value] = {}
    for metric, (above, below) in RATES.items():
        for cell, amount in amounts.items():
            if cell.measure == below and amount:
                over = amounts.get(cell._replace(measure=above))
                if over is not None or below == "grade_9_12_students":
                    found = cell._replace(measure=metric)
                    told[found] = Value(over or Fraction(0), amount, (above, below))
    for cell, amount in amounts.items():
        if cell.measure == "cte_concentrators" and cell.group_category in ("career_cluster", "cip"):
            everyone = Cell(*cell[:3], "grade_9_12_students", *EVERYONE)
            if amounts.get(everyone):
                found = cell._replace(measure="cte_concentration_rate")
                measures = ("cte_concentrators", "grade_9_12_students")
                told[found] = Value(amount, amounts[everyone], measures)
        if cell.measure == "cte_concentrators" and cell.group_category in (
            "cip",
            "special_population",
        ):
            told[cell] = Value(amount, None, (cell.measure,))
        if cell.measure in ("concentrators_reported", "concentrators_unreported"):
            told[cell._replace(measure=f"cte_{cell.measure}")] = Value(
                amount, None, (cell.measure,)
            )
        if cell.measure == "concentrators_graduating":
            told[cell._replace(measure="cte_completers")] = Value(amount, None, (cell.measure,))
    return told


standard.EXTRACT_OF.update(EXTRACT_OF)
standard.RATES.update({"cte_concentration_rate": RATES["cte_concentration_rate"]})
