{# A first or second year, unless the state defines it otherwise; counted in years before this one. #}
{% macro inexperienced_below() -%}
    {{ var('inexperienced_below_years', 2) }}
{%- endmacro %}
