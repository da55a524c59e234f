with

essa_designation as (

    select * from {{ source('lake', 'nc_essa_designation') }}

),

designated as (

    select
        school_year,
        agency_code,
        -- Low performing or low graduation rate: either is comprehensive support.
        csi_low_performing = 'Y' or csi_low_graduation = 'Y' as csi,
        csi_low_performing = 'Y' as low_performing,
        csi_low_graduation = 'Y' as low_graduation,
        tsi_consistently_underperforming = 'Y' as tsi,
        tsi_additional = 'Y' as atsi,
        _file
    from essa_designation

),

one_row_per_designation as (

    unpivot designated
    on csi, low_performing, low_graduation, tsi, atsi
    into name measure value is_identified

),

final as (

    select
        'nc' as state,
        school_year,
        'SCH' as org_level,
        agency_code as org_id,
        measure,
        'all' as group_category,
        'all' as group_value,
        cast(is_identified as double) as amount,
        'reported' as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from one_row_per_designation

)

select * from final
