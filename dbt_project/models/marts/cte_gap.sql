with

gaps as (

    select * from {{ ref('int_cte_gaps') }}

)

select
    state,
    school_year,
    metric_id,
    org_level,
    org_id,
    group_category,
    group_value,
    method,
    comparison,
    numerator,
    denominator,
    rate,
    compared_with,
    value,
    margin,
    margin_at_own_rate,
    status,
    source_loads
from gaps
