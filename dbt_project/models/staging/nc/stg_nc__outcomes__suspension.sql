with

discipline as (

    select * from {{ source('lake', 'nc_discipline') }}

),

groups as (

    {{ nc_groups() | trim }}

),

-- Out of school for up to ten days, and for longer; each is masked by itself.
judged as (

    select
        school_year,
        agency_code,
        group_category,
        group_value,
        {{ number('short_suspensions_per_1000') }} + {{ number('long_suspensions_per_1000') }} as per_1000,
        {{ nc_masked_status('short_suspensions_masking', 'short_suspensions_per_1000') }} as status_of_short,
        {{ nc_masked_status('long_suspensions_masking', 'long_suspensions_per_1000') }} as status_of_long,
        {{ status_of_both('status_of_short', 'status_of_long') }} as status,
        _file
    from discipline
    inner join groups using (subgroup)

),

final as (

    select
        'nc' as state,
        school_year,
        {{ nc_level('agency_code') }} as org_level,
        agency_code as org_id,
        'suspension_rate' as measure,
        group_category,
        group_value,
        case when status = 'reported' then per_1000 / 1000 end as amount,
        status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from judged

)

select * from final
