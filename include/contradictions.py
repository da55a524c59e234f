"""Rows that stand in an accepted file and that other files contradict.

A pupil in a grade that the school does not offer, a course of somebody who is enrolled nowhere, a
program of no CIP code: no check of one file can see them. They are looked for when a build is
made, of the very loads that it is made of, so that it does not matter which file came first.
Declared as `beside` in an extract's YAML.

    contradictions.rows    one row for each row of a file and promise that it breaks
    contradictions.loads   one row for each load judged: its rows, and how many are set aside

Both are tables of the build's file. A row that is set aside stays in the lake and is not in the
build's `lake` relations; those of promises that only warn are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include import registry
from include.registry import BesideOthers, Extract

SEEDS = Path(__file__).parents[1] / "dbt_project" / "seeds"
# Row numbers named in a message; the build's table has all of them.
NAMED_ROWS = 5

# Of every record of a person. Money and places at a school that nobody knows are not set aside,
# since the totals would be short of them: there the build stops.
KNOWN_SCHOOL = BesideOthers(
    of=("directory",),
    rows="""
        select school_year, _row from rows
        anti join (
            select school_year, org_id as school_id, parent_org_id as lea_id
            from directory where org_level = 'SCH'
        ) using (school_year, lea_id, school_id)
        where school_id <> 'CENTRAL'
    """,
    column="school_id",
    reason="the school is not in the directory, or not of this LEA",
    expected="a school of the directory of the same year, under the LEA that it names",
    what_to_do="ask the LEA for the school's code, or for a directory that has it",
)


class NoSuchRelation(LookupError):
    """A promise is held against something that is no extract and no seed."""


@dataclass(frozen=True)
class Finding:
    """What became of one promise in one build. `observed` names files and rows."""

    extract: str
    rule: BesideOthers
    observed: str


def rules(extract: Extract) -> tuple[BesideOthers, ...]:
    """What rows of the extract are held to beside other extracts."""
    about_a_person = extract.personal_columns and {"lea_id", "school_id"} <= set(extract.columns)
    return (*((KNOWN_SCHOOL,) if about_a_person else ()), *extract.beside)


def make_tables(connection: Any) -> None:
    """Make the schema `contradictions`, with nothing in it."""
    connection.execute("create schema contradictions")
    connection.execute(
        "create table contradictions.rows (extract varchar, school_year integer, "
        "source_load varchar, row_number bigint, organization varchar, column_name varchar, "
        "reason varchar, expected varchar, what_to_do varchar, otherwise varchar)"
    )
    connection.execute(
        "create table contradictions.loads (extract varchar, school_year integer, "
        "source_load varchar, rows bigint, set_aside bigint, odd bigint)"
    )


def set_aside(connection: Any, state: str, relations: Mapping[str, str]) -> None:
    """Judge all that is loaded; make and fill the schema `contradictions`.

    `relations` gives, for each extract by name, the relation that shows what is loaded of it.
    Raises NoSuchRelation.
    """
    make_tables(connection)
    for name, extract in registry.states()[state].extracts.items():
        for rule in rules(extract):
            _judge(connection, state, name, extract, rule, relations)
        if rules(extract):
            connection.execute(
                f"""
                insert into contradictions.loads
                with broken as (
                    select
                        school_year,
                        row_number as _row,
                        bool_or(otherwise = 'quarantine') as is_set_aside
                    from contradictions.rows where extract = $1
                    group by all
                )
                select
                    $1, school_year, _file, count(*),
                    count(*) filter (where is_set_aside), count(*) filter (where not is_set_aside)
                from {relations[name]}
                left join broken using (school_year, _row)
                group by all
                """,
                [name],
            )


def _judge(
    connection: Any,
    state: str,
    name: str,
    extract: Extract,
    rule: BesideOthers,
    relations: Mapping[str, str],
) -> None:
    seen = {"rows": relations[name]} | {other: _relation(other, relations) for other in rule.of}
    shown = ", ".join(f'"{it}" as (select * from {relation})' for it, relation in seen.items())
    judged = " ".join(
        f'and school_year in (select school_year from "{other}")'
        for other in rule.of
        if other in relations
    )
    named = registry.states()[state].organization
    organization = next(
        (f'"{it}"' for it in (named, "school_id", "lea_id") if it in extract.columns), "null"
    )
    connection.execute(
        f"""
        insert into contradictions.rows
        with {shown}, broken as ({rule.rows})
        select ?, school_year, _file, _row, {organization}, ?, ?, ?, ?, ?
        from rows semi join broken using (school_year, _row)
        where true {judged}
        """,
        [name, rule.column, rule.reason, rule.expected, rule.what_to_do, rule.otherwise],
    )


def _relation(other: str, relations: Mapping[str, str]) -> str:
    if other in relations:
        return relations[other]
    seed = SEEDS / f"{other}.csv"
    if not seed.exists():
        raise NoSuchRelation(
            f"a row is held against {other!r}, which is no extract and no seed; extracts are "
            f"{', '.join(relations)}"
        )
    return f"read_csv('{seed}', all_varchar = true, header = true)"


def without(state: str, name: str, relation: str) -> str:
    """SQL for what is loaded of an extract, without the rows that were set aside."""
    declared = registry.states()[state].extracts.get(name)
    if declared is None or not rules(declared):
        return f"from {relation}"
    return (
        f"select * from {relation} as loaded anti join ("
        "select school_year, row_number as _row from contradictions.rows "
        f"where extract = '{name}' and otherwise = 'quarantine') as aside using (school_year, _row)"
    )


def counts(connection: Any) -> dict[tuple[str, int], int]:
    """How many accepted rows of each judged load, by extract and year, were set aside."""
    rows = connection.execute(
        "select extract, school_year, set_aside from contradictions.loads"
    ).fetchall()
    return {(extract, school_year): aside for extract, school_year, aside in rows}


def found(connection: Any, state: str, schema: str = "contradictions") -> list[Finding]:
    """How every promise came out, in the order of the declarations."""
    told = []
    for name, extract in registry.states()[state].extracts.items():
        for rule in rules(extract):
            files = connection.execute(
                f"select school_year, source_load, count(*), min(row_number, {NAMED_ROWS}) "
                f"from {schema}.rows where extract = ? and reason = ? group by all order by all",
                [name, rule.reason],
            ).fetchall()
            told.append(Finding(name, rule, "; ".join(_file(name, rule, *file) for file in files)))
    return told


def _file(
    name: str, rule: BesideOthers, school_year: int, sha256: str, rows: int, first: Iterable[int]
) -> str:
    more = " ..." if rows > NAMED_ROWS else ""
    return (
        f"{rows:,} row{'' if rows == 1 else 's'} of {name} {school_year} (file {sha256[:12]}): "
        f"row {', '.join(map(str, first))}{more}, column {rule.column}"
    )
