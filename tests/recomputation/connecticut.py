"""Connecticut's metrics worked out again, in pandas, from the publisher's files.

Written from the definitions of the metrics and from what the files say, not from the SQL: it reads
the bytes itself, shares no code with the pipeline, and knows only the files' own column names.

Every function returns a frame with one row for each organization and group of one metric and year:
org_level, org_id, group_category, group_value, value, and `masked` where the publisher masked it.
Rates are fractions, money is US dollars. The state goes by the code that some of the files give it,
a district by its own, and an agency that has none by its name.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd

STATE = "0000000"
CELL = ["org_level", "org_id", "group_category", "group_value"]
RACES = {
    "American Indian or Alaska Native": "AM7",
    "Asian": "AS7",
    "Black or African American": "BL7",
    "Hispanic/Latino of any race": "HI7",
    "Native Hawaiian or Other Pacific Islander": "PI7",
    "Two or More Races": "MU7",
    "White": "WH7",
}
GRADES = {
    "Pre-Kindergarten": "PK",
    "Kindergarten": "KG",
    **{f"Grade {grade}": f"{grade:02}" for grade in range(1, 13)},
}
# File name, what its columns (enrollment) or its labels (absence) mean.
ENROLLMENT = {
    "race": ("race", RACES),
    "gender": ("sex", {"Female": "F", "Male": "M"}),
    "ell": ("english_learner", {"Yes": "EL", "No": "NEL"}),
    "special-education": ("disability", {"Yes": "IDEA", "No": "NIDEA"}),
    "grade": ("grade", GRADES),
    "lunch": ("lunch", {"Free": "F", "Reduced": "R", "Non-Subsidized": "P"}),
}
ABSENCE = {
    **ENROLLMENT,
    "ell": ("english_learner", {"ELL": "EL", "Non-ELL": "NEL"}),
    "special-education": (
        "disability",
        {"Special Education": "IDEA", "Non-Special Education": "NIDEA"},
    ),
    "lunch": (
        "lunch",
        {
            "Eligible For Free Lunch": "F",
            "Eligible For Reduced Lunch": "R",
            "Not Eligible For Lunch": "P",
        },
    ),
}
CLASSES = {
    "General Education - Teachers and Instructors": "TCH",
    "Special Education - Teachers and Instructors": "TCH",
    "General Education - Paraprofessional Instructional Assistants": "PARA",
    "Special Education - Paraprofessional Instructional Assistants": "PARA",
    "Instructional Specialists Who Support Teachers": "CORSUP",
    "Library/Media - Specialists (Certified)": "LIBSPE",
    "Library/Media - Support Staff": "LIBSUP",
    "Administrators Coordinators and Department Chairs - District Central Office": "LEAADM",
    "Administrators Coordinators and Department Chairs - School Level": "SCHADM",
    "Counselors Social Workers and School Psychologists": "STUSUP",
    "School Nurses": "STUSUP",
    "Other Staff Providing Non-Instructional Services/Support": "OTHSUP",
}


def plain(cell: str) -> str:
    """A cell without the spreadsheet's `="..."` and with single blanks."""
    if cell.startswith("="):
        cell = cell[1:].strip('"')
    return " ".join(cell.split())


def file(data: Path, school_year: int, name: str) -> pd.DataFrame:
    """One file as text, from its header on; labels given once are repeated down their rows."""
    years = f"{school_year - 1}-{school_year % 100:02}"
    subject, _, rest = name.partition(" ")
    path = data / "ct" / years / f"{subject}__{years}{'_' + rest if rest else ''}.csv"
    # A name with a comma in a formula, which no quote protects: ="New Beginnings Inc., Family ...".
    text = re.sub(r'^="([^"\n]*,[^"\n]*)"', r'"\1"', path.read_text("utf-8"), flags=re.MULTILINE)
    split = csv.reader(text.splitlines())
    rows = [[plain(cell) for cell in row] for row in split if any(row)]
    start = next(i for i, row in enumerate(rows) if row[0] in ("District", "Type"))
    header = ["District", *rows[start][1:]]
    assert all(len(row) == len(header) for row in rows[start + 1 :])
    table = pd.DataFrame(rows[start + 1 :], columns=header).replace("", pd.NA)
    table["District"] = table["District"].ffill()
    return table


def number(cells: pd.Series) -> pd.Series:
    """Masked cells have no number; anything else that is none is an error."""
    return pd.to_numeric(cells.mask(cells.isin(["*", "N/A"])), errors="raise").astype(float)


def of_districts(table: pd.DataFrame) -> pd.DataFrame:
    """The state is called Total and has no code, or is called State Level and has one."""
    assert (table["District Code"].isna() == table["District"].eq("Total")).all()
    assert (table["District Code"].eq(STATE) == table["District"].eq("State Level")).all()
    is_state = table["District"].isin(["Total", "State Level"])
    return table.assign(
        org_level=is_state.map({True: "SEA", False: "LEA"}),
        org_id=table["District Code"].where(~is_state, STATE),
    )


def codes(data: Path) -> dict[str, str]:
    """What each district is called in any file that also has its code."""
    found: dict[str, str] = {}
    for path in sorted((data / "ct").glob("*/*.csv")):
        subject, _, rest = path.stem.partition("__")
        if subject not in ("enrollment", "chronic-absenteeism"):
            continue
        years, _, group = rest.partition("_")
        table = of_districts(file(data, int(years[:4]) + 1, f"{subject} {group}"))
        table = table[table["org_level"] == "LEA"]
        for name, code in zip(table["District"], table["District Code"], strict=True):
            assert found.setdefault(name, code) == code, name
    return found


def by_name(table: pd.DataFrame, known: dict[str, str]) -> pd.DataFrame:
    names = table["District"]
    return table.assign(org_level="LEA", org_id=names.map(known).fillna(names))


def cells(table: pd.DataFrame, category: str, value: str, told: pd.Series) -> pd.DataFrame:
    return table[["org_level", "org_id"]].assign(
        group_category=category,
        group_value=value,
        value=number(told).to_numpy(),
        masked=told.eq("*").to_numpy(),
    )


def membership(data: Path, school_year: int) -> pd.DataFrame:
    whole = of_districts(file(data, school_year, "enrollment all-students"))
    parts = [cells(whole, "all", "all", whole["Count"])]
    for name, (category, columns) in ENROLLMENT.items():
        table = of_districts(file(data, school_year, f"enrollment {name}"))
        assert {*columns, "Total"} == set(table.columns[2:-2])
        parts += [cells(table, category, value, table[it]) for it, value in columns.items()]
    lunch = of_districts(file(data, school_year, "enrollment lunch"))
    poor = cells(lunch, "economic", "ECODIS", lunch["Free"])
    reduced = cells(lunch, "economic", "ECODIS", lunch["Reduced"])
    # Free or reduced-price meals; over a masked half, masked.
    poor["value"] = poor["value"] + reduced["value"]
    poor["masked"] |= reduced["masked"]
    parts += [poor, cells(lunch, "economic", "NECODIS", lunch["Non-Subsidized"])]
    return pd.concat(parts, ignore_index=True)


def group_share(data: Path, school_year: int) -> pd.DataFrame:
    counted = membership(data, school_year)
    whole = counted[counted["group_category"] == "all"].set_index(["org_level", "org_id"])["value"]
    shares = counted[counted["group_category"] != "all"].set_index(["org_level", "org_id"])
    of = whole.reindex(shares.index)
    shares["value"] = (shares["value"] / of).where(of > 0)
    return shares.reset_index()


def prekindergarten_per_kindergarten(data: Path, school_year: int) -> pd.DataFrame:
    """One grade's count over the other's; over a masked one, masked."""
    counted = membership(data, school_year)
    by = ["org_level", "org_id"]
    grades = counted[counted["group_category"] == "grade"].set_index([*by, "group_value"])
    pk, kg = (grades.xs(grade, level="group_value") for grade in ("PK", "KG"))
    found = pk.assign(
        group_category="all",
        group_value="all",
        value=(pk["value"] / kg["value"]).where(kg["value"] > 0),
        masked=pk["masked"] | kg["masked"],
    )
    return found.reset_index()


def chronic_absence_rate(data: Path, school_year: int) -> pd.DataFrame:
    """Percentages of districts and, by group, of the state; the files have no counts."""
    percent = "% Chronically Absent"
    whole = of_districts(file(data, school_year, "chronic-absenteeism all-students"))
    parts = [cells(whole, "all", "all", whole[percent])]
    for name, (category, labels) in ABSENCE.items():
        table = of_districts(file(data, school_year, f"chronic-absenteeism {name}"))
        for label, value in labels.items():
            rows = table[table.iloc[:, 2] == label]
            parts.append(cells(rows, category, value, rows[percent]))
            if value == "P":
                parts.append(cells(rows, "economic", "NECODIS", rows[percent]))
        assert table.iloc[:, 2].isin(labels).all()
    rates = pd.concat(parts, ignore_index=True)
    return rates.assign(value=rates["value"] / 100)


def ppe_total(data: Path, school_year: int) -> pd.DataFrame:
    table = by_name(file(data, school_year, "per-pupil-expenditures"), codes(data))
    return cells(table, "all", "all", table["Total Expenditures"])


def staff(data: Path, school_year: int) -> dict[str, pd.DataFrame]:
    table = by_name(file(data, school_year, "staffing-levels all_all-categories"), codes(data))
    table["group_value"] = table["Assignment Category"].map(CLASSES)
    table["value"] = number(table["FTE Count"])
    assert table["group_value"].notna().all()
    districts = table.groupby(["org_level", "org_id", "group_value"])["value"].sum().reset_index()
    state = table.groupby("group_value")["value"].sum().reset_index()
    fte = pd.concat([districts, state.assign(org_level="SEA", org_id=STATE)], ignore_index=True)
    fte = fte.assign(group_category="staff_class", masked=False)

    pupils = membership(data, school_year)
    pupils = pupils[pupils["group_category"] == "all"].set_index(["org_level", "org_id"])
    teachers = fte[fte["group_value"] == "TCH"].set_index(["org_level", "org_id"])["value"]
    of = teachers.reindex(pupils.index)
    ratio = pupils.assign(value=(pupils["value"] / of).where(of > 0)).reset_index()
    return {"staff_fte": fte, "students_per_teacher": ratio}


def everything(data: Path, school_year: int) -> dict[str, pd.DataFrame]:
    """Every metric that the files of one year give, by metric."""
    found = {
        "membership": membership(data, school_year),
        "group_share": group_share(data, school_year),
        "prekindergarten_per_kindergarten": prekindergarten_per_kindergarten(data, school_year),
    }
    if school_year <= 2016:
        found["chronic_absence_rate"] = chronic_absence_rate(data, school_year)
        found |= staff(data, school_year)
    if school_year <= 2015:
        found["ppe_total"] = ppe_total(data, school_year)
    return found
