with

stays as (

    select * from {{ ref('stg_standard__stays') }}

),

loads as (

    {{ loads_of('stays') }}

),

students as (

    {{ students_at_every_level('stays') }}

),

early as (

    select
        *,
        is_member and grade = 'PK' as is_in_prekindergarten,
        is_member and grade = 'KG' as is_in_kindergarten

    from students

),

early_by_group as (

    {{ by_group(
        'early',
        ['school_year', 'org_level', 'org_id', 'is_in_prekindergarten', 'is_in_kindergarten'],
        student_categories() | rejectattr(0, 'equalto', 'grade') | list
    ) }}

),

counts as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        count(*) filter (where is_in_prekindergarten) as prekindergarten_students,
        count(*) filter (where is_in_kindergarten) as kindergarten_students

    from early_by_group
    group by all

),

-- A school that has neither grade says so of everyone, and of no group. Where the state has neither,
-- it collects neither.
asked as (

    select *
    from counts
    where
        prekindergarten_students + kindergarten_students > 0
        or (
            group_category = 'all'
            and school_year in (
                select school_year from counts
                where prekindergarten_students + kindergarten_students > 0
            )
        )

),

observations as (

    unpivot asked
    on prekindergarten_students, kindergarten_students
    into name measure value amount

),

final as (

    select {{ observed() }}
    from observations
    left join loads using (school_year)

)

select * from final
