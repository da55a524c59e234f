{#
    Made of the base metrics, which disclosure control protects: what may not be told of a school is null here,
    with its status.
#}
{%- set kinds = ['CONFIRMED', 'CONTRADICTED', 'UNVERIFIED'] -%}

with

counts as (

    select * from {{ ref('int_base_metrics') }}
    where metric_id in ('cte_concentrators_reported', 'cte_concentrators_unreported')

),

final as (

    select
        state,
        school_year,
        org_level,
        org_id,
        max(value) filter (where metric_id = 'cte_concentrators_reported' and group_category = 'all') as reported,
        max(status) filter (where metric_id = 'cte_concentrators_reported' and group_category = 'all')
            as reported_status,
        {%- for kind in kinds %}
        max(value) filter (where group_value = '{{ kind }}') as {{ kind | lower }},
        max(status) filter (where group_value = '{{ kind }}') as {{ kind | lower }}_status,
        {%- endfor %}
        max(value) filter (where metric_id = 'cte_concentrators_unreported') as unreported,
        max(status) filter (where metric_id = 'cte_concentrators_unreported') as unreported_status,
        list_sort(list_distinct(flatten(list(source_loads)))) as source_loads
    from counts
    group by state, school_year, org_level, org_id

)

select * from final
