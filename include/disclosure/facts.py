"""The base metrics as cells and equations: what is the same count, and what adds up to what.

Every row tells up to two numbers, a numerator and a denominator. Numbers of the same measure,
organization, year and group are one cell, whichever metrics show it; what a metric is made of is
read from the metrics seed. Of the cells these equations are known to every reader:

- **rest**: a rate's numerator and all the others make its denominator;
- **category**: the groups of an exclusive category make everyone, a crossing makes its margins;
- **hierarchy**: schools make their district, districts the state;
- **link**: different measures of the same people are the same but for a few, and some add up.

A sum that misses by a little is an equation as well, and readers are taken to know by how much: it
gives an interval to whoever does not. A sum that misses by more is none; how many there are of each
kind is in the record. A charter school that is its own district is one organization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

from include.disclosure import coding, model
from include.disclosure.model import Kind, Status
from include.disclosure.system import System
from include.registry import Disclosure

# A sum misses "by a little" below the minimum n, or below this share of the total.
NEAR = 0.02
# Money is protected to within this share of the amount.
MONEY = 0.1
# A sum that lacks so much or more, in persons, lacks somebody; less is rounding.
SOMEBODY = 0.5
# What only reading needs of the temporary tables.
OF_READING = (
    "place", "of_groups", "told", "numbered", "told_cell", "cell", "sum_of", "could_have", "sums",
)  # fmt: skip
FAMILIES = ("rest", "category", "crossing", "hierarchy", "link")


@dataclass
class Mapped:
    """The system of a build's base metrics, and which cells are what of it.

    `one` says which cell of the system each cell of `temp.cell` is; `primary`, `unknown`, `masked`,
    `protected` and `people` are by the latter, `hidden`, `coded` and the bounds by the former.
    """

    system: System
    one: np.ndarray
    # What each cell of `temp.cell` counts.
    amount: np.ndarray
    # Hidden before anything else is: by rule 1, by rule 2, or with the denominator they stand on.
    hidden: np.ndarray
    # Of these, the counts that are too small to tell; `small` says the same by cell of the system.
    primary: np.ndarray
    small: np.ndarray
    # Nobody told them, us included.
    unknown: np.ndarray
    # Told as a range only; the bounds it would have without.
    coded: np.ndarray
    plain_lower: np.ndarray
    plain_upper: np.ndarray
    # Told by one row, masked by the publisher in another.
    masked: np.ndarray
    # In a row that is not public.
    protected: np.ndarray
    # Counts of people, as against money and what is left of a sum.
    people: np.ndarray
    # The least count that may be told of each cell of the system. Two that differ by less are as
    # good as the same.
    minimum_n: np.ndarray
    # Sums that are no equations, by family: how many miss by too much.
    far: dict[str, int]


def read(
    connection: duckdb.DuckDBPyConnection,
    organizations: str,
    policy: Disclosure,
    measures: Mapping[str, model.Measures],
) -> Mapped:
    """Make the system of `temp.judged`, and `temp.shown_by`: each row's cells by number.

    `organizations` is a relation with columns state, school_year, org_level, org_id and, where
    there is a hierarchy, parent_org_id.
    """
    _number(connection, organizations, policy, measures)
    _equations(connection, policy)
    mapped = _assemble(connection, policy)
    # The others keep a lot of room for nothing.
    connection.execute("drop view main")
    for table in OF_READING:
        connection.execute(f"drop table {table}")
    return mapped


# ------------------------------------------------------------------------------------------ cells


def _number(connection, organizations, policy, measures) -> None:
    rows = ", ".join(
        f"({', '.join(_quoted(text) for text in (metric, *it))})"
        for metric, it in sorted(measures.items())
    )
    has_parent = "parent_org_id" in {
        name for name, *_ in connection.execute(f"describe {organizations}").fetchall()
    }
    parent = "parent_org_id" if has_parent else "null::varchar"
    connection.execute(f"""
    create or replace temp table place as
    with the_state as (
        select state, school_year, any_value(org_id) as state_id
        from {organizations} where org_level = 'SEA' group by all
    )
    select distinct
        state, school_year, org_level, org_id,
        case when org_level = 'SCH' and {parent} = org_id then 'LEA' else org_level end as level,
        case
            when org_level = 'SCH' and {parent} <> org_id then 'LEA'
            when org_level in ('SCH', 'LEA') then 'SEA'
        end as above_level,
        case
            when org_level = 'SCH' and {parent} <> org_id then {parent}
            when org_level in ('SCH', 'LEA') then state_id
        end as above_id
    from {organizations}
    left join the_state using (state, school_year)
    """)
    # The same count may be told in several rows, with values that differ by rounding.
    connection.execute(f"""
    create or replace temp table made_of as
    select * from (values {rows}) as it (
        metric_id, numerator_measure, denominator_measure, denominator_of, dimension
    )
    """)
    connection.execute("""
    create or replace temp table of_groups as
    select
        judged.rid, judged.state, judged.school_year, judged.kind, judged.is_public,
        coalesce(place.level, judged.org_level) as level, judged.org_id,
        judged.group_category as category, judged.group_value as member,
        judged.part, judged.base, judged.status, judged.value_lower, judged.value_upper,
        judged.minimum_n, judged.withholds_zeros, judged.rule,
        made_of.*,
        case
            when
                denominator_of = 'all'
                or list_contains(string_split(dimension, ' '), group_category)
                then 'all'
            when contains(denominator_of, '=') then split_part(denominator_of, '=', 1)
            when starts_with(group_category, dimension || '*')
                then substr(group_category, length(dimension) + 2)
            else group_category
        end as base_category,
        case
            when
                denominator_of = 'all'
                or list_contains(string_split(dimension, ' '), group_category)
                then 'all'
            when contains(denominator_of, '=') then split_part(denominator_of, '=', 2)
            when starts_with(group_category, dimension || '*')
                then split_part(group_value, '*', 2)
            else group_value
        end as base_member
    from judged
    inner join made_of using (metric_id)
    left join place using (state, school_year, org_level, org_id)
    """)
    connection.execute(f"""
    create or replace temp table told as
    select
        rid, 'part' as role, state, school_year, level, org_id, category, member,
        numerator_measure as measure, kind = '{Kind.MONEY}' as is_money, is_public,
        minimum_n, withholds_zeros, round(part, 6) as amount,
        case when part is null then value_lower * unit end as least,
        case when part is null then value_upper * unit end as most
    from (
        select *, case when kind = '{Kind.PEOPLE}' then 1 else base end as unit from of_groups
    )
    where
        part is not null
        or (
            status in ('{Status.PRIMARY}', '{Status.COMPLEMENTARY}', '{Status.RANGE}')
            and (kind = '{Kind.PEOPLE}' or base is not null)
        )
    union all by name
    select
        rid, 'base' as role, state, school_year, level, org_id, base_category as category,
        base_member as member, denominator_measure as measure, false as is_money, is_public,
        minimum_n, withholds_zeros, round(base, 6) as amount, null as least, null as most
    from of_groups
    where base is not null and denominator_measure <> ''
    """)
    connection.execute("""
    create or replace temp table numbered as
    with amounts as (
        select distinct
            state, school_year, level, org_id, measure, category, member, amount
        from told
    ),
    variants as (
        select
            *,
            row_number() over (
                partition by state, school_year, level, org_id, measure, category, member
                order by amount nulls last
            ) as variant
        from amounts
    )
    select
        row_number() over (
            order by state, school_year, measure, level, org_id, category, member, variant
        ) - 1 as cell,
        *
    from variants
    -- Masked in one row and told in another, it is told.
    where amount is not null or variant = 1
    """)
    key = "state, school_year, level, org_id, measure, category, member"
    connection.execute(f"""
    create or replace temp table told_cell as
    select told.*, numbered.cell
    from told
    inner join numbered using ({key})
    where
        told.amount = numbered.amount
        or (told.amount is null and numbered.variant = 1)
    """)
    connection.execute("""
    create or replace temp table shown_by as
    select
        rid,
        any_value(cell) filter (where role = 'part') as part_cell,
        any_value(cell) filter (where role = 'base') as base_cell
    from told_cell
    group by rid
    """)
    # A metric's own rules are about what it counts; of whom, where nothing else counts them.
    protected = "filter (where not is_public)"
    counted = "filter (where not is_public and role = 'part')"
    zeros = policy.zeros == "withheld"
    connection.execute(f"""
    create or replace temp table cell as
    with told_of as (
        select
            cell,
            bool_or(is_money) as is_money,
            -- Public wherever a public row tells it.
            bool_or(is_public and amount is not null) as is_fixed,
            bool_or(not is_public) as is_protected,
            bool_or(amount is null and not is_public) as is_masked_once,
            coalesce(
                max(minimum_n) {counted}, max(minimum_n) {protected}, {policy.minimum_n}
            ) as minimum_n,
            coalesce(
                bool_or(withholds_zeros) {counted}, bool_or(withholds_zeros) {protected}, {zeros}
            ) as withholds_zeros,
            max(least) as least,
            min(most) as most
        from told_cell
        group by cell
    )
    select *, is_masked_once and amount is not null as is_masked
    from numbered
    inner join told_of using (cell)
    order by cell
    """)


# -------------------------------------------------------------------------------------- equations


def _equations(connection, policy) -> None:
    """Create `temp.sum_of`: a row for each (family, total, kind of sum) and each of its parts."""
    connection.execute("create or replace temp view main as from cell where variant = 1")
    same = "state, school_year, level, org_id, measure"
    only = " or ".join(
        f"(parts.category = {_quoted(category)} and parts.member in "
        f"({', '.join(map(_quoted, members))}))"
        for category, members in model.PARTS.items()
        if members
    )
    special = ", ".join(map(_quoted, model.PARTS))
    # The schools of a district and the districts of a state, each with what they are part of.
    connection.execute(f"""
    create or replace temp table sum_of as
    select
        'category' as family, total.cell as total, parts.category as name, parts.cell as part
    from main as total
    inner join main as parts using ({same})
    where
        total.category = 'all' and parts.category <> 'all' and not contains(parts.category, '*')
        and (parts.category not in ({special}) or {only})
    union all
    select 'crossing', total.cell, parts.category || '/1', parts.cell
    from main as total
    inner join main as parts
        on {_equal("total", "parts", same)}
        and contains(parts.category, '*')
        and total.category = split_part(parts.category, '*', 1)
        and total.member = split_part(parts.member, '*', 1)
    union all
    select 'crossing', total.cell, parts.category || '/2', parts.cell
    from main as total
    inner join main as parts
        on {_equal("total", "parts", same)}
        and contains(parts.category, '*')
        and total.category = split_part(parts.category, '*', 2)
        and total.member = split_part(parts.member, '*', 2)
    union all
    select 'hierarchy', total.cell, parts.level, parts.cell
    from main as parts
    inner join (
        select distinct state, school_year, level, org_id, above_level, above_id from place
    ) as here using (state, school_year, level, org_id)
    inner join main as total
        on total.state = parts.state and total.school_year = parts.school_year
        and total.measure = parts.measure
        and total.category = parts.category and total.member = parts.member
        and total.level = here.above_level and total.org_id = here.above_id
    union all
    select 'link', total.cell, 'total ' || it.whole || ' ' || it.name, parts.cell
    from main as total
    inner join (values {_values(model.SUMS)}) as it (name, whole, part) on total.measure = it.whole
    inner join main as parts
        on {_equal("total", "parts", "state, school_year, level, org_id, category, member")}
        and parts.measure = it.part
    union all
    select 'link', total.cell, 'grades', parts.cell
    from main as total
    inner join main as parts using (state, school_year, level, org_id)
    where
        total.measure = 'membership_9_12' and total.category = 'all'
        and parts.measure = 'membership' and parts.category = 'grade'
        and parts.member in ('09', '10', '11', '12', '13')
    union all
    select 'link', total.cell, 'class', parts.cell
    from main as total
    inner join main as parts using ({same})
    where
        total.category = 'staff_class' and total.member = 'TCH'
        and parts.category = 'staff_class'
        and parts.member in ({", ".join(map(_quoted, model.TEACHERS))})
    union all
    select 'link', total.cell, 'same ' || parts.measure, parts.cell
    from main as total
    inner join (values {_values(model.SAME)}) as it (one, other) on total.measure = it.one
    inner join main as parts
        on {_equal("total", "parts", "state, school_year, level, org_id, category, member")}
        and parts.measure = it.other
    -- Nobody on the count date says nothing of how many came later.
    where coalesce(total.amount, 1) > 0 and coalesce(parts.amount, 1) > 0
    union all
    select 'link', first.cell, 'variant ' || again.variant, again.cell
    from cell as first
    inner join cell as again
        on {_equal("first", "again", same + ", category, member")}
        and first.variant = 1 and again.variant > 1
    """)
    # How many parts a sum could have: groups that have a row anywhere, and all schools.
    connection.execute(f"""
    create or replace temp table could_have as
    with concerned as (
        select distinct
            state, school_year, level, numerator_measure as measure, category, member
        from of_groups
        union
        select state, school_year, level, denominator_measure, base_category, base_member
        from of_groups
    ),
    pieces as (
        select *, split_part(member, '*', 1) as one, split_part(member, '*', 2) as other
        from concerned as parts
        where parts.category not in ({special}) or {only}
    )
    select
        'category' as family, category as name, state, school_year, level, measure,
        '' as org_id, count(distinct member) as members
    from pieces group by all
    union all
    select
        'crossing', category || '/1', state, school_year, level, measure, '',
        count(distinct other)
    from pieces where contains(category, '*') group by all
    union all
    select
        'crossing', category || '/2', state, school_year, level, measure, '',
        count(distinct one)
    from pieces where contains(category, '*') group by all
    union all
    select
        'hierarchy', level, state, school_year, above_level, '', above_id,
        count(distinct org_id)
    from place where above_id is not null group by all
    """)
    n = policy.minimum_n
    halves = ", ".join(_quoted(category) for category, *_ in (*model.BINARY, model.SEX))
    connection.execute(f"""
    create or replace temp table sums as
    with added as (
        select
            sum_of.family, sum_of.name, total,
            any_value(whole.amount) as amount,
            any_value(whole.is_money) as is_money,
            sum(piece.amount) as told,
            count(*) - count(piece.amount)
            + case when any_value(whole.amount) is null then 1 else 0 end as unknowns,
            count(*) as parts,
            coalesce(any_value(could_have.members) - count(*), 0) as absent
        from sum_of
        inner join cell as whole on whole.cell = sum_of.total
        inner join cell as piece on piece.cell = sum_of.part
        left join could_have
            on could_have.family = sum_of.family and could_have.name = sum_of.name
            and {_equal("could_have", "whole", "state, school_year, level")}
            -- Of schools it counts for every measure, of groups in every place.
            and could_have.measure = if(sum_of.family = 'hierarchy', '', whole.measure)
            and could_have.org_id = if(sum_of.family = 'hierarchy', whole.org_id, '')
        group by sum_of.family, sum_of.name, total
    ),
    judged_sums as (
        select
            *,
            -- Its other half is what is left of everyone (_lone_halves).
            family = 'category' and parts = 1 and name in ({halves}) as is_half,
            amount - coalesce(told, 0) as miss,
            case
                when is_money then greatest(1.0, {NEAR} * abs(amount))
                else greatest({n}, {NEAR} * amount)
            end as little
        from added
    ),
    habits as (
        -- Where such sums hold with all their terms told, they hold where one is masked.
        select
            *,
            unknowns = 0 and abs(miss) < little as holds,
            avg(case when unknowns = 0 then (abs(miss) < little)::integer end)
                over (partition by family, name) as habit
        from judged_sums
    )
    select
        *,
        -- Parts have no row, and what is left of the total is theirs.
        unknowns = 0 and not is_money and not is_half and absent >= 1 and miss >= {SOMEBODY}
            as is_open,
        -- Between two numbers, one unknown, there is no sum to speak of unless such sums hold.
        case
            when is_open then false
            when is_half then unknowns = 0 and abs(miss) < {SOMEBODY}
            when unknowns = 0 then holds
            when amount is null then coalesce(habit, 1) >= 0.5
            when miss < -little then false
            else miss < little or coalesce(habit, 1) >= 0.5
        end as is_equation
    from habits
    """)


def _values(pairs) -> str:
    return ", ".join(f"({', '.join(_quoted(text) for text in pair)})" for pair in pairs)


def _equal(one: str, other: str, columns: str) -> str:
    return " and ".join(f"{one}.{column} = {other}.{column}" for column in columns.split(", "))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# ----------------------------------------------------------------------------------- the assembly


def _assemble(connection, policy) -> Mapped:
    cells = connection.execute("""
        select
            amount, is_money, is_fixed, is_protected, is_masked, minimum_n, withholds_zeros, least,
            most
        from cell order by cell
    """).fetchnumpy()
    value = np.ma.filled(cells["amount"].astype(float), np.nan)
    is_money = np.asarray(cells["is_money"], bool)
    unknown = np.isnan(value)
    count = len(value)

    rates = connection.execute(f"""
        select
            part_cell, base_cell, bool_or(not is_public) as is_protected,
            coalesce(max(minimum_n) filter (where not is_public), max(minimum_n)) as minimum_n,
            coalesce(bool_or(withholds_zeros and not is_public), false) as withholds_zeros
        from shown_by inner join judged using (rid)
        where kind = '{Kind.RATE}' and part_cell is not null and base_cell is not null
            and part_cell <> base_cell
        group by part_cell, base_cell
        order by part_cell, base_cell
    """).fetchnumpy()
    lone = _lone_halves(connection)
    part, base, is_protected_rate, least_n, zeros_too = (
        np.concatenate([np.asarray(found[name], kind) for found in (rates, lone)])
        for name, kind in (
            ("part_cell", int), ("base_cell", int), ("is_protected", bool), ("minimum_n", int),
            ("withholds_zeros", bool),
        )
    )  # fmt: skip
    sound = ~(value[part] > value[base] + 1e-6)
    part, base, is_protected_rate, least_n, zeros_too = (
        it[sound] for it in (part, base, is_protected_rate, least_n, zeros_too)
    )
    rests = len(part)
    rest = count + np.arange(rests)
    lacking = _absent_parts(connection)
    opens = lacking["sizes"].size

    lines = connection.execute("""
        select
            dense_rank() over (order by family, name, total) - 1 as equation,
            family, total, part
        from sum_of
        inner join sums using (family, name, total)
        where is_equation
        order by equation, part
    """).fetchnumpy()
    equation = lines["equation"].astype(int)
    many = int(equation.max()) + 1 if len(equation) else 0
    _, first = np.unique(equation, return_index=True)
    family_of = np.array([FAMILIES.index(f) for f in lines["family"][first]], int)
    open_ = rests + np.arange(opens)
    row = np.concatenate(
        [
            np.repeat(np.arange(rests), 3), np.repeat(open_, lacking["sizes"]), open_, open_,
            rests + opens + equation, rests + opens + np.arange(many),
        ]
    )  # fmt: skip
    column = np.concatenate(
        [
            np.column_stack([part, rest, base]).ravel(),
            lacking["part"], count + open_, lacking["total"],
            lines["part"].astype(int), lines["total"].astype(int)[first],
        ]
    )  # fmt: skip
    weight = np.concatenate(
        [
            np.tile([1, 1, -1], rests), np.ones(len(lacking["part"]) + opens, int),
            -np.ones(opens, int), np.ones(len(equation), int), -np.ones(many, int),
        ]
    )  # fmt: skip
    lefts = rests + opens
    matrix = sparse.csr_array((weight, (row, column)), (lefts + many, count + lefts))
    family = np.concatenate([np.zeros(lefts, int), family_of])

    is_money = np.concatenate([is_money, np.zeros(lefts, bool)])
    virtual = np.arange(count + lefts) >= count
    unknown = np.concatenate(
        [unknown, np.isnan(value[part]) | np.isnan(value[base]), np.zeros(opens, bool)]
    )
    value = np.concatenate([value, value[base] - value[part], lacking["left"]])
    least = np.concatenate([np.ma.filled(cells["least"].astype(float), np.nan), np.zeros(lefts)])
    most = np.concatenate(
        [np.ma.filled(cells["most"].astype(float), np.nan), np.full(lefts, np.nan)]
    )
    lower = np.where(is_money, -np.inf, np.nan_to_num(least, nan=0.0))
    upper = np.nan_to_num(most, nan=np.inf)
    value = _imputed(matrix, value, unknown, lower, upper)
    lower = np.minimum(lower, value)

    fixed = np.concatenate([np.asarray(cells["is_fixed"], bool), np.zeros(lefts, bool)]) & ~unknown
    is_protected = np.concatenate(
        [np.asarray(cells["is_protected"], bool), is_protected_rate, lacking["is_protected"]]
    )
    minimum_n = np.concatenate([np.asarray(cells["minimum_n"], int), least_n, lacking["minimum_n"]])
    withholds_zeros = np.concatenate(
        [np.asarray(cells["withholds_zeros"], bool), zeros_too, lacking["withholds_zeros"]]
    )
    small = coding.small(value, minimum_n, withholds_zeros) & ~is_money & ~unknown
    # Where nobody is may be told, and with it that all the others are all.
    small[rest[(np.abs(value[part]) < 1e-6) & ~zeros_too]] = False
    primary = small & is_protected
    masked = np.concatenate([np.asarray(cells["is_masked"], bool), np.zeros(lefts, bool)])
    hidden = primary | masked | (unknown & ~virtual)
    # A rate on few people tells nothing, not even that its numerator is none.
    few = coding.small(value[base], least_n, zeros_too) & ~unknown[base] & is_protected_rate
    hidden[part[few]] = True
    hidden[_money_of_few(connection, primary)] = True
    hidden[_other_halves(connection, primary[:count])] = True
    need = np.where(is_money, np.maximum(MONEY * np.abs(value), 0.01), minimum_n)
    need[virtual & ~primary] = 0.0
    # Hidden with the number of people it stands on, and no secret by itself.
    need[(np.abs(value) < 1e-6) & ~unknown & ~withholds_zeros] = 0.0
    # What a publisher masked is the publisher's: it must not be told.
    need[unknown & ~virtual] = np.minimum(0.5, (upper - lower)[unknown & ~virtual] / 2)
    cost = np.where(is_money, 1.0, np.maximum(value, 0) + minimum_n)
    one = _merged(matrix, family, is_money, unknown, value)
    keep_rows, matrix = _distinct(matrix, one)
    many_cells = int(one.max(initial=-1)) + 1
    offset = value - _first(one, value)
    low, high = np.full(many_cells, -np.inf), np.full(many_cells, np.inf)
    np.maximum.at(low, one, lower - offset)
    np.minimum.at(high, one, upper - offset)
    together = np.zeros(many_cells)
    np.add.at(together, one, cost)
    most_needed = np.zeros(many_cells)
    np.maximum.at(most_needed, one, need)
    most_n = np.zeros(many_cells)
    np.maximum.at(most_n, one, minimum_n)
    first = _first_index(one)
    mapped = Mapped(
        System(
            value=value[first], lower=low, upper=high, need=most_needed, cost=together,
            fixed=_any(one, fixed), virtual=virtual[first], matrix=matrix,
            gap=matrix @ value[first], family=family[keep_rows], families=FAMILIES,
        ),
        one=one[:count], amount=value[:count],
        hidden=_any(one, hidden), primary=primary[:count], small=_any(one, primary),
        unknown=unknown[:count], masked=masked[:count], protected=is_protected[:count],
        people=~is_money[:count], minimum_n=most_n, coded=np.zeros(many_cells, bool),
        plain_lower=low.copy(), plain_upper=high.copy(),
        far=dict(connection.execute(
            "select family, count(*) from sums where not is_equation and unknowns = 0 "
            "and abs(miss) < amount group by family order by family"
        ).fetchall()),
    )  # fmt: skip
    _code(connection, mapped, policy)
    return mapped


def _lone_halves(connection) -> dict[str, np.ndarray]:
    """Halves of a category of two whose other half has no number: it is the rest of everyone."""
    return connection.execute(f"""
        select
            half.cell as part_cell, total.cell as base_cell, half.is_protected, half.minimum_n,
            half.withholds_zeros
        from main as half
        inner join (values {_values((*model.BINARY, model.SEX))}) as it (category, one, other)
            on half.category = it.category and half.member in (it.one, it.other)
        inner join main as total
            on {_equal("half", "total", "state, school_year, level, org_id, measure")}
            and total.category = 'all'
        anti join main as rest
            on {_equal("half", "rest", "state, school_year, level, org_id, measure, category")}
            and rest.member = case when half.member = it.one then it.other else it.one end
        order by half.cell
    """).fetchnumpy()


def _absent_parts(connection) -> dict[str, np.ndarray]:
    """Sums of which parts have no row. Those that have, one after the other; by sum, the rest."""
    lines = connection.execute("""
        select
            dense_rank() over (order by family, name, total) - 1 as equation,
            total, part, miss, piece.is_protected, piece.minimum_n, piece.withholds_zeros
        from sum_of
        inner join sums using (family, name, total)
        inner join cell as piece on piece.cell = part
        where is_open
        order by equation, part
    """).fetchnumpy()
    equation = lines["equation"].astype(int)
    _, first, sizes = np.unique(equation, return_index=True, return_counts=True)

    def over(ufunc: np.ufunc, name: str, kind: type) -> np.ndarray:
        return ufunc.reduceat(np.asarray(lines[name], kind), first)

    return {
        "sizes": sizes,
        "part": lines["part"].astype(int),
        "total": lines["total"].astype(int)[first],
        "left": lines["miss"].astype(float)[first],
        "is_protected": over(np.logical_or, "is_protected", bool),
        "minimum_n": over(np.maximum, "minimum_n", int),
        "withholds_zeros": over(np.logical_or, "withholds_zeros", bool),
    }


def _merged(matrix, family, is_money, unknown, value) -> np.ndarray:
    """The number of the cell that each cell is, where linked counts of the same people are one.

    Readers are taken to know by how much they differ: to hide one is to hide them all.
    """
    counts = np.diff(matrix.indptr)
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    pairs = np.flatnonzero((family == FAMILIES.index("link")) & (counts == 2) & (totals == 0))
    ends = matrix[pairs].indices.reshape(-1, 2)
    ends = ends[~unknown[ends].any(axis=1)]
    size = matrix.shape[1]
    graph = sparse.csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (size, size))
    label = connected_components(graph, directed=False)[1]
    # Numbered in the order of their first cells.
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), int)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _distinct(matrix, one: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
    """The equations over merged cells, each once: their numbers before, and their matrix."""
    entries = matrix.tocoo()
    shape = (matrix.shape[0], int(one.max(initial=-1)) + 1)
    merged = sparse.csr_array((entries.data, (entries.row, one[entries.col])), shape)
    merged.sum_duplicates()
    merged.eliminate_zeros()
    random = np.random.default_rng(0)
    marks = random.integers(1, 2**31, (shape[1], 2))
    signs = np.column_stack([merged @ marks[:, 0], merged @ marks[:, 1]])
    some = np.flatnonzero(np.diff(merged.indptr))
    _, first = np.unique(signs[some], axis=0, return_index=True)
    rows = np.sort(some[first])
    return rows, sparse.csr_array(merged[rows])


def _first_index(one: np.ndarray) -> np.ndarray:
    return np.unique(one, return_index=True)[1]


def _first(one: np.ndarray, values: np.ndarray) -> np.ndarray:
    return values[_first_index(one)][one]


def _any(one: np.ndarray, flags: np.ndarray) -> np.ndarray:
    found = np.zeros(int(one.max(initial=-1)) + 1, bool)
    found[one[flags]] = True
    return found


def _imputed(matrix, value, unknown, lower, upper) -> np.ndarray:
    """The values, with a guess for the unknown that keeps to the equations as well as any can."""
    at = np.flatnonzero(unknown)
    value = value.copy()
    if not len(at):
        return value
    known = np.where(unknown, 0.0, value)
    part = matrix.tocsc()[:, at].tocsr()
    rows = np.flatnonzero(np.diff(part.indptr))
    value[at] = np.maximum(np.where(np.isfinite(lower[at]), lower[at], 0), 0)
    if not len(rows):
        return value
    part, owed = part[rows], -(matrix[rows] @ known)
    one = sparse.eye_array(len(rows), format="csr")
    done = linprog(
        np.concatenate([np.zeros(len(at)), np.ones(2 * len(rows))]),
        A_eq=sparse.hstack([part, one, -one], format="csr"),
        b_eq=owed,
        bounds=np.concatenate([
            np.column_stack([value[at], np.maximum(upper[at], value[at])]),
            np.tile([0, np.inf], (2 * len(rows), 1)),
        ]),
        method="highs",
    )  # fmt: skip
    if done.x is None:
        raise ValueError(f"what the publisher masked fits no table: {done.message}")
    value[at] = done.x[: len(at)]
    return value


def _money_of_few(connection, primary: np.ndarray) -> np.ndarray:
    """The amounts of money that stand over a count of people too small to tell."""
    pairs = connection.execute(f"""
        select
            part_cell, base_cell,
            rule in ('small_denominator', 'few_persons', 'dominated') as is_small
        from shown_by inner join judged using (rid)
        where kind = '{Kind.MONEY}' and not is_public
            and part_cell is not null and base_cell is not null
    """).fetchnumpy()
    part, base = pairs["part_cell"].astype(int), pairs["base_cell"].astype(int)
    return np.unique(part[primary[base] | np.asarray(pairs["is_small"], bool)])


def _other_halves(connection, primary: np.ndarray) -> np.ndarray:
    """The other half of each small half of a category of two."""
    pairs = connection.execute(f"""
        select one.cell as one, other.cell as other
        from main as one
        inner join main as other
            on {_equal("one", "other", "state, school_year, level, org_id, measure, category")}
        inner join (values {_values(model.BINARY)}) as it (category, half, rest)
            on one.category = it.category and one.member = it.half and other.member = it.rest
        where other.amount > 0 and not other.is_fixed
    """).fetchnumpy()
    one, other = pairs["one"].astype(int), pairs["other"].astype(int)
    return np.unique(np.concatenate([other[primary[one]], one[primary[other]]]))


def _code(connection, mapped: Mapped, policy: Disclosure) -> None:
    """Give rates near 0 and 1 the bounds of their range; `temp.coded` has them by row."""
    rows = connection.execute(f"""
        select rid, metric_id, part_cell, base_cell
        from shown_by inner join judged using (rid)
        where
            kind = '{Kind.RATE}' and not is_public and status = '{Status.REPORTED}'
            and part_cell is not null and base_cell is not null and part_cell <> base_cell
        order by rid
    """).fetchnumpy()
    part, base = rows["part_cell"].astype(int), rows["base_cell"].astype(int)
    system = mapped.system
    metric = rows["metric_id"].astype(str)
    from_, to, is_coded = coding.ranges(metric, mapped.amount[part], mapped.amount[base], policy)
    # A share of a count that has a row of its own tells no more than that row does.
    own = connection.execute(
        f"select distinct part_cell from shown_by inner join judged using (rid) "
        f"where kind = '{Kind.PEOPLE}' and part_cell is not null"
    ).fetchnumpy()["part_cell"]
    at = mapped.one[part]
    is_coded &= ~system.fixed[at] & ~np.isin(part, own.astype(int))
    at, from_, to = at[is_coded], from_[is_coded], to[is_coded]
    low = from_ * mapped.amount[base[is_coded]]
    high = to * mapped.amount[base[is_coded]]
    mapped.hidden[at] = True
    mapped.coded[at] = True
    system.lower[at] = np.minimum(np.maximum(system.lower[at], low), system.value[at])
    system.upper[at] = np.maximum(np.minimum(system.upper[at], high), system.value[at])
    # Coded more finely than the minimum n, it is nobody's small count.
    width = system.upper[at] - system.lower[at]
    system.need[at] = np.minimum(system.need[at], np.maximum(width, 0.5))
    keep(
        connection, "coded", rid=rows["rid"][is_coded].astype(np.int64), value_lower=from_,
        value_upper=to,
    )  # fmt: skip


def keep(connection: duckdb.DuckDBPyConnection, name: str, **columns: np.ndarray) -> None:
    """Make a temporary table of some arrays."""
    connection.register("arrays", pa.table(columns))
    connection.execute(f"create or replace temp table {name} as from arrays")
    connection.unregister("arrays")
