with

source as (

    select * from {{ source('standard_lake', 'lea_reference') }}

),

one_row_per_figure as (

    unpivot source
    on cwift, saipe_children, saipe_children_in_poverty, county_square_miles
    into name measure value told

),

final as (

    select
        '{{ var("state") }}' as state,
        cast(school_year as integer) as school_year,
        'LEA' as org_level,
        lea_id as org_id,
        measure,
        'all' as group_category,
        'all' as group_value,
        cast(told as double) as amount,
        'reported' as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from one_row_per_figure

)

select * from final
