{#
    What a student-based budget gives, weight by weight, beside what was spent. A weight's dollars are the base
    amount times the weight times the pupils who bring it, as they may be told. Where some may not be, the whole budget lies
    between two bounds that anybody could work out: a count withheld for being small is below the state's minimum, and no
    weight is brought by more pupils than there are.
#}
with

metrics as (

    select * from {{ ref('fct_metric') }}
    where metric_id in ('average_daily_membership', 'budget_pupils', 'ppe_current')

),

formulas as (

    select budget_formula.*, chosen.is_default
    from {{ ref('budget_formula') }} as budget_formula
    inner join {{ ref('state_budget_formula') }} as chosen
        on budget_formula.formula = chosen.formula and chosen.state = '{{ var("state") }}'

),

pupils as (

    select * from metrics where metric_id = 'average_daily_membership' and group_category = 'all'

),

pupils_by_weight as (

    select * from metrics where metric_id = 'budget_pupils' and group_category = 'budget_weight'

),

spending as (

    select * from metrics where metric_id = 'ppe_current' and group_category = 'all'

),

-- A formula is of a year where it has a base amount for it.
years as (

    select
        pupils.state,
        pupils.school_year,
        formulas.formula,
        any_value(formulas.amount) as base_amount
    from (select distinct state, school_year from pupils) as pupils
    inner join formulas
        on
            formulas.kind = 'base'
            and pupils.school_year >= formulas.first_year
            and pupils.school_year <= coalesce(formulas.last_year, pupils.school_year)
    group by all

),

rules as (

    select
        years.state,
        years.school_year,
        years.base_amount,
        formulas.*
    from years
    inner join formulas
        on
            years.formula = formulas.formula
            and years.school_year >= formulas.first_year
            and years.school_year <= coalesce(formulas.last_year, years.school_year)

),

splits as (

    select state, school_year, formula, max(weight) as state_share
    from rules
    where kind = 'split'
    group by all

),

lines as (

    select
        pupils.state,
        pupils.school_year,
        rules.formula,
        rules.is_default,
        pupils.org_level,
        pupils.org_id,
        rules.weight_id,
        rules.kind,
        rules.label,
        case rules.kind when 'base' then pupils.value else pupils_by_weight.value end as pupils,
        case
            when rules.kind = 'base' then pupils.status
            else coalesce(pupils_by_weight.status, 'not_collected')
        end as status,
        case rules.kind when 'direct' then rules.amount else rules.base_amount end as amount,
        case rules.kind when 'weight' then rules.weight else 1 end as weight,
        -- The state pays direct allocations in full; of the rest a share, where the formula says which.
        case rules.kind when 'direct' then 1 else splits.state_share end as state_share
    from pupils
    inner join rules
        on
            pupils.state = rules.state
            and pupils.school_year = rules.school_year
            and rules.kind in ('base', 'weight', 'direct')
    left join pupils_by_weight
        on
            pupils.state = pupils_by_weight.state
            and pupils.school_year = pupils_by_weight.school_year
            and pupils.org_level = pupils_by_weight.org_level
            and pupils.org_id = pupils_by_weight.org_id
            and rules.formula || '.' || rules.weight_id = pupils_by_weight.group_value
    left join splits
        on
            rules.state = splits.state
            and rules.school_year = splits.school_year
            and rules.formula = splits.formula

),

priced as (

    select
        *,
        case when status = 'reported' then amount * weight * pupils end as dollars,
        max(pupils) filter (where kind = 'base') over of_the_organization as all_pupils,
        amount * weight * case
            when status = 'suppressed_primary' then least({{ var('minimum_n') }}, all_pupils)
            when status = 'suppressed_complementary' then all_pupils
        end as withheld_dollars_at_most
    from lines
    window
        of_the_organization as (partition by state, school_year, formula, org_level, org_id)

),

budgets as (

    select
        state,
        school_year,
        formula,
        org_level,
        org_id,
        case when bool_and(status = 'reported') then sum(dollars order by weight_id) end as budget,
        -- Every line is told, or withheld and its pupils known to be few.
        bool_and(dollars is not null or withheld_dollars_at_most is not null) and not bool_and(status = 'reported')
            as has_bounds,
        case when has_bounds then sum(dollars order by weight_id) end as budget_lower,
        budget_lower + sum(withheld_dollars_at_most order by weight_id) as budget_upper,
        case when has_bounds then 'range_coded' else {{ status_of_all('status') }} end as budget_status
    from priced
    group by all

),

final as (

    select
        priced.state,
        priced.school_year,
        priced.formula,
        priced.is_default,
        priced.org_level,
        priced.org_id,
        priced.weight_id,
        priced.kind,
        priced.label,
        priced.amount,
        priced.weight,
        priced.pupils,
        priced.dollars,
        priced.dollars * priced.state_share as state_dollars,
        priced.dollars * (1 - priced.state_share) as local_dollars,
        priced.status,
        budgets.budget,
        budgets.budget_status,
        budgets.budget_lower,
        budgets.budget_upper,
        spending.numerator as actual_spending,
        -- Money at a school without members is money all the same.
        case
            when spending.numerator is not null then 'reported'
            else coalesce(spending.status, 'not_collected')
        end as actual_status
    from priced
    inner join budgets using (state, school_year, formula, org_level, org_id)
    left join spending using (state, school_year, org_level, org_id)

)

select
    cast(state as varchar) as state,
    cast(school_year as integer) as school_year,
    cast(formula as varchar) as formula,
    cast(is_default as boolean) as is_default,
    cast(org_level as varchar) as org_level,
    cast(org_id as varchar) as org_id,
    cast(weight_id as varchar) as weight_id,
    cast(kind as varchar) as kind,
    cast(label as varchar) as label,
    cast(amount as double) as amount,
    cast(weight as double) as weight,
    cast(pupils as double) as pupils,
    cast(dollars as double) as dollars,
    cast(state_dollars as double) as state_dollars,
    cast(local_dollars as double) as local_dollars,
    cast(status as varchar) as status,
    cast(budget as double) as budget,
    cast(budget_status as varchar) as budget_status,
    cast(actual_spending as double) as actual_spending,
    cast(actual_status as varchar) as actual_status,
    cast(budget_lower as double) as budget_lower,
    cast(budget_upper as double) as budget_upper
from final
