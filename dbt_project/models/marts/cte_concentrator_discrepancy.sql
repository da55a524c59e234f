{#
    Made of the base metrics, which disclosure control protects: what may not be told of a school is null here,
    with its status.
#}
{%- set kinds = ['reported', 'confirmed', 'contradicted', 'unverified', 'unreported'] -%}

with

counts as (

    select * from {{ ref('int_base_metrics') }}
    where metric_id in (
        {%- for kind in kinds %}'cte_concentrators_{{ kind }}'{{ ', ' if not loop.last }}{% endfor -%}
    )

),

final as (

    select
        state,
        school_year,
        org_level,
        org_id,
        group_category,
        group_value
        {%- for kind in kinds %},
        max(value) filter (where metric_id = 'cte_concentrators_{{ kind }}') as {{ kind }},
        max(status) filter (where metric_id = 'cte_concentrators_{{ kind }}') as {{ kind }}_status
        {%- endfor %},
        list_sort(list_distinct(flatten(list(source_loads)))) as source_loads
    from counts
    where org_level = 'SCH' or group_category = 'all'
    group by all

)

select * from final
