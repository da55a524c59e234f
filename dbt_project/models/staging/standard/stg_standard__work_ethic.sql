with

points as (

    select * from {{ ref('stg_standard__work_ethic_points') }}

),

stays as (

    select * from {{ ref('stg_standard__stays') }}

),

loads as (

    {{ loads_of('points') }}

),

persons as (

    select
        school_year,
        student_id,
        race,
        sex,
        {{ populations_of_students(true) | trim }}
    from stays
    qualify row_number() over (
        partition by school_year, student_id order by entry_date desc, fte desc, school_id, _row
    ) = 1

),

points_at_every_level as (

    {{ at_every_level('points') }}

),

students as (

    select
        points.school_year,
        points.org_level,
        points.org_id,
        points.student_id,
        sum(points.points) as points,
        sum(points.points) >= max(points.points_needed) as has_earned
    from points_at_every_level as points
    group by all

),

described as (

    select
        students.*,
        persons.* exclude (school_year, student_id)
    from students
    left join persons using (school_year, student_id)

),

students_by_group as (

    {{ by_group(
        'described',
        ['school_year', 'org_level', 'org_id', 'points', 'has_earned'],
        [
            ('race', 'race'), ('sex', 'sex'),
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
        count(*) as work_ethic_students,
        cast(sum(points) as bigint) as work_ethic_points_sum,
        -- Never published: whether one student's points are nearly all of them.
        cast(max(points) as bigint) as work_ethic_points_sum_largest,
        count(*) filter (where has_earned) as work_ethic_earned
    from students_by_group
    group by all

),

observations as (

    unpivot counts
    on work_ethic_students, work_ethic_points_sum, work_ethic_points_sum_largest, work_ethic_earned
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
