{# Grades in the order in which they are passed: PK, KG, 01 to 13. Ungraded has no rank. #}
{% macro grade_rank(grade) -%}
    case {{ grade }} when 'PK' then -1 when 'KG' then 0 when 'UG' then null else try_cast({{ grade }} as integer) end
{%- endmacro %}
