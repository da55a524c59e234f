{#
    The one long fact: the metrics that are made of measures, and those that are made of metrics, each by a
    model that reads `int_base_metrics`, the organizations and seeds, and no measure.
#}
{%- set derived = [
    'int_equity_metrics',
    'int_relief_metrics',
    'int_segregation_metrics',
    'int_parity_metrics',
    'int_equity_gap_metrics',
    'int_cte_gap_metrics',
    'int_labor_metrics',
    'int_budget_metrics',
    'int_real_spending_metrics',
    'int_child_poverty_metrics',
    'int_suspension_metrics',
] -%}

with

organizations as (

    select * from {{ ref('int_organizations') }}

),

metrics as (

    select * from {{ ref('metrics') }}

),

told as (

    select * from {{ ref('int_base_metrics') }}
    {%- for model in derived %}
    union all by name
    select * from {{ ref(model) }}
    {%- endfor %}

),

-- Every metric says something of every organization, if only why there is nothing to say.
answered as (

    select distinct state, school_year, metric_id, org_level, org_id from told

),

-- Charter schools often stand outside a whole file: what no charter has, charters are not asked for.
answered_by_kind as (

    select distinct
        told.state,
        told.school_year,
        told.metric_id,
        told.org_level,
        coalesce(organizations.is_charter, false) as is_charter
    from told
    inner join organizations using (state, school_year, org_level, org_id)
    where told.status in ('reported', 'range_coded', 'suppressed_primary', 'suppressed_complementary')

),

unanswered as (

    select
        organizations.state,
        organizations.school_year,
        metrics.metric_id,
        organizations.org_level,
        organizations.org_id,
        'all' as group_category,
        'all' as group_value,
        case
            when
                organizations.grade_high is not null
                and metrics.first_grade is not null
                and {{ grade_rank('organizations.grade_high') }} < {{ grade_rank('metrics.first_grade') }}
                then 'not_applicable'
            when answered_by_kind.metric_id is not null then 'missing'
            else 'not_collected'
        end as status,
        cast([] as varchar[]) as source_loads
    from organizations
    cross join metrics
    left join answered_by_kind
        on
            organizations.state = answered_by_kind.state
            and organizations.school_year = answered_by_kind.school_year
            and metrics.metric_id = answered_by_kind.metric_id
            and organizations.org_level = answered_by_kind.org_level
            and coalesce(organizations.is_charter, false) = answered_by_kind.is_charter
    anti join answered
        on
            organizations.state = answered.state
            and organizations.school_year = answered.school_year
            and metrics.metric_id = answered.metric_id
            and organizations.org_level = answered.org_level
            and organizations.org_id = answered.org_id

),

final as (

    select * from told
    union all by name
    select * from unanswered

)

select
    state,
    school_year,
    metric_id,
    org_level,
    org_id,
    group_category,
    group_value,
    numerator,
    denominator,
    value,
    status,
    source_loads,
    value_lower,
    value_upper
from final
