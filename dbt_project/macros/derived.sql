{#
    Statistics over organizations: an equity index, a gap between quartiles, an exposure.

    They are taken over the organizations whose figures are told, which must hold nearly all the pupils of
    those that were asked; otherwise the statistic says why it is not told. (docs/decisions/0009)
#}

{# Whether a statistic is told, and if not, why. An aggregate over the rows of the organizations that were asked: `status` is of the figure, `pupils` the enrollment (null where it is not told). #}
{% macro status_over_organizations(status, pupils, least='0.95') -%}
    case
        when
            sum({{ pupils }}) > 0
            and coalesce(sum({{ pupils }}) filter (where {{ status }} = 'reported'), 0)
            >= {{ least }} * sum({{ pupils }})
            then 'reported'
        when bool_or({{ status }} in ('suppressed_primary', 'range_coded')) then 'suppressed_primary'
        when bool_or({{ status }} = 'suppressed_complementary') then 'suppressed_complementary'
        when bool_or({{ status }} = 'missing') then 'missing'
        when bool_and({{ status }} = 'not_applicable') then 'not_applicable'
        else 'not_collected'
    end
{%- endmacro %}

{# The status of a number made of two: told where both are, else the graver reason. #}
{% macro status_of_both(one, other) -%}
    case
        when {{ one }} = 'reported' and {{ other }} = 'reported' then 'reported'
        when 'suppressed_primary' in ({{ one }}, {{ other }}) or 'range_coded' in ({{ one }}, {{ other }})
            then 'suppressed_primary'
        when 'suppressed_complementary' in ({{ one }}, {{ other }}) then 'suppressed_complementary'
        when 'missing' in ({{ one }}, {{ other }}) then 'missing'
        when 'not_collected' in ({{ one }}, {{ other }}) then 'not_collected'
        else 'not_applicable'
    end
{%- endmacro %}

{# Rows of schools, each for the LEA that the school belongs to and for the state; `school_id` is the school. #}
{% macro schools_of_each(schools, organizations) %}
    select schools.*, 'LEA' as org_level, organizations.parent_org_id as org_id
    from {{ schools }} as schools
    inner join {{ organizations }} as organizations
        on
            schools.state = organizations.state
            and schools.school_year = organizations.school_year
            and schools.school_id = organizations.org_id
            and organizations.org_level = 'SCH'

    union all

    select schools.*, 'SEA' as org_level, organizations.org_id
    from {{ schools }} as schools
    inner join {{ organizations }} as organizations
        on
            schools.state = organizations.state
            and schools.school_year = organizations.school_year
            and organizations.org_level = 'SEA'
{% endmacro %}

{#
    The columns of a metric that is made of metrics: a value exactly where its status is reported, and no bounds.
    Whatever goes by another name than its column is given as SQL.
#}
{% macro metric_columns(
    value,
    metric_id='metric_id',
    group_category='group_category',
    group_value='group_value',
    numerator='cast(null as double)',
    denominator='cast(null as double)',
    status='status',
    source_loads='source_loads'
) -%}
    state,
    school_year,
    {{ metric_id }} as metric_id,
    org_level,
    org_id,
    {{ group_category }} as group_category,
    {{ group_value }} as group_value,
    {{ numerator }} as numerator,
    {{ denominator }} as denominator,
    case when {{ status }} = 'reported' then {{ value }} end as value,
    {{ status }} as status,
    {{ source_loads }} as source_loads,
    cast(null as double) as value_lower,
    cast(null as double) as value_upper
{%- endmacro %}

{# What is told beside a value, and not where there is none. #}
{% macro if_reported(amount) -%}
    case when status = 'reported' then {{ amount }} end
{%- endmacro %}
