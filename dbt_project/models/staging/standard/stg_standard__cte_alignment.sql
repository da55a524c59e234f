{#
    Concentrators of whose programs one leads to a high-wage, in-demand or high-skill occupation of the region of the LEA
    where they take it. Asked only of LEAs for whose region there are figures.
#}
with

stays as (

    select * from {{ ref('stg_standard__stays') }}

),

courses as (

    select * from {{ source('standard_lake', 'cte_enrollment') }}

),

loads as (

    {{ loads_of('courses') }}

),

regions as (

    select distinct
        districts.school_year,
        districts.org_id as lea_id,
        districts.region
    from {{ ref('stg_standard__organizations') }} as districts
    inner join {{ ref('int_program_occupations') }} as occupations
        on
            districts.school_year = occupations.school_year
            and districts.region = occupations.region
    where districts.org_level = 'LEA'

),

aligned as (

    select distinct
        school_year,
        region,
        cip
    from {{ ref('int_program_occupations') }}
    where is_aligned

),

courses_in_regions as (

    select
        cast(courses.school_year as integer) as school_year,
        courses.lea_id,
        courses.school_id,
        courses.student_id,
        courses.program,
        max(courses.cip) over (partition by courses.school_year, courses.program) as cip,
        max(courses.cluster) over (partition by courses.school_year, courses.program) as career_cluster,
        courses.course_code,
        courses.completed = 'Y' as is_completed,
        cast(courses.prior_courses as integer) as prior_courses,
        aligned.cip is not null as is_aligned
    from courses
    inner join regions
        on cast(courses.school_year as integer) = regions.school_year and courses.lea_id = regions.lea_id
    left join aligned
        on
            regions.school_year = aligned.school_year
            and regions.region = aligned.region
            and courses.cip = aligned.cip

),

programs as (

    select
        school_year,
        org_level,
        org_id,
        student_id,
        program,
        cip,
        career_cluster,
        bool_or(is_aligned) as is_aligned
    from ({{ at_every_level('courses_in_regions') }})
    group by school_year, org_level, org_id, student_id, program, cip, career_cluster
    having
        max(prior_courses) + count(distinct course_code) filter (where is_completed)
        >= {{ cte_rule('concentrator_courses') }}

),

students as (

    {{ students_at_every_level('stays') }}

),

concentrators as (

    select
        students.school_year,
        students.org_level,
        students.org_id,
        students.student_id,
        students.race,
        students.sex,
        {{ populations_of_students(true) | trim }},
        programs.cip,
        programs.career_cluster,
        programs.is_aligned
    from students
    inner join programs using (school_year, org_level, org_id, student_id)
    where students.is_member and students.is_grade_9_12

),

concentrators_by_group as (

    {{ by_group(
        'concentrators',
        ['school_year', 'org_level', 'org_id', 'student_id', 'is_aligned'],
        [
            ('race', 'race'), ('sex', 'sex'), ('career_cluster', 'career_cluster'), ('cip', 'cip'),
            ('special_population', 'population_disabled'), ('special_population', 'population_ecodis'),
            ('special_population', 'population_el'), ('special_population', 'population_homeless'),
            ('special_population', 'population_foster'), ('special_population', 'population_military'),
        ]
    ) }}

),

counts as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        'cte_aligned_concentrators' as measure,
        count(distinct student_id) filter (where is_aligned) as amount
    from concentrators_by_group
    group by all

),

loaded as (

    select
        counts.*,
        loads.source_load
    from counts
    left join loads using (school_year)

),

final as (

    select {{ observed() }}
    from loaded

)

select * from final
