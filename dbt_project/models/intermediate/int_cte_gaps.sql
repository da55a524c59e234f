{#
    How far each group lies from the others, by every method that reviewers ask for, of every rate of career and
    technical education. The others are all but the group: counts of all less counts of the group.
#}
{%- set categories = ['race', 'sex', 'special_population', 'migrant', 'career_cluster'] -%}
{#- Everybody is in one group of these, so the groups that are told can be weighed against everybody. -#}
{%- set partitions = ['race', 'sex', 'migrant'] -%}

with

rates as (

    select
        base.*
    from {{ ref('int_base_metrics') }} as base
    inner join {{ ref('metrics') }} as metrics using (metric_id)
    where
        (base.metric_id in ('cte_participation_rate', 'cte_concentration_rate') or base.metric_id like 'perkins_%')
        -- A share that each program has of all students is no rate of its students.
        and not {{ is_own_dimension('metrics.dimension', 'base.group_category') }}

),

everyone as (

    select * from rates where group_category = 'all'

),

groups as (

    {{ groups_beside_everyone('rates', 'everyone', categories) | trim }}

),

-- The highest rate is known when every group's is, or when those whose rate is told are nearly everybody.
highest as (

    select
        state,
        school_year,
        metric_id,
        org_level,
        org_id,
        group_category,
        max(rate) as highest_rate,
        case
            when
                bool_and(own_status in ('reported', 'not_applicable'))
                or (
                    group_category in ({% for name in partitions %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %})
                    and coalesce(sum(denominator) filter (where own_status = 'reported'), 0)
                    >= 0.95 * max(denominator_of_all)
                )
                then 'reported'
            when bool_or(own_status in ('suppressed_primary', 'range_coded')) then 'suppressed_primary'
            when bool_or(own_status = 'suppressed_complementary') then 'suppressed_complementary'
            when bool_or(own_status = 'missing') then 'missing'
            else 'not_collected'
        end as highest_status
    from groups
    group by state, school_year, metric_id, org_level, org_id, group_category

),

rules as (

    select
        {{ cte_rule('risk_ratio_cell') }} as least_cell,
        {{ cte_rule('risk_ratio_n') }} as least_n,
        {{ cte_rule('gap_margin_share') }} as margin_share

),

beside as (

    select
        groups.*,
        highest.highest_rate,
        highest.highest_status,
        rules.margin_share,
        {{ what_a_risk_ratio_needs('groups', 'the_state', 'rules') | trim }}
    from groups
    cross join rules
    inner join highest using (state, school_year, metric_id, org_level, org_id, group_category)
    {{ join_the_group_in_the_state('groups', 'the_state') | trim }}

),

one_row_per_method as (

    select
        *,
        'points' as method,
        'others' as comparison,
        rate_of_others as compared_with,
        100 * (rate - rate_of_others) as found,
        case
            when status <> 'reported' then status
            when denominator_of_others = 0 then 'not_applicable'
            else 'reported'
        end as method_status
    from beside

    union all by name

    select
        *,
        'proportionality' as method,
        'all' as comparison,
        denominator / nullif(denominator_of_all, 0) as compared_with,
        (numerator / nullif(numerator_of_all, 0)) / nullif(compared_with, 0) as found,
        case
            when status <> 'reported' then status
            when numerator_of_all = 0 then 'not_applicable'
            else 'reported'
        end as method_status
    from beside

    union all by name

    select
        *,
        'eighty_percent' as method,
        'highest' as comparison,
        highest_rate as compared_with,
        rate / nullif(highest_rate, 0) as found,
        case
            when own_status <> 'reported' then status
            when highest_status <> 'reported' then highest_status
            when highest_rate = 0 then 'not_applicable'
            else 'reported'
        end as method_status
    from beside

    union all by name

    select
        *,
        'risk_ratio' as method,
        {{ risk_ratio() | trim }}
    from beside

),

final as (

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
        case when method_status = 'reported' then compared_with end as compared_with,
        case when method_status = 'reported' then found end as value,
        case
            when method = 'points' and method_status = 'reported'
                then 100 * 1.96 * sqrt(margin_share * (1 - margin_share) / denominator)
        end as margin,
        case
            when method = 'points' and method_status = 'reported'
                then 100 * 1.96 * sqrt(rate * (1 - rate) / denominator)
        end as margin_at_own_rate,
        method_status as status,
        source_loads
    from one_row_per_method

)

select * from final
