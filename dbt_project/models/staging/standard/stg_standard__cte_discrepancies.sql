{#
    Concentrators who left, as reported and as their courses show. Courses of the years that are not on file
    cannot contradict anybody: of whom no course of the program is there, the report is unverified.
#}
with

outcomes as (

    select * from {{ source('standard_lake', 'cte_outcome') }}

),

courses as (

    select * from {{ source('standard_lake', 'cte_enrollment') }}

),

loads as (

    {{ loads_of('outcomes') }}

),

years_of_courses as (

    select
        school_year,
        student_id,
        program,
        max(cast(prior_courses as integer))
        + count(distinct course_code) filter (where completed = 'Y') as completed
    from courses
    group by all

),

compared as (

    select
        outcomes.school_year,
        outcomes.lea_id,
        outcomes.school_id,
        outcomes.student_id,
        outcomes.program,
        outcomes.cip,
        outcomes.is_concentrator = 'Y' as is_reported,
        max(years_of_courses.completed) as completed
    from outcomes
    left join years_of_courses
        on
            outcomes.student_id = years_of_courses.student_id
            and outcomes.program = years_of_courses.program
            and outcomes.school_year >= years_of_courses.school_year
    group by all

),

judged as (

    select
        *,
        is_reported and completed is null as is_unverified,
        is_reported and coalesce(completed >= {{ cte_rule('concentrator_courses') }}, false) as is_confirmed,
        is_reported and coalesce(completed < {{ cte_rule('concentrator_courses') }}, false) as is_contradicted,
        not is_reported and coalesce(completed >= {{ cte_rule('concentrator_courses') }}, false) as is_unreported
    from compared

),

at_every_level as (

    {{ at_every_level('judged') }}

),

judged_by_group as (

    {{ by_group(
        'at_every_level',
        [
            'school_year', 'org_level', 'org_id', 'student_id', 'is_reported', 'is_confirmed', 'is_contradicted',
            'is_unverified', 'is_unreported',
        ],
        [('cip', 'cip')]
    ) }}

),

counts as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        {%- for kind in ['reported', 'confirmed', 'contradicted', 'unverified', 'unreported'] %}
        count(distinct student_id) filter (where is_{{ kind }}) as discrepancy_{{ kind }}{{ ',' if not loop.last }}
        {%- endfor %}
    from judged_by_group
    group by all

),

observations as (

    unpivot counts
    on columns(* exclude (school_year, org_level, org_id, group_category, group_value))
    into name measure value amount

),

loaded as (

    select
        observations.*,
        loads.source_load
    from observations
    left join loads using (school_year)

),

final as (

    select {{ observed() }}
    from loaded

)

select * from final
