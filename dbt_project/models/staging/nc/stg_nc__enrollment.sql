with

membership as (

    select * from {{ source('lake', 'nc_membership') }}

),

directory as (

    select * from {{ source('lake', 'nc_directory') }}

),

average_daily_membership as (

    select * from {{ source('lake', 'nc_average_daily_membership') }}

),

economically_disadvantaged as (

    select * from {{ source('lake', 'nc_economically_disadvantaged') }}

),

one_row_per_race_and_sex as (

    unpivot (select * exclude (reported_year, lea_name, school_name, total, _row) from membership)
    on * exclude (agency_code, school_year, _file)
    into name race_and_sex value students

),

crossed as (

    select
        school_year,
        agency_code,
        upper(split_part(race_and_sex, '_', 1)) as race,
        upper(split_part(race_and_sex, '_', 2)) as sex,
        {{ whole('students') }} as students,
        _file
    from one_row_per_race_and_sex

),

membership_by_group as (

    select
        school_year,
        agency_code,
        'all' as group_category,
        'all' as group_value,
        {{ whole('total') }} as students,
        _file
    from membership

    union all

    select school_year, agency_code, 'race', race, sum(students), _file
    from crossed
    group by all

    union all

    select school_year, agency_code, 'sex', sex, sum(students), _file
    from crossed
    group by all

    union all

    select school_year, agency_code, 'race*sex', race || '*' || sex, students, _file
    from crossed

),

-- Membership by grade is not in the files; a school of grades 9 to 12 alone shows it all the same.
high_schools as (

    select
        school_year,
        agency_code,
        {{ nc_grade_low('grade_span') }} between '09' and '12'
        and {{ nc_grade_high('grade_span') }} between '09' and '12'
            as has_no_other_grades
    from directory
    where
        agency_level = 'SCH'
        and {{ nc_grade_high('grade_span') }} between '09' and '13'

),

observations as (

    select
        school_year,
        agency_code,
        'membership' as measure,
        group_category,
        group_value,
        cast(students as double) as amount,
        'reported' as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file
    from membership_by_group

    union all by name

    select
        membership_by_group.school_year,
        membership_by_group.agency_code,
        'membership_9_12' as measure,
        membership_by_group.group_category,
        membership_by_group.group_value,
        case
            when high_schools.has_no_other_grades then membership_by_group.students
        end as amount,
        case
            when high_schools.has_no_other_grades then 'reported' else 'not_collected'
        end as status,
        membership_by_group._file
    from membership_by_group
    inner join high_schools using (school_year, agency_code)

    union all by name

    -- The blank category is the agency itself; the others describe an average school of it.
    select
        school_year,
        agency_code,
        'average_daily_membership' as measure,
        'all' as group_category,
        'all' as group_value,
        {{ number('average_daily_membership') }} as amount,
        'reported' as status,
        _file
    from average_daily_membership
    where category is null

    union all by name

    -- A share without its counts; 5.0 under masking 2 means "less than five".
    select
        school_year,
        agency_code,
        'group_share' as measure,
        'economic' as group_category,
        'ECODIS' as group_value,
        case
            when {{ nc_masked_status('masking', 'percent') }} = 'reported'
                then {{ number('percent') }} / 100
        end as amount,
        {{ nc_masked_status('masking', 'percent') }} as status,
        {{ nc_lower_bound('masking') }} as lower_bound,
        {{ nc_upper_bound('masking') }} as upper_bound,
        _file
    from economically_disadvantaged

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
