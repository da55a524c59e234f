{# The vocabulary of groups: the fixed one, and what other seeds name. #}
with

student_groups as (

    select group_category, group_value, label from {{ ref('student_groups') }}

),

formulas as (

    select * from {{ ref('budget_formula') }}

),

final as (

    select * from student_groups

    union all

    select distinct 'formula', formula, upper(formula) from formulas

    union all

    select 'budget_weight', formula || '.' || weight_id, max_by(label, first_year)
    from formulas
    where kind in ('weight', 'direct')
    group by all

)

select * from final
