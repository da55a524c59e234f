{# Child poverty of the state's districts from the nationwide file, by the number that both know them by. #}
with

saipe as (

    select
        *,
        state_fips || district_id as nces_id
    from {{ source('reference', 'reference_saipe') }}

),

districts as (

    select * from {{ ref('int_organizations') }}
    where org_level = 'LEA'

),

figures as (

    {% for measure, column in [
        ('saipe_children', 'children'), ('saipe_children_in_poverty', 'children_in_poverty')
    ] -%}
    select
        districts.state,
        districts.school_year,
        districts.org_level,
        districts.org_id,
        '{{ measure }}' as measure,
        cast(saipe.{{ column }} as double) as amount,
        saipe._file as source_load
    from saipe
    inner join districts
        on saipe.nces_id = districts.nces_id and cast(saipe.school_year as integer) = districts.school_year
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

final as (

    select
        state,
        school_year,
        org_level,
        org_id,
        measure,
        'all' as group_category,
        'all' as group_value,
        amount,
        'reported' as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        source_load
    from figures

)

select * from final
