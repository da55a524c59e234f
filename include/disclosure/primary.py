"""Primary suppression: each cell judged by itself, and a derived one with the counts it is made of.

With n the state's minimum, and everything but the state's public metrics:

- a count of people from 1 to n - 1 is hidden (and a true zero, where the policy withholds zeros);
- a rate is hidden when its denominator, its numerator or their difference is such a count, given or
  worked out from value and denominator: the difference is the count of all the others;
- money per person is hidden on fewer than n persons, not only on fewer than 3: unrounded, it is
  cents over persons, and few numbers of persons make it whole cents;
- a ratio is hidden when either of its counts is such a count, or is hidden in its own row.

A rate that a publisher gives without any count is the publisher's own: it passes. So does what it
has masked or coded as a range, less any small count that stands beside it. A derived metric whose
operands are all public is public too, since anybody can work it out.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from include.disclosure.model import FACTS, OPERANDS, WITHHELD, Kind, Operand, Status
from include.registry import Disclosure

# Money is never told of one or two persons.
FEW_PERSONS = 3
# Counts worked out from a rate miss the whole number by rounding only.
TOLERANCE = 1e-6

# What each rule does with a reported row. Of every other rule, the row passes as it is.
HIDING = (
    "small_count",
    "few_persons",
    "small_denominator",
    "small_numerator",
    "small_complement",
    "hidden_operand",
)


def suppress(
    connection: duckdb.DuckDBPyConnection,
    facts: str,
    into: str,
    policy: Disclosure,
    kinds: Mapping[str, Kind],
) -> None:
    """Create the temporary table `into`: the facts as they may be published, and `rule`.

    `facts` is their schema. One row for each row of int_base_metrics, ordered by all columns.
    """
    connection.execute(f"create or replace temp table cell as {_cells(facts, policy, kinds)}")
    connection.execute(f"create or replace temp table judged as {_judged(policy)}")
    connection.execute(f"create or replace temp table decided as {_with_operands()}")
    connection.execute(f"create or replace temp table {into} as {_published()}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _is_small(count: str, policy: Disclosure) -> str:
    """SQL: whether a count may not be told. Null counts are nobody's."""
    least = -TOLERANCE if policy.zeros == "withheld" else TOLERANCE
    return f"coalesce({count} > {least} and {count} < {policy.minimum_n - TOLERANCE}, false)"


def _metrics(policy: Disclosure, kinds: Mapping[str, Kind]) -> str:
    """SQL: a row for each metric: its kind, whether it is public, and its operands."""

    def told(operand: Operand | None) -> list[str]:
        if operand is None:
            return [*["null::varchar"] * 3, "false"]
        texts = [operand.metric_id, operand.group_category, operand.group_value]
        public = str(operand.metric_id in policy.public_metrics).lower()
        return [*("null::varchar" if text is None else _quoted(text) for text in texts), public]

    rows = []
    for metric, kind in sorted(kinds.items()):
        public = str(metric in policy.public_metrics).lower()
        over, under = OPERANDS.get(metric, (None, None))
        row = [_quoted(metric), _quoted(kind), public, *told(over), *told(under)]
        rows.append(f"({', '.join(row)})")
    return f"""(values {", ".join(rows)}) as metric (
        metric_id, kind, is_public,
        numerator_metric, numerator_category, numerator_group, is_numerator_public,
        denominator_metric, denominator_category, denominator_group, is_denominator_public
    )"""


def _cells(facts: str, policy: Disclosure, kinds: Mapping[str, Kind]) -> str:
    """SQL: every fact with the two counts it tells, or gives away: `part` of `base`."""
    return f"""
    with told as (
        select
            facts.* exclude (value),
            case when status = '{Status.REPORTED}' then value end as value,
            -- A range of one number is that number.
            coalesce(
                case when status = '{Status.REPORTED}' then value end,
                case when value_lower = value_upper then value_lower end
            ) as known,
            metric.* exclude (metric_id)
        from {facts}.{FACTS} as facts
        inner join {_metrics(policy, kinds)} using (metric_id)
    )
    select
        *,
        case
            when kind = '{Kind.PEOPLE}' then coalesce(known, numerator)
            else coalesce(numerator, known * denominator)
        end as part,
        case
            when kind <> '{Kind.PEOPLE}' then coalesce(denominator, numerator / nullif(known, 0))
        end as base
    from told
    """


def _judged(policy: Disclosure) -> str:
    """SQL: every cell with its rule, operands left aside."""
    small_part, small_base = _is_small("part", policy), _is_small("base", policy)
    beside = " or ".join(_is_small(count, policy) for count in ("numerator", "denominator"))
    either = f"kind in ('{Kind.RATE}', '{Kind.RATIO}')"
    return f"""
    select
        *,
        case
            when is_public then 'public'
            when kind = '{Kind.PEOPLE}' and ({small_part} or {beside}) then 'small_count'
            when kind = '{Kind.MONEY}' and base > 0 and base < {FEW_PERSONS} then 'few_persons'
            when kind = '{Kind.MONEY}' and {small_base} then 'small_denominator'
            when {either} and not is_denominator_public and {small_base} then 'small_denominator'
            when {either} and not is_numerator_public and {small_part} then 'small_numerator'
            when
                kind = '{Kind.RATE}' and not (is_numerator_public and is_denominator_public)
                and {_is_small("base - part", policy)}
                then 'small_complement'
            when status = '{Status.REPORTED}' then 'shown'
            when status in ({", ".join(_quoted(s) for s in WITHHELD)}) then 'masked_by_publisher'
            else 'absent'
        end as rule
    from cell
    """


def _with_operands() -> str:
    """SQL: the judged cells, where a number made of a count that is not shown is hidden with it."""
    hiding = ", ".join(_quoted(rule) for rule in HIDING)
    withheld = ", ".join(_quoted(status) for status in WITHHELD)

    def same_cell(side: str) -> str:
        return f"""
            judged.state = {side}.state
            and judged.school_year = {side}.school_year
            and judged.org_level = {side}.org_level
            and judged.org_id = {side}.org_id
            and judged.{side}_metric = {side}.metric_id
            and coalesce(judged.{side}_category, judged.group_category) = {side}.group_category
            and coalesce(judged.{side}_group, judged.group_value) = {side}.group_value
        """

    return f"""
    with hidden as (
        select distinct
            metric_id, state, school_year, org_level, org_id, group_category, group_value
        from judged
        where kind = '{Kind.PEOPLE}' and (rule in ({hiding}) or status in ({withheld}))
    )
    select
        judged.* replace (
            case
                when
                    judged.rule = 'shown'
                    and coalesce(numerator.metric_id, denominator.metric_id) is not null
                    then 'hidden_operand'
                else judged.rule
            end as rule
        )
    from judged
    left join hidden as numerator on {same_cell("numerator")}
    left join hidden as denominator on {same_cell("denominator")}
    """


def _published() -> str:
    """SQL: the decided cells as readers see them."""
    hiding = ", ".join(_quoted(rule) for rule in HIDING)
    # Too few people to say anything of, not even a range.
    silent = "'few_persons', 'small_denominator'"
    return f"""
    with shown as (
        select
            *,
            rule in ({hiding}) as is_hidden,
            rule in ({hiding}) and (status = '{Status.REPORTED}' or rule in ({silent})
                or value_lower = value_upper) as is_silent
        from decided
    )
    select
        state,
        school_year,
        metric_id,
        org_level,
        org_id,
        group_category,
        group_value,
        case when not is_hidden then numerator end as numerator,
        case when not is_hidden then denominator end as denominator,
        case when not is_hidden then value end as value,
        case
            when is_silent and status in ('{Status.REPORTED}', '{Status.RANGE}')
                then '{Status.PRIMARY}'
            else status
        end as status,
        list_sort(source_loads) as source_loads,
        case when not is_silent then value_lower end as value_lower,
        case when not is_silent then value_upper end as value_upper,
        rule
    from shown
    order by all
    """
