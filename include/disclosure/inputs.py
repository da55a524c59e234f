"""Whether the facts of a build are numbers that can be protected: looked at before anything else.

A number that is none, a negative count, a row twice, or a school without its district would not
stop the rules of disclosure control; they would be worked out on less than readers see. So they
stop the release, named by metric, organization and group.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from include.disclosure.model import FACT_COLUMNS, FACTS, Kind, Unprotected

KEY = ", ".join(FACT_COLUMNS[:7])
# So many rows of a kind are named.
TOLD = 5
# What an organization of a level can be part of. A charter school can be its own district.
ABOVE = {"SCH": ("LEA",), "LEA": ("REG", "SEA"), "REG": ("SEA",), "SEA": ()}


def check(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    organizations: str,
    kinds: Mapping[str, Kind],
) -> None:
    """Look at the facts of a schema and at the organizations they speak of.

    Raises Unprotected that names what is wrong, where, what was expected and what to do. No number
    is printed.
    """
    facts = f"{schema}.{FACTS}"
    wrong = [*_numbers(connection, facts, kinds), *_keys(connection, facts)]
    columns = {name for name, *_ in connection.execute(f"describe {organizations}").fetchall()}
    if "parent_org_id" in columns:
        above = _hierarchy(connection, organizations)
        # Without a sound hierarchy there is no level to miss.
        wrong += above or _levels(connection, facts, organizations)
    if wrong:
        raise Unprotected("\n".join(wrong))


def _named(connection, query: str, text: str) -> list[str]:
    """One line for each row of (key columns..., what), and one for how many more there are."""
    rows = connection.execute(f"select *, count(*) over () from ({query}) order by all").fetchall()
    lines = []
    for state, year, metric, level, org, category, member, what, _ in rows[:TOLD]:
        group = "all" if category == "all" else f"{category} {member}"
        where = f"{FACTS}: {metric} {year} of {level} {org} in {state} ({group})"
        lines.append(f"{where}: {what}{text}")
    if len(rows) > TOLD:
        lines.append(f"{FACTS}: and {len(rows) - TOLD:,} more rows like the last")
    return lines


def _numbers(connection, facts: str, kinds: Mapping[str, Kind]) -> list[str]:
    columns = ("numerator", "denominator", "value", "value_lower", "value_upper")
    odd = " ".join(
        f"when isnan({name}) or isinf({name}) then '{name} is no finite number'" for name in columns
    )
    # Dollars can be taken back; people cannot.
    money = [metric for metric, kind in kinds.items() if kind == Kind.MONEY]
    listed = ", ".join("'" + metric.replace("'", "''") + "'" for metric in money) or "''"
    negative = " ".join(
        f"when {name} < 0 and metric_id not in ({listed}) then '{name} is negative'"
        for name in ("numerator", "value")
    )
    return _named(
        connection,
        f"select {KEY}, case {odd} {negative} when denominator < 0 then 'denominator is negative' "
        f"end as what from {facts} where what is not null",
        "; expected a count of 0 or more, or null with a status. Correct the extract, or the model "
        "that makes the metric",
    )


def _keys(connection, facts: str) -> list[str]:
    return _named(
        connection,
        f"select {KEY}, count(*)::varchar || ' rows' as what from {facts} "
        "group by all having count(*) > 1",
        "; expected one. Correct the model that makes the metric",
    )


def _hierarchy(connection, organizations: str) -> list[str]:
    expected = " ".join(
        f"when one.org_level = '{level}' then above.org_level in "
        f"({', '.join(repr(it) for it in levels)})"
        for level, levels in ABOVE.items()
        if levels
    )
    rows = connection.execute(f"""
        select one.state, one.school_year, one.org_level, one.org_id, one.parent_org_id,
            string_agg(distinct above.org_level, ', ' order by above.org_level) as found
        from {organizations} as one
        left join {organizations} as above
            on one.state = above.state and one.school_year = above.school_year
            and one.parent_org_id = above.org_id
        where one.parent_org_id is not null
            and not (one.org_level = 'SCH' and one.parent_org_id = one.org_id)
        group by all
        having not coalesce(bool_or(case {expected} else false end), false)
        order by all
    """).fetchall()
    lines = []
    for state, year, level, org, parent, found in rows[:TOLD]:
        wanted = " or ".join(ABOVE.get(level, ())) or "nothing"
        lines.append(
            f"int_organizations: {level} {org} in {state} {year} is part of {parent}, which is "
            f"{found or 'not there'}; expected {wanted}, so that everything ends in the state and "
            "nothing goes round. Correct the directory"
        )
    if len(rows) > TOLD:
        lines.append(f"int_organizations: and {len(rows) - TOLD:,} more like the last")
    return lines


def _levels(connection, facts: str, organizations: str) -> list[str]:
    """Schools whose district has no row where the state has one: their sum goes past it."""
    same = "state, school_year, metric_id, group_category, group_value"
    return _named(
        connection,
        f"""
        with state_rows as (select distinct {same} from {facts} where org_level = 'SEA'),
        district_rows as (
            select distinct {same}, org_id as parent_org_id from {facts} where org_level = 'LEA'
        ),
        school_rows as (
            select {KEY}, parent_org_id
            from {facts}
            inner join {organizations} using (state, school_year, org_level, org_id)
            where org_level = 'SCH' and parent_org_id <> org_id
        )
        select {KEY}, 'a level is missing: no row of its LEA ' || parent_org_id as what
        from school_rows
        semi join state_rows using ({same})
        anti join district_rows using ({same}, parent_org_id)
        """,
        ", and one of the state; expected both, or a remainder is told that nobody looks at. Add "
        "the district's row, null with a status if its number is not known",
    )
