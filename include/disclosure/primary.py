"""Primary suppression: each row of the base metrics judged by itself.

With n the state's minimum for the metric, and everything but the state's public metrics:

- a count of people from 1 to n - 1 is hidden (and a true zero, where the policy withholds zeros);
- a rate is hidden when its denominator, its numerator or their difference is such a count, given or
  worked out from value and denominator: the difference is the count of all the others;
- money per person is hidden on fewer than n persons, not only on fewer than 3: unrounded, it is
  cents over persons, and few numbers of persons make it whole cents;
- so is money (hours, points) of which one person has 80 percent or more, where that is known
  (`<measure>_largest`): the amount is nearly that person's;
- a ratio is hidden when either of its counts is such a count.

A rate of pupils that a publisher gives without any count is judged by the organization's
membership of that group, where it is known: nearly the same pupils. Where it is not, the rate is
the publisher's own and passes, as does what it masked or coded as a range, less any small count
beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from include.disclosure.model import FACTS, MEASURES, WITHHELD, Kind, Status, measures
from include.registry import Disclosure

# Counts worked out from a rate miss the whole number by rounding only.
TOLERANCE = 1e-6


def judge(
    connection: duckdb.DuckDBPyConnection,
    facts: str,
    year: int | None,
    policy: Disclosure,
    kinds: Mapping[str, Kind],
) -> None:
    """Create `temp.judged`: the facts of a school year in the schema `facts`, and their rules.

    One row for each row of int_base_metrics, numbered by `rid` in the order of their keys. `part`
    of `base` are the counts that the row tells or gives away. The rule is the row's by itself.
    """
    rows = _judged(facts, year, policy, kinds)
    connection.execute(f"create or replace temp table judged as {rows}")


def _largest(facts: str) -> str:
    """SQL: what the one who has most has of each amount, where the build knows it."""
    return f"""
        select
            state, school_year, org_level, org_id, group_category, group_value,
            regexp_replace(measure, '_largest$', '') as of_measure, amount as largest
        from {facts}.{MEASURES}
        where ends_with(measure, '_largest')
    """


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def is_small(count: str) -> str:
    """SQL: whether a count may not be told by the metric of its row. Null counts are nobody's."""
    least = f"case when withholds_zeros then -{TOLERANCE} else {TOLERANCE} end"
    return f"coalesce({count} > {least} and {count} < minimum_n - {TOLERANCE}, false)"


def _judged(facts: str, year: int | None, policy: Disclosure, kinds: Mapping[str, Kind]) -> str:
    rules = {metric: policy.of(metric) for metric in kinds}
    of = measures(kinds)
    metrics = ", ".join(
        f"({_quoted(metric)}, {_quoted(kind)}, {metric in policy.public_metrics}, "
        f"{rules[metric].minimum_n}, {rules[metric].zeros == 'withheld'}, "
        f"{rules[metric].minimum_persons}, {rules[metric].dominance}, "
        f"{_quoted(of[metric].numerator)})"
        for metric, kind in sorted(kinds.items())
    )
    beside = " or ".join(is_small(count) for count in ("numerator", "denominator"))
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
        inner join (values {metrics}) as metric (
            metric_id, kind, is_public, minimum_n, withholds_zeros, minimum_persons, dominance,
            of_measure
        ) using (metric_id)
        where school_year is not distinct from {"null" if year is None else int(year)}
    ),
    counted as (
        select
            *,
            case
                when kind = '{Kind.PEOPLE}' then coalesce(known, numerator)
                else coalesce(numerator, known * denominator)
            end as part,
            case
                when kind <> '{Kind.PEOPLE}'
                    then coalesce(denominator, numerator / nullif(known, 0))
            end as base
        from told
    )
    select
        row_number() over (
            order by state, school_year, metric_id, org_level, org_id, group_category, group_value
        ) as rid,
        counted.*,
        case
            when is_public then 'public'
            when kind = '{Kind.PEOPLE}' and ({is_small("part")} or {beside}) then 'small_count'
            when kind = '{Kind.MONEY}' and base > 0 and base < minimum_persons
                then 'few_persons'
            when kind = '{Kind.MONEY}' and part > 0 and largest >= dominance * part
                then 'dominated'
            when kind <> '{Kind.PEOPLE}' and {is_small("base")} then 'small_denominator'
            when kind in ('{Kind.RATE}', '{Kind.RATIO}') and {is_small("part")}
                then 'small_numerator'
            when kind = '{Kind.RATE}' and {is_small("base - part")}
                then 'small_complement'
            when status = '{Status.REPORTED}' then 'shown'
            when status in ({", ".join(_quoted(s) for s in WITHHELD)}) then 'masked_by_publisher'
            else 'absent'
        end as rule
    from counted
    left join ({_largest(facts)}) as largest using (
        state, school_year, org_level, org_id, group_category, group_value, of_measure
    )
    """
