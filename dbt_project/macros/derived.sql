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
