with

cte_enrollment as (

    select * from {{ source('lake', 'nc_cte_enrollment') }}

),

cte_concentrators as (

    select * from {{ source('lake', 'nc_cte_concentrators') }}

),

-- The workbook holds six years, and is loaded for each that has no file of its own.
concentrators_of_years as (

    select * from {{ source('lake', 'nc_cte_concentrators_of_years') }}
    where {{ whole('reported_year') }} = school_year

),

concentrators as (

    select school_year, agency_code, cluster, concentrators, _file
    from cte_concentrators

    union all

    select school_year, agency_code, cluster, concentrators, _file
    from concentrators_of_years

),

observations as (

    select
        school_year,
        agency_code,
        'grade_9_12_students' as measure,
        'all' as group_category,
        'all' as group_value,
        {{ number('students') }} as amount,
        _file
    from cte_enrollment

    union all

    select
        school_year,
        agency_code,
        'cte_participants' as measure,
        'all' as group_category,
        'all' as group_value,
        {{ number('cte_students') }} as amount,
        _file
    from cte_enrollment

    union all

    select
        school_year,
        agency_code,
        'cte_concentrators' as measure,
        'career_cluster' as group_category,
        cluster as group_value,
        {{ number('concentrators') }} as amount,
        _file
    from concentrators

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
        'reported' as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from observations

)

select * from final
