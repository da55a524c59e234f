with

by_grade as (

    select * exclude (_row) from {{ source('lake', 'ct_enrollment_by_grade') }}

),

grades as (

    select
        school_year,
        district_code,
        case upper(replace(grade, 'grade_', ''))
            when 'PK' then 'prekindergarten_students'
            when 'KG' then 'kindergarten_students'
        end as measure,
        {{ ct_amount('students') }} as amount,
        {{ ct_status('students') }} as status,
        _file
    from by_grade
    unpivot include nulls (
        students for grade in (* exclude (school_year, district, district_code, _file))
    )

),

final as (

    select
        'ct' as state,
        school_year,
        {{ ct_level('district_code') }} as org_level,
        {{ ct_org_id('district_code') }} as org_id,
        measure,
        'all' as group_category,
        'all' as group_value,
        amount,
        status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from grades
    where measure is not null

)

select * from final
