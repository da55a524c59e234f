{#
    The state's own formula and another, side by side: who gains, who loses, and how even and how progressive
    each would be. The other is compared as it is, and as it would be if it cost the state what its own costs.
#}
with

budgets as (

    select distinct
        state,
        school_year,
        formula,
        is_default,
        org_level,
        org_id,
        budget,
        budget_status
    from {{ ref('student_based_budget') }}

),

organizations as (

    select * from {{ ref('dim_organization') }}

),

pupils as (

    select * from {{ ref('fct_metric') }}
    where metric_id = 'average_daily_membership' and group_category = 'all'

),

poverty as (

    select * from {{ ref('fct_metric') }}
    where metric_id = 'group_share' and group_category = 'economic' and group_value = 'ECODIS'

),

per_pupil as (

    select
        budgets.*,
        pupils.value as pupils,
        budgets.budget / nullif(pupils.value, 0) as dollars,
        poverty.value as poverty,
        coalesce(poverty.status, 'not_collected') as poverty_status,
        case budgets.org_level when 'SCH' then 'LEA' else 'SEA' end as parent_level,
        organizations.parent_org_id
    from budgets
    inner join organizations using (state, school_year, org_level, org_id)
    inner join pupils using (state, school_year, org_level, org_id)
    left join poverty using (state, school_year, org_level, org_id)

),

told as (

    select
        *,
        sum(pupils * dollars order by org_id) over siblings / sum(pupils order by org_id) over siblings as mean
    from per_pupil
    where budget_status = 'reported' and pupils > 0 and org_level <> 'SEA'

    window siblings as (partition by state, school_year, formula, parent_level, parent_org_id)

),

evenness as (

    select
        state,
        school_year,
        formula,
        parent_level as org_level,
        parent_org_id as org_id,
        sqrt(sum(pupils * (dollars - mean) ** 2 order by org_id) / sum(pupils order by org_id))
        / any_value(mean) as cv,
        (
            sum(pupils * poverty * dollars order by org_id) filter (where poverty_status = 'reported')
            / nullif(sum(pupils * poverty order by org_id) filter (where poverty_status = 'reported'), 0)
        )
        / nullif(
            sum(pupils * (1 - poverty) * dollars order by org_id) filter (where poverty_status = 'reported')
            / nullif(sum(pupils * (1 - poverty) order by org_id) filter (where poverty_status = 'reported'), 0), 0
        ) as progressivity
    from told
    group by all

),

-- Why evenness is told or not (docs/decisions/0009); of fewer than two there is nothing to compare.
asked as (

    select
        state,
        school_year,
        formula,
        parent_level as org_level,
        parent_org_id as org_id,
        case
            when count(*) filter (where pupils > 0) < 2 then 'not_applicable'
            else {{ status_over_organizations('budget_status', 'pupils') }}
        end as cv_status,
        case
            when count(*) filter (where pupils > 0) < 2 then 'not_applicable'
            else {{ status_over_organizations(status_of_both('budget_status', 'poverty_status'), 'pupils') }}
        end as progressivity_status
    from per_pupil
    where org_level <> 'SEA'
    group by all

),

described as (

    select
        per_pupil.*,
        coalesce(asked.cv_status, 'not_applicable') as cv_status,
        coalesce(asked.progressivity_status, 'not_applicable') as progressivity_status,
        case when asked.cv_status = 'reported' then evenness.cv end as cv,
        case when asked.progressivity_status = 'reported' then evenness.progressivity end as progressivity
    from per_pupil
    left join asked using (state, school_year, formula, org_level, org_id)
    left join evenness using (state, school_year, formula, org_level, org_id)

),

states as (

    select state, school_year, formula, budget, budget_status from budgets where org_level = 'SEA'

),

final as (

    select
        own.state,
        own.school_year,
        own.org_level,
        own.org_id,
        own.formula,
        other.formula as other_formula,
        own.pupils,
        own.budget,
        other.budget as other_budget,
        {{ status_of_both('own.budget_status', 'other.budget_status') }} as status,
        other.budget - own.budget as change,
        case
            when other.budget is null or own.budget is null then null
            when other.budget > own.budget then 'gains'
            when other.budget < own.budget then 'loses'
            else 'same'
        end as outcome,
        other.budget * own_state.budget / nullif(other_state.budget, 0) - own.budget as change_at_same_cost,
        case
            when own.org_level = 'SEA'
                then {{ status_of_both('own.budget_status', 'other.budget_status') }}
            else {{ status_of_both(
                status_of_both('own.budget_status', 'other.budget_status'),
                status_of_both('own_state.budget_status', 'other_state.budget_status')
            ) }}
        end as status_at_same_cost,
        own.cv,
        other.cv as other_cv,
        {{ status_of_both('own.cv_status', 'other.cv_status') }} as cv_status,
        own.progressivity,
        other.progressivity as other_progressivity,
        {{ status_of_both('own.progressivity_status', 'other.progressivity_status') }} as progressivity_status
    from described as own
    inner join described as other
        using (state, school_year, org_level, org_id)
    inner join states as own_state
        on
            own.state = own_state.state
            and own.school_year = own_state.school_year
            and own.formula = own_state.formula
    inner join states as other_state
        on
            other.state = other_state.state
            and other.school_year = other_state.school_year
            and other.formula = other_state.formula
    where own.is_default and not other.is_default

)

select
    cast(state as varchar) as state,
    cast(school_year as integer) as school_year,
    cast(org_level as varchar) as org_level,
    cast(org_id as varchar) as org_id,
    cast(formula as varchar) as formula,
    cast(other_formula as varchar) as other_formula,
    cast(pupils as double) as pupils,
    cast(budget as double) as budget,
    cast(other_budget as double) as other_budget,
    cast(status as varchar) as status,
    cast(change as double) as change,
    cast(outcome as varchar) as outcome,
    cast(change_at_same_cost as double) as change_at_same_cost,
    cast(status_at_same_cost as varchar) as status_at_same_cost,
    cast(cv as double) as cv,
    cast(other_cv as double) as other_cv,
    cast(cv_status as varchar) as cv_status,
    cast(progressivity as double) as progressivity,
    cast(other_progressivity as double) as other_progressivity,
    cast(progressivity_status as varchar) as progressivity_status
from final
