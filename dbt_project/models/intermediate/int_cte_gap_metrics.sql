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
        {{ metric_columns(
            figure,
            metric_id="'" ~ metric ~ "'",
            group_category="'rate*' || group_category",
            group_value="metric_id || '*' || group_value"
        ) }}
    from gaps
    where method = '{{ method }}'
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final
