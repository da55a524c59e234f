{# Publishers write 1,434 and 2018.0 and mean a number; a value that is none fails here, it does not turn into null. #}

{% macro number(column) -%}
    cast(replace({{ column }}, ',', '') as double)
{%- endmacro %}

{% macro whole(column) -%}
    cast(cast(replace({{ column }}, ',', '') as double) as bigint)
{%- endmacro %}
