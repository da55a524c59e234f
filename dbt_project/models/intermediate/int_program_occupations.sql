{#
    What each program leads to in each region: the crosswalk's occupations that the region's figures hold, each with
    the share of the program's completers that it would take by its share of their jobs.
#}
with

crosswalk as (

    select * from {{ ref('int_cip_soc') }}

),

occupations as (

    select * from {{ ref('int_occupations') }}

),

final as (

    select
        occupations.state,
        occupations.school_year,
        occupations.region,
        crosswalk.cip,
        crosswalk.cip_title,
        crosswalk.soc,
        coalesce(occupations.occupation, crosswalk.soc_title) as occupation,
        occupations.employment,
        occupations.openings,
        occupations.openings_status,
        occupations.wage_p25,
        occupations.wage_median,
        occupations.wage_median_status,
        occupations.wage_p75,
        occupations.region_wage_median,
        occupations.growth,
        occupations.entry_education,
        occupations.is_high_wage,
        occupations.is_in_demand,
        occupations.is_high_skill,
        coalesce(occupations.is_high_wage, false)
        or coalesce(occupations.is_in_demand, false)
        or coalesce(occupations.is_high_skill, false) as is_aligned,
        occupations.employment / nullif(sum(occupations.employment) over (
            partition by occupations.state, occupations.school_year, occupations.region, crosswalk.cip
        ), 0) as share_of_program,
        occupations.vintage,
        list_sort(list_distinct(occupations.source_loads || [crosswalk.source_load])) as source_loads
    from crosswalk
    inner join occupations
        on
            crosswalk.school_year = occupations.school_year
            and crosswalk.soc = occupations.soc

)

select * from final
