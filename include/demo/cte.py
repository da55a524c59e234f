"""Career and technical education: courses taken, and what becomes of concentrators.

A student keeps to one program and takes up to four of its courses in turn, one or two a year;
now and then also the first course of another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from include.demo import work
from include.demo.extracts import coded, constant, dates, flag, numbered, whole
from include.demo.organizations import GRADE_9
from include.demo.people import People, groups_of, select
from include.demo.truths import CLUSTERS

if TYPE_CHECKING:
    from include.demo.students import District


@dataclass(frozen=True)
class Program:
    """A program of study. `nontraditional` is the sex that is rare in its occupations."""

    code: str
    cip: str
    cluster: str
    nontraditional: str = ""


PROGRAMS = (
    Program("AGR-PLANT", "01.0601", "AGNR"),
    Program("AGR-ANIMAL", "01.0302", "AGNR"),
    Program("CON-CARP", "46.0201", "ARCH", "F"),
    Program("CON-ELEC", "46.0302", "ARCH", "F"),
    Program("ART-GRAPH", "50.0409", "AAVC"),
    Program("BUS-ADMIN", "52.0201", "BMA"),
    Program("EDU-EARLY", "13.1210", "EDUC", "M"),
    Program("FIN-ACCT", "52.0302", "FINA"),
    Program("GOV-PUBLIC", "44.0401", "GOVT"),
    Program("HLT-NURSE", "51.3902", "HLTH", "M"),
    Program("HLT-MEDAST", "51.0801", "HLTH", "M"),
    Program("HLT-PHARM", "51.0805", "HLTH"),
    Program("HOS-CULIN", "12.0503", "HOSP"),
    Program("HUM-COSMET", "12.0401", "HUMA", "M"),
    Program("INF-NETW", "11.0901", "INFO", "F"),
    Program("INF-PROGR", "11.0201", "INFO", "F"),
    Program("LAW-CRIM", "43.0107", "LAW", "F"),
    Program("LAW-FIRE", "43.0203", "LAW", "F"),
    Program("MAN-WELD", "48.0508", "MANU", "F"),
    Program("MAN-MACH", "48.0501", "MANU", "F"),
    Program("MKT-SALES", "52.1801", "MRKT"),
    Program("STM-ENGIN", "15.0000", "STEM", "F"),
    Program("TRN-AUTO", "47.0604", "TRAN", "F"),
    Program("TRN-LOGIST", "52.0203", "TRAN"),
)
CODES = tuple(program.code for program in PROGRAMS)
CIPS = tuple(program.cip for program in PROGRAMS)
PROGRAM_CLUSTERS = tuple(program.cluster for program in PROGRAMS)
_CLUSTER = np.array([CLUSTERS.index(cluster) for cluster in PROGRAM_CLUSTERS])
_NONTRADITIONAL = np.array([["F", "M", ""].index(program.nontraditional) for program in PROGRAMS])

COURSES = 4
TERMS = ("FALL", "SPRING")
PLACEMENTS = ("EDUCATION", "TRAINING", "MILITARY", "SERVICE", "EMPLOYED", "NONE", "UNKNOWN")
WORK_BASED = (None, "APPRENTICESHIP", "INTERNSHIP", "COOP", "PRACTICUM", "SIMULATED")


def draw(rng: np.random.Generator, n: int, grade: np.ndarray, lea: int) -> People:
    """Each new student's program (-1: none) and how many of its courses they have completed."""
    offered = (np.arange(len(PROGRAMS)) + 5 * lea) % len(PROGRAMS)
    program = offered[: 14 + lea % 6][rng.integers(0, 14 + lea % 6, n)]
    takes = rng.random(n) < 0.52
    tries = np.clip(2 * (grade - GRADE_9), 0, COURSES)
    return {
        "program": np.where(takes, program, -1),
        "cte_done": np.where(takes, rng.binomial(tries, 0.35), 0),
    }


def run(
    district: District,
    students: People,
    year: int,
    seat: np.ndarray,
    graduated: np.ndarray,
    exit_date: np.ndarray,
) -> np.ndarray:
    """Write a year's courses, and the outcomes of the concentrators who left.

    `seat` is each student's school on the count date, or -1; `exit_date` is NaT for those who
    did not leave secondary education. Returns how many courses of their program each student has
    completed when the year is over.
    """
    truths, rng = district.truths, district.rng
    upper = (seat >= 0) & (students["grade"] >= GRADE_9)
    member = select(students, upper)
    truths.add_up(year, "grade_9_12_students", seat[upper], groups_of(member))

    n = len(seat)
    before = students["cte_done"]
    active = upper & (students["program"] >= 0) & (before < COURSES) & (rng.random(n) < 0.85)
    two = active & (students["grade"] > GRADE_9) & (before < COURSES - 1) & (rng.random(n) < 0.4)
    # In grade 10 only, and not when repeating it: nobody comes back to that course as if new.
    other = active & (students["grade"] == GRADE_9 + 1) & (students["cohort"] == year + 2)
    other &= rng.random(n) < 0.12
    taken = [np.flatnonzero(rows) for rows in (active, two, other)]
    person = np.concatenate(taken)
    program = students["program"][person]
    elsewhere = np.repeat([False, False, True], [len(rows) for rows in taken])
    program = np.where(elsewhere, (program + 7) % len(PROGRAMS), program)
    second = np.repeat([0, 1, 0], [len(rows) for rows in taken])
    prior = np.where(elsewhere, 0, before[person])
    course = prior + 1 + second
    completed = rng.random(len(person)) < 0.93
    order = np.argsort(person, kind="stable")
    person, program, second = person[order], program[order], second[order]
    prior, course, completed = prior[order], course[order], completed[order]
    it, rows = district.organizations, len(person)
    if rows:
        credit = np.where(completed | (rng.random(rows) < 0.5), 1, 0)
        district.writers[year, "cte_enrollment"].write(
            {
                "school_year": constant(year, rows),
                "lea_id": coded(it.lea_ids, it.school_lea[seat[person]]),
                "school_id": coded(it.school_ids, seat[person]),
                "student_id": numbered(students["id"][person], 9),
                "cip": coded(CIPS, program),
                "program": coded(CODES, program),
                "cluster": coded(PROGRAM_CLUSTERS, program),
                "course_code": numbered(1000 + 10 * program + course, 4),
                "credits": coded(("0.0", "1.0"), credit),
                "completed": flag(completed),
                "term": coded(TERMS, second),
                "prior_courses": whole(prior),
                "is_nontraditional": flag(_NONTRADITIONAL[program] == students["sex"][person]),
            }
        )

    own = program == students["program"][person]
    gained = np.bincount(person[own & completed], minlength=n)
    after = before + gained
    participates = np.zeros(n, bool)
    participates[person[completed]] = True
    concentrates = np.zeros(n, bool)
    concentrates[person[own]] = True
    concentrates &= after >= 2
    groups = groups_of(select(students, participates))
    truths.add_up(year, "cte_participants", seat[participates], groups)
    chosen = select(students, concentrates)
    groups = groups_of(chosen) | {"career_cluster": _CLUSTER[chosen["program"]]}
    truths.add_up(year, "cte_concentrators", seat[concentrates], groups)
    left = ~np.isnat(exit_date) & (students["program"] >= 0) & (after >= 2)
    _outcomes(district, select(students, left), year, graduated[left], exit_date[left])
    work.write_diplomas(district, students, year, seat)
    return after


def _outcomes(
    district: District, students: People, year: int, graduated: np.ndarray, exit_date: np.ndarray
) -> None:
    """One row for each concentrator who left: diploma, credential, work, and where they went."""
    rows, rng, it = len(graduated), district.rng, district.organizations
    if not rows:
        return
    program, poor = students["program"], students["poor"]
    placed = np.where(
        graduated,
        rng.choice(7, rows, p=[0.52, 0.05, 0.03, 0.01, 0.29, 0.04, 0.06]),
        rng.choice(7, rows, p=[0.02, 0.08, 0.01, 0.01, 0.4, 0.28, 0.2]),
    )
    months = exit_date.astype("datetime64[M]").astype(int)
    quarter = months // 3 + 2
    labels, position = np.unique(quarter, return_inverse=True)
    worked = np.where(rng.random(rows) < 0.3, rng.integers(1, len(WORK_BASED), rows), 0)
    hours = np.where(worked > 0, rng.integers(4, 40, rows) * 10, 0)
    hour_labels, hour_position = np.unique(hours, return_inverse=True)
    employer = np.where(worked > 0, rng.integers(1, 200, rows), 0)
    district.writers[year, "cte_outcome"].write(
        {
            "school_year": constant(year, rows),
            "lea_id": coded(it.lea_ids, it.school_lea[students["school"]]),
            "school_id": coded(it.school_ids, students["school"]),
            "student_id": numbered(students["id"], 9),
            "program": coded(CODES, program),
            "cip": coded(CIPS, program),
            "cluster": coded(PROGRAM_CLUSTERS, program),
            "is_concentrator": flag(np.ones(rows, bool)),
            "exit_date": dates(exit_date),
            "graduation": coded(("NONE", "REGULAR"), graduated.astype(int)),
            "credential": flag(graduated & (rng.random(rows) < 0.42 - 0.1 * poor)),
            "postsecondary_credits": whole(
                np.where(rng.random(rows) < 0.25, rng.integers(1, 7, rows) * 3, 0)
            ),
            "wbl_type": coded(WORK_BASED, worked),
            "wbl_hours": coded([str(h) if h else None for h in hour_labels], hour_position),
            "wbl_employer": coded([None, *(f"E{k:04}" for k in range(1, 200))], employer),
            "placement_quarter": coded([f"{1970 + q // 4}Q{q % 4 + 1}" for q in labels], position),
            "placement": coded(PLACEMENTS, placed),
            **_tests(district, students, year),
            "is_disabled": flag(students["idea"] > 0),
            "is_economically_disadvantaged": flag(poor),
            "is_nontraditional": flag(_NONTRADITIONAL[program] == students["sex"]),
            "is_single_parent": flag(rng.random(rows) < 0.01),
            "is_out_of_workforce": flag(rng.random(rows) < 0.003),
            "is_english_learner": flag(students["learner"]),
            "is_homeless": flag(students["homeless"] > 0),
            "is_foster": flag(students["foster"]),
            "is_military": flag(students["military"]),
        }
    )


def _tests(district: District, students: People, year: int) -> People:
    """Proficiency of those who left, a few of them not tested, and the state's own measure."""
    rng = district.plan.rng(61, district.lea, year)
    rows, poor = len(students["poor"]), students["poor"]
    told = {}
    for subject, share in (("reading", 0.62), ("mathematics", 0.48), ("science", 0.55)):
        result = (rng.random(rows) < share - 0.2 * poor).astype(int)
        told[f"proficient_{subject}"] = coded(
            ("N", "Y", None), np.where(rng.random(rows) < 0.04, 2, result)
        )
    told["state_quality_measure"] = flag(rng.random(rows) < 0.7)
    return told
