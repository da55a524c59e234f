{%- set known_populations = [] -%}
{%- for value in ['disabled', 'ecodis', 'el', 'homeless', 'foster', 'military'] -%}
    {%- do known_populations.append(('special_population', 'population_' ~ value)) -%}
{%- endfor -%}

with

source as (

    select * from {{ source('standard_lake', 'cte_enrollment') }}

),

stays as (

    select * from {{ ref('stg_standard__stays') }}

),

cte_loads as (

    {{ loads_of('source') }}

),

enrollment_loads as (

    {{ loads_of('stays') }}

),

everyone as (

    {{ students_at_every_level('stays') }}

),

-- The rate is a share of membership: members of grades 9 to 12 are asked.
students as (

    select * from everyone
    where is_grade_9_12

),

courses as (

    select
        cast(school_year as integer) as school_year,
        lea_id,
        school_id,
        student_id,
        program,
        max(cluster) over (partition by school_year, program) as career_cluster,
        max(cip) over (partition by school_year, program) as cip,
        course_code,
        completed = 'Y' as is_completed,
        cast(prior_courses as integer) as prior_courses

    from source

),

courses_at_every_level as (

    {{ at_every_level('courses') }}

),

-- A course counts once, in however many terms it was taught.
programs as (

    select
        school_year,
        org_level,
        org_id,
        student_id,
        program,
        career_cluster,
        cip,
        max(prior_courses) as completed_before,
        count(distinct course_code) filter (where is_completed) as completed

    from courses_at_every_level
    group by all

),

-- Participants completed a course this year; concentrators two of ONE program in high school.
students_with_courses as (

    select
        school_year,
        org_level,
        org_id,
        student_id,
        max(completed) >= {{ cte_rule('participant_courses') }} as is_participant,
        max(completed_before + completed) >= {{ cte_rule('concentrator_courses') }} as is_concentrator

    from programs
    group by all

),

described as (

    select
        students.*,
        {{ populations_of_students(true) | trim }},
        is_member and coalesce(students_with_courses.is_participant, false) as is_participant,
        is_member and coalesce(students_with_courses.is_concentrator, false) as is_concentrator

    from students
    left join students_with_courses using (school_year, org_level, org_id, student_id)

),

described_by_group as (

    {{ by_group(
        'described',
        ['school_year', 'org_level', 'org_id', 'is_member', 'is_participant', 'is_concentrator'],
        student_categories() + known_populations, [('race', 'sex')]
    ) }}

),

headcounts as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        count(*) filter (where is_member) as grade_9_12_students,
        count(*) filter (where is_participant) as cte_participants,
        count(*) filter (where is_concentrator) as cte_concentrators

    from described_by_group
    where school_year in (select school_year from cte_loads)
    group by all

),

-- Who concentrates in two programs stands in each cluster and each CIP code, and in one of them once.
concentrators_by_program as (

    {% for category in ['career_cluster', 'cip'] -%}
    select
        school_year,
        org_level,
        org_id,
        'cte_concentrators' as measure,
        '{{ category }}' as group_category,
        programs.{{ category }} as group_value,
        count(distinct student_id) as amount

    from programs
    semi join (from students where is_member) as members
        using (school_year, org_level, org_id, student_id)
    where
        programs.completed_before + programs.completed >= {{ cte_rule('concentrator_courses') }}
        and programs.{{ category }} is not null
    group by all
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

observations as (

    select *
    from (
        unpivot headcounts
        on grade_9_12_students, cte_participants, cte_concentrators
        into name measure value amount
    )

    union all by name

    select * from concentrators_by_program

),

-- The students asked about come from enrollment, what they completed from the courses.
loaded as (

    select
        observations.*,
        case measure
            when 'grade_9_12_students' then enrollment_loads.source_load
            else cte_loads.source_load
        end as source_load

    from observations
    left join enrollment_loads using (school_year)
    left join cte_loads using (school_year)

),

final as (

    select {{ observed() }}
    from loaded

)

select * from final
