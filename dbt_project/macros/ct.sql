{# How Connecticut's exports write withheld values, the state and its districts. #}

{# A masked count is unknown, never zero; N/A is what a district does not have. #}
{% macro ct_amount(cell) -%}
    case when {{ cell }} not in ('*', 'N/A') then {{ number(cell) }} end
{%- endmacro %}

{% macro ct_status(cell) -%}
    case
        when {{ cell }} = '*' then 'suppressed_primary'
        when {{ cell }} = 'N/A' then 'not_applicable'
        when {{ cell }} is null then 'missing'
        else 'reported'
    end
{%- endmacro %}

{# The agency's own code for the state, where it gives one; enrollment's row of totals has none. #}
{% macro ct_state_id() -%} '0000000' {%- endmacro %}

{% macro ct_org_id(district_code) -%} coalesce({{ district_code }}, {{ ct_state_id() }}) {%- endmacro %}

{% macro ct_level(district_code) -%}
    case when {{ ct_org_id(district_code) }} = {{ ct_state_id() }} then 'SEA' else 'LEA' end
{%- endmacro %}

{# A name without a code stops the build until somebody has looked at it; the message lists all such names. #}
{% test ct_name_has_been_reviewed(model, names) %}
    select count(*) as unknown_names
    from (
        select distinct name from {{ model }}
        where org_level = 'LEA' and org_id = name
    ) as nameless
    anti join {{ names }} as reviewed on nameless.name = reviewed.district_name
    having
        count(*) > 0
        and coalesce(
            cast(error(
                'no line in dbt_project/seeds/ct_district_names.csv for: ' || string_agg(name, '; ' order by name)
            ) as boolean),
            true
        )
{% endtest %}
