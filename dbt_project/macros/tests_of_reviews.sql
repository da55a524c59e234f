{# A number that is given lies within bounds, both included. #}
{% test lies_between(model, column_name, low, high) %}
    select * from {{ model }}
    where {{ column_name }} < {{ low }} or {{ column_name }} > {{ high }}
{% endtest %}

{# Of each part of the rows, every whole number from low to high is there, and no other. #}
{% test has_every_value(model, column, low, high, each) %}
    select parts.{{ each }}, wanted.number
    from (select distinct {{ each }} from {{ model }}) as parts
    cross join (select unnest(range({{ low }}, {{ high }} + 1)) as number) as wanted
    anti join {{ model }} as present
        on
            parts.{{ each }} = present.{{ each }}
            and wanted.number = present.{{ column }}

    union all

    select {{ each }}, {{ column }} from {{ model }}
    where {{ column }} not between {{ low }} and {{ high }}
{% endtest %}

{# Both years are given, and one comes before the other. #}
{% test is_before(model, earlier, later) %}
    select * from {{ model }}
    where coalesce({{ earlier }} >= {{ later }}, true)
{% endtest %}
