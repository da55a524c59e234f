{#
    Equity of spending among organizations, each as heavy as its pupils: the horizontal measures, which ask
    whether pupils are treated alike, and the vertical ones, which ask who gets more.
#}

{# Each statistic of one spending per pupil, with its label's order: every model and test names them here. #}
{% macro horizontal_statistics() %}
    {{ return(['ppe_cv', 'ppe_federal_range_ratio', 'ppe_mcloone', 'ppe_verstegen', 'ppe_gini', 'ppe_theil']) }}
{% endmacro %}

{% macro vertical_statistics() %}
    {{ return(['ppe_poverty_correlation', 'ppe_poverty_elasticity', 'ppe_progressivity']) }}
{% endmacro %}

{# What is on the poorer side of the median in McLoone's index, and on the richer in Verstegen's: authors differ on whether the median itself is. `at_median: include` counts it in. #}
{% macro below_median(x, median) -%}
    {{ x }} {{ '<=' if var('at_median', 'exclude') == 'include' else '<' }} {{ median }}
{%- endmacro %}

{% macro above_median(x, median) -%}
    {{ x }} {{ '>=' if var('at_median', 'exclude') == 'include' else '>' }} {{ median }}
{%- endmacro %}

{# The status of a number made of several rows: told where all are, else the gravest reason. An aggregate. #}
{% macro status_of_all(status) -%}
    case
        when bool_and({{ status }} = 'reported') then 'reported'
        when bool_or({{ status }} in ('suppressed_primary', 'range_coded')) then 'suppressed_primary'
        when bool_or({{ status }} = 'suppressed_complementary') then 'suppressed_complementary'
        when bool_or({{ status }} = 'missing') then 'missing'
        when bool_or({{ status }} = 'not_collected') then 'not_collected'
        else 'not_applicable'
    end
{%- endmacro %}
