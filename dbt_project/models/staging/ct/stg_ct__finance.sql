with

spending as (

    select * from {{ source('lake', 'ct_spending') }}

),

district_names as (

    select * from {{ ref('ct_district_names') }}

),

observations as (

    select
        spending.school_year,
        'LEA' as org_level,
        coalesce(district_names.district_code, spending.district) as org_id,
        {{ ct_amount('spending.total') }} as amount,
        {{ ct_status('spending.total') }} as status,
        spending._file
    from spending
    left join district_names on spending.district = district_names.district_name

    union all by name

    -- Dollars per pupil without dollars or pupils have no sum; the file has no row of the state.
    select distinct
        school_year,
        'SEA' as org_level,
        {{ ct_state_id() }} as org_id,
        'not_collected' as status,
        _file
    from spending

),

final as (

    select
        'ct' as state,
        school_year,
        org_level,
        org_id,
        'ppe_total' as measure,
        'all' as group_category,
        'all' as group_value,
        amount,
        status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from observations

)

select * from final
