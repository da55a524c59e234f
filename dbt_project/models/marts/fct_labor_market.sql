with

occupations as (

    select * from {{ ref('int_occupations') }}

)

select
    state,
    school_year,
    region,
    soc,
    occupation,
    employment,
    employment_status,
    projected_employment,
    projected_employment_status,
    growth,
    openings,
    openings_status,
    wage_p25,
    wage_p25_status,
    wage_median,
    wage_median_status,
    wage_p75,
    wage_p75_status,
    region_wage_median,
    entry_education,
    is_high_wage,
    is_in_demand,
    is_high_skill,
    vintage,
    source_loads
from occupations
