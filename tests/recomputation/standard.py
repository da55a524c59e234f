"""What record-level extracts say, added up a second time, person by person, in exact fractions.

Written from the field's definitions and not from the project's SQL: people are held as lists of
rows, and counted as members of sets. Slow, and meant for small states.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pandas as pd

Row = Mapping[str, str]
Group = tuple[str, str]
Organization = tuple[str, str]

EVERYONE: Group = ("all", "all")
HIGH_SCHOOL = {"09", "10", "11", "12"}
ONE_RACE = {
    "american_indian": "AM7",
    "asian": "AS7",
    "black": "BL7",
    "pacific_islander": "PI7",
    "white": "WH7",
}
TEACHING = {"PKTCH", "KGTCH", "ELMTCH", "SECTCH", "UGTCH"}
ADVANCED = {"AP": "ap", "IB": "ib", "DUAL": "dual_enrollment"}

# Metric to its numerator and denominator, where both are of the same group of people.
RATES = {
    "chronic_absence_rate": ("chronically_absent", "attendance_eligible"),
    "graduation_rate_4yr": ("graduates_4yr", "cohort_4yr"),
    "graduation_rate_5yr": ("graduates_5yr", "cohort_5yr"),
    "ppe_federal": ("expenditure_federal", "finance_pupils"),
    "ppe_state": ("expenditure_state", "finance_pupils"),
    "ppe_local": ("expenditure_local", "finance_pupils"),
    "ppe_state_local": ("expenditure_state_local", "finance_pupils"),
    "ppe_personnel": ("expenditure_personnel", "finance_pupils"),
    "ppe_nonpersonnel": ("expenditure_nonpersonnel", "finance_pupils"),
    "inexperienced_teacher_rate": ("inexperienced_teachers", "teachers"),
    "provisional_teacher_rate": ("provisional_teachers", "teachers"),
    "inexperienced_principal_rate": ("inexperienced_principals", "principals"),
    "cte_participation_rate": ("cte_participants", "grade_9_12_students"),
    "suspension_rate": ("suspended_students", "membership"),
    "prekindergarten_per_kindergarten": ("prekindergarten_students", "kindergarten_students"),
    "stayer_rate": ("teacher_stayers", "teachers"),
    "mover_rate": ("teacher_movers", "teachers"),
    "leaver_rate": ("teacher_leavers", "teachers"),
    "principal_turnover_3yr": ("principals_gone_3yr", "principals_3yr_before"),
}
# Metrics of dollars by group over all pupils.
DOLLARS = {
    "ppe_total": ("expenditure", "finance_pupils"),
    "ppe_current": ("expenditure_current", "finance_pupils"),
    "ppe_federal_relief": ("expenditure_relief", "finance_pupils"),
}
COUNTS = (
    "budget_pupils",
    "membership",
    "average_daily_membership",
    "staff_fte",
    "cte_concentrators",
)

# Which extract a measure is counted from.
ORIGIN = {
    "student_enrollment": (
        "membership", "average_daily_membership", "membership_9_12", "chronically_absent",
        "attendance_eligible", "advanced_students", "finance_pupils", "grade_9_12_students",
        "suspended_students", "prekindergarten_students", "kindergarten_students",
        "budget_pupils",
    ),
    "graduation_cohort": ("cohort_4yr", "graduates_4yr", "cohort_5yr", "graduates_5yr"),
    "finance_ledger": (
        "expenditure", "expenditure_federal", "expenditure_state", "expenditure_local",
        "expenditure_personnel", "expenditure_nonpersonnel", "expenditure_state_local",
        "expenditure_current", "expenditure_relief",
    ),
    "staff_assignment": (
        "staff_fte", "teachers", "inexperienced_teachers", "provisional_teachers", "principals",
        "inexperienced_principals", "out_of_field_fte", "teacher_stayers", "teacher_movers",
        "teacher_leavers", "principals_3yr_before", "principals_gone_3yr", "teachers_of_group",
        "teachers_of_known_group", "principals_of_group", "principals_of_known_group",
    ),
    "cte_enrollment": ("cte_participants", "cte_concentrators"),
    "identification": ("csi", "tsi", "atsi"),
}  # fmt: skip
EXTRACT_OF = {measure: extract for extract, measures in ORIGIN.items() for measure in measures}
# Measures that two years' files are counted for: how far the other year is.
OTHER_YEAR = {
    "teacher_stayers": 1, "teacher_movers": 1, "teacher_leavers": 1,
    "principals_3yr_before": -3, "principals_gone_3yr": -3,
}  # fmt: skip
# What a school psychologist, a nurse ... is divided by.
PER_STAFF = {
    ("staff_class", "GUI"): "students_per_counselor",
    ("staff_class", "SCHPSYCH"): "students_per_psychologist",
    ("support_role", "SOCIAL_WORKER"): "students_per_social_worker",
    ("support_role", "NURSE"): "students_per_nurse",
}
# The course of the demo's state to its one endorsement: the seed's rows, written down again.
ENDORSEMENT = {
    f"{subject}1": subject for subject in ("ENG", "MAT", "SCI", "SOC", "ART", "WLA", "CTE", "PED")
}


class Cell(NamedTuple):
    """One organization, year and group of one measure or metric."""

    school_year: int
    org_level: str
    org_id: str
    measure: str
    group_category: str
    group_value: str


class Value(NamedTuple):
    """A metric's value, exactly; `measures` are those that it comes from."""

    numerator: Fraction
    denominator: Fraction | None
    measures: tuple[str, ...]


Amounts = dict[Cell, Fraction]
# Adds to a measure of an organization, once in each group.
Add = Callable[..., None]


def rows(folder: Path, extract: str) -> list[Row]:
    """The rows of one CSV file as text, an empty cell as ''. No file, no rows."""
    file = folder / f"{extract}.csv"
    if not file.exists():
        return []
    return pd.read_csv(file, dtype=str, keep_default_na=False).to_dict("records")


def race(person: Row) -> str:
    """Hispanic first; two or more races are one group."""
    if person["hispanic"] == "Y":
        return "HI7"
    marked = [code for flag, code in ONE_RACE.items() if person[flag] == "Y"]
    return marked[0] if len(marked) == 1 else "MU7"


def groups(person: Row) -> list[Group]:
    """Every group that a person belongs to."""
    yes = {flag: person.get(flag) == "Y" for flag in person}
    found = [
        EVERYONE,
        ("race", race(person)),
        ("sex", person["sex"]),
        ("race*sex", f"{race(person)}*{person['sex']}"),
        ("economic", "ECODIS" if yes["economically_disadvantaged"] else "NECODIS"),
        ("english_learner", "EL" if yes["english_learner"] else "NEL"),
        ("disability", "IDEA" if yes["idea"] else "NIDEA"),
        ("homeless", "Y" if person["homeless"] else "N"),
    ]
    found += [(flag, person[flag]) for flag in ("foster", "military", "migrant")]
    # Apart from IDEA: a student may be in both groups.
    if yes.get("section_504"):
        found.append(("disability", "S504"))
    if "grade" in person:
        found.append(("grade", person["grade"]))
    return found


def organizations(row: Row, state: str) -> Iterator[Organization]:
    """Whose row it is: the school's unless it is central, the LEA's, and the state's."""
    if row["school_id"] != "CENTRAL":
        yield "SCH", row["school_id"]
    yield "LEA", row["lea_id"]
    yield "SEA", state


def by_person(
    found: Iterable[Row], person: str, state: str
) -> dict[Organization, dict[str, list[Row]]]:
    """The rows of each person in each organization."""
    told: dict[Organization, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in found:
        for organization in organizations(row, state):
            told[organization][row[person]].append(row)
    return told


def speaker(stays: list[Row]) -> Row:
    """The stay that says in which groups a student is: the latest, fullest, first by school."""
    first_by_school = sorted(stays, key=lambda stay: stay["school_id"])
    return max(first_by_school, key=lambda stay: (stay["entry_date"], Fraction(stay["fte"])))


def observations(folder: Path, school_year: int, state: str) -> Amounts:
    """Every amount of one school year, from the folder with its extracts.

    An amount of 0 stands where something could have been counted and was not; a cell that is not
    there is 0 as well, or was never asked about.
    """
    found: Amounts = defaultdict(Fraction)

    def add(
        organization: Organization,
        measure: str,
        groups: Iterable[Group],
        amount: Fraction | int = 1,
    ) -> None:
        for group in groups:
            found[Cell(school_year, *organization, measure, *group)] += Fraction(amount)

    students = by_person(rows(folder, "student_enrollment"), "student_id", state)
    courses = by_person(rows(folder, "cte_enrollment"), "student_id", state)
    for organization, people in students.items():
        for student, stays in people.items():
            _attendance(add, organization, stays)
            counted = [stay for stay in stays if stay["count_date"] == "Y"]
            if counted:
                member = speaker(counted)
                add(organization, "membership", groups(member))
                add(organization, "finance_pupils", [EVERYONE])
                if member["grade"] in HIGH_SCHOOL:
                    add(organization, "membership_9_12", groups(member))
                    _advanced(add, organization, member, stays)
                    if courses:
                        add(organization, "grade_9_12_students", groups(member))
                        taken = courses.get(organization, {}).get(student, [])
                        _career(add, organization, member, taken)
    _budget(add, folder, state)
    _graduation(add, rows(folder, "graduation_cohort"), school_year, state)
    _spending(add, rows(folder, "finance_ledger"), state)
    _staff(add, rows(folder, "staff_assignment"), state)
    _early_and_suspended(add, students)
    _in_field(add, rows(folder, "staff_assignment"), state)
    _races(add, rows(folder, "staff_assignment"), state)
    near = {
        step: rows(folder.parent / str(school_year + step), "staff_assignment") for step in (1, -3)
    }
    _retention(add, rows(folder, "staff_assignment"), near[1], state)
    _principals_who_left(add, rows(folder, "staff_assignment"), near[-3], state)
    for school in rows(folder, "identification"):
        for designation in ("csi", "tsi", "atsi"):
            is_identified = school[designation] == "Y"
            add(("SCH", school["org_id"]), designation, [EVERYONE], int(is_identified))
    if not rows(folder, "finance_ledger"):
        return {cell: amount for cell, amount in found.items() if cell.measure != "finance_pupils"}
    return dict(found)


def _attendance(add: Add, organization: Organization, stays: list[Row]) -> None:
    for stay in stays:
        share = Fraction(int(stay["days_enrolled"]), int(stay["days_in_session"]))
        add(organization, "average_daily_membership", groups(stay), share)
    enrolled = sum(int(stay["days_enrolled"]) for stay in stays)
    absent = sum(int(stay["days_absent"]) for stay in stays)
    if enrolled >= 20:
        attended = Fraction(enrolled - absent, enrolled)
        add(organization, "attendance_eligible", groups(speaker(stays)))
        add(
            organization,
            "chronically_absent",
            groups(speaker(stays)),
            int(attended < Fraction(9, 10)),
        )


def _advanced(add: Add, organization: Organization, member: Row, stays: list[Row]) -> None:
    took = {p for p, flag in ADVANCED.items() if any(stay[flag] == "Y" for stay in stays)}
    for program in took | ({"ANY"} if took else set()):
        for category, value in groups(member):
            if category == "all":
                add(organization, "advanced_students", [("program", program)])
            elif "*" not in category:
                group = (f"program*{category}", f"{program}*{value}")
                add(organization, "advanced_students", [group])


def _career(add: Add, organization: Organization, member: Row, taken: list[Row]) -> None:
    now: dict[str, set[str]] = defaultdict(set)
    before: dict[str, int] = defaultdict(int)
    cluster = {}
    for course in taken:
        program = course["program"]
        cluster[program] = course["cluster"]
        before[program] = max(before[program], int(course["prior_courses"]))
        if course["completed"] == "Y":
            now[program].add(course["course_code"])
    completed = {program: before[program] + len(now.get(program, ())) for program in cluster}
    concentrated = {program for program, number in completed.items() if number >= 2}
    add(organization, "cte_participants", groups(member), int(bool(now)))
    add(organization, "cte_concentrators", groups(member), int(bool(concentrated)))
    for one in {cluster[program] for program in concentrated}:
        add(organization, "cte_concentrators", [("career_cluster", one)])


def _graduation(add: Add, cohort: list[Row], school_year: int, state: str) -> None:
    for student in cohort:
        late = school_year - int(student["cohort_year"])
        if late not in (0, 1):
            continue
        rate = {0: "4yr", 1: "5yr"}[late]
        in_time = student["graduated"] == "Y" and int(student["years"]) <= 4 + late
        for organization in organizations(student, state):
            add(organization, f"cohort_{rate}", groups(student))
            add(organization, f"graduates_{rate}", groups(student), int(in_time))


def _spending(add: Add, ledger: list[Row], state: str) -> None:
    sources = {"FED": "federal", "STATE": "state", "LOCAL": "local"}
    for line in ledger:
        if line["basis"] != "actual":
            continue
        dollars = Fraction(line["amount"])
        is_personnel = 100 <= int(line["object"]) <= 299
        for organization in organizations(line, state):
            add(organization, "expenditure", [EVERYONE], dollars)
            for source, name in sources.items():
                amount = dollars if line["source"] == source else 0
                add(organization, f"expenditure_{name}", [EVERYONE], amount)
            for kind, holds in (("personnel", is_personnel), ("nonpersonnel", not is_personnel)):
                add(organization, f"expenditure_{kind}", [EVERYONE], dollars if holds else 0)
            _report_card(add, organization, line, dollars)


def _staff(add: Add, assignments: list[Row], state: str) -> None:
    for row in assignments:
        for organization in organizations(row, state):
            classes = [row["staff_class"]] + ["TCH"] * (row["staff_class"] in TEACHING)
            by_class = [("staff_class", one) for one in classes]
            add(organization, "staff_fte", by_class, Fraction(row["fte"]))
    for organization, people in by_person(assignments, "staff_id", state).items():
        for held in people.values():
            teaching = [row for row in held if row["staff_class"] in TEACHING]
            heading = [row for row in held if row["is_principal"] == "Y"]
            if teaching:
                years = max(int(row["prior_years"]) for row in teaching)
                kinds = {row["credential_type"] for row in teaching}
                is_provisional = bool(kinds & {"PROVISIONAL", "EMERGENCY"})
                add(organization, "teachers", [EVERYONE])
                add(organization, "inexperienced_teachers", [EVERYONE], int(years < 2))
                add(organization, "provisional_teachers", [EVERYONE], int(is_provisional))
            if heading:
                years = max(int(row["prior_years"]) for row in heading)
                add(organization, "principals", [EVERYONE])
                add(organization, "inexperienced_principals", [EVERYONE], int(years < 2))


def _early_and_suspended(
    add: Add, students: Mapping[Organization, Mapping[str, list[Row]]]
) -> None:
    for organization, people in students.items():
        for stays in people.values():
            counted = [stay for stay in stays if stay["count_date"] == "Y"]
            if not counted:
                continue
            member = speaker(counted)
            for grade, measure in (
                ("PK", "prekindergarten_students"),
                ("KG", "kindergarten_students"),
            ):
                if member["grade"] in ("PK", "KG"):
                    of_group = [g for g in groups(member) if g[0] not in ("grade", "race*sex")]
                    add(organization, measure, of_group, int(member["grade"] == grade))
            times = [int(stay["out_of_school_suspensions"]) for stay in stays]
            add(organization, "suspended_students", groups(member), int(sum(times) > 0))


def _in_field(add: Add, assignments: list[Row], state: str) -> None:
    for row in assignments:
        if row["staff_class"] in TEACHING:
            needed = ENDORSEMENT.get(row["course_code"])
            held = [code.strip() for code in row["endorsements"].split(";")]
            is_out = row["is_out_of_field"] == "Y" if needed is None else needed not in held
            for organization in organizations(row, state):
                amount = Fraction(row["fte"]) if is_out else 0
                add(organization, "out_of_field_fte", [EVERYONE], amount)
        if row["support_role"]:
            for organization in organizations(row, state):
                role = ("support_role", row["support_role"])
                add(organization, "staff_fte", [role], Fraction(row["fte"]))


def _races(add: Add, assignments: list[Row], state: str) -> None:
    race_of: dict[str, str] = {}
    for row in assignments:
        if row["race"]:
            known = race_of.setdefault(row["staff_id"], row["race"])
            race_of[row["staff_id"]] = min(known, row["race"])
    for organization, people in by_person(assignments, "staff_id", state).items():
        for name, does in (
            ("teachers", lambda row: row["staff_class"] in TEACHING),
            ("principals", lambda row: row["is_principal"] == "Y"),
        ):
            found = [race_of[who] for who, held in people.items()
                     if who in race_of and any(does(row) for row in held)]  # fmt: skip
            for one in set(race_of.values()):
                add(organization, f"{name}_of_group", [("race", one)], found.count(one))
            add(organization, f"{name}_of_known_group", [EVERYONE], len(found))


def _retention(add: Add, now: list[Row], later: list[Row], state: str) -> None:
    """Same school, other school, or no longer teaching; an LEA keeps who moves inside it."""
    if not later:
        return
    places: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in later:
        if row["staff_class"] in TEACHING:
            places[row["staff_id"]].add((row["lea_id"], row["school_id"]))
    teaching = [row for row in now if row["staff_class"] in TEACHING]
    for organization, people in by_person(teaching, "staff_id", state).items():
        for who, held in people.items():
            then = places.get(who, set())
            if organization[0] == "LEA":
                stays = organization[1] in {lea for lea, _ in then}
            else:
                stays = any((row["lea_id"], row["school_id"]) in then for row in held)
            fate = "stayers" if stays else "movers" if then else "leavers"
            for one in ("stayers", "movers", "leavers"):
                add(organization, f"teacher_{one}", [EVERYONE], int(one == fate))


def _principals_who_left(add: Add, now: list[Row], before: list[Row], state: str) -> None:
    heads: dict[str, list[Row]] = defaultdict(list)
    for row in now:
        if row["is_principal"] == "Y":
            heads[row["school_id"]].append(row)
    earlier = {(row["school_id"], row["staff_id"]) for row in before if row["is_principal"] == "Y"}
    for school, who in earlier:
        if school in heads:
            is_there = who in {row["staff_id"] for row in heads[school]}
            for organization in set(organizations(heads[school][0], state)):
                add(organization, "principals_3yr_before", [EVERYONE])
                add(organization, "principals_gone_3yr", [EVERYONE], int(not is_there))


def years_of(measure: str, school_year: int) -> set[int]:
    """The school years whose files say how much a measure of a year is."""
    return {school_year, school_year + OTHER_YEAR.get(measure, 0)}


def metrics(amounts: Amounts) -> dict[Cell, Value]:
    """Every metric that has a value: counts above 0, and rates over a denominator above 0.

    A rate stands only where its numerator was asked about, be it 0.
    """
    told: dict[Cell, Value] = {}

    def over(cell: Cell, denominator: Cell, metric: str) -> None:
        below = amounts.get(denominator, Fraction(0))
        if below:
            measures = (cell.measure, denominator.measure)
            above = amounts.get(cell, Fraction(0))
            told[cell._replace(measure=metric)] = Value(above, below, measures)

    asked = {(*cell[:3], cell.measure) for cell in amounts}
    for cell, amount in amounts.items():
        everyone = cell._replace(group_category="all", group_value="all")
        if cell.measure in COUNTS and amount:
            told[cell] = Value(amount, None, (cell.measure,))
        if cell.measure == "membership" and cell.group_category != "all" and amount:
            over(cell, everyone, "group_share")
        is_everybody_teaching = cell.measure == "staff_fte" and cell.group_value == "TCH"
        if is_everybody_teaching and (*cell[:3], "membership") in asked:
            over(everyone._replace(measure="membership"), cell, "students_per_teacher")
        if cell.measure == "staff_fte" and (*cell[:3], "membership") in asked:
            metric = PER_STAFF.get((cell.group_category, cell.group_value))
            if metric:
                over(everyone._replace(measure="membership"), cell, metric)
        if is_everybody_teaching:
            over(everyone._replace(measure="out_of_field_fte"), cell, "out_of_field_teacher_rate")
        for people in ("teacher", "principal"):
            if cell.measure == f"{people}s_of_group":
                known = everyone._replace(measure=f"{people}s_of_known_group")
                over(cell, known, f"{people}_share")
        if cell.measure == "membership_9_12" and "*" not in cell.group_category:
            for program in (*ADVANCED, "ANY"):
                group = (
                    ("program", program)
                    if cell.group_category == "all"
                    else (f"program*{cell.group_category}", f"{program}*{cell.group_value}")
                )
                over(Cell(*cell[:3], "advanced_students", *group), cell, "advanced_access_rate")
        for metric, (above, below) in RATES.items():
            if cell.measure == below and (*cell[:3], above) in asked:
                over(cell._replace(measure=above), cell, metric)
        for metric, (above, below) in DOLLARS.items():
            if cell.measure == above:
                over(cell, everyone._replace(measure=below), metric)
    return told


# ---------------------------------------------------------------- finance

ESSER = {"84.425", "84.425D", "84.425U", "84.425W"}


def _report_card(add: Add, organization: Organization, line: Row, dollars: Fraction) -> None:
    """Dollars by source and kind: all, current (34 CFR 200.35) and federal relief."""
    source = "FED" if line["source"] == "FED" else "STATE_LOCAL"
    kind = "PERSONNEL" if line["object"][0] in "12" else "NONPERSONNEL"
    function = int(line["function"])
    is_current = (
        (1000 <= function < 3000 or 3100 <= function < 3300)
        and not 700 <= int(line["object"]) < 800
        and not line["exclusion"]
    )
    is_relief = line["assistance_listing"] in ESSER
    kinds = ("PERSONNEL", "NONPERSONNEL")
    for one in kinds:
        amount = dollars if is_relief and one == kind else 0
        add(organization, "expenditure_relief", [("kind", one)], amount)
    add(organization, "expenditure_relief", [EVERYONE], dollars if is_relief else 0)
    add(organization, "expenditure_state_local", [EVERYONE], dollars * (source != "FED"))
    for measure, holds in (("expenditure", True), ("expenditure_current", is_current)):
        if measure != "expenditure":
            add(organization, measure, [EVERYONE], dollars if holds else 0)
        for a in ("FED", "STATE_LOCAL"):
            for b in kinds:
                is_it = holds and (a, b) == (source, kind)
                add(organization, measure, [("source*kind", f"{a}*{b}")], dollars if is_it else 0)
            is_it = holds and a == source
            add(organization, measure, [("source", a)], dollars if is_it else 0)
        for b in kinds:
            is_it = holds and b == kind
            add(organization, measure, [("kind", b)], dollars if is_it else 0)


# ---------------------------------------------------------------- student-based budgets

# Tennessee's weights (Rules 0520-12-05-.04), and others for comparison, the largest alone.
TISA = {
    "economically_disadvantaged": Fraction("0.25"), "concentrated_poverty": Fraction("0.05"),
    "small_district": Fraction("0.05"), "sparse_district": Fraction("0.05"),
    "uln1": Fraction("0.15"), "uln2": Fraction("0.20"), "uln3": Fraction("0.40"),
    "uln4": Fraction("0.60"), "uln5": Fraction("0.70"), "uln6": Fraction("0.75"),
    "uln7": Fraction("0.80"), "uln8": Fraction("1.00"), "uln9": Fraction("1.25"),
    "uln10": Fraction("1.50"),
}  # fmt: skip
FLAT = {
    "poverty": Fraction("0.30"), "english_learner": Fraction("0.40"),
    "disability": Fraction("0.60"),
}  # fmt: skip
TIER_NEED = {"1": 2, "2": 4, "3": 5}


def _needs(stay: Row) -> set[str]:
    """Unique learning needs by flag, and by the tier of an English learner; each once."""
    needs = {k for k in range(1, 11) if stay[f"need_{k}"] == "Y"}
    if stay["el_tier"]:
        needs.add(TIER_NEED[stay["el_tier"]])
    return {f"uln{k}" for k in needs}


def _budget(add: Add, folder: Path, state: str) -> None:
    """Average daily membership that brings each weight. Every place is asked about every weight."""
    stays = rows(folder, "student_enrollment")
    directory = {(row["org_level"], row["org_id"]): row for row in rows(folder, "directory")}
    miles = {row["lea_id"]: row["county_square_miles"] for row in rows(folder, "lea_reference")}

    def county(lea: str) -> str:
        return directory.get(("LEA", lea), {}).get("county", "")

    share = [Fraction(int(one["days_enrolled"]), int(one["days_in_session"])) for one in stays]
    of_lea: dict[str, Fraction] = defaultdict(Fraction)
    for stay, days in zip(stays, share, strict=True):
        of_lea[stay["lea_id"]] += days
    of_county: dict[str, Fraction] = defaultdict(Fraction)
    area: dict[str, Fraction] = {}
    for lea, pupils in of_lea.items():
        of_county[county(lea)] += pupils
        if miles.get(lea):
            area[county(lea)] = max(area.get(county(lea), Fraction(0)), Fraction(miles[lea]))
    every = [f"tisa.{weight}" for weight in TISA] + [f"flat.{weight}" for weight in FLAT]
    every.append("flat.early_grades")
    for stay, days in zip(stays, share, strict=True):
        lea = stay["lea_id"]
        is_poor = stay["economically_disadvantaged"] == "Y"
        brings = _needs(stay)
        brings |= {"economically_disadvantaged"} if is_poor else set()
        if directory.get(("SCH", stay["school_id"]), {}).get("title_i") == "Y":
            brings.add("concentrated_poverty")
        brings |= {"small_district"} if of_lea[lea] <= 1000 else set()
        if county(lea) in area and of_county[county(lea)] / area[county(lea)] < 25:
            brings.add("sparse_district")
        found = {f"tisa.{weight}" for weight in brings}
        flat = {"poverty": is_poor, "english_learner": stay["english_learner"] == "Y"}
        flat["disability"] = stay["idea"] == "Y"
        if any(flat.values()):
            largest = max((weight for weight in FLAT if flat[weight]), key=FLAT.__getitem__)
            found.add(f"flat.{largest}")
        if stay["grade"] in ("KG", "01", "02", "03"):
            found.add("flat.early_grades")
        for organization in organizations(stay, state):
            for weight in every:
                group = [("budget_weight", weight)]
                add(organization, "budget_pupils", group, days if weight in found else 0)
