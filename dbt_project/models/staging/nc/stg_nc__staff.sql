with

teachers as (

    select * from {{ source('lake', 'nc_teachers') }}

),

educator_experience as (

    select * from {{ source('lake', 'nc_educator_experience') }}

),

-- The agency counts teachers; a head is taken as one full-time equivalent.
counted as (

    select
        school_year,
        agency_code,
        {{ number('teachers') }} as staff_fte,
        {{ number('teachers') }} as teachers,
        {{ number('beginning_teachers') }} as inexperienced_teachers,
        {{ number('provisional_teachers') }} as provisional_teachers,
        {{ number('principals') }} as principals,
        {{ number('inexperienced_principals') }} as inexperienced_principals,
        _file
    from teachers

),

one_row_per_measure as (

    from counted
    unpivot include nulls (
        amount for measure in (
            staff_fte, teachers, inexperienced_teachers, provisional_teachers, principals,
            inexperienced_principals
        )
    )

),

-- Teachers: one row a school, but districts and the state are given by school category only, and an
-- average of those would be wrong. Principals: the same figure stands on every category's row.
shares as (

    select
        school_year,
        agency_code,
        case staff
            when 'Teacher' then 'inexperienced_teacher_rate'
            when 'Principal' then 'inexperienced_principal_rate'
        end as measure,
        max({{ number('share_0_3_years') }}) as amount,
        max(_file) as _file
    from educator_experience
    where staff = 'Principal' or {{ nc_level('agency_code') }} = 'SCH'
    group by school_year, agency_code, staff
    having
        count(distinct share_0_3_years) <= 1
        and (staff = 'Principal' or count(*) = 1)

),

observations as (

    select
        school_year,
        agency_code,
        measure,
        case when measure = 'staff_fte' then 'staff_class' else 'all' end as group_category,
        case when measure = 'staff_fte' then 'TCH' else 'all' end as group_value,
        amount,
        _file
    from one_row_per_measure

    union all by name

    select *, 'all' as group_category, 'all' as group_value from shares

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
        case when amount is null then 'missing' else 'reported' end as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from observations

)

select * from final
