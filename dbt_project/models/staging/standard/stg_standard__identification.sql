with

source as (

    select * from {{ source('standard_lake', 'identification') }}

),

flags as (

    select
        cast(school_year as integer) as school_year,
        'SCH' as org_level,
        org_id,
        cast(csi = 'Y' as integer) as csi,
        cast(tsi = 'Y' as integer) as tsi,
        cast(atsi = 'Y' as integer) as atsi,
        _file as source_load

    from source

),

one_row_per_designation as (

    unpivot flags
    on csi, tsi, atsi
    into name measure value amount

),

final as (

    select {{ observed() }}
    from (select *, 'all' as group_category, 'all' as group_value from one_row_per_designation)

)

select * from final
