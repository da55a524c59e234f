"""Draws the whole state in the order in which one fact follows from another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from include.demo import finance, labor, organizations, reference, work
from include.demo.extracts import STATE, Writers
from include.demo.people import Registrar
from include.demo.plan import Plan
from include.demo.staff import Workforce
from include.demo.students import District
from include.demo.truths import VALUES, Truths


def generate(folder: Path, plan: Plan) -> dict[str, int]:
    """Write the planned state to `<folder>/zz/<year>/`, its truths to `<folder>/zz/truths.json`.

    Returns the rows of each file, by `<year>/<extract>`. Equal plans write equal bytes; files of
    an earlier plan are replaced, each in one rename.
    """
    it = organizations.draw(plan)
    truths = Truths(it)
    with Writers(folder, plan.years) as writers:
        registrar = Registrar(plan)
        for lea in range(len(it.lea_ids)):
            District(plan, it, registrar, writers, truths, lea).run()
        workforce = Workforce(plan, it, writers, truths)
        designated = reference.designations(plan, it)
        for year in plan.years:
            membership = truths.of(year, "membership", "SCH", "grade").astype(np.int64)
            workforce.year(year, membership)
            finance.write(plan, it, year, membership.sum(axis=1), writers, truths)
            reference.write_directory(it, year, writers)
            cents = truths.of(year, "expenditure", "LEA")[:, 0].astype(np.int64)
            reference.write_lea_reference(plan, it, year, cents, writers)
            reference.write_identification(it, year, designated, writers)
            labor.write(plan, year, writers)
            labor.write_crosswalk(year, writers)
            work.write_opportunities(plan, it, year, writers)
        rows = writers.rows
    truths.planted = planted(plan, truths, it, designated)
    truths.write(folder / STATE / "truths.json", {"plan": asdict(plan), "rows": rows})
    return rows


def planted(
    plan: Plan, truths: Truths, it: organizations.Organizations, designated: dict[str, np.ndarray]
) -> dict[str, dict[str, object]]:
    """The stories, each with where it happens and what is found there, by year."""

    def by_year(figure: Callable[[int], float | None]) -> dict[str, float | None]:
        return {str(year): figure(year) for year in plan.years}

    def ratio(year: int, above: str, below: str, chosen: np.ndarray) -> float | None:
        """A rate over LEAs; None where there is nobody, as in a state of one LEA."""
        over = truths.of(year, below, "LEA")[chosen, 0].sum()
        return float(truths.of(year, above, "LEA")[chosen, 0].sum() / over) if over else None

    def per_pupil(year: int, chosen: np.ndarray) -> float | None:
        cents = ratio(year, "expenditure", "finance_pupils", chosen)
        return cents / 100 if cents is not None else None

    def chronic(year: int, chosen: np.ndarray) -> float | None:
        return ratio(year, "chronically_absent", "attendance_eligible", chosen)

    def members(year: int, school: int, category: str, value: str) -> int:
        found = truths.of(year, "membership", "SCH", category)
        return int(found[school, VALUES[category].index(value)])

    stories: dict[str, dict[str, object]] = {}
    leas = np.arange(len(it.lea_ids))
    for story, figure in (("low_spending", per_pupil), ("doubled_chronic_absence", chronic)):
        at = it.planted_leas[story]
        name = "ppe_total" if figure is per_pupil else "chronic_absence_rate"
        stories[story] = {
            "org_level": "LEA",
            "org_id": it.lea_ids[at],
            name: by_year(lambda year, f=figure, a=at: f(year, leas == a)),
            f"{name}_of_the_others": by_year(lambda year, f=figure, a=at: f(year, leas != a)),
        }
    at = it.planted_leas["three_csi_schools"]
    stories["three_csi_schools"] = {
        "org_level": "LEA",
        "org_id": it.lea_ids[at],
        "csi_schools": int(designated["csi"][it.school_lea == at].sum()),
        "schools": int((it.school_lea == at).sum()),
    }
    stories["programs_not_aligned"] = {
        "cips": sorted(labor.NOT_ALIGNED),
        "occupations_in_decline": sorted(labor.IN_DECLINE),
    }
    for story, category, value in (
        ("four_english_learners", "english_learner", "EL"),
        ("all_but_three_disadvantaged", "economic", "NECODIS"),
        ("no_english_learners", "english_learner", "EL"),
    ):
        school = it.planted_schools[story]
        stories[story] = {
            "org_level": "SCH",
            "org_id": it.school_ids[school],
            "group_category": category,
            "group_value": value,
            "membership": by_year(
                lambda year, s=school, c=category, v=value: members(year, s, c, v)
            ),
            "membership_of_all": by_year(lambda year, s=school: members(year, s, "all", "all")),
        }
    return stories
