{# A group beside all others of the same organization, and the risk ratio of 34 CFR 300.647. #}

{# Each group of the categories with the counts of all and of the others. `rates` are rows of base metrics, `everyone` those of all. #}
{% macro groups_beside_everyone(rates, everyone, categories) %}
    select
        rates.state,
        rates.school_year,
        rates.metric_id,
        rates.org_level,
        rates.org_id,
        rates.group_category,
        rates.group_value,
        rates.numerator,
        rates.denominator,
        rates.value as rate,
        everyone.numerator as numerator_of_all,
        everyone.denominator as denominator_of_all,
        everyone.numerator - rates.numerator as numerator_of_others,
        everyone.denominator - rates.denominator as denominator_of_others,
        numerator_of_others / nullif(denominator_of_others, 0) as rate_of_others,
        case
            when {{ status_of_both('rates.status', 'everyone.status') }} <> 'reported'
                then {{ status_of_both('rates.status', 'everyone.status') }}
            -- A publisher's own rate that comes without its counts.
            when
                rates.numerator is null or rates.denominator is null
                or everyone.numerator is null or everyone.denominator is null
                then 'not_collected'
            else 'reported'
        end as status,
        rates.status as own_status,
        list_sort(list_distinct(rates.source_loads || everyone.source_loads)) as source_loads
    from {{ rates }} as rates
    inner join {{ everyone }} as everyone using (state, school_year, metric_id, org_level, org_id)
    where rates.group_category in ({% for name in categories %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %})
{% endmacro %}

{# Whether the group, the others and the others of the state are large enough, by `rules` (least_cell, least_n). #}
{% macro what_a_risk_ratio_needs(groups, the_state, rules) %}
        {{ groups }}.numerator >= {{ rules }}.least_cell and {{ groups }}.denominator >= {{ rules }}.least_n as is_large,
        {{ groups }}.numerator_of_others >= {{ rules }}.least_cell
        and {{ groups }}.denominator_of_others >= {{ rules }}.least_n as has_large_comparison,
        {{ the_state }}.rate_of_others as state_rate_of_others,
        coalesce({{ the_state }}.status, 'not_applicable') as state_status,
        coalesce(
            {{ the_state }}.numerator_of_others >= {{ rules }}.least_cell
            and {{ the_state }}.denominator_of_others >= {{ rules }}.least_n, false
        ) as has_large_state
{% endmacro %}

{# The same group in the whole state, of an organization that is not the state. #}
{% macro join_the_group_in_the_state(groups, the_state) %}
    left join {{ groups }} as {{ the_state }}
        on
            {{ groups }}.state = {{ the_state }}.state
            and {{ groups }}.school_year = {{ the_state }}.school_year
            and {{ groups }}.metric_id = {{ the_state }}.metric_id
            and {{ groups }}.group_category = {{ the_state }}.group_category
            and {{ groups }}.group_value = {{ the_state }}.group_value
            and {{ the_state }}.org_level = 'SEA'
            and {{ groups }}.org_level <> 'SEA'
{% endmacro %}

{# The ratio as `found`, what it compares with, and its status. #}
{% macro risk_ratio() %}
        if(status = 'reported' and not has_large_comparison and org_level <> 'SEA', 'state', 'others') as comparison,
        if(comparison = 'state', state_rate_of_others, rate_of_others) as compared_with,
        rate / nullif(compared_with, 0) as found,
        case
            when status <> 'reported' then status
            when not is_large then 'not_applicable'
            when has_large_comparison then 'reported'
            when org_level = 'SEA' then 'not_applicable'
            when state_status <> 'reported' then state_status
            when not has_large_state then 'not_applicable'
            else 'reported'
        end as method_status
{% endmacro %}
