{#
    Every group that a metric may speak of: the seed of groups, and codes whose vocabulary is not the project's. A CIP
    code is held to its form when it is loaded, and to the crosswalk by a check of the build.
#}
with

codes as (

    select distinct
        'cip' as group_category,
        group_value
    from {{ ref('int_cte') }}
    where group_category = 'cip' and regexp_full_match(group_value, '[0-9]{2}\.[0-9]{4}')

),

formulas as (

    select * from {{ ref('budget_formula') }}

),

final as (

    select
        group_category,
        group_value
    from {{ ref('student_groups') }}

    union all

    select * from codes

    union all

    -- A gap is of a rate.
    select
        'rate' as group_category,
        metric_id as group_value
    from {{ ref('metrics') }}

    union all

    -- Budgets and weighted pupils are by a formula and its weights.
    select distinct
        'formula' as group_category,
        formula as group_value
    from formulas

    union all

    select distinct
        'budget_weight' as group_category,
        formula || '.' || weight_id as group_value
    from formulas
    where kind in ('weight', 'direct')

)

select * from final
