{#
    Every group that a metric may speak of: the seed of groups, what other seeds name, and codes whose vocabulary is
    not the project's. A CIP code is held to its form when it is loaded, and to the crosswalk by a check of the build.
#}
with

student_groups as (

    select
        group_category,
        group_value,
        label
    from {{ ref('student_groups') }}

),

formulas as (

    select * from {{ ref('budget_formula') }}

),

codes as (

    select distinct
        'cip' as group_category,
        group_value,
        group_value as label
    from {{ ref('int_cte') }}
    where group_category = 'cip' and regexp_full_match(group_value, '[0-9]{2}\.[0-9]{4}')

),

final as (

    select * from student_groups

    union all

    select * from codes

    union all

    -- A gap is of a rate.
    select
        'rate' as group_category,
        metric_id as group_value,
        label
    from {{ ref('metrics') }}

    union all

    select distinct
        'formula' as group_category,
        formula as group_value,
        upper(formula) as label
    from formulas

    union all

    select
        'budget_weight' as group_category,
        formula || '.' || weight_id as group_value,
        max_by(label, first_year) as label
    from formulas
    where kind in ('weight', 'direct')
    group by all

)

select * from final
