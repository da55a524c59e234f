{# How North Carolina's files write grades and masked percentages. #}

{# The lowest grade of a span such as 6:08, PK:05 or 9; UG where it is not graded. #}
{% macro nc_grade_low(span) -%} {{ nc_grade("split_part(" ~ span ~ ", ':', 1)") }} {%- endmacro %}

{# The highest grade of a span; that of a single grade is the grade. #}
{% macro nc_grade_high(span) -%} {{ nc_grade("split_part(" ~ span ~ ", ':', -1)") }} {%- endmacro %}

{# 6, 06, KG, 0K, P2 (a prekindergarten for two-year-olds) ... as PK, KG, 01 to 13; null where there is none. #}
{% macro nc_grade(value) -%}
    case
        when {{ value }} in ('UG', 'NG') then 'UG'
        when {{ value }} like 'P%' then 'PK'
        when {{ value }} in ('KG', '0K', '00', '0') then 'KG'
        when {{ value }} <> '' then lpad({{ value }}, 2, '0')
    end
{%- endmacro %}

{# Masking codes: 1 above 95 percent, 2 below 5 percent, 3 fewer than 10, 4 insufficient data. #}
{% macro nc_masked_status(masking, value) -%}
    case
        when {{ whole(masking) }} in (1, 2) then 'range_coded'
        when {{ whole(masking) }} in (3, 4) then 'suppressed_primary'
        when {{ value }} is null then 'missing'
        else 'reported'
    end
{%- endmacro %}

{% macro nc_lower_bound(masking) -%}
    case {{ whole(masking) }} when 1 then 0.95 when 2 then 0.0 end
{%- endmacro %}

{% macro nc_upper_bound(masking) -%}
    case {{ whole(masking) }} when 1 then 1.0 when 2 then 0.05 end
{%- endmacro %}

{% macro nc_level(agency_code) -%}
    case
        when {{ agency_code }} = 'NC-SEA' then 'SEA'
        when {{ agency_code }} like '%LEA' then 'LEA'
        else 'SCH'
    end
{%- endmacro %}

{# The publisher's codes of student groups, each with the group that it is. #}
{% macro nc_groups() %}
    select code as subgroup, group_category, group_value
    from {{ ref('code_set') }}
    where state = 'nc' and code_set = 'subgroup' and group_category is not null
{% endmacro %}
