"""What of the base metrics may be told: every rule of disclosure control, in order, to a release.

judge (primary) -> cells and equations (facts) -> earlier releases (ledger)
-> complementary suppression and both audits (complementary, audit) -> rows as readers see them
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import duckdb
import numpy as np
import pyarrow as pa

from include.disclosure import (
    audit,
    coding,
    complementary,
    facts,
    ledger,
    memory,
    model,
    parts,
    primary,
)
from include.disclosure.model import Kind, Status
from include.disclosure.system import System, components
from include.registry import Disclosure

# What takes a number out of a row, as against the rules by which it passes as it is.
HIDING = (
    "small_count",
    "few_persons",
    "dominated",
    "small_denominator",
    "small_numerator",
    "small_complement",
    "masked_elsewhere",
    "complementary",
    "hidden_before",
    "rate_coded",
)
# School years that are worked out at the same time, and what DuckDB holds of them in memory; what
# is more goes to its temporary files.
AT_ONCE = 2
ROOM = "750MB"
# To who knows which hidden numbers are small, so many more than one are left for each.
LEFT = 2.0
# Too few people to say anything of, not even a range, or beside whom to let a number stand.
SILENT = ("few_persons", "small_denominator", "small_count")


@dataclass
class Outcome:
    """What was decided, as counts only."""

    cells: int
    equations: int
    hidden: int
    # Hidden cells that were audited, and how often the audits were run until all passed.
    audited: int
    rounds: int
    # Small counts that are told to who knows which numbers are small, whatever else is hidden.
    exposed_by_rules: int
    # Cells that were found too narrow on the way.
    found: int
    # What the last audits say: told exactly, and not proven to be as wide as the rule.
    recoverable: int
    too_narrow: int
    # By metric: rows whose hidden counts other, public figures tell, exactly or too nearly.
    exposed_by_policy: dict[str, int]
    exposed_exactly: int
    exposed_before: int
    # Sums that miss by too much to be equations, by family.
    far_sums: dict[str, int]
    # Counts and people, all and still visible, of the protected metrics.
    counts: int
    counts_visible: int
    people: float
    people_visible: float

    def add(self, other: Outcome) -> Outcome:
        """The outcome of both: of the rounds the most, of all else the sums, name by name."""
        both = {}
        for name, mine in vars(self).items():
            its = getattr(other, name)
            if name == "rounds":
                both[name] = max(mine, its)
            elif isinstance(mine, dict):
                both[name] = {
                    key: mine.get(key, 0) + its.get(key, 0) for key in sorted({*mine, *its})
                }
            else:
                both[name] = mine + its
        return Outcome(**both)


def decide(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    organizations: str,
    policy: Disclosure,
    kinds: Mapping[str, Kind],
    into: str,
    earlier: Sequence[str] = (),
) -> Outcome:
    """Create the temporary table `into`: the facts of a schema as they may be told, and `rule`.

    One row for each row of int_base_metrics, ordered by all columns. `earlier` are relations of the
    same columns, as published before; like all relations here, not temporary ones, which other
    cursors of the connection do not see. Raises audit.AuditFailed; then there is nothing to
    publish.
    """
    found = connection.execute(
        f"select distinct school_year from {schema}.{model.FACTS} order by all"
    ).fetchall()
    years = [year for (year,) in found] or [None]
    reading = threading.Lock()

    def decided(year: int | None) -> tuple[Outcome, pa.Table]:
        with connection.cursor() as cursor:
            with reading:
                primary.judge(cursor, schema, year, policy, kinds)
                mapped = facts.read(cursor, organizations, policy, model.measures(kinds))
                before = ledger.apply(cursor, mapped, earlier)
                memory.give_back()
            try:
                outcome = _decide(cursor, mapped, before, policy, workers)
            except audit.AuditFailed as error:
                raise audit.AuditFailed(f"school year {year}: {error}") from error
            # Rows take room as well, and need no system any more.
            del mapped, before
            memory.give_back()
            return outcome, cursor.execute(_published(policy)).to_arrow_table()

    outcomes = []
    # No sum links two school years: one is read while the processes are at another.
    with parts.Workers() as workers, ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for outcome, rows in pool.map(decided, years):
                connection.register("decided", rows)
                if not outcomes:
                    connection.execute(
                        "create or replace temp table unordered as from decided limit 0"
                    )
                connection.execute("insert into unordered from decided")
                connection.unregister("decided")
                del rows
                outcomes.append(outcome)
        except BaseException:
            # What is left cannot be published any more.
            workers.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    connection.execute(f"create or replace temp table {into} as from unordered order by all")
    connection.execute("drop table unordered")
    return functools.reduce(Outcome.add, outcomes)


def _decide(
    connection: duckdb.DuckDBPyConnection,
    mapped: facts.Mapped,
    before: ledger.Before,
    policy: Disclosure,
    workers: parts.Workers,
) -> Outcome:
    """Decide what may be told of a system: `temp.cell_state` has it by cell. Raises AuditFailed."""
    system = mapped.system
    choice, informed = _protected(mapped, policy, workers)
    _unproxied(connection, policy)
    one = mapped.one
    hidden = choice.hidden[one]
    facts.keep(
        connection,
        "cell_state",
        cell=np.arange(len(one)),
        is_hidden=hidden,
        is_small=mapped.primary,
        is_masked=mapped.masked,
        is_fixed=before.was_fixed,
        is_coded=choice.coded[one],
        is_exposed=choice.exposed[one],
        was_hidden=before.hidden,
    )
    protected = mapped.people & mapped.protected & ~mapped.unknown
    visible = protected & ~hidden & ~mapped.primary
    people = np.maximum(mapped.amount, 0)
    if policy.complementary == "on":
        _blame(choice, system, mapped)
    unknown = choice.hidden & ~choice.known
    audited = unknown & (choice.need > 0)
    outcome = Outcome(
        cells=system.cells,
        equations=system.matrix.shape[0],
        hidden=int(hidden.sum()),
        audited=int(audited.sum()),
        recoverable=int((audit.recoverable(system, unknown, seed=1) & audited).sum()),
        too_narrow=int((audited & ~choice.proven).sum()),
        exposed_by_rules=int((informed.exposed & ~choice.exposed & mapped.small).sum()),
        rounds=choice.rounds,
        found=choice.found,
        exposed_by_policy=dict(
            connection.execute("""
            select metric_id, count(*)
            from judged
            inner join shown_by using (rid)
            left join cell_state as part on part.cell = shown_by.part_cell
            left join cell_state as base on base.cell = shown_by.base_cell
            where not is_public and (part.is_exposed or base.is_exposed)
            group by metric_id
            order by metric_id
            """).fetchall()
        ),
        exposed_exactly=int(((choice.known | system.fixed) & choice.exposed).sum()),
        exposed_before=before.exposed,
        far_sums=mapped.far,
        counts=int(protected.sum()),
        counts_visible=int(visible.sum()),
        people=float(people[protected].sum()),
        people_visible=float(people[visible].sum()),
    )
    if outcome.recoverable or outcome.too_narrow:
        raise audit.AuditFailed(
            f"{outcome.recoverable} hidden cells can be worked out and {outcome.too_narrow} are "
            "known more closely than the rule allows; nothing is published"
        )
    return outcome


def _protected(
    mapped: facts.Mapped, policy: Disclosure, workers: parts.Workers
) -> tuple[complementary.Choice, complementary.Choice]:
    """What is hidden from two readers: of the sums, and of the sums and what each status says.

    A number that is hidden for being small is below n, and another is not: of two schools with nine
    pupils each, which are all that is hidden, the sum of 18 tells both. To this reader a range as
    wide as n cannot be left, but LEFT numbers more than one must be.
    """
    system = mapped.system
    hidden, coded = mapped.hidden, mapped.coded
    choice = informed = None
    while True:
        choice = complementary.protect(
            system,
            hidden,
            coded=coded,
            plain=(mapped.plain_lower, mapped.plain_upper),
            is_thinned=system.cells <= complementary.SMALL,
            is_complementary=policy.complementary == "on",
            before=choice,
            workers=workers,
        )
        if policy.complementary != "on":
            return choice, choice
        informed = complementary.protect(
            _as_told(mapped, choice),
            choice.hidden,
            is_thinned=False,
            before=informed,
            workers=workers,
        )
        if not (informed.hidden & ~choice.hidden).any():
            return choice, informed
        hidden, coded = informed.hidden, choice.coded


def _as_told(mapped: facts.Mapped, choice: complementary.Choice) -> System:
    """The system of a reader to whom the statuses say which hidden numbers are below n."""
    system, n = mapped.system, mapped.minimum_n
    is_count = np.isfinite(system.lower) & ~choice.coded
    need = np.where(mapped.small, np.minimum(LEFT, n - 2), 0.0)
    need[(choice.need == 0) | choice.known] = 0.0
    least = np.where(mapped.small, 1.0, np.where(system.value < n, 0.0, n))
    return replace(
        system,
        lower=np.where(
            is_count & ~system.virtual | mapped.small,
            np.maximum(system.lower, np.minimum(least, system.value)),
            system.lower,
        ),
        upper=np.where(
            mapped.small,
            np.minimum(system.upper, np.maximum(n - 1, system.value)),
            system.upper,
        ),
        need=need,
    )


def _blame(choice: complementary.Choice, system: System, mapped: facts.Mapped) -> None:
    """Look whether everything that stays exposed is told by something that nobody here can hide.

    What the policy, a publisher or an earlier release tells, and what would be told were every
    number hidden. Anything else is a fault, and nothing is published.
    """
    told = system.fixed.copy()
    told[mapped.one[mapped.unknown | mapped.masked]] = True
    group = components(system.matrix)
    excused = np.zeros(int(group.max(initial=-1)) + 1, bool)
    excused[group[told]] = True
    wrong = choice.exposed & ~excused[group]
    if wrong.any():
        everything = np.isin(group, group[wrong])
        wrong &= ~audit.recoverable(system, everything)
        wrong &= ~audit.narrow(system, everything, wrong)
    if wrong.any():
        raise audit.AuditFailed(
            f"{wrong.sum()} hidden cells were not protected although nothing public tells on them; "
            "nothing is published"
        )


def _unproxied(connection, policy: Disclosure) -> None:
    """Judge the rates that come without a count by the membership of their group."""
    connection.execute(f"""
    create or replace temp table pupils as
    select state, school_year, org_level, org_id, group_category, group_value,
        arg_min(part, rank) as pupils
    from (
        select *, list_position({list(model.PUPILS)}, metric_id) as rank from judged
        where kind = '{Kind.PEOPLE}' and metric_id in {tuple(model.PUPILS)} and part is not null
    )
    group by all
    """)
    rows = connection.execute(f"""
        select
            rid, metric_id, minimum_n, withholds_zeros, known * pupils as part, pupils as base
        from judged
        inner join pupils
            using (state, school_year, org_level, org_id, group_category, group_value)
        inner join made_of using (metric_id)
        where
            kind = '{Kind.RATE}' and rule = 'shown' and base is null
            and denominator_measure in {tuple(model.PUPILS)}
        order by rid
    """).fetchnumpy()
    part, base = (np.ma.filled(rows[name].astype(float), np.nan) for name in ("part", "base"))
    # Of nearly the same pupils the share of a hundredth makes nearly the same number.
    from_, to, coded = coding.ranges(rows["metric_id"].astype(str), part, base, policy)
    rules = rows["minimum_n"].astype(int), rows["withholds_zeros"].astype(bool)
    tight = coding.small(base, *rules) | (base < rules[0])
    few = coding.small(np.rint(part), *rules)
    most = coding.small(np.rint(base - part), *rules)
    rule = np.select(
        [tight, coded, few, most],
        ["small_denominator", "rate_coded", "small_numerator", "small_complement"],
        "shown",
    )
    facts.keep(
        connection,
        "by_proxy",
        rid=rows["rid"].astype(np.int64),
        proxy_rule=rule.astype(str),
        proxy_lower=np.where(coded & ~tight, from_, np.nan),
        proxy_upper=np.where(coded & ~tight, to, np.nan),
    )


def _published(policy: Disclosure) -> str:
    """SQL: the judged rows as readers see them."""
    hiding = ", ".join(f"'{rule}'" for rule in HIDING)
    silent = ", ".join(f"'{rule}'" for rule in SILENT)
    return f"""
    with seen as (
        select
            judged.* exclude (rule),
            judged.rule as own_rule,
            coalesce(part.is_hidden or part.is_small or part.is_masked, false) as no_part,
            coalesce(base.is_hidden or base.is_small or base.is_masked, false) as no_base,
            coalesce(part.is_small, false) or coalesce(base.is_small, false) as is_small,
            coalesce(part.is_masked, false) or coalesce(base.is_masked, false) as is_masked,
            coalesce(part.was_hidden, false) or coalesce(base.was_hidden, false) as was_hidden,
            coalesce(part.is_fixed and base.is_fixed, false)
                and kind in ('{Kind.RATE}', '{Kind.RATIO}') as is_derivable,
            coalesce(base.is_fixed, false) as has_public_base,
            coalesce(part.is_coded, false) as is_coded,
            coded.value_lower as coded_lower,
            coded.value_upper as coded_upper,
            by_proxy.* exclude (rid)
        from judged
        left join shown_by using (rid)
        left join cell_state as part on part.cell = shown_by.part_cell
        left join cell_state as base on base.cell = shown_by.base_cell
        left join coded using (rid)
        left join by_proxy using (rid)
    ),
    ruled as (
        select
            *,
            case
                when own_rule in ('public', 'absent') then own_rule
                when is_derivable then 'public'
                when own_rule in ('small_count', 'few_persons', 'dominated') then own_rule
                when
                    own_rule = 'small_denominator'
                    and not (kind = '{Kind.RATIO}' and has_public_base)
                    then own_rule
                when not status = '{Status.REPORTED}' then own_rule
                when coded_lower is not null and is_coded and not no_base then 'rate_coded'
                when own_rule = 'small_complement' then own_rule
                when own_rule = 'small_numerator' and no_part then own_rule
                when is_small then
                    case kind
                        when '{Kind.PEOPLE}' then 'small_count'
                        when '{Kind.MONEY}' then 'small_denominator'
                        else 'small_numerator'
                    end
                when is_masked then 'masked_elsewhere'
                when (no_part or no_base) and was_hidden then 'hidden_before'
                when no_part or no_base then 'complementary'
                when proxy_rule is not null then proxy_rule
                when own_rule = 'masked_by_publisher' then own_rule
                else 'shown'
            end as rule
        from seen
    ),
    shown as (
        select
            *,
            rule in ({hiding}) as is_hidden,
            rule in ({silent}) or (kind = '{Kind.RATIO}' and rule in ({hiding})) as is_silent
        from ruled
    )
    select
        state,
        school_year,
        metric_id,
        org_level,
        org_id,
        group_category,
        group_value,
        case
            when rule = 'public' then numerator
            when not is_silent and not no_part and proxy_lower is null then numerator
        end as numerator,
        case
            when rule = 'public' then denominator
            when not is_silent and not no_base then denominator
        end as denominator,
        case when not is_hidden then value end as value,
        case
            when rule = 'rate_coded' then '{Status.RANGE}'
            when
                is_hidden and rule in ('complementary', 'hidden_before')
                and status = '{Status.REPORTED}'
                then '{Status.COMPLEMENTARY}'
            when
                (is_hidden and status = '{Status.REPORTED}')
                or (is_silent and status = '{Status.RANGE}')
                or (is_hidden and status = '{Status.RANGE}' and value_lower = value_upper)
                then '{Status.PRIMARY}'
            else status
        end as status,
        list_sort(source_loads) as source_loads,
        case
            when rule = 'rate_coded' then coalesce(coded_lower, proxy_lower)
            when not (is_silent or (is_hidden and value_lower = value_upper)) then value_lower
        end as value_lower,
        case
            when rule = 'rate_coded' then coalesce(coded_upper, proxy_upper)
            when not (is_silent or (is_hidden and value_lower = value_upper)) then value_upper
        end as value_upper,
        rule
    from shown
    """
