with

wages as (

    select * from {{ source('lake', 'nc_oews_2022') }}

),

one_row_per_measure as (

    unpivot wages
    on employment, wage_p25, wage_median, wage_p75
    into name measure value told

),

-- A figure that is not released keeps its row, without an amount; the file does not say why.
final as (

    select
        'nc' as state,
        one_row_per_measure.school_year,
        one_row_per_measure.area as region,
        one_row_per_measure.soc,
        one_row_per_measure.measure,
        case when one_row_per_measure.told <> '*' then {{ number('one_row_per_measure.told') }} end as amount,
        case when one_row_per_measure.told = '*' then 'suppressed_primary' else 'reported' end as status,
        one_row_per_measure.occupation,
        cast(null as varchar) as entry_education,
        vintages.vintage,
        one_row_per_measure._file as source_load
    from one_row_per_measure
    left join {{ ref('reference_vintage') }} as vintages
        on
            vintages.state = 'nc'
            and vintages.extract = 'oews_2022'
            and one_row_per_measure.school_year = vintages.school_year

)

select * from final
