{#
    What the equity statistics are taken over. Spending is current spending and, beside it, all spending; each
    organization that is asked has a row, whether its figure is told or not.
#}
with

metrics as (

    select * from {{ ref('int_base_metrics') }}
    where org_level in ('LEA', 'SCH')

),

organizations as (

    select * from {{ ref('int_organizations') }}

),

spending as (

    select
        *,
        case metric_id when 'ppe_current' then 'CURRENT' else 'TOTAL' end as basis
    from metrics
    where metric_id in ('ppe_current', 'ppe_total') and group_category = 'all'

),

membership as (

    select * from metrics
    where metric_id = 'membership' and group_category = 'all'

),

average_daily_membership as (

    select * from metrics
    where metric_id = 'average_daily_membership' and group_category = 'all'

),

poverty as (

    select * from metrics
    where metric_id = 'group_share' and group_category = 'economic' and group_value = 'ECODIS'

),

-- Charter schools often stand outside a whole file: what no charter has, charters are not asked for.
kinds as (

    select distinct
        spending.state,
        spending.school_year,
        spending.basis,
        spending.org_level,
        coalesce(organizations.is_charter, false) as is_charter
    from spending
    inner join organizations using (state, school_year, org_level, org_id)
    where spending.status in ('reported', 'suppressed_primary', 'suppressed_complementary', 'range_coded')

),

asked as (

    select
        organizations.state,
        organizations.school_year,
        kinds.basis,
        organizations.org_level,
        organizations.org_id,
        organizations.parent_org_id,
        case organizations.org_level when 'SCH' then 'LEA' else 'SEA' end as parent_level
    from organizations
    inner join kinds
        on
            organizations.state = kinds.state
            and organizations.school_year = kinds.school_year
            and organizations.org_level = kinds.org_level
            and coalesce(organizations.is_charter, false) = kinds.is_charter

),

final as (

    select
        asked.state,
        asked.school_year,
        asked.basis,
        asked.parent_level,
        asked.parent_org_id,
        asked.org_level,
        asked.org_id,
        spending.value as spending,
        coalesce(spending.status, 'missing') as status,
        -- The pupils by whom the money was divided, else those who are enrolled.
        coalesce(spending.denominator, membership.value, average_daily_membership.value) as pupils,
        membership.value as members,
        poverty.value as poverty,
        coalesce(poverty.status, 'not_collected') as poverty_status,
        -- A share coded as a range is placed by the middle of its range.
        coalesce(poverty.value, (poverty.value_lower + poverty.value_upper) / 2) as poverty_rank,
        list_sort(list_distinct(
            coalesce(spending.source_loads, []) || coalesce(membership.source_loads, [])
        )) as source_loads,
        coalesce(poverty.source_loads, []) as poverty_loads
    from asked
    left join spending using (state, school_year, basis, org_level, org_id)
    left join membership using (state, school_year, org_level, org_id)
    left join average_daily_membership using (state, school_year, org_level, org_id)
    left join poverty using (state, school_year, org_level, org_id)

)

select * from final
