"""Work: places that high schools asked employers for, and the work ethic diploma of seniors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from include.demo.extracts import Writers, coded, constant, numbered, whole
from include.demo.organizations import GRADE_12, Organizations
from include.demo.people import People
from include.demo.plan import Plan
from include.demo.truths import CLUSTERS

if TYPE_CHECKING:
    from include.demo.students import District

# Kind of work-based learning, how often it is asked for, and the hours of one place.
KINDS = (
    ("CAREER_FAIR", 0.16, 4),
    ("WORKPLACE_TOUR", 0.16, 4),
    ("JOB_SHADOW", 0.18, 8),
    ("MENTORSHIP", 0.08, 20),
    ("SIMULATED", 0.08, 60),
    ("SERVICE", 0.06, 30),
    ("PRACTICUM", 0.08, 80),
    ("INTERNSHIP", 0.12, 120),
    ("COOP", 0.05, 180),
    ("APPRENTICESHIP", 0.03, 400),
)
# The standards of the diploma and the steps of each.
VERSION = "TN_14"
STANDARDS = (
    ("ATTENDANCE", 3), ("UNEXCUSED_ABSENCE", 2), ("TARDINESS", 2), ("DISCIPLINE", 2),
    ("GRADE_POINT_AVERAGE", 3), ("DRUG_FREE", 1), ("CTE_COURSEWORK", 3), ("CTE_COMPETITION", 3),
    ("TN_PROMISE", 1), ("DUAL_ENROLLMENT", 1), ("CERTIFICATION", 1),
    ("POSTSECONDARY_ENROLLMENT", 1), ("CAREER_READINESS", 1), ("INDUSTRY_AWARENESS", 1),
)  # fmt: skip


def write_opportunities(plan: Plan, it: Organizations, year: int, writers: Writers) -> None:
    """What the schools with a grade 12 asked for, and how much of it was filled."""
    rng = plan.rng(62, year)
    schools = np.flatnonzero(it.school_high >= GRADE_12)
    school = np.repeat(schools, rng.integers(4, 25, len(schools)))
    rows = len(school)
    if not rows:
        return
    kind = rng.choice(len(KINDS), rows, p=[share for _, share, _ in KINDS])
    requested = rng.integers(1, 26, rows)
    filled = rng.binomial(requested, np.where(rng.random(rows) < 0.15, 0.0, 0.7))
    employer = np.where(filled > 0, rng.integers(1, 200, rows), 0)
    writers[year, "work_based_learning"].write(
        {
            "school_year": constant(year, rows),
            "lea_id": coded(it.lea_ids, it.school_lea[school]),
            "school_id": coded(it.school_ids, school),
            "opportunity_id": numbered(np.arange(rows) + 1, 7),
            "wbl_type": coded([name for name, *_ in KINDS], kind),
            "cluster": coded((*CLUSTERS, None), rng.integers(0, len(CLUSTERS) + 1, rows)),
            "employer_id": coded([None, *(f"E{k:04}" for k in range(1, 200))], employer),
            "requested": whole(requested),
            "filled": whole(filled),
            "hours": whole(np.array([hours for *_, hours in KINDS])[kind]),
        }
    )


def write_diplomas(district: District, students: People, year: int, seat: np.ndarray) -> None:
    """What the seniors of every other school reached under each standard."""
    rng, it = district.plan.rng(63, district.lea, year), district.organizations
    seniors = np.flatnonzero((seat >= 0) & (students["grade"] == GRADE_12) & (seat % 2 == 0))
    if not len(seniors):
        return
    steps = np.array([most for _, most in STANDARDS])
    person = np.repeat(seniors, len(STANDARDS))
    standard = np.tile(np.arange(len(STANDARDS)), len(seniors))
    # Who is diligent in one thing is so in others.
    diligence = np.repeat(rng.beta(5, 3.5, len(seniors)), len(STANDARDS))
    rows = len(person)
    district.writers[year, "work_ethic"].write(
        {
            "school_year": constant(year, rows),
            "lea_id": coded(it.lea_ids, it.school_lea[seat[person]]),
            "school_id": coded(it.school_ids, seat[person]),
            "student_id": numbered(students["id"][person], 9),
            "version": constant(VERSION, rows),
            "standard": coded([name for name, _ in STANDARDS], standard),
            "step": whole(rng.binomial(steps[standard], diligence)),
        }
    )
