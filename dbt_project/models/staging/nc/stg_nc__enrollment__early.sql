with

prekindergarten as (

    select * from {{ source('lake', 'nc_prekindergarten') }}

),

groups as (

    {{ nc_groups() | trim }}

),

-- A masked count stands in the file as 10.
judged as (

    select
        school_year,
        agency_code,
        group_category,
        group_value,
        {{ number('students') }} as students,
        {{ nc_masked_status('masking', 'students') }} as status,
        _file
    from prekindergarten
    inner join groups using (subgroup)

),

final as (

    select
        'nc' as state,
        school_year,
        {{ nc_level('agency_code') }} as org_level,
        agency_code as org_id,
        'prekindergarten_students' as measure,
        group_category,
        group_value,
        case when status = 'reported' then students end as amount,
        status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from judged

)

select * from final
