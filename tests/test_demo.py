"""The fictitious state keeps its promises, writes the same bytes again, and knows its own truth."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from include import lake, portals, quality, registry
from include.demo import BadPlan, Plan, generate
from include.standard import contract

ROOT = Path(__file__).parents[1]
EXTRACTS = tuple(registry.states()["zz"].extracts)
YEARS = (2024, 2025)
SMALL = Plan(students=2_000, districts=6)
# Sizes and seeds at the edges: one LEA, tiny LEAs with one school each, many charters, other years.
PLANS = (
    SMALL,
    Plan(students=2_000, districts=20, seed=1),
    Plan(students=1_500, districts=1, seed=2),
    Plan(students=400, districts=10, seed=3),
    Plan(students=12_000, districts=40, seed=4, years=(2025,)),
    Plan(students=9_000, districts=7, seed=5, years=(2023, 2024, 2025)),
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default state: 60,000 students, 20 districts, two years."""
    folder = tmp_path_factory.mktemp("demo")
    generate(folder, Plan())
    return folder


@pytest.fixture(scope="module", params=PLANS, ids=str)
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """States of other sizes and seeds."""
    folder = tmp_path_factory.mktemp("other")
    generate(folder, request.param)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@cache
def told(folder: Path) -> dict:
    return json.loads((folder / "zz/truths.json").read_text())


@cache
def table(folder: Path, extract: str) -> pd.DataFrame:
    """All years of an extract as text; an empty cell is missing. Not to be changed."""
    files = sorted((folder / "zz").glob(f"*/{extract}.csv"))
    parts = (pd.read_csv(file, dtype=str, keep_default_na=False) for file in files)
    return pd.concat(parts, ignore_index=True).replace("", None)


def truths(folder: Path, measure: str) -> pd.Series:
    """What the generator says of one measure, by year, level, organization and group."""
    found = pd.DataFrame(told(folder)["amounts"], columns=told(folder)["columns"])
    found = found[found["measure"] == measure].drop(columns="measure")
    return found.set_index(list(found.columns[:-1]))["amount"].astype(float).sort_index()


# ------------------------------------------------------------------------ the same bytes again


def test_the_same_plan_writes_the_same_bytes_in_another_process(tmp_path):
    generate(tmp_path / "here", SMALL)
    command = [sys.executable, "-m", "include.demo", "--out", str(tmp_path / "there")]
    size = ["--students", str(SMALL.students), "--districts", str(SMALL.districts)]
    environment = os.environ | {"PYTHONHASHSEED": "12345", "TZ": "Pacific/Auckland"}
    subprocess.run(command + size, check=True, cwd=ROOT, env=environment, capture_output=True)

    assert hashes(tmp_path / "here") == hashes(tmp_path / "there")


def test_another_seed_writes_another_state(tmp_path):
    generate(tmp_path / "seven", SMALL)
    generate(tmp_path / "eight", Plan(SMALL.students, SMALL.districts, SMALL.years, seed=8))
    seven, eight = hashes(tmp_path / "seven"), hashes(tmp_path / "eight")

    assert seven.keys() == eight.keys()
    same = {Path(name).name for name in seven if seven[name] == eight[name]}
    # What leads to which occupation is the same everywhere.
    assert same == {"cip_soc.csv", "cip_soc.json"}


def test_drawing_again_replaces_the_files_and_leaves_nothing_else(tmp_path):
    generate(tmp_path, Plan(1_000, 2))
    generate(tmp_path, SMALL)
    drawn = hashes(tmp_path)

    assert not [name for name in drawn if name.endswith(".part")]
    assert told(tmp_path)["rows"]["2024/directory"] == len(table(tmp_path, "directory")) / 2


def test_a_manifest_tells_rows_hash_and_a_date_that_follows_from_the_year(demo):
    for name, sha256 in hashes(demo).items():
        if not name.endswith(".csv"):
            continue
        manifest = json.loads((demo / name).with_suffix(".json").read_text())
        lines = (demo / name).read_text().count("\n")
        year = int(Path(name).parent.name)

        assert manifest["sha256"] == sha256
        assert manifest["rows"] == lines - 1
        assert year - 1 <= int(manifest["as_of"][:4]) <= year + 1


@pytest.mark.parametrize(
    "plan",
    [
        {"students": 100, "districts": 20},
        {"districts": 0},
        {"years": ()},
        {"years": (2024, 2026)},
    ],
)
def test_a_state_that_cannot_be_drawn_is_refused(plan):
    with pytest.raises(BadPlan, match="ask"):
        Plan(**plan)


# ------------------------------------------------------------------------ the promises


def broken(folder: Path, name: str, year: int) -> Iterator[str]:
    """Every promise of the declaration that some row of a file breaks, by plain SQL."""
    extract = registry.extract_of("zz", name)
    with duckdb.connect() as connection:
        connection.execute(
            "create table t as from read_csv(?, all_varchar = true, header = true, nullstr = '')",
            [str(folder / f"zz/{year}/{name}.csv")],
        )

        [rows] = connection.execute("select count(*) from t").fetchone()
        header = [column[0] for column in connection.execute("describe t").fetchall()]
        if header != list(extract.columns):
            yield f"header {header}"
        if not extract.rows[0] <= rows <= extract.rows[1]:
            yield f"{rows} rows"
        keys = ", ".join(f'"{column}"' for column in extract.key)
        if connection.execute(f"from t select {keys} group by all having count(*) > 1").fetchall():
            yield f"key {keys}"
        wrong = {f"({rule}) is not true": reason for rule, reason in extract.row_rules.items()}
        for column, promise in extract.columns.items():
            wrong |= {where: where for where in violations(column, promise, year)}
            if column in extract.key:
                wrong[f'"{column}" is null'] = f"{column} is part of the key and missing"
        counts = ", ".join(f"count(*) filter (where {where})" for where in wrong)
        found = connection.execute(f"select {counts} from t").fetchone()
        yield from (why for why, count in zip(wrong.values(), found, strict=True) if count)


def violations(column: str, promise: registry.Column, year: int) -> Iterator[str]:
    """Conditions that find the rows in which one column breaks its promise."""
    it = f'"{column}"'
    casts = {"integer": "bigint", "number": "double", "date": "date"}
    if promise.required:
        yield f"{it} is null"
    if promise.type in casts and not promise.masks:
        yield f"{it} is not null and try_cast({it} as {casts[promise.type]}) is null"
    if promise.codes:
        codes = ", ".join(f"'{code}'" for code in promise.codes)
        yield f"{it} is not null and {it} not in ({codes})"
    if promise.pattern:
        yield f"not regexp_full_match({it}, '{promise.pattern}')"
    if promise.min is not None:
        yield f"try_cast({it} as double) < {promise.min}"
    if promise.max is not None:
        yield f"try_cast({it} as double) > {promise.max}"
    if promise.is_school_year:
        yield f"{it} <> '{year}'"


@pytest.mark.parametrize("name", EXTRACTS)
def test_every_row_keeps_every_promise_of_its_declaration(demo, name):
    assert [told for year in YEARS for told in broken(demo, name, year)] == []


def test_a_state_of_any_size_keeps_its_promises(other):
    plan = told(other)["plan"]
    declared = registry.states()["zz"].extracts
    found = [
        f"{year} {name}: {why}"
        for year in plan["years"]
        for name in declared
        for why in broken(other, name, year)
        # The bounds are meant for 2,000 students and more.
        if not (plan["students"] < 2_000 and why.endswith(" rows"))
    ]

    assert found == []


@pytest.mark.parametrize("name", EXTRACTS)
def test_the_real_check_sets_no_row_of_the_demo_aside(name, home, tmp_path, monkeypatch):
    generate(tmp_path / "zz-extracts", SMALL)
    monkeypatch.setenv("STATEWIDE_EXTRACTS", str(tmp_path / "zz-extracts"))
    sha256 = portals.fetch("zz", name, 2025)
    load = lake.replace("zz", name, 2025, quality.check("zz", name, 2025, sha256))
    verdict = json.loads(lake.verdict("zz", name, 2025, sha256).read_text())

    assert load.quarantined == 0
    assert load.accepted == told(tmp_path / "zz-extracts")["rows"][f"2025/{name}"]
    assert {promise["outcome"] for promise in verdict["promises"]} == {"kept"}


def test_no_row_rule_lets_a_row_pass_by_being_unknown():
    for name, extract in contract.extracts().items():
        empty = ", ".join(f"null::varchar as {column}" for column in extract.columns)
        with duckdb.connect() as connection:
            for rule in extract.row_rules:
                connection.execute(f"select {rule} from (select {empty})")
        assert extract.row_rules, name


# ------------------------------------------------------------------------ across rows and files


def test_a_student_is_counted_once_in_the_whole_state(demo):
    stays = table(demo, "student_enrollment")
    counted = stays[stays["count_date"] == "Y"]

    assert not counted.duplicated(["school_year", "student_id"]).any()


def test_stays_of_a_student_follow_one_another(demo):
    stays = table(demo, "student_enrollment").sort_values(
        ["school_year", "student_id", "entry_date"]
    )
    again = stays.duplicated(["school_year", "student_id"])
    before = stays.shift(1)[again]

    assert again.sum() > 1_000
    assert (before["exit_date"] < stays.loc[again, "entry_date"]).all()
    assert set(before["exit_type"]) == {"TRANSFER"}
    assert set(stays.loc[again, "entry_type"]) == {"TRANSFER"}


def test_schools_are_in_the_directory_and_offer_the_grades_they_teach(demo):
    directory = table(demo, "directory").set_index(["school_year", "org_id"])
    grades = ["PK", "KG", *(f"{grade:02}" for grade in range(1, 13))]
    stays = table(demo, "student_enrollment").join(directory, ["school_year", "school_id"])
    low, grade, high = (
        stays[name].map(grades.index) for name in ("grade_low", "grade", "grade_high")
    )

    assert (stays["org_level"] == "SCH").all()
    assert (stays["parent_org_id"] == stays["lea_id"]).all()
    assert low.le(grade).all() and grade.le(high).all()
    for name in ("finance_ledger", "staff_assignment"):
        schools = set(table(demo, name)["school_id"]) - {"CENTRAL"}
        assert schools <= set(directory.index.get_level_values("org_id"))


def test_students_who_stay_move_up_one_grade(demo):
    grades = ["PK", "KG", *(f"{grade:02}" for grade in range(1, 13))]
    stays = table(demo, "student_enrollment").drop_duplicates(
        ["school_year", "student_id"], keep="last"
    )
    by_year = stays.set_index("student_id").groupby("school_year")["grade"]
    years = {year: found.map(grades.index) for year, found in by_year}
    both = pd.concat(years, axis=1, join="inner")
    step = both["2025"] - both["2024"]

    assert set(step) == {0, 1}
    assert step.mean() > 0.95
    assert len(both) > 0.85 * len(years["2024"])


def test_teachers_stay_move_and_leave(demo):
    staff = table(demo, "staff_assignment")
    staff = staff[staff["staff_class"].isin(["ELMTCH", "SECTCH"])].drop_duplicates(
        ["school_year", "staff_id"]
    )
    before, after = (
        staff[staff["school_year"] == year].set_index("staff_id") for year in ("2024", "2025")
    )
    both = before.join(after, how="inner", rsuffix="_after")
    stays = (both["school_id"] == both["school_id_after"]).sum() / len(before)
    experience = both["prior_years_after"].astype(int) - both["prior_years"].astype(int)

    assert 0.75 < stays < 0.95
    assert 0.01 < len(both) / len(before) - stays < 0.1
    assert 1 - len(both) / len(before) > 0.03
    assert (experience == 1).all()
    assert not set(before.index[before["status"] == "SEPARATED"]) & set(after.index)


def test_nobody_works_more_than_full_time_and_every_school_has_one_principal(demo):
    staff = table(demo, "staff_assignment")
    fte = staff["fte"].astype(float).groupby([staff["school_year"], staff["staff_id"]]).sum()
    principals = staff[staff["is_principal"] == "Y"]
    schools = table(demo, "student_enrollment")[["school_year", "school_id"]].drop_duplicates()

    assert fte.max() <= 1.0 + 1e-9
    assert not principals.duplicated(["school_year", "school_id"]).any()
    assert len(principals) == len(schools)


def test_a_course_out_of_field_is_one_without_its_endorsement(demo):
    staff = table(demo, "staff_assignment")
    taught = staff[staff["course_code"] != "0000"]
    held = taught["endorsements"].fillna("").str.split(";")
    lacks = [
        course[:3] not in subjects
        for course, subjects in zip(taught["course_code"], held, strict=True)
    ]

    assert (taught["is_out_of_field"] == "Y").tolist() == lacks
    assert 0.02 < sum(lacks) / len(lacks) < 0.2
    # A person holds the same endorsements on every row.
    assert (
        staff.fillna("").groupby(["school_year", "staff_id"])["endorsements"].nunique() == 1
    ).all()


def test_who_graduated_last_year_has_graduated_in_this_years_five_year_cohort(demo):
    cohorts = table(demo, "graduation_cohort")
    four = cohorts[(cohorts["school_year"] == "2024") & (cohorts["cohort_year"] == "2024")]
    five = cohorts[(cohorts["school_year"] == "2025") & (cohorts["cohort_year"] == "2024")]
    both = four.set_index("student_id").join(five.set_index("student_id"), rsuffix="_after")
    graduated = both[both["graduated"] == "Y"]

    assert (graduated["graduated_after"] == "Y").all()
    assert (both["years_after"] == "5").sum() > 10
    assert set(five["student_id"]) <= set(four["student_id"])


def test_courses_add_up_to_the_courses_before_of_the_next_year(demo):
    courses = table(demo, "cte_enrollment")
    courses = courses.assign(
        prior=courses["prior_courses"].astype(int), done=(courses["completed"] == "Y").astype(int)
    )
    by = courses.groupby(["school_year", "student_id", "program"]).agg(
        {"prior": "max", "done": "sum"}
    )
    both = by.loc["2024"].join(by.loc["2025"], how="inner", rsuffix="_after")

    assert len(both) > 1_000
    assert (both["prior"] + both["done"] == both["prior_after"]).all()


def test_a_reported_concentrator_has_not_fewer_than_two_courses(demo):
    courses = table(demo, "cte_enrollment")
    done = (courses["completed"] == "Y").groupby(
        [courses["school_year"], courses["student_id"], courses["program"]]
    ).sum() + courses.groupby(["school_year", "student_id", "program"])[
        "prior_courses"
    ].max().astype(int)
    outcomes = table(demo, "cte_outcome").set_index(["school_year", "student_id", "program"])
    known = outcomes.join(done.rename("courses"), how="inner")

    assert len(known) > 1_000
    assert (known["courses"] >= 2).all()


def test_identifiers_are_nine_digits_and_tell_neither_name_nor_order(demo):
    for name, column in (("student_enrollment", "student_id"), ("staff_assignment", "staff_id")):
        people = table(demo, name)[column]
        assert people.str.fullmatch("[0-9]{9}").all()
        # Neighbors in the file are no neighbors in number: counting up finds nobody.
        assert (people.drop_duplicates().astype(int).diff().abs().dropna() > 1_000).mean() > 0.99
    columns = {column for name in EXTRACTS for column in table(demo, name)}
    assert not {
        c for c in columns if c.split("_")[0] in ("first", "last", "birth", "address", "ssn")
    }


# ------------------------------------------------------------------------ what is true


def races(people: pd.DataFrame) -> pd.Series:
    """One of seven races: Hispanic first, then two or more."""
    flags = ["american_indian", "asian", "black", "pacific_islander", "white"]
    marked = (people[flags] == "Y").to_numpy()
    one = np.array(["AM7", "AS7", "BL7", "PI7", "WH7"])[marked.argmax(axis=1)]
    several = np.where(marked.sum(axis=1) > 1, "MU7", one)
    return pd.Series(np.where(people["hispanic"] == "Y", "HI7", several), people.index)


def grouped(people: pd.DataFrame) -> dict[str, pd.Series]:
    """Each student's value in every category that truths are told for."""

    def either(column: str, yes: str, no: str) -> pd.Series:
        return (people[column] == "Y").map({True: yes, False: no})

    race = races(people)
    return {
        "all": pd.Series("all", people.index),
        "race": race,
        "sex": people["sex"],
        "race*sex": race + "*" + people["sex"],
        "economic": either("economically_disadvantaged", "ECODIS", "NECODIS"),
        "english_learner": either("english_learner", "EL", "NEL"),
        "disability": either("idea", "IDEA", "NIDEA"),
        "homeless": people["homeless"].notna().map({True: "Y", False: "N"}),
        "foster": people["foster"],
        "military": people["military"],
        "migrant": people["migrant"],
        **({"grade": people["grade"]} if "grade" in people else {}),
    }


def at_every_level(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows three times over: for the school, its LEA and the state."""
    levels = [
        rows.assign(org_level="SCH", org_id=rows["school_id"]),
        rows.assign(org_level="LEA", org_id=rows["lea_id"]),
        rows.assign(org_level="SEA", org_id="zz"),
    ]
    rows = pd.concat(levels, ignore_index=True)
    return rows[rows["org_id"] != "CENTRAL"]


def added_up(
    rows: pd.DataFrame, groups: dict[str, pd.Series], amount: pd.Series | None = None
) -> pd.Series:
    """Rows (or their amount) by year, level, organization and group, zeros left out."""
    amount = pd.Series(1.0, rows.index) if amount is None else amount
    parts = []
    for category, values in groups.items():
        by = [rows["school_year"].astype(int), rows["org_level"], rows["org_id"]]
        found = amount.groupby([*by, values.rename("group_value")]).sum()
        parts.append(pd.concat({category: found}, names=["group_category"]))
    names = ["school_year", "org_level", "org_id", "group_category", "group_value"]
    found = pd.concat(parts).reorder_levels(names).sort_index()
    return found[found != 0]


def same(folder: Path, measure: str, found: pd.Series) -> None:
    """The truths of a measure are what was found, in every category that they are told for."""
    expected = truths(folder, measure)
    told_for = found.index.get_level_values("group_category").isin(
        expected.index.get_level_values("group_category")
    )
    found = found[told_for].astype(float)
    pd.testing.assert_series_equal(
        found, expected, check_names=False, check_exact=False, rtol=1e-9, atol=1e-5
    )


def members(folder: Path) -> pd.DataFrame:
    stays = table(folder, "student_enrollment")
    return at_every_level(stays[stays["count_date"] == "Y"])


def check_students(folder: Path) -> None:
    counted = members(folder)
    same(folder, "membership", added_up(counted, grouped(counted)))
    upper = counted[counted["grade"].isin(["09", "10", "11", "12"])]
    same(folder, "membership_9_12", added_up(upper, grouped(upper)))
    stays = at_every_level(table(folder, "student_enrollment"))
    share = stays["days_enrolled"].astype(int) / stays["days_in_session"].astype(int)
    same(folder, "average_daily_membership", added_up(stays, grouped(stays), share))
    taken = []
    for column, program in (("ap", "AP"), ("ib", "IB"), ("dual_enrollment", "DUAL")):
        of = upper[upper[column] == "Y"]
        by = {"program": pd.Series(program, of.index), "program*race": program + "*" + races(of)}
        taken.append(added_up(of, by))
    same(folder, "advanced_students", pd.concat(taken).sort_index())


def check_conduct(folder: Path) -> None:
    stays = at_every_level(table(folder, "student_enrollment"))
    by = ["school_year", "org_level", "org_id", "student_id"]
    times = stays["out_of_school_suspensions"].astype(int)
    in_all = times.groupby([stays[name] for name in by]).transform("sum")
    suspended = stays[(stays["count_date"] == "Y") & (in_all > 0)]
    same(folder, "suspended_students", added_up(suspended, grouped(suspended)))


def check_absence(folder: Path) -> None:
    stays = at_every_level(table(folder, "student_enrollment"))
    days = stays[["days_enrolled", "days_absent"]].astype(int)
    by = ["school_year", "org_level", "org_id", "student_id"]
    total = days.groupby([stays[name] for name in by]).transform("sum")
    first = ~stays.duplicated(by)
    eligible = stays[first & (total["days_enrolled"] >= 20)]
    same(folder, "attendance_eligible", added_up(eligible, grouped(eligible)))
    chronic = stays[
        first
        & (total["days_enrolled"] >= 20)
        & (10 * total["days_absent"] > total["days_enrolled"])
    ]
    same(folder, "chronically_absent", added_up(chronic, grouped(chronic)))


def check_graduation(folder: Path) -> None:
    cohorts = at_every_level(table(folder, "graduation_cohort"))
    late = cohorts["school_year"].astype(int) - cohorts["cohort_year"].astype(int)
    for label, years in (("4yr", 0), ("5yr", 1)):
        cohort = cohorts[late == years]
        same(folder, f"cohort_{label}", added_up(cohort, grouped(cohort)))
        done = cohort[cohort["graduated"] == "Y"]
        same(folder, f"graduates_{label}", added_up(done, grouped(done)))


def check_money(folder: Path) -> None:
    lines = table(folder, "finance_ledger").rename(columns={"fiscal_year": "school_year"})
    lines = at_every_level(lines[lines["basis"] == "actual"])
    cents = (lines["amount"].astype(float) * 100).round()
    personnel = lines["object"].str[0].isin(["1", "2"])
    federal = lines["source"] == "FED"
    source = federal.map({True: "FED", False: "STATE_LOCAL"})
    kind = personnel.map({True: "PERSONNEL", False: "NONPERSONNEL"})
    groups = {
        "all": pd.Series("all", lines.index),
        "source": source,
        "kind": kind,
        "source*kind": source + "*" + kind,
    }
    current = lines["function"].str.match("1|2|31|32") & lines["exclusion"].isna()
    relief = lines["assistance_listing"].fillna("").str.startswith("84.425")
    for suffix, chosen, categories in (
        ("", personnel | ~personnel, groups),
        ("_current", current & ~lines["object"].str.startswith("7"), groups),
        ("_relief", relief, ("all", "kind")),
        ("_federal", federal, ("all",)),
        ("_state", lines["source"] == "STATE", ("all",)),
        ("_local", lines["source"] == "LOCAL", ("all",)),
        ("_state_local", ~federal, ("all",)),
        ("_personnel", personnel, ("all",)),
        ("_nonpersonnel", ~personnel, ("all",)),
    ):
        by = {category: groups[category][chosen] for category in categories}
        spent = added_up(lines[chosen], by, cents[chosen])
        same(folder, f"expenditure{suffix}", spent / 100)
    counted = members(folder)
    same(folder, "finance_pupils", added_up(counted, {"all": pd.Series("all", counted.index)}))


def check_staff(folder: Path) -> None:
    staff = at_every_level(table(folder, "staff_assignment"))
    fte = staff["fte"].astype(float)
    teaches = staff["staff_class"].isin(["PKTCH", "KGTCH", "ELMTCH", "SECTCH", "UGTCH"])
    found = added_up(staff, {"staff_class": staff["staff_class"]}, fte)
    teachers = added_up(
        staff[teaches], {"staff_class": pd.Series("TCH", staff.index[teaches])}, fte[teaches]
    )
    support = staff[staff["support_role"].notna()]
    roles = added_up(support, {"support_role": support["support_role"]}, fte[support.index])
    same(folder, "staff_fte", pd.concat([found, teachers, roles]).sort_index())
    outside = staff[staff["is_out_of_field"] == "Y"]
    everyone = {"all": pd.Series("all", outside.index)}
    same(folder, "out_of_field_fte", added_up(outside, everyone, fte[outside.index]))
    new = staff["prior_years"].astype(int) < 2
    short = staff["credential_type"].isin(["PROVISIONAL", "EMERGENCY"])
    principal = staff["is_principal"] == "Y"
    for measure, chosen in (
        ("teachers", teaches),
        ("inexperienced_teachers", teaches & new),
        ("provisional_teachers", teaches & short),
        ("principals", principal),
        ("inexperienced_principals", principal & new),
    ):
        heads = staff[chosen].drop_duplicates(["school_year", "org_level", "org_id", "staff_id"])
        same(folder, measure, added_up(heads, {"all": pd.Series("all", heads.index)}))


def check_programs(folder: Path) -> None:
    counted = members(folder)
    upper = counted[counted["grade"].isin(["09", "10", "11", "12"])]
    same(folder, "grade_9_12_students", added_up(upper, grouped(upper)))
    courses = table(folder, "cte_enrollment")
    courses = courses.assign(
        done=(courses["completed"] == "Y").astype(int), prior=courses["prior_courses"].astype(int)
    )
    by = ["school_year", "student_id"]
    programs = courses.groupby([*by, "program", "cluster"], as_index=False).agg(
        {"done": "sum", "prior": "max"}
    )
    participants = programs.loc[programs["done"] >= 1, by].drop_duplicates()
    found = upper.merge(participants, on=by)
    same(folder, "cte_participants", added_up(found, grouped(found)))
    two = programs[programs["done"] + programs["prior"] >= 2]
    found = upper.merge(two[[*by, "cluster"]], on=by)
    groups = grouped(found) | {"career_cluster": found["cluster"]}
    same(folder, "cte_concentrators", added_up(found, groups))


CHECKS = (
    check_students,
    check_absence,
    check_conduct,
    check_graduation,
    check_money,
    check_staff,
    check_programs,
)


@pytest.mark.parametrize("recompute", CHECKS)
def test_the_truths_of_the_default_state_follow_from_its_files(demo, recompute):
    recompute(demo)


@pytest.mark.parametrize("recompute", CHECKS)
def test_the_truths_of_a_state_of_any_size_follow_from_its_files(other, recompute):
    recompute(other)


def test_no_measure_is_told_that_is_not_recomputed_here(demo):
    assert {row[5] for row in told(demo)["amounts"]} == {
        "membership", "membership_9_12", "average_daily_membership", "advanced_students",
        "attendance_eligible", "chronically_absent", "cohort_4yr", "graduates_4yr", "cohort_5yr",
        "graduates_5yr", "expenditure", "expenditure_federal", "expenditure_state",
        "expenditure_local", "expenditure_personnel", "expenditure_nonpersonnel",
        "expenditure_state_local", "expenditure_current", "expenditure_relief",
        "finance_pupils", "staff_fte", "teachers", "inexperienced_teachers",
        "provisional_teachers", "principals", "inexperienced_principals", "grade_9_12_students",
        "cte_participants", "cte_concentrators", "suspended_students", "out_of_field_fte",
    }  # fmt: skip


# ------------------------------------------------------------------------ stories and correlations


def test_the_first_years_membership_is_the_planned_one(demo, other):
    for folder in (demo, other):
        stays = table(folder, "student_enrollment")
        plan = told(folder)["plan"]
        first = stays[
            (stays["school_year"] == str(plan["years"][0])) & (stays["count_date"] == "Y")
        ]

        assert len(first) == plan["students"]


def test_the_default_state_has_the_size_that_it_promises(demo):
    directory = table(demo, "directory")
    leas, schools = (directory[directory["org_level"] == level] for level in ("LEA", "SCH"))

    assert len(leas) == 2 * 20
    assert 2 * 110 <= len(schools) <= 2 * 135
    assert (leas["is_charter"] == "Y").sum() == 2 * 4
    assert set(schools["org_type"]) == {"REGULAR", "CHARTER", "ALTERNATIVE"}


def test_the_small_groups_that_must_be_hidden_are_there(demo):
    stories = told(demo)["planted"]

    for story, size in (
        ("four_english_learners", 4),
        ("all_but_three_disadvantaged", 3),
        ("no_english_learners", 0),
    ):
        school = stories[story]["org_id"]
        there = members(demo)
        there = there[there["org_id"] == school]
        values = grouped(there)[stories[story]["group_category"]]
        found = there[values == stories[story]["group_value"]].groupby("school_year").size()
        for year in ("2024", "2025"):
            assert found.get(year, 0) == stories[story]["membership"][year] == size
            assert stories[story]["membership_of_all"][year] > 100


def test_one_district_spends_thirty_percent_less_than_the_others(demo):
    story = told(demo)["planted"]["low_spending"]
    spent, pupils = truths(demo, "expenditure"), truths(demo, "finance_pupils")
    for year in YEARS:
        here = (year, "LEA", story["org_id"], "all", "all")
        state = (year, "SEA", "zz", "all", "all")
        ppe = spent[here] / pupils[here]
        others = (spent[state] - spent[here]) / (pupils[state] - pupils[here])

        assert ppe == pytest.approx(0.7 * others, abs=0.01)
        assert ppe == pytest.approx(story["ppe_total"][str(year)])
        assert others == pytest.approx(story["ppe_total_of_the_others"][str(year)])


def test_one_district_has_twice_the_chronic_absence(demo):
    story = told(demo)["planted"]["doubled_chronic_absence"]
    rates = truths(demo, "chronically_absent") / truths(demo, "attendance_eligible")
    for year in YEARS:
        here = story["chronic_absence_rate"][str(year)]

        assert 1.8 < here / story["chronic_absence_rate_of_the_others"][str(year)] < 2.3
        assert rates[year, "LEA", story["org_id"], "all", "all"] == pytest.approx(here)


def test_one_district_has_three_schools_in_comprehensive_support(demo):
    story = told(demo)["planted"]["three_csi_schools"]
    directory = table(demo, "directory").set_index(["school_year", "org_id"])
    found = table(demo, "identification").join(directory, ["school_year", "org_id"])
    of_lea = found[found["parent_org_id"] == story["org_id"]].groupby("school_year")["csi"]

    assert story["csi_schools"] == 3
    assert of_lea.agg(lambda csi: (csi == "Y").sum()).tolist() == [3, 3]
    assert of_lea.size().tolist() == [story["schools"]] * 2


def aligned_programs(folder: Path) -> pd.Series:
    """By year, region and CIP: whether one of its occupations is well paid, sought or skilled."""
    jobs = table(folder, "labor_market").replace("*", None)
    figures = ["employment", "projected_employment", "openings", "wage_median"]
    jobs = jobs.assign(**{name: pd.to_numeric(jobs[name]) for name in figures})
    judged = []
    for _, region in jobs.groupby(["school_year", "region"]):
        paid = region.dropna(subset="wage_median").sort_values(["wage_median", "soc"])
        half = paid["employment"].cumsum() >= paid["employment"].sum() / 2
        middle = paid["wage_median"][half].iloc[0]
        growth = region["projected_employment"].sum() / region["employment"].sum()
        well_paid = region["wage_median"] >= middle
        sought = (region["openings"] >= region["openings"].median()) | (
            region["projected_employment"] / region["employment"] > growth
        )
        skilled = ~region["entry_education"].isin(["NONE", "HIGH_SCHOOL"])
        judged.append(region.assign(is_aligned=well_paid | sought | skilled))
    leads = table(folder, "cip_soc")[["cip", "soc"]].drop_duplicates()
    both = pd.concat(judged).merge(leads, on="soc")
    return both.groupby(["school_year", "region", "cip"])["is_aligned"].any()


def test_programs_are_aligned_and_the_planned_ones_are_not(demo):
    story = told(demo)["planted"]["programs_not_aligned"]
    aligned = aligned_programs(demo).unstack("cip")
    jobs = table(demo, "labor_market").set_index("soc")[["employment", "projected_employment"]]
    declining = jobs.loc[story["occupations_in_decline"]].astype(float)

    assert not aligned[story["cips"]].to_numpy().any()
    assert aligned.drop(columns=story["cips"]).to_numpy().mean() > 0.8
    assert (declining["projected_employment"] < declining["employment"]).all()


def test_the_planned_programs_are_not_aligned_in_states_of_other_seeds(other):
    story = told(other)["planted"]["programs_not_aligned"]
    # In a very small state every occupation has ten jobs, and one opening.
    if told(other)["plan"]["students"] >= 9_000:
        assert not aligned_programs(other).unstack("cip")[story["cips"]].to_numpy().any()


def by_lea(folder: Path, measure: str, category: str = "all", value: str = "all") -> pd.Series:
    """One measure of every LEA in 2025, by its code."""
    names = ["school_year", "org_level", "group_category", "group_value"]
    return truths(folder, measure).xs((2025, "LEA", category, value), level=names)


def test_poverty_goes_with_what_it_goes_with_elsewhere(demo):
    poverty = by_lea(demo, "membership", "economic", "ECODIS") / by_lea(demo, "membership")
    # The planted LEAs tell a story of their own, charters of one school are too small for one.
    stories = [story["org_id"] for story in told(demo)["planted"].values() if "org_id" in story]
    poverty = poverty[~poverty.index.isin(stories) & ~poverty.index.str.startswith("C")]

    def correlation(above: str, below: str) -> float:
        rate = by_lea(demo, above) / by_lea(demo, below)
        return float(poverty.corr(rate.reindex(poverty.index)))

    assert len(poverty) > 10
    assert correlation("expenditure_local", "finance_pupils") < -0.5
    assert correlation("expenditure_federal", "finance_pupils") > 0.5
    assert correlation("inexperienced_teachers", "teachers") > 0.3
    assert correlation("chronically_absent", "attendance_eligible") > 0.5


def test_english_learners_live_near_one_another(demo):
    learners = truths(demo, "membership").xs(
        (2025, "SCH", "english_learner", "EL"),
        level=["school_year", "org_level", "group_category", "group_value"],
    )
    everyone = truths(demo, "membership").xs(
        (2025, "SCH", "all", "all"),
        level=["school_year", "org_level", "group_category", "group_value"],
    )
    share = (learners / everyone).fillna(0)

    assert share.quantile(0.9) > 2 * share.median()


# ------------------------------------------------------------------------ the contract


def test_the_contract_on_paper_is_the_contract_that_files_are_held_to():
    written = (ROOT / "docs/standard-extracts.md").read_text()

    assert written == contract.page(), (
        "run: python -m include.standard.contract > docs/standard-extracts.md"
    )


def test_every_standard_extract_is_in_the_contract_and_in_the_demo():
    files = {file.stem for file in registry.STANDARD.glob("*.yml")}

    standard = {name for name in EXTRACTS if registry.is_standard("zz", name)}

    assert files == set(contract.ORDER) == standard
    assert set(contract.ACROSS_ROWS) | set(contract.IN_MARTS) <= files
    # What it does not send as records, it takes from a nationwide file.
    assert all(registry.is_reference("zz", name) for name in set(EXTRACTS) - standard)


def test_whoever_could_be_a_person_is_personal():
    for name, extract in contract.extracts().items():
        people = {column for column in extract.columns if column in ("student_id", "staff_id")}
        assert set(extract.personal_columns) == people, name


def test_no_public_metric_of_the_demo_state_shows_how_many_pupils_there_are():
    disclosure = registry.states()["zz"].disclosure

    assert disclosure.minimum_n == 10
    assert set(disclosure.public_metrics) == {
        "staff_fte",
        "inexperienced_teacher_rate",
        "provisional_teacher_rate",
        "inexperienced_principal_rate",
        "out_of_field_teacher_rate",
        "stayer_rate",
        "mover_rate",
        "leaver_rate",
        "principal_turnover_3yr",
    }
