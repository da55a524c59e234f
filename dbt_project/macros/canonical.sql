{#
    The canonical subjects. Marts know no state: each int_<subject> takes the staging model of the
    state that is being built, the record-level one where the state sends standard extracts, both
    where it does both, and an empty relation of the same shape where it collects nothing. A subject may
    be staged in parts, stg_<origin>__<subject>__<part>; they are taken together.
#}

{% macro canonical_columns(subject) -%}
    {%- if subject == 'organizations' -%}
        {{ return({
            'state': 'varchar', 'school_year': 'integer', 'org_level': 'varchar', 'org_id': 'varchar',
            'parent_org_id': 'varchar', 'nces_id': 'varchar', 'name': 'varchar', 'org_type': 'varchar',
            'county': 'varchar', 'region': 'varchar', 'grade_low': 'varchar', 'grade_high': 'varchar',
            'is_charter': 'boolean', 'title_i': 'boolean', 'status': 'varchar', 'source_load': 'varchar'
        }) }}
    {%- elif subject == 'labor' -%}
        {{ return({
            'state': 'varchar', 'school_year': 'integer', 'region': 'varchar', 'soc': 'varchar',
            'measure': 'varchar', 'amount': 'double', 'status': 'varchar', 'occupation': 'varchar',
            'entry_education': 'varchar', 'vintage': 'varchar', 'source_load': 'varchar'
        }) }}
    {%- else -%}
        {{ return({
            'state': 'varchar', 'school_year': 'integer', 'org_level': 'varchar', 'org_id': 'varchar',
            'measure': 'varchar', 'group_category': 'varchar', 'group_value': 'varchar',
            'amount': 'double', 'status': 'varchar', 'lower_bound': 'double',
            'upper_bound': 'double', 'source_load': 'varchar'
        }) }}
    {%- endif -%}
{%- endmacro %}

{% macro canonical(subject) -%}
    {%- set columns = canonical_columns(subject) -%}
    {%- set models = [] -%}
    {%- for origin in [var('state'), 'standard'] -%}
        {%- set whole = 'stg_' ~ origin ~ '__' ~ subject -%}
        {%- for model in var('staged') if model == whole or model.startswith(whole ~ '__') -%}
            {%- do models.append(model) -%}
        {%- endfor -%}
    {%- endfor -%}

    {%- if not models %}
    select
        {%- for name, type in columns.items() %}
        cast(null as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    where false
    {%- endif %}

    {%- for model in models %}
    select
        {%- for name, type in columns.items() %}
        cast({{ name }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref(model) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
