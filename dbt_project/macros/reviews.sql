{#
    Rules of the resource allocation review that more than one model keeps.
#}

{# What the state itself says in a seed whose other rows, of the state `default`, hold for every state that says nothing. #}
{% macro own_or_default(seed) -%}
    select * from {{ ref(seed) }}
    where
        state = case
            when exists (select 1 from {{ ref(seed) }} where state = '{{ var("state") }}') then '{{ var("state") }}'
            else 'default'
        end
{%- endmacro %}

{# How many of an agency's schools have a designation. #}
{% macro schools_with(designation) -%}
    case {{ designation }}
        when 'CSI' then csi_schools
        when 'TSI' then consistently_underperforming_schools
        when 'ATSI' then additional_targeted_schools
        when 'TSI_OR_ATSI' then tsi_schools
        when 'ANY' then identified_schools
    end
{%- endmacro %}

{# Exactly as many as the minimum are enough. A criterion that the threshold leaves empty is not asked. #}
{% macro meets_count(identified, minimum_count) -%}
    {{ identified }} >= {{ minimum_count }}
{%- endmacro %}

{% macro meets_share(identified, schools, minimum_share, least_for_share) -%}
    ({{ identified }} / {{ schools }} >= {{ minimum_share }} and {{ identified }} >= {{ least_for_share }})
{%- endmacro %}

{# Both criteria or either of them; with one left empty, the other one alone. #}
{% macro meets_threshold(by_count, by_share, combination) -%}
    case
        when {{ combination }} = 'and' then coalesce({{ by_count }}, true) and coalesce({{ by_share }}, true)
        else coalesce({{ by_count }}, false) or coalesce({{ by_share }}, false)
    end
{%- endmacro %}

{# The middle of its rank among organizations: those below it and half of those like it, over all of them. #}
{% macro middle_rank(value, partition) -%}
    (
        rank() over (partition by {{ partition }} order by {{ value }}) - 1
        + count(*) over (partition by {{ partition }}, {{ value }}) / 2
    ) / count(*) over (partition by {{ partition }})
{%- endmacro %}

{#
    The pupils of every organization, by one count for the whole state and year: membership, unless more of the
    agencies have an average daily membership (charter schools stand outside some states' membership).
#}
{% macro pupils_of_organizations(facts) %}
    select
        counted.state,
        counted.school_year,
        counted.org_level,
        counted.org_id,
        counted.metric_id as pupils_metric,
        counted.value as pupils,
        counted.status as pupils_status
    from {{ facts }} as counted
    inner join (
        select
            state,
            school_year,
            arg_max(metric_id, 2 * agencies + cast(metric_id = 'membership' as integer)) as metric_id
        from (
            select
                state,
                school_year,
                metric_id,
                count(*) filter (where status not in ('not_collected', 'missing')) as agencies
            from {{ facts }}
            where
                metric_id in ('membership', 'average_daily_membership')
                and org_level = 'LEA'
                and group_category = 'all'
            group by all
        )
        group by all
    ) as chosen using (state, school_year, metric_id)
    where counted.group_category = 'all'
{% endmacro %}
