with

supply_demand as (

    select * from {{ ref('int_supply_demand') }}

)

select
    state,
    school_year,
    region,
    cip,
    cip_title,
    soc,
    occupation,
    employment,
    share_of_program,
    wage_p25,
    wage_median,
    wage_median_status,
    wage_p75,
    region_wage_median,
    growth,
    entry_education,
    is_high_wage,
    is_in_demand,
    is_high_skill,
    openings,
    openings_status,
    is_offered,
    completers,
    completers_status,
    supply_of_occupation,
    supply_status,
    supply_demand_ratio,
    ratio_status,
    case
        when supply_demand_ratio > {{ cte_rule('over_supplied_above') }} then 'over_supplied'
        when supply_demand_ratio < {{ cte_rule('under_supplied_below') }} then 'under_supplied'
        when supply_demand_ratio is not null then 'balanced'
    end as supply_demand,
    vintage,
    list_sort(list_distinct(source_loads || completers_loads)) as source_loads
from supply_demand
