{# Tests of the seeds of finance and budgets. #}

{# One row, and no more, is so. #}
{% test exactly_one(model, condition) %}
    select count(*) as rows from {{ model }} where {{ condition }}
    having count(*) <> 1
{% endtest %}

{# Each one has a single row that is flagged. #}
{% test one_default_each(model, of, flag) %}
    select {{ of }} from {{ model }}
    group by {{ of }}
    having count(*) filter (where {{ flag }}) <> 1
{% endtest %}

{# No year is in two rows of one key. #}
{% test years_do_not_overlap(model, key) %}
    select later.*
    from {{ model }} as later
    inner join {{ model }} as earlier
        on
            later.first_year > earlier.first_year
            and later.first_year <= coalesce(earlier.last_year, later.first_year)
            {%- for column in key %}
            and later.{{ column }} = earlier.{{ column }}
            {%- endfor %}
{% endtest %}

{# Each characteristic that a rule names is in the vocabulary of groups; a misspelt one would be nobody. #}
{% test characteristics_are_known(model, vocabulary) %}
    select characteristic
    from (
        select unnest(string_split(eligible, '|')) as characteristic
        from {{ model }}
        where rule = 'pupils'
    )
    where characteristic not in (select group_category || '=' || group_value from {{ vocabulary }})
{% endtest %}

{# No two rows have the same, but several may have none. #}
{% test unique_where_told(model, column) %}
    select {{ column }} from {{ model }}
    where {{ column }} is not null
    group by {{ column }}
    having count(*) > 1
{% endtest %}
