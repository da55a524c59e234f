{# How much likelier students of a group are to be suspended than all others, where counts are told and large enough. #}
{%- set categories = [
    'race', 'sex', 'economic', 'english_learner', 'disability', 'homeless', 'foster', 'military', 'migrant'
] -%}

with

rates as (

    select * from {{ ref('int_base_metrics') }}
    where metric_id = 'suspension_rate'

),

everyone as (

    select * from rates where group_category = 'all'

),

groups as (

    {{ groups_beside_everyone('rates', 'everyone', categories) | trim }}

),

rules as (

    select
        {{ cte_rule('risk_ratio_cell') }} as least_cell,
        {{ cte_rule('risk_ratio_n') }} as least_n

),

beside as (

    select
        groups.*,
        {{ what_a_risk_ratio_needs('groups', 'the_state', 'rules') | trim }}
    from groups
    cross join rules
    {{ join_the_group_in_the_state('groups', 'the_state') | trim }}

),

judged as (

    select
        *,
        {{ risk_ratio() | trim }}
    from beside

),

final as (

    select
        {{ metric_columns('found', metric_id="'suspension_risk_ratio'", status='method_status') }}
    from judged

)

select * from final
