"""A state of any size, drawn pupil by pupil and added up: what protection is timed on.

    python -m ops.large_state --schools 2500 --years 5 --out state.duckdb     about 3 million rows
    python -m ops.large_state --schools 250 --years 1 --out small.duckdb --decide

The file has what `include.disclosure.decide` reads: intermediate.int_base_metrics (one row for each
metric, organization, group and year), intermediate.int_organizations and marts.dim_metric. As every
number is a count of the same pupils, every sum holds. Sizes are skewed as real ones are: one large
district, many of a school or two; some groups of a handful of pupils in most schools. The same
numbers make the same state. Nobody is in it.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from include.disclosure import decide, model
from include.registry import METRICS, Disclosure

STATE = "zz"
FIRST_YEAR = 2021
SEED = 2026

RACES = ("WH7", "HI7", "BL7", "AS7", "MU7", "AM7", "PI7")
SHARES = np.array([0.51, 0.22, 0.15, 0.05, 0.045, 0.02, 0.005])
GRADES = ("PK", "KG", *(f"{grade:02}" for grade in range(1, 13)))
# Share of the schools, first and last grade (by position), and how large against an elementary.
KINDS = ((0.52, 0, 6, 1.0), (0.18, 7, 9, 1.3), (0.19, 10, 13, 1.9), (0.06, 1, 9, 1.2),
         (0.05, 1, 13, 0.6))  # fmt: skip
SINGLE = {
    "race": RACES,
    "sex": ("F", "M"),
    "economic": ("ECODIS", "NECODIS"),
    "english_learner": ("EL", "NEL"),
    "disability": ("IDEA", "NIDEA"),
    "homeless": ("Y", "N"),
    "grade": GRADES,
}
# Which crossings each metric has. As the federal collections ask for: membership by race, sex and
# grade (EDFacts FS052), suspensions by race and sex (Civil Rights Data Collection), absence (FS195)
# and graduation (FS150) by each group. Membership by race and poverty or disability is in addition.
ASKED = {
    "membership": ("race*sex", "race*grade", "sex*grade", "race*economic", "race*disability"),
    "chronic_absence_rate": (),
    "suspension_rate": ("race*sex",),
    "graduation_rate_4yr": (),
}
# More than any state publishes of every school: most of its rates are of few pupils.
CROSSED = {
    "membership": ASKED["membership"],
    "chronic_absence_rate": ("race*sex", "race*economic", "race*disability"),
    "suspension_rate": ("race*sex", "race*economic", "race*disability"),
    "graduation_rate_4yr": ("race*sex",),
}
CROSSINGS = tuple(dict.fromkeys(name for names in CROSSED.values() for name in names))
KEY = "school_year, org_level, org_id"


def create(
    path: Path,
    schools: int,
    years: int,
    seed: int = SEED,
    crossed: Mapping[str, tuple[str, ...]] = CROSSED,
) -> dict[str, int]:
    """Write the state to a new DuckDB file. Returns how many rows, organizations and pupils.

    `crossed` says which crossings each metric is told by; the pupils are the same.

    Raises FileExistsError if the file is there.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there; name another file or remove it")
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema intermediate; create schema marts")
        connection.execute("set threads = 2; set preserve_insertion_order = false")
        random = np.random.default_rng(seed)
        places = _schools(random, schools)
        _organizations(connection, places, years)
        pupils = 0
        for year in range(FIRST_YEAR, FIRST_YEAR + years):
            drawn = _pupils(random, places)
            pupils += drawn.num_rows
            connection.register("pupil", drawn)
            _count(connection, year)
            connection.unregister("pupil")
        _rates(connection, crossed)
        _staff_and_money(connection, random)
        _describe(connection)
        connection.execute("drop table counted")
        rows, organizations = (
            connection.execute(f"select count(*) from intermediate.{table}").fetchone()[0]
            for table in (model.FACTS, "int_organizations")
        )
    return {"rows": rows, "organizations": organizations, "pupils": pupils}


def protect(path: Path, policy: Disclosure) -> tuple[decide.Outcome, float]:
    """Decide what may be told of such a state: the outcome, and the seconds that it took."""
    state, beside = (str(it).replace("'", "''") for it in (path, path.parent))
    with duckdb.connect() as connection:
        connection.execute(f"attach '{state}' as exact (read_only)")
        connection.execute(f"set threads = 2; set memory_limit = '{decide.ROOM}'")
        # What does not fit is put beside the state, not where this was called.
        connection.execute(f"set temp_directory = '{beside}'")
        kinds = model.kinds(connection, "exact")
        started = time.perf_counter()
        outcome = decide.decide(
            connection,
            "exact.intermediate",
            "exact.intermediate.int_organizations",
            policy,
            kinds,
            "protected",
        )
        return outcome, time.perf_counter() - started


# ---------------------------------------------------------------------------------------- drawing


def _schools(random: np.random.Generator, schools: int) -> dict[str, np.ndarray]:
    """The schools with their districts: how large, which grades, and how its pupils are made up."""
    # Districts as they come: most have a few schools, one has very many.
    sizes: list[int] = []
    while sum(sizes) < schools:
        size = 1 + int(random.pareto(1.1) * 1.6)
        sizes.append(min(size, max(1, schools // 10), schools - sum(sizes)))
    district = np.repeat(np.arange(len(sizes)), sizes)
    kind = random.choice(len(KINDS), schools, p=[share for share, *_ in KINDS])
    factor = np.array([relative for *_, relative in KINDS])[kind]
    pupils = np.maximum(6, np.rint(random.lognormal(5.85, 0.65, schools) * factor)).astype(int)
    of_district = random.dirichlet(SHARES * 9, len(sizes)) * 0.9 + SHARES * 0.1
    return {
        "district": district,
        "first": np.array([first for _, first, *_ in KINDS])[kind],
        "last": np.array([last for *_, last, _ in KINDS])[kind],
        "pupils": pupils,
        "race": np.array([random.dirichlet(of_district[d] * 60 + 0.02) for d in district]),
        "poor": np.clip(random.beta(2.2, 2.4, schools), 0.02, 0.98),
        "absent": random.beta(2, 9, schools),
        "suspended": random.beta(1.3, 18, schools),
        "graduates": random.beta(14, 2, schools),
    }


def _pupils(random: np.random.Generator, places: dict[str, np.ndarray]) -> pa.Table:
    """One row for each pupil of a year."""
    drift = np.exp(random.normal(0, 0.03, len(places["pupils"])))
    school = np.repeat(
        np.arange(len(drift)), np.maximum(3, np.rint(places["pupils"] * drift)).astype(int)
    )
    count = len(school)
    limits = places["race"].cumsum(axis=1)[school]
    race = np.minimum((random.random(count)[:, None] > limits).sum(axis=1), len(RACES) - 1)
    first, last = places["first"][school], places["last"][school]
    grade = first + (random.random(count) * (last - first + 1)).astype(int)
    is_poor = random.random(count) < places["poor"][school]
    learner = np.array([0.02, 0.35, 0.04, 0.22, 0.03, 0.08, 0.15])[race]
    is_absent = random.random(count) < places["absent"][school] * np.where(is_poor, 1.4, 0.6)
    is_suspended = random.random(count) < places["suspended"][school] * (grade > 4)
    is_last = grade == GRADES.index("12")
    graduates = is_last & (random.random(count) < places["graduates"][school])
    return pa.table(
        {
            "school": school.astype(np.int32),
            "race": pa.array(RACES).take(pa.array(race)),
            "sex": pa.array(SINGLE["sex"]).take(pa.array((random.random(count) < 0.513) * 1)),
            "grade": pa.array(GRADES).take(pa.array(grade)),
            "economic": pa.array(SINGLE["economic"]).take(pa.array(1 - is_poor)),
            "english_learner": _yes(SINGLE["english_learner"], random.random(count) < learner),
            "disability": _yes(SINGLE["disability"], random.random(count) < 0.145),
            "homeless": _yes(SINGLE["homeless"], random.random(count) < 0.025 * (1 + is_poor)),
            # A few came less than 20 days before the end of the year.
            "eligible": (random.random(count) < 0.97).astype(np.int8),
            "absent": is_absent.astype(np.int8),
            "suspended": is_suspended.astype(np.int8),
            "cohort": is_last.astype(np.int8),
            "graduate": graduates.astype(np.int8),
        }
    )


def _yes(members: tuple[str, str], flags: np.ndarray) -> pa.Array:
    return pa.array(members).take(pa.array(np.where(flags, 0, 1)))


# ------------------------------------------------------------------------------------- adding up


def _organizations(connection, places: dict[str, np.ndarray], years: int) -> None:
    schools = len(places["district"])
    connection.register(
        "given",
        pa.table(
            {
                "school": np.arange(schools, dtype=np.int32),
                "district": places["district"].astype(np.int32),
                "first": places["first"],
                "last": places["last"],
            }
        ),
    )
    connection.execute("create temp table school as from given")
    connection.unregister("given")
    connection.execute(f"""
    create table intermediate.int_organizations as
    with year as (select unnest(range({FIRST_YEAR}, {FIRST_YEAR + years})) as school_year),
    place as (
        select 'SCH' as org_level, format('{{:06}}', school) as org_id,
            format('L{{:05}}', district) as parent_org_id from school
        union all
        select distinct 'LEA', format('L{{:05}}', district), '{STATE}' from school
        union all
        select 'SEA', '{STATE}', null
    )
    select '{STATE}' as state, school_year::integer as school_year, place.*, org_id as name
    from place cross join year order by all
    """)
    rows = [("all", "all")]
    rows += [(name, member) for name, members in SINGLE.items() for member in members]
    for name in CROSSINGS:
        one, other = name.split("*")
        rows += [(name, f"{a}*{b}") for a in SINGLE[one] for b in SINGLE[other]]
    connection.execute("create temp table member (category varchar, member varchar)")
    connection.executemany("insert into member values (?, ?)", rows)
    # The groups that a school has a row for: of its grades only, and all others, be they nobody.
    grades = ", ".join(f"'{grade}'" for grade in GRADES)
    connection.execute(f"""
    create temp table offered as
    select school, district, category, member
    from school cross join member
    where not contains(category, 'grade') or
        list_position([{grades}], split_part(member, '*', -1)) - 1 between first and last
    """)
    connection.execute("""
    create temp table counted (
        school_year integer, org_level varchar, org_id varchar, category varchar, member varchar,
        members bigint, eligible bigint, absent bigint, suspended bigint, cohort bigint,
        graduates bigint
    )
    """)


def _count(connection, year: int) -> None:
    sums = (
        "count(*) as members, sum(eligible) as eligible, sum(eligible * absent) as absent, "
        "sum(suspended) as suspended, sum(cohort) as cohort, sum(graduate) as graduates"
    )
    names = ("members", "eligible", "absent", "suspended", "cohort", "graduates")
    parts = [
        f"select school, 'all' as category, 'all' as member, {sums} from pupil group by school"
    ]
    for name in (*SINGLE, *CROSSINGS):
        member = " || '*' || ".join(name.split("*"))
        parts.append(
            f"select school, '{name}' as category, {member} as member, {sums} "
            "from pupil group by all"
        )
    connection.execute("create or replace temp table here as " + " union all ".join(parts))
    told = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in names)
    for level, place in (
        ("SCH", "format('{:06}', school)"),
        ("LEA", "format('L{:05}', district)"),
        ("SEA", f"'{STATE}'"),
    ):
        connection.execute(f"""
        insert into counted
        select {year}, '{level}', {place} as org_id, category, member, {told}
        from offered left join here using (school, category, member)
        group by org_id, category, member
        """)
    connection.execute("drop table here")


def _rates(connection, crossed: Mapping[str, tuple[str, ...]]) -> None:
    """Fill int_base_metrics with what the pupils make."""
    shape = ", ".join(f"{name} {_TYPES.get(name, 'varchar')}" for name in model.FACT_COLUMNS)
    connection.execute(f"create table intermediate.{model.FACTS} ({shape})")
    # No money here is anybody's.
    connection.execute(f"""
    create table intermediate.{model.MEASURES} as
    select
        state, school_year, org_level, org_id, metric_id as measure, group_category, group_value,
        value as amount
    from intermediate.{model.FACTS}
    """)

    def insert(metric: str, over: str, under: str, where: str) -> None:
        value = over if under == "null" else f"{over} / nullif({under}, 0)"
        connection.execute(f"""
        insert into intermediate.{model.FACTS}
        select '{STATE}', school_year, '{metric}', org_level, org_id, category, member,
            {over}, {under}, {value},
            case when {value} is null then 'not_applicable' else 'reported' end,
            ['{"a" * 64}'], null, null
        from (
            select counted.*, whole.members as everyone
            from counted
            inner join (select {KEY}, members from counted where category = 'all') as whole
                using ({KEY})
        )
        where {where}
        order by school_year, org_level, org_id, category, member
        """)

    def told_by(metric: str) -> str:
        names = (*SINGLE, "all", *crossed[metric])
        return f"category in ({', '.join(repr(name) for name in names)})"

    insert("membership", "members", "null", told_by("membership"))
    insert("average_daily_membership", "members * 0.995", "null", "category = 'all'")
    insert(
        "group_share", "members", "everyone", "category <> 'all' and not contains(category, '*')"
    )
    insert("chronic_absence_rate", "absent", "eligible", told_by("chronic_absence_rate"))
    insert("suspension_rate", "suspended", "members", told_by("suspension_rate"))
    insert(
        "graduation_rate_4yr",
        "graduates",
        "cohort",
        f"{told_by('graduation_rate_4yr')} and category <> 'grade' and (school_year, org_id) in "
        "(select (school_year, org_id) from counted where category = 'all' and cohort > 0)",
    )


_TYPES = {
    "school_year": "integer",
    "numerator": "double",
    "denominator": "double",
    "value": "double",
    "value_lower": "double",
    "value_upper": "double",
    "source_loads": "varchar[]",
}


def _staff_and_money(connection, random: np.random.Generator) -> None:
    """Teachers by class and by experience, dollars by source: whole eighths and whole dollars."""
    schools = connection.execute(
        "select school_year, org_id, members from counted "
        "where org_level = 'SCH' and category = 'all' order by all"
    ).fetchnumpy()
    pupils = schools["members"].astype(float)
    teachers = np.maximum(1, np.rint(pupils / random.uniform(11, 18, len(pupils)))).astype(int)
    classes = ("ELMTCH", "SECTCH", "KGTCH")
    by_class = random.multinomial(teachers * 8, (0.55, 0.38, 0.07)) / 8
    support = {
        "PARA": np.rint(pupils / 12) / 8,
        "GUI": np.ceil(pupils / 60) / 8,
        "SCHADM": np.maximum(1, np.rint(pupils / 350)),
    }
    inexperienced = random.binomial(teachers, 0.16)
    provisional = random.binomial(teachers, 0.06)
    source = {
        name: np.rint(pupils * random.normal(mean, mean / 8, len(pupils)).clip(50))
        for name, mean in (("federal", 1300), ("state", 6200), ("local", 4100))
    }
    columns: dict[str, Any] = {
        "school_year": schools["school_year"],
        "org_id": schools["org_id"].astype(str),
        "pupils": pupils,
        "teachers": teachers,
        "inexperienced": inexperienced,
        "provisional": provisional,
        "tch": by_class.sum(axis=1),
    }
    columns |= {name.lower(): by_class[:, i] for i, name in enumerate(classes)}
    columns |= {name.lower(): fte for name, fte in support.items()}
    columns |= source | {"total": sum(source.values())}
    connection.register("given", pa.table({name: pa.array(it) for name, it in columns.items()}))
    added = ", ".join(f"sum({name}) as {name}" for name in columns if name not in KEY)
    connection.execute(f"""
    create temp table resource as
    with school as (
        select given.*, org_level, parent_org_id
        from given inner join intermediate.int_organizations using (school_year, org_id)
    )
    select school_year, 'SCH' as org_level, org_id, {added} from school group by all
    union all
    select school_year, 'LEA', parent_org_id, {added} from school group by all
    union all
    select school_year, 'SEA', '{STATE}', {added} from school group by all
    """)
    connection.unregister("given")
    rows = [
        (metric, "all", "all", name, "pupils")
        for metric, name in (
            ("ppe_total", "total"), ("ppe_federal", "federal"), ("ppe_state", "state"),
            ("ppe_local", "local"), ("students_per_teacher", "pupils"),
        )
    ]  # fmt: skip
    rows[-1] = ("students_per_teacher", "all", "all", "pupils", "tch")
    rows += [
        ("inexperienced_teacher_rate", "all", "all", "inexperienced", "teachers"),
        ("provisional_teacher_rate", "all", "all", "provisional", "teachers"),
    ]
    rows += [
        ("staff_fte", "staff_class", name, name.lower(), "null")
        for name in ("TCH", *classes, *support)
    ]
    for metric, category, member, over, under in rows:
        value = over if under == "null" else f"{over} / nullif({under}, 0)"
        connection.execute(f"""
        insert into intermediate.{model.FACTS}
        select '{STATE}', school_year, '{metric}', org_level, org_id, '{category}', '{member}',
            {over}, {under}, {value},
            case when {value} is null then 'not_applicable' else 'reported' end,
            ['{"b" * 64}'], null, null
        from resource order by school_year, org_level, org_id
        """)


def _describe(connection) -> None:
    with METRICS.open(newline="", encoding="utf-8") as file:
        rows = [(row["metric_id"], row["label"], row["unit"]) for row in csv.DictReader(file)]
    connection.execute(
        "create table marts.dim_metric (metric_id varchar, label varchar, unit varchar)"
    )
    connection.executemany("insert into marts.dim_metric values (?, ?, ?)", rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--schools", type=int, default=2500)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, required=True, help="a DuckDB file that is not there")
    parser.add_argument("--crossed", action="store_true", help="every rate by pairs of groups")
    parser.add_argument("--decide", action="store_true", help="then protect it, and say how long")
    parser.add_argument("--minimum-n", type=int, default=10)
    told = parser.parse_args()
    started = time.perf_counter()
    crossed = CROSSED if told.crossed else ASKED
    made = create(told.out, told.schools, told.years, told.seed, crossed)
    print(f"{made}, drawn in {time.perf_counter() - started:.0f} s", flush=True)
    if told.decide:
        outcome, seconds = protect(told.out, Disclosure(minimum_n=told.minimum_n))
        print(f"{outcome}\nprotected and audited in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
