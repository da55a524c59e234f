{# A sum over terms of which some are withheld or quarantined is only a lower bound: it is never reported as the total. #}

{% macro complete_sum(amount, status, has_lost_rows) -%}
    case
        when bool_and({{ status }} = 'reported') and not bool_or({{ has_lost_rows }}) then sum({{ amount }})
    end
{%- endmacro %}

{% macro status_of_sum(status, has_lost_rows) -%}
    case
        when bool_and({{ status }} = 'reported') and not bool_or({{ has_lost_rows }}) then 'reported'
        when bool_or({{ status }} in ('suppressed_primary', 'suppressed_complementary', 'range_coded'))
            then 'suppressed_primary'
        when bool_or({{ has_lost_rows }}) or bool_or({{ status }} = 'missing') then 'missing'
        else 'not_collected'
    end
{%- endmacro %}

{# `dimension` may name several categories, with a space between them. #}
{% macro is_own_dimension(dimension, category) -%}
    coalesce(list_contains(string_split({{ dimension }}, ' '), {{ category }}), false)
{%- endmacro %}

{# The group that a numerator's denominator is of: of all, of one named group (`staff_class=TCH`), or of the same group less the numerator's own dimension. #}
{% macro denominator_category(denominator_of, dimension, category) -%}
    case
        when {{ denominator_of }} = 'all' or {{ is_own_dimension(dimension, category) }} then 'all'
        when contains({{ denominator_of }}, '=') then split_part({{ denominator_of }}, '=', 1)
        when starts_with({{ category }}, {{ dimension }} || '*')
            then substr({{ category }}, length({{ dimension }}) + 2)
        else {{ category }}
    end
{%- endmacro %}

{% macro denominator_value(denominator_of, dimension, category, value) -%}
    case
        when {{ denominator_of }} = 'all' or {{ is_own_dimension(dimension, category) }} then 'all'
        when contains({{ denominator_of }}, '=') then split_part({{ denominator_of }}, '=', 2)
        when starts_with({{ category }}, {{ dimension }} || '*')
            then split_part({{ value }}, '*', 2)
        else {{ value }}
    end
{%- endmacro %}
