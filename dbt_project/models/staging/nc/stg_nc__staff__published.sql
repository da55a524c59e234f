with

educator_experience as (

    select * from {{ source('lake', 'nc_educator_experience') }}

),

principal_demographics as (

    select * from {{ source('lake', 'nc_principal_demographics') }}

),

groups as (

    {{ nc_groups() | trim }}

),

-- Districts and the state are given by school category only, and an average of those would be wrong.
stayers as (

    select
        school_year,
        agency_code,
        'stayer_rate' as measure,
        'all' as group_category,
        'all' as group_value,
        1 - max({{ number('turnover') }}) as amount,
        max(_file) as _file
    from educator_experience
    where staff = 'Teacher' and {{ nc_level('agency_code') }} = 'SCH'
    group by school_year, agency_code
    having count(*) = 1

),

-- The file holds every year since 2006. Races other than Black and White are one figure there.
principals as (

    select
        school_year,
        agency_code,
        'principal_share' as measure,
        group_category,
        group_value,
        {{ number('share') }} as amount,
        _file
    from principal_demographics
    inner join groups using (subgroup)
    where {{ whole('reported_year') }} = school_year

),

-- The state's total stands on each row. A district's rows are of an average school, so it is the sum of its own.
classroom_teachers as (

    select
        school_year,
        agency_code,
        'staff_fte' as measure,
        'staff_class' as group_category,
        'TCH' as group_value,
        case
            when {{ nc_level('agency_code') }} = 'SEA' then max({{ number('teachers_of_state') }})
            else max({{ number('average_teachers') }})
        end as amount,
        max(_file) as _file
    from educator_experience
    where staff = 'Teacher' and {{ nc_level('agency_code') }} <> 'LEA'
    group by school_year, agency_code
    having {{ nc_level('agency_code') }} = 'SEA' or count(*) = 1

),

observations as (

    select * from stayers
    union all by name
    select * from classroom_teachers
    union all by name
    select * from principals

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
