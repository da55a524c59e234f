"""North Carolina's metrics worked out again, in pandas, from the publisher's files.

Written from the definitions of the metrics and from what the files say, not from the SQL: it reads
the bytes itself, shares no code with the pipeline, and knows only the files' own column names.

Every function returns a frame with one row for each organization and group of one metric and year:
org_level, org_id, group_category, group_value, value. Rates are fractions, money is US dollars.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

RACES = {
    "indian": "AM7",
    "asian": "AS7",
    "hispanic": "HI7",
    "black": "BL7",
    "white": "WH7",
    "pacific island": "PI7",
    "two or more": "MU7",
}
SEXES = {"male": "M", "female": "F"}
SUBGROUPS = {
    "ALL": ("all", "all"),
    "All": ("all", "all"),
    "FEM": ("sex", "F"),
    "MALE": ("sex", "M"),
    "EDS": ("economic", "ECODIS"),
    "NEDS": ("economic", "NECODIS"),
    "ELS": ("english_learner", "EL"),
    "SWD": ("disability", "IDEA"),
    "NSWD": ("disability", "NIDEA"),
    "HMS": ("homeless", "Y"),
    "FCS": ("foster", "Y"),
    "MIL": ("military", "Y"),
    "MIG": ("migrant", "Y"),
    "AIG": ("gifted", "Y"),
    **{race: ("race", race) for race in RACES.values()},
}
DAMAGED = {"49 000": "49E000", "49": "49E000", "049": "49E000", "92": "92E000", "092": "92E000"}
STATE = "NC-SEA"
GROUP = ["group_category", "group_value"]


def file(data: Path, school_year: int, name: str) -> pd.DataFrame:
    """One file as text, identifiers repaired, empty rows and exact copies gone."""
    table = pd.read_csv(
        data / "nc" / str(school_year) / f"{name}.csv",
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        encoding="utf-8-sig",
    )
    table.columns = table.columns.str.strip()
    table = table.dropna(how="all").drop_duplicates()
    table["org_id"] = table["agency_code"].str.strip().replace(DAMAGED)
    return table


def number(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values.str.replace(",", ""), errors="raise")


def level(codes: pd.Series) -> pd.Series:
    found = pd.Series("SCH", index=codes.index)
    found[codes.str.endswith("LEA")] = "LEA"
    found[codes == STATE] = "SEA"
    return found


def district(codes: pd.Series) -> pd.Series:
    """A charter (letter in third place) is its own; else the first three characters."""
    charter = codes.str[2].str.isalpha()
    return codes.where(charter, codes.str[:3] + "LEA")


def up(schools: pd.DataFrame, sums: list[str]) -> pd.DataFrame:
    """Schools, districts and the state, each the sum of its schools; over an unknown, unknown."""
    by = ["group_category", "group_value"]

    def total(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
        grouped = frame.groupby(keys)[sums]
        return grouped.sum().where(grouped.count().eq(grouped.size(), axis=0)).reset_index()

    districts = total(schools.assign(org_id=district(schools["org_id"])), ["org_id", *by])
    state = total(schools.assign(org_id=STATE), ["org_id", *by])
    return pd.concat(
        [
            schools[["org_id", *by, *sums]].assign(org_level="SCH"),
            districts.assign(org_level="LEA"),
            state.assign(org_level="SEA"),
        ]
    )


def charters_too(frame: pd.DataFrame) -> pd.DataFrame:
    """A charter school is its own district: its rows are the district's, where that has none."""
    own = frame[(frame["org_level"] == "SCH") & frame["org_id"].str[2].str.isalpha()]
    return pd.concat([frame, own.assign(org_level="LEA")])


def everyone(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(group_category="all", group_value="all")


def membership(data: Path, school_year: int) -> pd.DataFrame:
    table = file(data, school_year, "ec_pupils")
    parts = [everyone(table).assign(students=number(table["total"]))]
    for race_name, race in RACES.items():
        both = 0
        for sex_name, sex in SEXES.items():
            cell = number(table[f"{race_name} {sex_name}"])
            both = both + cell
            parts.append(
                table.assign(group_category="race*sex", group_value=f"{race}*{sex}", students=cell)
            )
        parts.append(table.assign(group_category="race", group_value=race, students=both))
    for sex_name, sex in SEXES.items():
        total = sum(number(table[f"{race} {sex_name}"]) for race in RACES)
        parts.append(table.assign(group_category="sex", group_value=sex, students=total))
    return up(pd.concat(parts), ["students"]).assign(value=lambda f: f["students"])


def group_share(data: Path, school_year: int) -> pd.DataFrame:
    counted = membership(data, school_year)
    whole = counted[counted["group_category"] == "all"].set_index(["org_level", "org_id"])["value"]
    shares = counted[counted["group_category"] != "all"].set_index(["org_level", "org_id"])
    shares["value"] = shares["students"] / whole.reindex(shares.index)
    economic = file(data, school_year, "rcd_acc_eds")
    value = number(economic["pct_eds"]) / 100
    economic = economic.assign(
        group_category="economic",
        group_value="ECODIS",
        org_level=level(economic["org_id"]),
        value=value.where(economic["pct_eds_masking"].isna()),
    )
    return pd.concat([shares.reset_index(), charters_too(economic)])


def average_daily_membership(data: Path, school_year: int) -> pd.DataFrame:
    table = file(data, school_year, "rcd_adm")
    table = everyone(table[table["category_code"].isna()])
    table["value"] = number(table["avg_student_num"])
    table["org_level"] = level(table["org_id"])
    summed = up(table[table["org_level"] == "SCH"], ["value"])
    given = table.set_index(["org_level", "org_id"]).index
    rest = summed[~summed.set_index(["org_level", "org_id"]).index.isin(given)]
    return pd.concat([table, rest])


def chronic_absence_rate(data: Path, school_year: int) -> pd.DataFrame:
    """All students only: the denominator of every subgroup is the whole school's."""
    table = file(data, school_year, "rcd_chronic_absent").rename(columns={"Count": "count"})
    table = everyone(table[table["subgroup"] == "ALL"])
    table["absent"] = number(table["count"])
    table["enrolled"] = number(table["den"])
    table["org_level"] = level(table["org_id"])
    summed = up(table[table["org_level"] == "SCH"], ["absent", "enrolled"])
    given = table.set_index(["org_level", "org_id"]).index
    rest = summed[~summed.set_index(["org_level", "org_id"]).index.isin(given)]
    both = pd.concat([table, rest])
    rate = both["absent"] / both["enrolled"]
    return both.assign(value=rate.where(rate <= 1))


def graduation_rate(data: Path, school_year: int, cohort: str) -> pd.DataFrame:
    """As published; districts of 2019, which are not, are tested by their own rule."""
    table = file(data, school_year, "rcd_acc_cgr")
    table = table[table["cgr_type"] == {"4yr": "STD", "5yr": "EXT"}[cohort]]
    groups = table["subgroup"].map(SUBGROUPS)
    return charters_too(
        table.assign(
            org_level=level(table["org_id"]),
            group_category=groups.str[0],
            group_value=groups.str[1],
            value=(number(table["pct"]) / 100).where(table["masking"].isna()),
        )
    )


def spending(data: Path, school_year: int) -> dict[str, pd.DataFrame]:
    """2019: dollars over the file's own pupils. 2018: dollars per pupil as published."""
    if school_year == 2018:
        table = everyone(file(data, 2018, "rcd_funds"))
        table["org_level"] = "LEA"
        table.loc[table["org_id"] == STATE, "org_level"] = "SEA"
        total = number(table["total_expense"])
        personnel = number(table["pct_salary"]) + number(table["pct_benefits"])
        values = {
            "ppe_total": total,
            "ppe_federal": number(table["federal_perpupil"]),
            "ppe_state": number(table["state_perpupil"]),
            "ppe_local": number(table["local_perpupil"]),
            "ppe_state_local": number(table["state_perpupil"]) + number(table["local_perpupil"]),
            "ppe_personnel": total * personnel,
            "ppe_nonpersonnel": total - total * personnel,
        }
        return {metric: table.assign(value=value) for metric, value in values.items()}
    table = everyone(file(data, school_year, "rcd_funds2"))
    for column in ("total_funds", "federal_funds", "state_funds", "local_funds", "ADM"):
        table[column] = number(table[column])
    whole = table[table["expenditure_category"] == "TOTAL"].set_index("org_id", drop=False)
    paid = table[table["expenditure_category"].isin(["SALARIES", "EMPLOYEE BENEFITS"])]
    whole["state_local_funds"] = whole["state_funds"] + whole["local_funds"]
    for source in ("total", "federal", "state", "local"):
        whole[f"{source}_pay"] = paid.groupby("org_id")[f"{source}_funds"].sum()
    whole["state_local_pay"] = whole["state_pay"] + whole["local_pay"]
    for source in ("total", "federal", "state_local"):
        whole[f"{source}_rest"] = whole[f"{source}_funds"] - whole[f"{source}_pay"]
    named = {
        "ppe_total": "total_funds",
        "ppe_federal": "federal_funds",
        "ppe_state": "state_funds",
        "ppe_local": "local_funds",
        "ppe_state_local": "state_local_funds",
        "ppe_personnel": "total_pay",
        "ppe_nonpersonnel": "total_rest",
    }
    by_group = {
        ("all", "all"): "total_funds",
        ("source", "FED"): "federal_funds",
        ("source", "STATE_LOCAL"): "state_local_funds",
        ("kind", "PERSONNEL"): "total_pay",
        ("kind", "NONPERSONNEL"): "total_rest",
        ("source*kind", "FED*PERSONNEL"): "federal_pay",
        ("source*kind", "FED*NONPERSONNEL"): "federal_rest",
        ("source*kind", "STATE_LOCAL*PERSONNEL"): "state_local_pay",
        ("source*kind", "STATE_LOCAL*NONPERSONNEL"): "state_local_rest",
    }
    columns = sorted({*named.values(), *by_group.values()})
    summed = up(whole.reset_index(drop=True), [*columns, "ADM"])
    told = {
        metric: summed.assign(value=summed[column] / summed["ADM"])
        for metric, column in named.items()
    }
    told["ppe_total"] = pd.concat(
        summed.assign(
            group_category=category, group_value=group, value=summed[dollars] / summed["ADM"]
        )
        for (category, group), dollars in by_group.items()
    )
    return told


def teachers(data: Path, school_year: int) -> dict[str, pd.DataFrame]:
    """2019: heads by school. 2018: shares, teachers by school and principals by district."""
    if school_year == 2018:
        table = everyone(file(data, 2018, "rcd_experience"))
        table["org_level"] = level(table["org_id"])
        table["value"] = number(table["pct_experience_0"])
        one = table["staff"].eq("Teacher") & table["org_level"].eq("SCH")
        principals = table[table["staff"] == "Principal"].drop_duplicates(["org_id", "value"])
        # Of a school, the average is its own number; the state's stands on every row.
        heads = table[one].assign(heads=number(table[one]["avg_class_teach"]))
        summed = up(heads, ["heads"])
        whole = number(table["total_class_teach"]).dropna().unique().item()
        summed["value"] = summed["heads"].where(summed["org_level"] != "SEA", whole)
        pupils = everyone(file(data, 2018, "ec_pupils"))
        pupils["students"] = number(pupils["total"])
        told = heads.dropna(subset="heads")[["org_id", "heads"]]
        both = up(
            pupils[["org_id", "students", *GROUP]].merge(told, on="org_id"), ["students", "heads"]
        )
        ratio = both.assign(value=both["students"] / both["heads"])
        # A district of which one school is not told has no number of teachers, so no ratio either.
        known = summed.dropna(subset="value")[["org_level", "org_id"]]
        return {
            "inexperienced_teacher_rate": charters_too(table[one]),
            "inexperienced_principal_rate": principals,
            "staff_fte": summed.assign(group_category="staff_class", group_value="TCH"),
            "students_per_teacher": ratio.merge(known),
        }
    table = everyone(file(data, school_year, "rcd_eq"))
    for column in ("number_of_teachers", "beg_teacher", "prov_teachers"):
        table[column] = number(table[column])
    summed = up(table, ["number_of_teachers", "beg_teacher", "prov_teachers"])
    of_teachers = summed["number_of_teachers"]
    heads = summed.assign(
        group_category="staff_class", group_value="TCH", value=summed["number_of_teachers"]
    )
    # Over schools that are in both files: charters have no membership, closed schools no teachers.
    pupils = everyone(file(data, school_year, "ec_pupils"))
    pupils["students"] = number(pupils["total"])
    both = table.merge(pupils[["org_id", "students"]], on="org_id")
    ratio = up(both, ["students", "number_of_teachers"])
    ratio["value"] = ratio["students"] / ratio["number_of_teachers"]
    return {
        "inexperienced_teacher_rate": summed.assign(value=summed["beg_teacher"] / of_teachers),
        "provisional_teacher_rate": summed.assign(value=summed["prov_teachers"] / of_teachers),
        "staff_fte": heads,
        "students_per_teacher": ratio,
    }


def class_size(data: Path, school_year: int) -> pd.DataFrame:
    """As published, by grade and course; rows of kinds of schools (2018) are left out."""
    table = file(data, school_year, "rcd_sar")
    table = table[table["category_code"].isna()]
    courses = {
        "Biology": "BIOLOGY",
        "English II": "ENGLISH_2",
        "Math I": "MATH_1",
        "NC Math 1": "MATH_1",
        "NC Math 3": "MATH_3",
    }
    of_course = table["grade_eoc"].map(courses)
    return charters_too(
        table.assign(
            org_level=level(table["org_id"]),
            group_category=of_course.notna().map({True: "course", False: "grade"}),
            group_value=of_course.fillna(table["grade_eoc"].replace("00", "KG")),
            value=number(table["avg_size"]),
        )
    )


def cte(data: Path, school_year: int) -> dict[str, pd.DataFrame]:
    table = everyone(file(data, school_year, "rcd_cte_enrollment"))
    table["of"] = number(table["stu_enroll"])
    table["taking"] = number(table["cte_enroll"])
    summed = up(table, ["of", "taking"])
    clusters = file(data, school_year, "rcd_cte_concentrators")
    clusters = clusters.assign(
        group_category="career_cluster",
        group_value=clusters["career_cluster"],
        value=number(clusters["num_concentrators"]),
    )
    concentrated = up(clusters, ["value"])
    # Of all students of the school that the other file counts; not of fewer than are counted here.
    rate = concentrated.merge(summed[["org_level", "org_id", "of"]], how="left")
    rate = rate.assign(value=(rate["value"] / rate["of"]).where(rate["value"] <= rate["of"]))
    return {
        "cte_participation_rate": summed.assign(value=summed["taking"] / summed["of"]),
        "cte_concentrators": concentrated,
        "cte_concentration_rate": rate[rate["org_level"] == "SCH"],
    }


PERKINS = {
    "Male": ("sex", "M"),
    "Female": ("sex", "F"),
    "American Indian or Alaskan Native": ("race", "AM7"),
    "Asian": ("race", "AS7"),
    "Black or African American": ("race", "BL7"),
    "Hispanic/Latino": ("race", "HI7"),
    "Native Hawaiian or Other Pacific Islander": ("race", "PI7"),
    "White": ("race", "WH7"),
    "Two or More Races": ("race", "MU7"),
    "Individuals With Disabilities (ESEA/IDEA)": ("special_population", "DISABLED"),
    "Individuals from Economically Disadvantaged Families": ("special_population", "ECODIS"),
    "Individuals Preparing for Non-traditional Fields": ("special_population", "NONTRAD"),
    "Single Parents": ("special_population", "SINGLEPAR"),
    "Out of Workforce Individuals": ("special_population", "OUTOFWORK"),
    "English Learners": ("special_population", "EL"),
    "Homeless Individuals": ("special_population", "HOMELESS"),
    "Youth In Foster Care": ("special_population", "FOSTER"),
    "Youth with Parent in Active Military": ("special_population", "MILITARY"),
    "Migrant Students": ("migrant", "Y"),
}
# In the order of the workbook's columns.
CLUSTERS = (
    "AGNR", "ARCH", "AAVC", "BMA", "EDUC", "FINA", "GOVT", "HLTH", "HOSP", "HUMA", "INFO", "LAW",
    "MANU", "MRKT", "STEM", "TRAN",
)  # fmt: skip


def concentrators_of_years(data: Path, school_year: int) -> pd.DataFrame:
    """The workbook of six years: schools, and districts where it has them; else their sums."""
    book = data / "nc" / "workforce" / "cte_concentrators_2017-2022.xlsx"
    table = pd.read_excel(book, sheet_name=0, dtype={"agency_code": str})
    table = table[table["year"] == school_year]
    table = table.rename(columns={"agency_code": "org_id", "num_concentrators": "value"})
    table = table.assign(group_category="career_cluster", group_value=table["career_cluster"])
    told = table[table["org_id"].str.endswith("LEA")].assign(org_level="LEA")
    summed = up(table[level(table["org_id"]) == "SCH"], ["value"])
    cell = ["org_id", *GROUP]
    districts = pd.concat([told, summed[summed["org_level"] == "LEA"]]).drop_duplicates(cell)
    state = districts.groupby(GROUP)["value"].sum().reset_index()
    both = [
        summed[summed["org_level"] == "SCH"],
        districts,
        state.assign(org_level="SEA", org_id=STATE),
    ]
    return pd.concat(both)[["org_level", "org_id", *GROUP, "value"]]


def perkins_concentrators(data: Path) -> pd.DataFrame:
    """The state of 2021 by group, by cluster and by both, secondary education alone."""
    book = data / "nc" / "workforce" / "perkins_concentrators_by_state_2020-21.xlsx"
    table = pd.read_excel(book, header=1, dtype=str)
    table = table[(table["State"] == "North Carolina") & (table["Education Type"] == "Secondary")]
    rows = []
    for line in table.itertuples(index=False):
        who = {"Grand Total": ("all", "all"), **PERKINS}.get(line[3].strip())
        if who is None:
            continue
        for cluster, told in zip(["all", *CLUSTERS], line[4:], strict=False):
            if pd.isna(told):
                continue
            group = [("career_cluster", cluster)] * (cluster != "all") + [who] * (who[0] != "all")
            category, value = map("*".join, zip(*(group or [who]), strict=True))
            rows.append({"group_category": category, "group_value": value, "value": float(told)})
    return pd.DataFrame(rows).assign(org_level="SEA", org_id=STATE)


def suspension_rate(data: Path, school_year: int) -> pd.DataFrame:
    """Suspensions out of school, short and long, per student; null where either is masked."""
    table = file(data, school_year, "rcd_inc2")
    groups = table["subgroup"].map(SUBGROUPS)
    per_1000 = number(table["sts_per1000"]) + number(table["lts_per1000"])
    told = ~(table["sts_mask_code"].isin(["3", "4"]) | table["lts_mask_code"].isin(["3", "4"]))
    return charters_too(
        table.assign(
            org_level=level(table["org_id"]),
            group_category=groups.str[0],
            group_value=groups.str[1],
            value=(per_1000 / 1000).where(told),
        )
    )


def principals_and_stayers(data: Path) -> dict[str, pd.DataFrame]:
    """2018: one less a school's turnover of teachers; principals of districts by race and sex."""
    turnover = everyone(file(data, 2018, "rcd_experience"))
    turnover = turnover[(turnover["staff"] == "Teacher") & level(turnover["org_id"]).eq("SCH")]
    turnover = turnover.assign(org_level="SCH", value=1 - number(turnover["pct_turnover"]))
    heads = file(data, 2018, "rcd_prin_demo")
    heads = heads[heads["year"] == "2018"]
    groups = heads["subgroup"].map(SUBGROUPS | {"OTHER": ("race_other", "OTHER")})
    heads = heads.assign(
        org_level=heads["org_id"].map(lambda code: "SEA" if code == STATE else "LEA"),
        group_category=groups.str[0],
        group_value=groups.str[1],
        value=number(heads["pct_prin_demo"]),
    )
    return {"stayer_rate": charters_too(turnover), "principal_share": heads}


def segregation(data: Path, school_year: int) -> dict[str, pd.DataFrame]:
    """By race, over the schools of each district and of the state; no other group is counted."""
    counted = membership(data, school_year)
    counted = counted[counted["org_level"] == "SCH"]
    everyone_there = counted[counted["group_category"] == "all"].set_index("org_id")["students"]
    told: dict[str, list[dict[str, object]]] = {"dissimilarity": [], "exposure": []}
    races = counted[counted["group_category"] == "race"]
    for race, schools in races.groupby("group_value"):
        schools = schools.set_index("org_id")["students"].to_frame("g")
        schools["n"] = everyone_there
        schools["h"] = schools["n"] - schools["g"]
        schools["district"] = district(schools.index.to_series())
        parts = [("SEA", STATE, schools), *(("LEA", *one) for one in schools.groupby("district"))]
        for org_level, org_id, part in parts:
            whole, rest = part["g"].sum(), part["h"].sum()
            if not whole or not rest:
                continue
            row = {"org_level": org_level, "org_id": org_id, "group_category": "race",
                   "group_value": race}  # fmt: skip
            uneven = (part["g"] / whole - part["h"] / rest).abs().sum() / 2
            some = part[part["n"] > 0]
            met = (some["g"] * some["h"] / some["n"]).sum() / whole
            told["dissimilarity"].append(row | {"value": uneven})
            told["exposure"].append(row | {"value": met})
    return {metric: pd.DataFrame(found) for metric, found in told.items()}


def equity_gaps(data: Path, school_year: int) -> dict[str, pd.DataFrame]:
    """The state's gap in inexperienced teachers of 2019, between quartiles and by race's exposure.

    Schools with a membership stand for their pupils; a masked share of the economically
    disadvantaged is the middle of its range.
    """
    if school_year != 2019:
        return {}
    staff = file(data, 2019, "rcd_eq").set_index("org_id")
    staff = pd.DataFrame(
        {"new": number(staff["beg_teacher"]), "of": number(staff["number_of_teachers"])}
    )
    pupils = file(data, 2019, "ec_pupils").set_index("org_id")
    schools = number(pupils["total"]).to_frame("n").join(staff)
    poor = file(data, 2019, "rcd_acc_eds").set_index("org_id")
    share = number(poor["pct_eds"]) / 100
    code = pd.to_numeric(poor["pct_eds_masking"])
    share = share.mask(code == 1, 0.975).mask(code == 2, 0.025).mask(code.isin([3, 4]))
    schools["share"] = share
    placed = schools[schools["share"].notna() & (schools["n"] > 0)].reset_index()
    placed = placed.sort_values(["share", "org_id"])
    middle = placed["n"].cumsum() - placed["n"] / 2
    placed["quartile"] = np.minimum(4, 1 + np.floor(4 * middle / placed["n"].sum()))
    there = placed[placed["of"] > 0].groupby("quartile")[["new", "of"]].sum()
    rates = there["new"] / there["of"]
    rows = [{"group_category": "method", "group_value": "poverty_quartile",
             "value": rates[4] - rates[1]}]  # fmt: skip
    taught = schools[schools["of"] > 0]
    rate = taught["new"] / taught["of"]
    for race_name, race in RACES.items():
        g = sum(number(pupils[f"{race_name} {sex}"]) for sex in SEXES).reindex(taught.index)
        h = taught["n"] - g
        met = (g * rate).sum() / g.sum() - (h * rate).sum() / h.sum()
        rows.append({"group_category": "method*race", "group_value": f"exposure*{race}",
                     "value": met})  # fmt: skip
    told = pd.DataFrame(rows).assign(org_level="SEA", org_id=STATE)
    return {"inexperienced_teacher_rate_equity_gap": told}


def everything(data: Path, school_year: int) -> dict[str, pd.DataFrame]:
    """Every metric that the files of one year give, by metric."""
    return {
        "membership": membership(data, school_year),
        "group_share": group_share(data, school_year),
        "average_daily_membership": average_daily_membership(data, school_year),
        "chronic_absence_rate": chronic_absence_rate(data, school_year),
        "graduation_rate_4yr": graduation_rate(data, school_year, "4yr"),
        "graduation_rate_5yr": graduation_rate(data, school_year, "5yr"),
        **spending(data, school_year),
        **teachers(data, school_year),
        **cte(data, school_year),
        "suspension_rate": suspension_rate(data, school_year),
        "class_size": class_size(data, school_year),
        **(principals_and_stayers(data) if school_year == 2018 else {}),
        **segregation(data, school_year),
        **equity_gaps(data, school_year),
    }
