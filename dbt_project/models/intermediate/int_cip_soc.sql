with

crosswalk as (

    select * from {{ source('reference', 'reference_cip_soc') }}

),

final as (

    select
        cast(school_year as integer) as school_year,
        cip,
        cip_title,
        soc,
        soc_title,
        _file as source_load
    from crosswalk
    -- Not a program: under it the crosswalk lists the occupations that no program leads to.
    where cip <> '99.9999'

)

select * from final
