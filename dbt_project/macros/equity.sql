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
