{#
    The labor market as metrics of LEAs and of the state: an LEA's market is its region's, the state's is the region of
    its own name, or else all regions in which it has LEAs. Where regions and LEAs do not go by the same names, there
    is nothing to say.
#}
with

districts as (

    select
        state,
        school_year,
        org_level,
        org_id,
        region
    from {{ ref('int_organizations') }}
    where org_level = 'LEA' and region is not null

),

-- Some offices have figures for the state as a whole beside those of its areas: then those are the state's.
named_after_states as (

    select distinct
        occupations.state,
        occupations.school_year,
        occupations.region
    from {{ ref('int_occupations') }} as occupations
    inner join {{ ref('int_organizations') }} as agencies
        on
            occupations.state = agencies.state
            and occupations.school_year = agencies.school_year
            and occupations.region = agencies.name
            and agencies.org_level = 'SEA'

),

markets as (

    select * from districts

    union

    select
        agencies.state,
        agencies.school_year,
        agencies.org_level,
        agencies.org_id,
        districts.region
    from {{ ref('int_organizations') }} as agencies
    inner join districts using (state, school_year)
    anti join named_after_states as named using (state, school_year)
    where agencies.org_level = 'SEA'

    union

    select
        agencies.state,
        agencies.school_year,
        agencies.org_level,
        agencies.org_id,
        named.region
    from {{ ref('int_organizations') }} as agencies
    inner join named_after_states as named using (state, school_year)
    where agencies.org_level = 'SEA'

),

occupations as (

    select * from {{ ref('int_occupations') }}

),

shares as (

    {% for metric, flag in [
        ('labor_high_wage', 'is_high_wage'),
        ('labor_in_demand', 'is_in_demand'),
        ('labor_high_skill', 'is_high_skill'),
    ] -%}
    select
        markets.state,
        markets.school_year,
        '{{ metric }}' as metric_id,
        markets.org_level,
        markets.org_id,
        'all' as group_category,
        'all' as group_value,
        coalesce(sum(occupations.employment) filter (where occupations.{{ flag }}), 0) as numerator,
        sum(occupations.employment) as denominator,
        case
            when count(occupations.{{ flag }}) = 0 then 'not_collected'
            when coalesce(sum(occupations.employment), 0) = 0 then 'not_applicable'
            else 'reported'
        end as status,
        list_sort(list_distinct(flatten(list(occupations.source_loads)))) as source_loads
    from markets
    inner join occupations using (state, school_year, region)
    -- Jobs in occupations of which it is not known are on neither side.
    where occupations.{{ flag }} is not null
    group by markets.state, markets.school_year, markets.org_level, markets.org_id
    union all
    {% endfor %}

    -- By program: the openings of its occupations, and all who are carried to them from any program.
    select
        state,
        school_year,
        'labor_supply_demand_ratio' as metric_id,
        org_level,
        org_id,
        group_category,
        group_value,
        sum(supply_of_occupation) as numerator,
        sum(openings) as denominator,
        case
            when bool_and(ratio_status in ('reported', 'not_applicable')) and sum(openings) > 0 then 'reported'
            when bool_and(ratio_status in ('reported', 'not_applicable')) then 'not_applicable'
            when bool_or(ratio_status = 'suppressed_primary') then 'suppressed_primary'
            when bool_or(ratio_status = 'suppressed_complementary') then 'suppressed_complementary'
            when bool_or(ratio_status = 'missing') then 'missing'
            else 'not_collected'
        end as status,
        list_sort(list_distinct(flatten(list(source_loads)))) as source_loads
    from (
        -- An occupation of two programs stands in each of them, and in all programs once.
        select distinct
            markets.state,
            markets.school_year,
            markets.org_level,
            markets.org_id,
            unnest([
                {'group_category': 'all', 'group_value': 'all'},
                {'group_category': 'cip', 'group_value': supply.cip}
            ], recursive := true),
            markets.region,
            supply.soc,
            supply.supply_of_occupation,
            supply.openings,
            supply.ratio_status,
            list_sort(list_distinct(flatten(list(supply.source_loads || supply.completers_loads) over (
                partition by markets.org_level, markets.org_id, supply.state, supply.school_year, supply.region, supply.soc
            )))) as source_loads
        from markets
        inner join {{ ref('int_supply_demand') }} as supply using (state, school_year, region)
        where supply.is_offered
    )
    group by state, school_year, org_level, org_id, group_category, group_value

),

-- An LEA whose region is not known, or has no figures: nobody lost them, they were never told.
without_a_market as (

    select
        agencies.state,
        agencies.school_year,
        unnest(['labor_high_wage', 'labor_in_demand', 'labor_high_skill', 'labor_supply_demand_ratio'])
            as metric_id,
        agencies.org_level,
        agencies.org_id,
        'all' as group_category,
        'all' as group_value,
        cast(null as double) as numerator,
        cast(null as double) as denominator,
        'not_collected' as status,
        cast([] as varchar[]) as source_loads
    from {{ ref('int_organizations') }} as agencies
    semi join occupations
        on agencies.state = occupations.state and agencies.school_year = occupations.school_year
    anti join occupations as of_its_region
        on
            agencies.state = of_its_region.state
            and agencies.school_year = of_its_region.school_year
            and agencies.region = of_its_region.region
    where agencies.org_level = 'LEA'

),

told as (

    select * from shares
    union all by name
    select * from without_a_market

),

final as (

    select
        {{ metric_columns(
            'numerator / denominator', numerator=if_reported('numerator'), denominator=if_reported('denominator')
        ) }}
    from told

)

select * from final
