{# The grain: no two rows share these columns. (A primary key would be an index that every build pays for.) #}
{% test unique_key(model, columns) %}
    select {{ columns | join(', ') }}, count(*) as copies
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}

{# A value stands exactly where its status says so. #}
{% test value_follows_status(model, value, status) %}
    select *
    from {{ model }}
    where ({{ status }} = 'reported') <> ({{ value }} is not null)
{% endtest %}

{# Two columns that must be found together in another relation. #}
{% test group_is_known(model, vocabulary) %}
    with

    named as (

        select distinct
            unnest(string_split(group_category, '*')) as group_category,
            unnest(string_split(group_value, '*')) as group_value
        from {{ model }}

    )

    select named.*
    from named
    anti join {{ vocabulary }} using (group_category, group_value)
{% endtest %}

{# Every organization that is spoken of is in the directory of its year. #}
{% test organization_is_known(model, organizations) %}
    select distinct state, school_year, org_level, org_id
    from {{ model }}
    anti join {{ organizations }} using (state, school_year, org_level, org_id)
{% endtest %}

{# An organization belongs to one of the level above it. #}
{% test parent_is_known(model) %}
    select child.*
    from {{ model }} as child
    left join {{ model }} as parent
        on
            child.state = parent.state
            and child.school_year = parent.school_year
            and child.parent_org_id = parent.org_id
            and parent.org_level = case child.org_level when 'SCH' then 'LEA' when 'LEA' then 'SEA' end
    where child.org_level <> 'SEA' and parent.org_id is null
{% endtest %}
