with

stays as (

    select * from {{ ref('stg_standard__stays') }}

),

cohort as (

    select * from {{ ref('stg_standard__cohort') }}

),

enrollment_loads as (

    {{ loads_of('stays') }}

),

cohort_loads as (

    {{ loads_of('cohort') }}

),

students as (

    {{ students_at_every_level('stays') }}

),

described as (

    select
        *,
        is_latest and days_enrolled_in_all >= 20 as is_eligible,
        -- Attending less than 90 percent of the days is missing more than one in ten: in whole
        -- numbers, so that exactly 90 percent falls on the right side.
        10 * days_absent_in_all > days_enrolled_in_all as is_chronically_absent,
        -- Access is a share of membership, so members are asked.
        is_member and is_grade_9_12 as is_member_9_12

    from students

),

described_by_group as (

    {{ by_group(
        'described',
        [
            'school_year', 'org_level', 'org_id', 'is_eligible', 'is_chronically_absent',
            'is_grade_9_12', 'is_member_9_12', 'is_ap_in_any', 'is_ib_in_any', 'is_dual_in_any',
        ],
        student_categories(), [('race', 'sex')]
    ) }}

),

counts as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        count(*) filter (where is_eligible) as attendance_eligible,
        count(*) filter (where is_eligible and is_chronically_absent) as chronically_absent,
        bool_or(is_grade_9_12) as has_grade_9_12,
        count(*) filter (where is_member_9_12 and is_ap_in_any) as "AP",
        count(*) filter (where is_member_9_12 and is_ib_in_any) as "IB",
        count(*) filter (where is_member_9_12 and is_dual_in_any) as "DUAL",
        count(*) filter (
            where is_member_9_12 and (is_ap_in_any or is_ib_in_any or is_dual_in_any)
        ) as "ANY"

    from described_by_group
    group by all

),

absence as (

    unpivot counts
    on attendance_eligible, chronically_absent
    into name measure value amount

),

-- A program crosses one category of students, and not two.
one_row_per_program as (

    unpivot (from counts where has_grade_9_12 and group_category not like '%*%')
    on "AP", "IB", "DUAL", "ANY"
    into name program value amount

),

advanced_students as (

    select
        school_year,
        org_level,
        org_id,
        'advanced_students' as measure,
        if(group_category = 'all', 'program', 'program*' || group_category) as group_category,
        if(group_category = 'all', program, program || '*' || group_value) as group_value,
        amount

    from one_row_per_program

),

cohort_at_every_level as (

    {{ at_every_level('cohort') }}

),

cohort_by_group as (

    {{ by_group(
        'cohort_at_every_level',
        ['school_year', 'org_level', 'org_id', 'extra_years', 'is_graduate'],
        cohort_categories(), [('race', 'sex')]
    ) }}

),

graduation as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        count(*) filter (where extra_years = 0) as cohort_4yr,
        count(*) filter (where extra_years = 0 and is_graduate) as graduates_4yr,
        count(*) filter (where extra_years = 1) as cohort_5yr,
        count(*) filter (where extra_years = 1 and is_graduate) as graduates_5yr

    from cohort_by_group
    group by all

),

-- A cohort of nobody has no rate; a cohort without graduates has a rate of 0.
graduates as (

    select * from (
        unpivot (from graduation where cohort_4yr > 0)
        on cohort_4yr, graduates_4yr
        into name measure value amount
    )

    union all by name

    select * from (
        unpivot (from graduation where cohort_5yr > 0)
        on cohort_5yr, graduates_5yr
        into name measure value amount
    )

),

loaded as (

    select *
    from (
        select * from absence
        union all by name
        select * from advanced_students
    )
    left join enrollment_loads using (school_year)

    union all by name

    select *
    from graduates
    left join cohort_loads using (school_year)

),

final as (

    select {{ observed() }}
    from loaded

)

select * from final
