{#
    Completers carried to occupations, region by region. A region's completers of a program are a total over its LEAs:
    of which one is withheld, there is none. The completers of a program go to its occupations by their share of the
    jobs, so that nobody is counted twice; an occupation takes from all programs that lead to it.
#}
with

programs as (

    select * from {{ ref('int_program_occupations') }}

),

completers as (

    select
        base.state,
        base.school_year,
        organizations.region,
        base.group_value as cip,
        {{ complete_sum('base.value', 'base.status', 'false') }} as completers,
        {{ status_of_sum('base.status', 'false') }} as status,
        list_sort(list_distinct(flatten(list(base.source_loads)))) as source_loads
    from {{ ref('int_base_metrics') }} as base
    inner join {{ ref('int_organizations') }} as organizations
        using (state, school_year, org_level, org_id)
    where
        base.metric_id = 'cte_completers'
        and base.org_level = 'LEA'
        and base.group_category = 'cip'
        and organizations.region is not null
    group by base.state, base.school_year, organizations.region, base.group_value

),

-- Where completers are counted at all; elsewhere the supply is not known, and not none.
counted as (

    select distinct
        state,
        school_year
    from {{ ref('int_base_metrics') }}
    where metric_id = 'cte_completers'

),

carried as (

    select
        programs.*,
        case
            when counted.state is null then null
            when completers.status is null then 0
            else completers.completers
        end as completers,
        case
            when counted.state is null then 'not_collected'
            else coalesce(completers.status, 'reported')
        end as completers_status,
        completers.cip is not null as is_offered,
        coalesce(completers.source_loads, []) as completers_loads
    from programs
    left join counted using (state, school_year)
    left join completers using (state, school_year, region, cip)

),

supplied as (

    select
        state,
        school_year,
        region,
        soc,
        sum(completers * coalesce(share_of_program, 0)) as supply,
        case
            when bool_and(completers_status = 'reported') then 'reported'
            when bool_or(completers_status in ('suppressed_primary', 'range_coded')) then 'suppressed_primary'
            when bool_or(completers_status = 'suppressed_complementary') then 'suppressed_complementary'
            when bool_or(completers_status = 'missing') then 'missing'
            else 'not_collected'
        end as supply_status
    from carried
    group by state, school_year, region, soc

),

final as (

    select
        carried.*,
        case when supplied.supply_status = 'reported' then supplied.supply end as supply_of_occupation,
        supplied.supply_status,
        case
            when supplied.supply_status <> 'reported' then supplied.supply_status
            when carried.openings_status <> 'reported' then carried.openings_status
            when carried.openings = 0 then 'not_applicable'
            else 'reported'
        end as ratio_status,
        case when ratio_status = 'reported' then supplied.supply / carried.openings end as supply_demand_ratio
    from carried
    inner join supplied using (state, school_year, region, soc)

)

select * from final
