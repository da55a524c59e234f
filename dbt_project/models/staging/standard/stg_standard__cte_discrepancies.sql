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

at_every_level as (

    {{ at_every_level('compared') }}

),

-- Everybody stands under one kind of evidence, the gravest, so that the kinds add up to those reported.
judged as (

    select
        school_year,
        org_level,
        org_id,
        student_id,
        bool_or(is_reported) as is_reported,
        case
            when bool_or(is_reported and completed < {{ cte_rule('concentrator_courses') }}) then 'CONTRADICTED'
            when bool_or(is_reported and completed is null) then 'UNVERIFIED'
            else 'CONFIRMED'
        end as evidence,
        coalesce(bool_or(not is_reported and completed >= {{ cte_rule('concentrator_courses') }}), false)
            as is_unreported
    from at_every_level
    group by school_year, org_level, org_id, student_id

),

observations as (

    select
        school_year,
        org_level,
        org_id,
        'concentrators_reported' as measure,
        'all' as group_category,
        'all' as group_value,
        count(*) filter (where is_reported) as amount
    from judged
    group by all

    union all

    select
        judged.school_year,
        judged.org_level,
        judged.org_id,
        'concentrators_reported' as measure,
        'evidence' as group_category,
        kinds.evidence as group_value,
        count(*) filter (where judged.is_reported and judged.evidence = kinds.evidence) as amount
    from judged
    cross join (values ('CONFIRMED'), ('CONTRADICTED'), ('UNVERIFIED')) as kinds (evidence)
    group by all

    union all

    select
        school_year,
        org_level,
        org_id,
        'concentrators_unreported' as measure,
        'all' as group_category,
        'all' as group_value,
        count(*) filter (where is_unreported) as amount
    from judged
    group by all

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
