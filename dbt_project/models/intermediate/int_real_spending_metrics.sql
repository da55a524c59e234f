{#
    Spending in the dollars of one year and at one level of labor costs. A school has its district's labor
    costs; the state has no index of its own, it is its districts together.
#}
with

spending as (

    select * from {{ ref('int_base_metrics') }}
    where metric_id = 'ppe_current' and group_category = 'all'

),

organizations as (

    select * from {{ ref('int_organizations') }}

),

labor_costs as (

    select * from {{ ref('int_reference') }}
    where measure = 'cwift'

),

prices as (

    select year, max(value) filter (where is_base) over () / value as in_base_dollars
    from {{ ref('price_index') }}

),

of_districts_and_schools as (

    select
        spending.state,
        spending.school_year,
        spending.org_level,
        spending.org_id,
        spending.numerator * prices.in_base_dollars / labor_costs.amount as numerator,
        spending.denominator,
        case
            when spending.status <> 'reported' then spending.status
            when prices.in_base_dollars is null or labor_costs.amount is null then 'not_collected'
            else 'reported'
        end as status,
        spending.denominator as pupils,
        list_distinct(
            spending.source_loads
            || case when labor_costs.source_load is null then [] else [labor_costs.source_load] end
        ) as source_loads
    from spending
    inner join organizations using (state, school_year, org_level, org_id)
    left join labor_costs
        on
            spending.state = labor_costs.state
            and spending.school_year = labor_costs.school_year
            and labor_costs.org_id
            = case spending.org_level when 'SCH' then organizations.parent_org_id else spending.org_id end
    left join prices on spending.school_year = prices.year
    where spending.org_level in ('LEA', 'SCH')

),

membership as (

    select * from {{ ref('int_base_metrics') }}
    where metric_id = 'membership' and group_category = 'all'

),

of_the_state as (

    select
        districts.state,
        districts.school_year,
        the_state.org_level,
        the_state.org_id,
        sum(districts.numerator order by districts.org_id) filter (where districts.status = 'reported')
            as numerator,
        sum(districts.denominator order by districts.org_id) filter (where districts.status = 'reported')
            as denominator,
        {{ status_over_organizations(
            'districts.status', 'coalesce(districts.pupils, membership.value)'
        ) }} as status,
        list_distinct(flatten(list(districts.source_loads))) as source_loads
    from of_districts_and_schools as districts
    inner join organizations as the_state
        on
            districts.state = the_state.state
            and districts.school_year = the_state.school_year
            and the_state.org_level = 'SEA'
    left join membership
        on
            districts.state = membership.state
            and districts.school_year = membership.school_year
            and districts.org_level = membership.org_level
            and districts.org_id = membership.org_id
    where districts.org_level = 'LEA'
    group by all

),

together as (

    select * exclude (pupils) from of_districts_and_schools
    union all by name
    select * from of_the_state

),

final as (

    select
        {{ metric_columns(
            'numerator / denominator',
            metric_id="'ppe_real'",
            group_category="'all'",
            group_value="'all'",
            numerator=if_reported('numerator'),
            denominator=if_reported('denominator'),
            source_loads='list_sort(source_loads)'
        ) }}
    from together

)

select * from final
