{#
    Record-level extracts become observations in three moves, each with one home:
    rows are laid out at every level of organization, people are told apart by the caller,
    and every person is counted in every group that they belong to.
#}

{# The state agency has no code in its own extracts: it goes by the state's postal code. #}
{% macro state_org_id() -%}
    '{{ var("state") }}'
{%- endmacro %}

{# What no school can be named for stands under CENTRAL: it is the LEA's and the state's alone. #}
{% macro at_every_level(relation) %}
    select *, 'SCH' as org_level, school_id as org_id from {{ relation }}
    where school_id <> 'CENTRAL'

    union all

    select *, 'LEA' as org_level, lea_id as org_id from {{ relation }}

    union all

    select *, 'SEA' as org_level, {{ state_org_id() }} as org_id from {{ relation }}
{% endmacro %}

{# Hispanic of any race first; then two or more races are one group of their own. #}
{% macro race_of_seven() -%}
    case
        when hispanic = 'Y' then 'HI7'
        when
            list_sum([
                american_indian = 'Y', asian = 'Y', black = 'Y', pacific_islander = 'Y', white = 'Y'
            ]::integer[]) > 1 then 'MU7'
        when american_indian = 'Y' then 'AM7'
        when asian = 'Y' then 'AS7'
        when black = 'Y' then 'BL7'
        when pacific_islander = 'Y' then 'PI7'
        when white = 'Y' then 'WH7'
    end
{%- endmacro %}

{# A yes-or-no flag as the two values of its group; unknown stays unknown. #}
{% macro either(flag, yes, no) -%}
    case {{ flag }} when 'Y' then '{{ yes }}' when 'N' then '{{ no }}' end
{%- endmacro %}

{# Each category with the column that holds its value; section 504 stands apart from IDEA. #}
{% macro student_categories() %}
    {{ return([
        ('race', 'race'),
        ('sex', 'sex'),
        ('economic', 'economic'),
        ('english_learner', 'english_learner'),
        ('disability', 'disability'),
        ('disability', 'section_504'),
        ('homeless', 'homeless'),
        ('foster', 'foster'),
        ('military', 'military'),
        ('migrant', 'migrant'),
        ('grade', 'grade'),
    ]) }}
{% endmacro %}

{# What the cohort extract says of its students: no grade, and no section 504. #}
{% macro cohort_categories() %}
    {%- set told = [] -%}
    {%- for category, column in student_categories() if column not in ('section_504', 'grade') -%}
        {%- do told.append((category, column)) -%}
    {%- endfor -%}
    {{ return(told) }}
{% endmacro %}

{#
    One row for each row of the relation and each group that it belongs to: the columns of the
    relation that are named in `keep`, group_category and group_value. `categories` are pairs of
    a category and the column that holds its value; `crossings` are pairs of columns. A person
    whose value is unknown is in `all`, and in no group of that category. One pass over the
    relation, measured as fast as grouping sets, and free of their null-or-total ambiguity.
#}
{% macro by_group(relation, keep, categories, crossings=[]) %}
    select * from (
        select
            {{ keep | join(', ') }},
            unnest([
                {'group_category': 'all', 'group_value': 'all'},
                {%- for category, column in categories %}
                {'group_category': '{{ category }}', 'group_value': {{ column }}},
                {%- endfor %}
                {%- for one, other in crossings %}
                {
                    'group_category': '{{ one }}*{{ other }}',
                    'group_value': {{ one }} || '*' || {{ other }}
                },
                {%- endfor %}
            ], recursive := true)
        from {{ relation }}
    ) as grouped
    where group_value is not null
{% endmacro %}

{# Which file fed each year. An extract is one file a year. #}
{% macro loads_of(relation) %}
    select school_year, max(_file) as source_load from {{ relation }} group by school_year
{% endmacro %}

{# The canonical columns of an observation, from columns of the same names; `status` is an expression. #}
{% macro observed(status="'reported'") -%}
    '{{ var("state") }}' as state,
    school_year,
    org_level,
    org_id,
    measure,
    group_category,
    group_value,
    cast(amount as double) as amount,
    {{ status }} as status,
    cast(null as double) as lower_bound,
    cast(null as double) as upper_bound,
    source_load
{%- endmacro %}

{#
    Stays at every level, and what they say together of the student in that organization:
    days_enrolled_in_all, days_absent_in_all, suspensions_in_all, and whether any of them had a course
    of a program.

    Of all stays of a student in an organization, one speaks for the student: the latest, of two
    that began on one day the fuller, and then the first by school. So a student stands in exactly
    one group of each category. `is_latest` marks it; `is_member` marks the one that speaks for a
    student counted on the count date, of the stays that were counted.

    The other stays are kept and not counted, so that a group of which a school knows has a row in
    the district and the state as well, if only with nobody in it: such a row is a total, and must
    not be taken for one that is still to be summed up from the schools.

    Few students have several stays. The others need not be sorted, which is most of the work.
#}
{% macro students_at_every_level(stays) %}
    with

    students_with_several as (

        select school_year, student_id from {{ stays }}
        group by all
        having count(*) > 1

    ),

    several as (

        select * from {{ stays }}
        semi join students_with_several using (school_year, student_id)

    ),

    single as (

        select * from {{ stays }}
        anti join students_with_several using (school_year, student_id)

    ),

    several_at_every_level as (

        {{ at_every_level('several') }}

    ),

    single_at_every_level as (

        {{ at_every_level('single') }}

    )

    select
        *,
        cast(sum(days_enrolled) over student_of_organization as integer) as days_enrolled_in_all,
        cast(sum(days_absent) over student_of_organization as integer) as days_absent_in_all,
        bool_or(is_ap) over student_of_organization as is_ap_in_any,
        bool_or(is_ib) over student_of_organization as is_ib_in_any,
        bool_or(is_dual) over student_of_organization as is_dual_in_any,
        -- Unknown where one of the stays does not say.
        case
            when bool_and(suspensions is not null) over student_of_organization
                then cast(sum(suspensions) over student_of_organization as integer)
        end as suspensions_in_all,
        row_number() over (
            student_of_organization order by entry_date desc, fte desc, school_id, _row
        ) = 1 as is_latest,
        is_counted and row_number() over (
            student_of_organization
            order by is_counted desc, entry_date desc, fte desc, school_id, _row
        ) = 1 as is_member

    from several_at_every_level

    window student_of_organization as (
        partition by school_year, org_level, org_id, student_id
    )

    union all

    select
        *,
        days_enrolled as days_enrolled_in_all,
        days_absent as days_absent_in_all,
        is_ap as is_ap_in_any,
        is_ib as is_ib_in_any,
        is_dual as is_dual_in_any,
        suspensions as suspensions_in_all,
        true as is_latest,
        is_counted as is_member

    from single_at_every_level
{% endmacro %}
