{# Gaps as metrics: one metric for each method, the rate and the group together are the group. #}
with

gaps as (

    select * from {{ ref('int_cte_gaps') }}

),

final as (

    {% for metric, method, figure in [
        ('cte_gap_points', 'points', 'value'),
        ('cte_gap_margin', 'points', 'margin'),
        ('cte_gap_proportionality', 'proportionality', 'value'),
        ('cte_gap_eighty_percent', 'eighty_percent', 'value'),
        ('cte_gap_risk_ratio', 'risk_ratio', 'value'),
    ] -%}
    select
        state,
        school_year,
        '{{ metric }}' as metric_id,
        org_level,
        org_id,
        'rate*' || group_category as group_category,
        metric_id || '*' || group_value as group_value,
        cast(null as double) as numerator,
        cast(null as double) as denominator,
        {{ figure }} as value,
        status,
        source_loads,
        cast(null as double) as value_lower,
        cast(null as double) as value_upper
    from gaps
    where method = '{{ method }}'
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final
