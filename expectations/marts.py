"""What the marts of a build must keep to before anything of it may be published.

dbt tests ask whether the logic is right; here the question is whether *these loads* are
believable: groups and levels that add up, rates that are rates, nothing that vanished, no jump
that nobody has looked at.

The suite judges views that `prepare` makes in an otherwise empty database: `fct_metric`,
`dim_metric` and `dim_organization` of the build, `before` (the last release's `fct_metric`, empty
where there is none), `given` (the totals that the publisher itself gives) and `expected_years`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from great_expectations import ExpectationSuite

from expectations.promise import NoRows, literal, query, shown
from include import contradictions
from include.contradictions import Finding

# What states send, as the canonical subjects hold it.
SUBJECTS = tuple(
    f"build.intermediate.int_{subject}"
    for subject in ("enrollment", "outcomes", "finance", "staff", "cte", "identification")
)
# What programs are held against: relations of the build that not every state has.
REFERENCES = {
    "crosswalk": ("build.intermediate.int_cip_soc", {"school_year": "integer", "cip": "varchar"}),
    "programs_in_regions": (
        "build.intermediate.int_program_occupations",
        {"school_year": "integer", "cip": "varchar"},
    ),
    "occupations": (
        "build.marts.fct_labor_market",
        {"school_year": "integer", "region": "varchar", "vintage": "varchar"},
    ),
}

# Counts in which every person (or FTE) stands once, so that exclusive groups and levels add up.
PEOPLE = ("membership", "average_daily_membership")
# Counts that add up over organizations, but not over groups: a student may be in two clusters.
ADDITIVE = (
    *PEOPLE, "budget_pupils", "staff_fte", "cte_concentrators", "cte_concentrators_reported"
)  # fmt: skip
EXCLUSIVE = (
    "race", "sex", "economic", "english_learner", "disability",
    "homeless", "foster", "military", "migrant", "grade",
)  # fmt: skip
# A two-valued category is a whole only where both values are there.
BINARY = ("economic", "english_learner", "disability", "homeless", "foster", "military", "migrant")

STATUSES = (
    "reported", "suppressed_primary", "suppressed_complementary", "range_coded",
    "not_applicable", "not_collected", "missing",
)  # fmt: skip

# Dollars per pupil that schools of the United States have been seen to spend, with room to spare.
SPENDING = "metric_id in (select metric_id from dim_metric where unit = 'US dollars per pupil')"
ALL_SPENDING = "metric_id in ('ppe_total', 'ppe_current') and group_category = 'all'"
DOLLARS = (
    ("all spending", ALL_SPENDING, (1_000, 150_000)),
    ("spending by source or kind", f"not ({ALL_SPENDING}) and {SPENDING}", (0, 150_000)),
)
# Numbers that are no amounts of anything: they may be below zero, and move without anything moving.
STATISTIC = """metric_id in (
    select metric_id from dim_metric
    where
        unit like 'difference %' or unit like 'index%' or unit like 'ratio%'
        or unit in ('correlation coefficient', 'elasticity', 'percentage points')
)"""

# From where on a difference is more than rounding: half a person, or one in two thousand.
ROUNDING = "greatest(0.5, 0.0005 * abs(total))"

# By how much federal reviewers let a figure move before they ask.
TOTAL_MOVES, CATEGORY_MOVES, AGENCIES_MOVE = 0.05, 0.10, 0.20
# A year that is published again: corrections are small, lost districts are not.
SAME_YEAR_MOVES = 0.10
# A publisher's own total may leave organizations out, but not most of them.
LEAST_OF_PARTS = 0.5

GRAIN = (
    "state", "school_year", "metric_id", "org_level", "org_id", "group_category", "group_value",
)  # fmt: skip
FACT = """state varchar, school_year integer, metric_id varchar, org_level varchar, org_id varchar,
    group_category varchar, group_value varchar, value double, status varchar"""

RATE = "metric_id in (select metric_id from dim_metric where unit like 'fraction of %')"
WHOLE_GROUP = "group_category = 'all' and group_value = 'all'"
REPORTED = "status = 'reported' and value is not null"


def prepare(connection: Any, school_years: Iterable[int] = ()) -> None:
    """Make the views that the suite judges, over the attached databases `build` and `release`.

    `release` need not be attached. `school_years` are those that the build must have.
    """
    there = set(
        connection.execute(
            "select database_name || '.' || schema_name || '.' || table_name from duckdb_tables() "
            "union all select database_name || '.' || schema_name || '.' || view_name "
            "from duckdb_views()"
        ).fetchall()
    )
    names = {name for (name,) in there}
    for table in ("fct_metric", "dim_metric", "dim_organization"):
        connection.execute(f"create view {table} as select * from build.marts.{table}")
    if "release.published.fct_metric" in names:
        connection.execute(
            "create view before as select state, school_year, metric_id, org_level, org_id, "
            "group_category, group_value, value, status from release.published.fct_metric"
        )
    else:
        connection.execute(f"create table before ({FACT})")
    # What a subject's model holds above the schools, the publisher gives; int_measures adds up.
    given = [
        "select school_year, measure, org_level, org_id, group_category, group_value "
        f"from {name} where org_level <> 'SCH' and status = 'reported'"
        for name in sorted(names)
        if name in SUBJECTS
    ]
    empty = (
        "select null::integer as school_year, null::varchar as measure, "
        "null::varchar as org_level, null::varchar as org_id, "
        "null::varchar as group_category, null::varchar as group_value where false"
    )
    connection.execute(f"create view given as {' union all '.join([empty, *given])}")
    for view, (table, columns) in REFERENCES.items():
        source = f"select {', '.join(columns)} from {table}"
        if table not in names:
            nulls = ", ".join(f"null::{kind} as {column}" for column, kind in columns.items())
            source = f"select {nulls} where false"
        connection.execute(f"create view {view} as {source}")
    contradictions.make_tables(connection)
    if "build.contradictions.rows" in names:
        for table in ("rows", "loads"):
            connection.execute(
                f"insert into contradictions.{table} from build.contradictions.{table}"
            )
    connection.execute("create table expected_years (school_year integer)")
    for year in school_years:
        connection.execute("insert into expected_years values (?)", [year])


def suite(
    override_reason: str | None = None,
    beside: Sequence[Finding] = (),
    max_bad_rows: Mapping[str, float] = MappingProxyType({}),
) -> ExpectationSuite:
    """The promises of one build's marts. With an `override_reason`, what vanished is a warning.

    `beside` holds what rows of extracts promise beside other extracts, `max_bad_rows` by extract
    the share of them that may break it.
    """
    vanished = "warning" if override_reason else "critical"
    return ExpectationSuite(
        name="marts",
        expectations=[
            *_shape(),
            *_bounds(),
            *_sums(),
            *_presence(vanished),
            *_drift(vanished),
            *_programs(),
            *_beside(beside, max_bad_rows, vanished),
        ],
    )


def _shape() -> Iterator[NoRows]:
    yield _promise(
        "one row for each organization, year, metric and group",
        f"select {', '.join(GRAIN)} from {{batch}} group by all having count(*) > 1",
        expected="no grain twice",
        what_to_do="look for a join that multiplies rows, or a file loaded under two years",
    )
    yield _promise(
        "a value is there exactly where its status is reported",
        "select * from {batch} where (status = 'reported') is distinct from (value is not null) "
        f"or status not in ({_list(STATUSES)})",
        expected="null unless reported",
        what_to_do="look at the staging model of the metric's subject",
    )
    yield _promise(
        "every metric is described in dim_metric",
        "select distinct metric_id from {batch} "
        "where metric_id not in (select metric_id from dim_metric)",
        expected="no metric without a definition",
        what_to_do="add the metric to the seed metrics.csv",
    )


def _bounds() -> Iterator[NoRows]:
    yield _promise(
        "a rate lies between 0 and 1",
        f"select * from {{batch}} where {RATE} and (value < 0 or value > 1)",
        expected="0 to 1",
        what_to_do="compare numerator and denominator with the file; a wrong denominator is "
        "not_collected, not a rate",
    )
    yield _promise(
        "a count is not negative",
        f"select * from {{batch}} where not ({SPENDING}) and not ({STATISTIC}) and value < 0",
        expected="0 or more",
        what_to_do="look at the rows of the file that fed it (source_loads)",
    )
    for metrics, which, (low, high) in DOLLARS:
        yield _promise(
            f"{metrics} is ${low:,} to ${high:,} per pupil",
            f"select * from {{batch}} where {which} and (value < {low} or value > {high})",
            expected=f"${low:,} to ${high:,}",
            what_to_do="compare dollars and pupils with the file",
            severity="warning",
        )
        yield _promise(
            f"{metrics} is ${low:,} to ${high:,} per pupil in 19 of 20 organizations",
            f"select 1 as odd from {{batch}} where {which} and value is not null "
            f"having count(*) >= 20 "
            f"and count(*) filter (where value < {low} or value > {high}) > 0.05 * count(*)",
            expected=f"${low:,} to ${high:,}",
            what_to_do="see that the file is in dollars, and that no column took another's place",
        )


def _sums() -> Iterator[NoRows]:
    differs = f"abs(parts - total) > {ROUNDING}"
    yield _promise(
        "exclusive groups add up to all in 99 of 100 organizations",
        f"select 1 as differs from ({_groups()}) "
        f"having count(*) filter (where {differs}) > 0.01 * count(*)",
        expected="the sum of the groups",
        what_to_do="look for a group counted twice, or a code that staging does not know",
    )
    yield _promise(
        "exclusive groups add up to all everywhere",
        f"select * from ({_groups()}) where {differs}",
        expected="the sum of the groups",
        what_to_do="ask the publisher about these organizations",
        severity="warning",
    )
    yield _promise(
        "totals that we add up are the sum of their parts",
        f"select * from ({_levels()}) where not is_given and {differs}",
        expected="schools add up to their LEA, LEAs to the state",
        what_to_do="look for schools without an LEA, or organizations counted twice",
    )
    yield _promise(
        "totals that the publisher gives are the sum of their parts",
        f"select * from ({_levels()}) where is_given and {differs}",
        expected="schools add up to their LEA, LEAs to the state",
        what_to_do="ask the publisher which organizations its total includes",
        severity="warning",
    )
    yield _promise(
        "a total that the publisher gives is not another organization's row",
        f"select * from ({_levels()}) where is_given and total < {LEAST_OF_PARTS} * parts",
        expected=f"at least {LEAST_OF_PARTS:.0%} of the sum of the parts",
        what_to_do="look for a school's row under the code of a district or of the state",
    )


def _presence(severity: str) -> Iterator[NoRows]:
    yield _promise(
        "no metric of the last release has vanished",
        """
        select expected.school_year, expected.metric_id
        from (select distinct school_year, metric_id from before) as expected
        full outer join (select distinct school_year, metric_id from {batch}) as present
            on expected.school_year = present.school_year
            and expected.metric_id = present.metric_id
        where present.metric_id is null
        """,
        expected="every year and metric that was published before",
        what_to_do="look for the extract that did not load; to publish without it, give a reason",
        severity=severity,
        can_override=True,
    )
    yield _promise(
        "what the last release reported is still reported",
        f"""
        select expected.school_year, expected.metric_id
        from (
            select distinct school_year, metric_id from before where {REPORTED}
        ) as expected
        full outer join (
            select distinct school_year, metric_id from {{batch}} where {REPORTED}
        ) as present
            on expected.school_year = present.school_year
            and expected.metric_id = present.metric_id
        where present.metric_id is null
        """,
        expected="a reported value for every year and metric that had one",
        what_to_do="look for the extract that did not load; to publish without it, give a reason",
        severity=severity,
        can_override=True,
    )
    yield _promise(
        "every school year that was loaded is there",
        """
        select expected.school_year
        from expected_years as expected
        full outer join (select distinct school_year from {batch}) as present
            on expected.school_year = present.school_year
        where present.school_year is null
        """,
        expected="a row for each year whose enrollment was loaded",
        what_to_do="look at the staging models: the year was loaded and did not arrive",
        severity=severity,
        can_override=True,
    )
    yield _promise(
        "a metric that one school year has, the others have too",
        """
        select years.school_year, metrics.metric_id
        from (select distinct school_year from {batch}) as years
        cross join (select distinct metric_id from {batch}) as metrics
        full outer join (select distinct school_year, metric_id from {batch}) as present
            on years.school_year = present.school_year
            and metrics.metric_id = present.metric_id
        where present.metric_id is null
        """,
        expected="every metric in every school year, if only as not_collected",
        what_to_do="fetch the extract of the year that is missing",
        severity="warning",
    )


def _drift(severity: str) -> Iterator[NoRows]:
    sources = (
        ("since the last release", "before", "was.school_year = now.school_year"),
        ("since the year before", "fct_metric", "was.school_year = now.school_year - 1"),
    )
    for since, earlier, when in sources:
        # What readers have already is not moved further than this without a person's word.
        is_out = since == "since the last release"
        if is_out:
            yield _promise(
                f"a year that is out already keeps its state totals within {SAME_YEAR_MOVES:.0%}",
                _moves(earlier, when, WHOLE_GROUP, SAME_YEAR_MOVES),
                expected=f"a change of at most {SAME_YEAR_MOVES:.0%}",
                what_to_do="look for districts that lost their rows; if the publisher corrected "
                "itself, publish with a reason",
                severity=severity,
                can_override=True,
            )
        yield _promise(
            f"state totals move by at most {TOTAL_MOVES:.0%} {since}",
            _moves(earlier, when, WHOLE_GROUP, TOTAL_MOVES),
            expected=f"a change of at most {TOTAL_MOVES:.0%}",
            what_to_do="find out what changed before a reviewer asks",
            severity="warning",
            needs_approval=is_out,
        )
        yield _promise(
            f"a group's state total moves by at most {CATEGORY_MOVES:.0%} {since}",
            _moves(earlier, when, f"not ({WHOLE_GROUP})", CATEGORY_MOVES),
            expected=f"a change of at most {CATEGORY_MOVES:.0%}",
            what_to_do="find out what changed before a reviewer asks",
            severity="warning",
            needs_approval=is_out,
        )
        yield _promise(
            f"the number of LEAs moves by at most {AGENCIES_MOVE:.0%} {since}",
            f"""
            select now.school_year
            from ({_agencies("{batch}")}) as now
            join ({_agencies(earlier)}) as was on {when}
            where abs(now.agencies - was.agencies) > {AGENCIES_MOVE} * was.agencies
            """,
            expected=f"a change of at most {AGENCIES_MOVE:.0%}",
            what_to_do="compare the directory with the one before",
            severity="warning",
            needs_approval=is_out,
        )


def _programs() -> Iterator[NoRows]:
    """What cannot be seen in one row of a file of programs or occupations."""
    concentrators = (
        "from {batch} where metric_id = 'cte_concentrators' and org_level = 'SEA' "
        f"and group_category = 'cip' and {REPORTED}"
    )
    yield _promise(
        "the CIP code of every program with concentrators exists",
        f"select school_year, group_value {concentrators} "
        "and school_year in (select school_year from crosswalk) "
        "and (school_year, group_value) not in (select (school_year, cip) from crosswalk)",
        expected="a code of the crosswalk",
        what_to_do="ask the LEAs that report the program for its CIP 2020 code",
        severity="warning",
    )
    yield _promise(
        "19 of 20 concentrators are in programs that lead to an occupation of the labor market",
        f"select school_year {concentrators} "
        "and school_year in (select school_year from programs_in_regions) group by school_year "
        "having sum(value) filter (where (school_year, group_value) in "
        "(select (school_year, cip) from programs_in_regions)) is null "
        "or sum(value) filter (where (school_year, group_value) in "
        "(select (school_year, cip) from programs_in_regions)) < 0.95 * sum(value)",
        expected="at least 95 % of concentrators",
        what_to_do="compare the programs' CIP codes with the crosswalk, and its occupations with "
        "the labor market's",
        severity="warning",
    )
    yield _promise(
        "all figures of a region's labor market are of one vintage",
        "select school_year, region from occupations group by all "
        "having count(distinct vintage) > 1",
        expected="one year or month",
        what_to_do="ask the labor market office for one file of the whole region",
        severity="warning",
    )


def _beside(
    found: Sequence[Finding], max_bad_rows: Mapping[str, float], severity: str
) -> Iterator[NoRows]:
    """Rows that were accepted, and that other extracts contradict."""
    for it in found:
        rule = it.rule
        aside = "set aside" if rule.otherwise == "quarantine" else "loaded and reported"
        yield _promise(
            f"{it.extract}: no row where {rule.reason} ({aside})",
            f"select * from contradictions.rows where extract = {literal(it.extract)} "
            f"and reason = {literal(rule.reason)}",
            expected=rule.expected,
            what_to_do=rule.what_to_do,
            severity="warning",
            observed=it.observed,
        )
    for extract in dict.fromkeys(it.extract for it in found):
        share = max_bad_rows[extract]
        yield _promise(
            f"other extracts contradict at most {share:.0%} of the rows of {extract}",
            f"select * from contradictions.loads where extract = {literal(extract)} "
            f"and set_aside + odd > floor({share} * rows)",
            expected=f"at most {share:.0%} of the rows of each file",
            what_to_do="see that both files are of this school year; if they are, publish with a "
            "reason",
            severity=severity,
            can_override=True,
        )


def _groups() -> str:
    """Each additive count whose exclusive groups are all reported: `parts` beside `total`."""
    categories, binary, people = _list(EXCLUSIVE), _list(BINARY), _list(PEOPLE)
    return f"""
        select whole.*, groups.group_category as by_category, groups.parts
        from (
            select school_year, metric_id, org_level, org_id, value as total
            from {{batch}} where {REPORTED} and {WHOLE_GROUP} and metric_id in ({people})
        ) as whole
        join (
            select school_year, metric_id, org_level, org_id, group_category,
                sum(value) as parts
            from {{batch}}
            where group_category in ({categories}) and metric_id in ({people})
                and group_value <> 'S504'
            group by all
            having bool_and({REPORTED})
                and (group_category not in ({binary}) or count(*) = 2)
        ) as groups using (school_year, metric_id, org_level, org_id)
    """


def _levels() -> str:
    """Each additive count of an LEA or the state whose parts are all reported, by group.

    An organization that is not asked for the metric at all is no part of it.
    """
    additive = _list(ADDITIVE)
    return f"""
        select upper.*, parts.parts, given.measure is not null as is_given
        from (
            select school_year, metric_id, org_level, org_id, group_category, group_value,
                value as total
            from {{batch}}
            where {REPORTED} and org_level in ('LEA', 'SEA') and metric_id in ({additive})
        ) as upper
        join (
            select lower.school_year, lower.metric_id, lower.group_category, lower.group_value,
                case lower.org_level when 'SCH' then 'LEA' else 'SEA' end as org_level,
                case lower.org_level when 'SCH' then org.parent_org_id end as org_id,
                sum(lower.value) as parts
            from {{batch}} as lower
            left join dim_organization as org
                on lower.school_year = org.school_year and lower.org_level = org.org_level
                and lower.org_id = org.org_id
            where lower.org_level in ('SCH', 'LEA') and lower.metric_id in ({additive})
            group by all
            having bool_and(lower.status in ('reported', 'not_collected', 'not_applicable'))
                and count(lower.value) > 0
        ) as parts
            on upper.school_year = parts.school_year and upper.metric_id = parts.metric_id
            and upper.group_category = parts.group_category
            and upper.group_value = parts.group_value and upper.org_level = parts.org_level
            and (upper.org_level = 'SEA' or upper.org_id = parts.org_id)
        left join (select distinct * from given) as given
            on upper.school_year = given.school_year and upper.metric_id = given.measure
            and upper.org_level = given.org_level and upper.org_id = given.org_id
            and upper.group_category = given.group_category
            and upper.group_value = given.group_value
    """


def _moves(earlier: str, when: str, groups: str, share: float) -> str:
    totals = f"org_level = 'SEA' and {REPORTED} and {groups} and not ({RATE}) and not ({STATISTIC})"
    return f"""
        select now.*
        from (select * from {{batch}} where {totals}) as now
        join (select * from {earlier} where {totals}) as was
            on {when} and now.metric_id = was.metric_id
            and now.group_category = was.group_category and now.group_value = was.group_value
        where abs(now.value - was.value) > {share} * abs(was.value)
    """


def _agencies(relation: str) -> str:
    return f"""
        select school_year, count(distinct org_id) as agencies
        from {relation} where org_level = 'LEA' group by school_year
    """


def _list(values: Iterable[str]) -> str:
    return ", ".join(literal(value) for value in values)


def _promise(
    description: str,
    sql: str,
    *,
    expected: str,
    what_to_do: str,
    severity: str = "critical",
    can_override: bool = False,
    needs_approval: bool = False,
    observed: str | None = None,
) -> NoRows:
    return NoRows(
        unexpected_rows_query=query(sql),
        description=shown(description),
        severity=severity,
        meta={
            "promise": description,
            "about": "marts",
            "expected": expected,
            "what_to_do": what_to_do,
            "can_override": can_override,
            "needs_approval": needs_approval,
            "observed": observed,
        },
    )
