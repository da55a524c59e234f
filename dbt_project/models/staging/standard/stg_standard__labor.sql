with

source as (

    select * from {{ source('standard_lake', 'labor_market') }}

),

one_row_per_measure as (

    unpivot source
    on
        employment, projected_employment, openings, wage_p25, wage_median, wage_p75
    into name measure value told

),

-- A figure that is not released keeps its row, without an amount.
renamed as (

    select
        '{{ var("state") }}' as state,
        cast(school_year as integer) as school_year,
        region,
        soc,
        measure,
        cast(nullif(told, '*') as double) as amount,
        if(told = '*', 'suppressed_primary', 'reported') as status,
        occupation,
        entry_education,
        vintage,
        _file as source_load

    from one_row_per_measure

)

select * from renamed
