with

chronic_absence as (

    select * from {{ source('lake', 'nc_chronic_absence') }}

),

cohort_graduation as (

    select * from {{ source('lake', 'nc_cohort_graduation') }}

),

advanced_courses_2018 as (

    select * from {{ source('lake', 'nc_advanced_courses_2018') }}

),

advanced_courses as (

    select * from {{ source('lake', 'nc_advanced_courses') }}

),

directory as (

    select * from {{ source('lake', 'nc_directory') }}

),

groups as (

    {{ nc_groups() | trim }}

),

-- The denominator is the whole school's in every row: right for all students, wrong for a subgroup.
absence as (

    select
        school_year,
        agency_code,
        'chronically_absent' as measure,
        group_category,
        group_value,
        {{ number('chronically_absent') }} as amount,
        {{ nc_masked_status('masking', 'chronically_absent') }} as status,
        _file
    from chronic_absence
    inner join groups using (subgroup)

    union all

    select
        school_year,
        agency_code,
        'attendance_eligible' as measure,
        group_category,
        group_value,
        case when group_category = 'all' then {{ number('students_all') }} end as amount,
        case
            when group_category = 'all' then {{ nc_masked_status('masking', 'students_all') }}
            else 'not_collected'
        end as status,
        _file
    from chronic_absence
    inner join groups using (subgroup)

),

cohorts as (

    select
        school_year,
        agency_code,
        case cohort when 'STD' then '4yr' when 'EXT' then '5yr' end as cohort,
        group_category,
        group_value,
        {{ number('cohort_size') }} as cohort_size,
        {{ number('percent') }} / 100 as rate,
        {{ nc_masked_status('masking', 'percent') }} as status,
        {{ nc_lower_bound('masking') }} as lower_bound,
        {{ nc_upper_bound('masking') }} as upper_bound,
        _file
    from cohort_graduation
    inner join groups using (subgroup)

),

-- Cohorts below ten are left out of the file. They are withheld, not absent: a district's rate that
-- skipped them would be no district's rate.
withheld_groups as (

    select
        everyone.school_year,
        everyone.agency_code,
        everyone.cohort,
        published.group_category,
        published.group_value,
        'suppressed_primary' as status,
        everyone._file
    from cohorts as everyone
    inner join
        (select distinct school_year, cohort, group_category, group_value from cohorts) as published
        using (school_year, cohort)
    anti join cohorts as given
        on
            everyone.school_year = given.school_year
            and everyone.agency_code = given.agency_code
            and everyone.cohort = given.cohort
            and published.group_category = given.group_category
            and published.group_value = given.group_value
    where everyone.group_category = 'all'

),

withheld_schools as (

    select
        published.school_year,
        directory.agency_code,
        published.cohort,
        published.group_category,
        published.group_value,
        'suppressed_primary' as status,
        published._file
    from
        (select distinct school_year, cohort, group_category, group_value, _file from cohorts) as published
    inner join directory using (school_year)
    anti join cohorts as given
        on
            published.school_year = given.school_year
            and directory.agency_code = given.agency_code
            and published.cohort = given.cohort
            and given.group_category = 'all'
    where
        directory.agency_level = 'SCH'
        and {{ nc_grade_high('directory.grade_span') }} in ('12', '13')

),

all_cohorts as (

    select * from cohorts
    union all by name
    select * from withheld_groups
    union all by name
    select * from withheld_schools

),

graduation as (

    select
        school_year,
        agency_code,
        'graduation_rate_' || cohort as measure,
        group_category,
        group_value,
        case when status = 'reported' then rate end as amount,
        status,
        lower_bound,
        upper_bound,
        _file
    from all_cohorts

    union all by name

    select
        school_year,
        agency_code,
        'cohort_' || cohort as measure,
        group_category,
        group_value,
        cohort_size as amount,
        case when cohort_size is null then status else 'reported' end as status,
        _file
    from all_cohorts

    union all by name

    -- A rate to the tenth of a percent gives the graduates back exactly while the cohort is below
    -- 1,000. They are needed where the file has no row of the district or the state (2019).
    select
        school_year,
        agency_code,
        'graduates_' || cohort as measure,
        group_category,
        group_value,
        case
            when status = 'reported' and cohort_size < 1000 then round(rate * cohort_size)
        end as amount,
        case
            when status = 'reported' and cohort_size >= 1000 then 'not_collected'
            else status
        end as status,
        _file
    from all_cohorts

),

-- 2018 repeats the students in all on every subgroup's row; the subgroups are percentages only. Its
-- dual enrollment counts enrollments in courses (318,946 in the state, up to three for a pupil), so
-- it is no count of students.
advanced as (

    unpivot (
        select
            school_year,
            agency_code,
            'all' as group_category,
            'all' as group_value,
            max(ap_students) as AP,
            max(ib_students) as IB,
            cast(null as varchar) as DUAL,
            _file
        from advanced_courses_2018
        group by all

        union all

        select
            school_year,
            agency_code,
            group_category,
            group_value,
            ap_students as AP,
            ib_students as IB,
            ccp_students as DUAL,
            _file
        from advanced_courses
        inner join groups using (subgroup)
    )
    on AP, IB, DUAL
    into name program value students

),

advanced_students as (

    select
        school_year,
        agency_code,
        'advanced_students' as measure,
        case when group_category = 'all' then 'program' else 'program*' || group_category end
            as group_category,
        case when group_category = 'all' then program else program || '*' || group_value end
            as group_value,
        {{ number('students') }} as amount,
        'reported' as status,
        _file
    from advanced

),

observations as (

    select * from absence
    union all by name
    select * from graduation
    union all by name
    select * from advanced_students

),

final as (

    select
        'nc' as state,
        school_year,
        {{ nc_level('agency_code') }} as org_level,
        agency_code as org_id,
        measure,
        group_category,
        group_value,
        amount,
        status,
        lower_bound,
        upper_bound,
        _file as source_load
    from observations

)

select * from final
