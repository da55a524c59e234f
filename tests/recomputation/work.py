"""Work-based learning, work ethic diplomas and the labor market, added up a second time.

Written from the definitions and not from the project's SQL, in exact fractions.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.recomputation import career, standard
from tests.recomputation.standard import EVERYONE, HIGH_SCHOOL, Amounts, Cell, Row, Value

ABOUT = {"CAREER_FAIR", "WORKPLACE_TOUR", "JOB_SHADOW", "MENTORSHIP"}
AT = {"COOP", "APPRENTICESHIP"}
ABOVE_HIGH_SCHOOL = {"SOME_COLLEGE", "AWARD", "ASSOCIATE", "BACHELOR", "MASTER", "DOCTORAL"}
DIPLOMA = 20

RATES = {
    "work_based_learning_fill_rate": ("wbl_filled", "wbl_requested"),
    "work_based_learning_hours": ("wbl_hours", "wbl_filled"),
    "work_ethic_points": ("work_ethic_points_sum", "work_ethic_students"),
    "work_ethic_diploma_rate": ("work_ethic_earned", "work_ethic_students"),
    "cte_aligned_share": ("cte_aligned_concentrators", "cte_concentrators"),
}
ORIGIN = {
    "work_based_learning": (
        "wbl_requested", "wbl_filled", "wbl_hours", "wbl_hours_largest", "wbl_employers",
    ),
    "work_ethic": (
        "work_ethic_students", "work_ethic_points_sum", "work_ethic_points_sum_largest",
        "work_ethic_earned",
    ),
    "cte_enrollment": ("cte_aligned_concentrators",),
}  # fmt: skip


def observations(folder: Path, school_year: int, state: str) -> Amounts:
    """Every amount of one school year, from the folder with its extracts."""
    return {
        **_opportunities(folder, school_year, state),
        **_diplomas(folder, school_year, state),
        **_aligned(folder, school_year, state),
    }


def _opportunities(folder: Path, year: int, state: str) -> Amounts:
    found: Amounts = defaultdict(Fraction)
    employers: dict[Cell, set[str]] = defaultdict(set)
    for row in standard.rows(folder, "work_based_learning"):
        kind = row["wbl_type"]
        stage = "ABOUT" if kind in ABOUT else "AT" if kind in AT else "THROUGH"
        groups = [EVERYONE, ("wbl_type", kind), ("wbl_stage", stage)]
        if row["cluster"]:
            groups.append(("career_cluster", row["cluster"]))
        filled = int(row["filled"])
        for organization in standard.organizations(row, state):
            for group in groups:
                cell = Cell(year, *organization, "", *group)
                found[cell._replace(measure="wbl_requested")] += int(row["requested"])
                found[cell._replace(measure="wbl_filled")] += filled
                found[cell._replace(measure="wbl_hours")] += filled * Fraction(row["hours"])
                who = employers[cell._replace(measure="wbl_employers")]
                if filled:
                    who.add(row["employer_id"])
                    longest = cell._replace(measure="wbl_hours_largest")
                    found[longest] = max(found[longest], Fraction(row["hours"]))
    return found | {cell: Fraction(len(who)) for cell, who in employers.items()}


def _diplomas(folder: Path, year: int, state: str) -> Amounts:
    with (career.SEEDS / "work_ethic_standards.csv").open() as opened:
        points = {
            (row["version"], row["standard"], row["step"]): int(row["points"])
            for row in csv.DictReader(opened)
        }
    found: Amounts = defaultdict(Fraction)
    persons = career.last_stays(standard.rows(folder, "student_enrollment"))
    rows = standard.by_person(standard.rows(folder, "work_ethic"), "student_id", state)
    for organization, students in rows.items():
        for student, told in students.items():
            total = sum(
                points[row["version"], row["standard"], row["step"]]
                for row in told
                if row["step"] != "0"
            )
            for group in _groups(persons.get(student)):
                cell = Cell(year, *organization, "", *group)
                found[cell._replace(measure="work_ethic_students")] += 1
                found[cell._replace(measure="work_ethic_points_sum")] += total
                most = cell._replace(measure="work_ethic_points_sum_largest")
                found[most] = max(found[most], Fraction(total))
                found[cell._replace(measure="work_ethic_earned")] += total >= DIPLOMA
    return found


def _groups(person: Row | None) -> list[standard.Group]:
    if person is None:
        return [EVERYONE]
    special = [("special_population", one) for one in sorted(career.populations(person))]
    return [EVERYONE, ("race", standard.race(person)), ("sex", person["sex"]), *special]


class Occupation(NamedTuple):
    """What one region's file says of an occupation, judged."""

    employment: Fraction | None
    openings: Fraction | None
    is_high_wage: bool | None
    is_in_demand: bool | None
    is_high_skill: bool | None


def occupations(folder: Path) -> dict[tuple[str, str], Occupation]:
    """Every occupation of every region, by region and SOC code."""
    regions: dict[str, list[Row]] = defaultdict(list)
    for row in standard.rows(folder, "labor_market"):
        regions[row["region"]].append(row)
    found = {}
    for region, rows in regions.items():
        wage, middle, growth = _region(rows)
        for row in rows:
            jobs, later, openings, paid = (
                _number(row, name)
                for name in ("employment", "projected_employment", "openings", "wage_median")
            )
            grows = later / jobs - 1 > growth if jobs and later is not None else False
            opens = openings is not None and openings >= middle
            unknown = openings is None or later is None
            found[region, row["soc"]] = Occupation(
                jobs,
                openings,
                None if paid is None else paid >= wage,
                True if opens or grows else None if unknown else False,
                row["entry_education"] in ABOVE_HIGH_SCHOOL if row["entry_education"] else None,
            )
    return found


def _number(row: Row, name: str) -> Fraction | None:
    return None if row[name] in ("", "*") else Fraction(row[name])


def _region(rows: list[Row]) -> tuple[Fraction, Fraction, Fraction]:
    """The median wage of the region's jobs, the median occupation's openings, and growth."""
    paid = sorted(
        (_number(row, "wage_median"), row["soc"], _number(row, "employment"))
        for row in rows
        if _number(row, "wage_median") is not None and _number(row, "employment") is not None
    )
    half, so_far = sum(jobs for *_, jobs in paid) / 2, Fraction(0)
    wage = Fraction(0)
    for amount, _, jobs in paid:
        so_far += jobs
        if so_far >= half:
            wage = amount
            break
    openings = [_number(row, "openings") for row in rows if _number(row, "openings") is not None]
    both = [
        (_number(row, "employment"), _number(row, "projected_employment"))
        for row in rows
        if None not in (_number(row, "employment"), _number(row, "projected_employment"))
    ]
    growth = sum(later for _, later in both) / sum(now for now, _ in both) - 1
    return wage, Fraction(median(openings)), growth


def leads_to(folder: Path) -> dict[str, list[str]]:
    """The occupations of each program, by CIP code; those that none leads to are under 99.9999."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in standard.rows(folder, "cip_soc"):
        if row["cip"] != "99.9999":
            found[row["cip"]].append(row["soc"])
    return found


def regions_of(folder: Path) -> dict[str, str]:
    """The region of each LEA."""
    directory = standard.rows(folder, "directory")
    return {row["org_id"]: row["region"] for row in directory if row["org_level"] == "LEA"}


def _aligned(folder: Path, year: int, state: str) -> Amounts:
    market, crosswalk, regions = occupations(folder), leads_to(folder), regions_of(folder)
    here = {region for region, soc in market for socs in crosswalk.values() if soc in socs}

    def is_aligned(cip: str, region: str) -> bool:
        told = [market[region, soc] for soc in crosswalk.get(cip, ()) if (region, soc) in market]
        return any(one.is_high_wage or one.is_in_demand or one.is_high_skill for one in told)

    people = career.People(state)
    courses = [
        row for row in standard.rows(folder, "cte_enrollment") if regions.get(row["lea_id"]) in here
    ]
    about = career.described(courses)
    taken = standard.by_person(courses, "student_id", state)
    students = standard.by_person(standard.rows(folder, "student_enrollment"), "student_id", state)
    for organization, found in taken.items():
        for student, rows in found.items():
            stays = students.get(organization, {}).get(student, [])
            counted = [stay for stay in stays if stay["count_date"] == "Y"]
            if not counted or standard.speaker(counted)["grade"] not in HIGH_SCHOOL:
                continue
            finished = {name for (_, name), n in career.programs(rows).items() if n >= 2}
            if not finished:
                continue
            for name in finished:
                aligned = any(
                    row["program"] == name and is_aligned(row["cip"], regions[row["lea_id"]])
                    for row in rows
                )
                groups = [
                    *_groups(standard.speaker(counted)),
                    ("cip", about[name]["cip"]),
                    ("career_cluster", about[name]["cluster"]),
                ]
                held = {"cte_aligned_concentrators": aligned}
                people.put(year, organization, student, groups, held)
    return people.amounts()


def metrics(amounts: Amounts) -> dict[Cell, Value]:
    """Every metric of work that has a value."""
    told: dict[Cell, Value] = {}
    for metric, (above, below) in RATES.items():
        for cell, amount in amounts.items():
            over = amounts.get(cell._replace(measure=above))
            if cell.measure == below and amount and over is not None:
                told[cell._replace(measure=metric)] = Value(over, amount, (above, below))
    for cell, amount in amounts.items():
        if cell.measure == "wbl_employers":
            found = cell._replace(measure="work_based_learning_employers")
            told[found] = Value(amount, None, (cell.measure,))
    return told


class Supply(NamedTuple):
    """An occupation of a region beside those who complete programs that lead to it."""

    supply: Fraction
    openings: Fraction | None


def supply(
    folder: Path, year: int, amounts: Amounts
) -> tuple[dict[tuple[str, str], Supply], set[tuple[str, str]]]:
    """Supply and openings by region and SOC code, and the programs that each region offers."""
    market, crosswalk, regions = occupations(folder), leads_to(folder), regions_of(folder)
    completers: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    offered = set()
    for cell, amount in amounts.items():
        if (
            cell.measure == "concentrators_graduating"
            and cell[0] == year
            and cell.org_level == "LEA"
            and cell.group_category == "cip"
        ):
            completers[regions[cell.org_id], cell.group_value] += amount
            offered.add((regions[cell.org_id], cell.group_value))
    found: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for region in {region for region, _ in market}:
        for cip, socs in crosswalk.items():
            here = [soc for soc in socs if (region, soc) in market]
            jobs = sum(market[region, soc].employment or 0 for soc in here)
            for soc in here:
                share = (market[region, soc].employment or 0) / jobs if jobs else Fraction(0)
                found[region, soc] += completers[region, cip] * share
    told = {key: Supply(total, market[key].openings) for key, total in found.items()}
    return told, offered


def by_market(folder: Path, year: int, state: str, amounts: Amounts) -> Mapping[Cell, Value]:
    """The labor market's metrics of each LEA (its region's) and of the state (all of them)."""
    market, crosswalk, regions = occupations(folder), leads_to(folder), regions_of(folder)
    supplied, offered = supply(folder, year, amounts)
    markets = {("LEA", lea): {region} for lea, region in regions.items()}
    markets["SEA", state] = set(regions.values())
    told: dict[Cell, Value] = {}
    for organization, here in markets.items():
        for name in ("high_wage", "in_demand", "high_skill"):
            known = [
                (getattr(one, f"is_{name}"), one.employment or Fraction(0))
                for (region, _), one in market.items()
                if region in here and getattr(one, f"is_{name}") is not None
            ]
            whole = sum(jobs for _, jobs in known)
            if whole:
                part = Fraction(sum(jobs for holds, jobs in known if holds))
                told[Cell(year, *organization, f"labor_{name}", *EVERYONE)] = Value(part, whole, ())
        cells: dict[standard.Group, set[tuple[str, str]]] = defaultdict(set)
        for region, cip in offered:
            if region in here:
                mapped = {
                    (region, soc) for soc in crosswalk.get(cip, ()) if (region, soc) in market
                }
                cells["cip", cip] |= mapped
                cells[EVERYONE] |= mapped
        for group, keys in cells.items():
            openings = sum(supplied[key].openings or 0 for key in keys)
            if openings and all(supplied[key].openings is not None for key in keys):
                total = sum(supplied[key].supply for key in keys)
                cell = Cell(year, *organization, "labor_supply_demand_ratio", *group)
                told[cell] = Value(total, openings, ())
    return told


standard.EXTRACT_OF.update({m: extract for extract, names in ORIGIN.items() for m in names})
