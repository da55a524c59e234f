{#
    Weighted pupils of each formula that the state uses or compares, and what is spent on them. The row of
    everyone is by the state's own formula. All is made of counts of pupils as they may be told.
#}
with

metrics as (

    select * from {{ ref('int_base_metrics') }}

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

    select * from metrics where metric_id = 'budget_pupils'

),

spending as (

    select * from metrics where metric_id = 'ppe_current' and group_category = 'all'

),

-- A formula is of a year where it has a base amount for it.
of_the_year as (

    select
        pupils.state,
        pupils.school_year,
        pupils.org_level,
        pupils.org_id,
        formulas.formula,
        formulas.is_default,
        pupils.value as pupils,
        pupils.status,
        pupils.source_loads
    from pupils
    inner join formulas
        on
            formulas.kind = 'base'
            and pupils.school_year >= formulas.first_year
            and pupils.school_year <= coalesce(formulas.last_year, pupils.school_year)

),

weights as (

    select
        of_the_year.state,
        of_the_year.school_year,
        of_the_year.org_level,
        of_the_year.org_id,
        of_the_year.formula,
        sum(formulas.weight * pupils_by_weight.value order by formulas.weight_id) as weighted,
        {{ status_of_all("coalesce(pupils_by_weight.status, 'not_collected')") }} as status
    from of_the_year
    inner join formulas
        on
            of_the_year.formula = formulas.formula
            and formulas.kind = 'weight'
            and of_the_year.school_year >= formulas.first_year
            and of_the_year.school_year <= coalesce(formulas.last_year, of_the_year.school_year)
    left join pupils_by_weight
        on
            of_the_year.state = pupils_by_weight.state
            and of_the_year.school_year = pupils_by_weight.school_year
            and of_the_year.org_level = pupils_by_weight.org_level
            and of_the_year.org_id = pupils_by_weight.org_id
            and formulas.formula || '.' || formulas.weight_id = pupils_by_weight.group_value
    group by all

),

weighted as (

    select
        of_the_year.* exclude (status),
        of_the_year.pupils + coalesce(weights.weighted, 0) as weighted,
        {{ status_of_both('of_the_year.status', "coalesce(weights.status, 'reported')") }} as status
    from of_the_year
    left join weights using (state, school_year, org_level, org_id, formula)

),

beside_spending as (

    select
        weighted.*,
        spending.numerator as dollars,
        spending.value as per_pupil,
        -- Money at a school without members is money all the same.
        case
            when spending.numerator is not null then 'reported'
            else coalesce(spending.status, 'not_collected')
        end as dollars_status,
        coalesce(spending.status, 'not_collected') as spending_status,
        coalesce(spending.source_loads, []) as spending_loads
    from weighted
    left join spending using (state, school_year, org_level, org_id)

),

the_state as (

    select * from beside_spending where org_level = 'SEA'

),

indexed as (

    select
        own.*,
        (own.per_pupil / the_state.per_pupil)
        / ((own.weighted / nullif(own.pupils, 0)) / (the_state.weighted / the_state.pupils)) as need_index,
        {{ status_of_both(
            status_of_both('own.status', 'own.spending_status'),
            status_of_both('the_state.status', 'the_state.spending_status')
        ) }} as index_status
    from beside_spending as own
    inner join the_state using (state, school_year, formula)

),

calculated as (

    select
        *,
        'weighted_pupils' as metric_id,
        case when status = 'reported' then weighted end as numerator,
        cast(null as double) as denominator,
        weighted as worked_out,
        status as told_status,
        source_loads as loads
    from indexed

    union all by name

    select
        *,
        'ppe_per_weighted_pupil' as metric_id,
        dollars as numerator,
        case when status = 'reported' then weighted end as denominator,
        dollars / nullif(weighted, 0) as worked_out,
        {{ status_of_both('status', 'dollars_status') }} as told_status,
        source_loads || spending_loads as loads
    from indexed

    union all by name

    select
        *,
        'need_index' as metric_id,
        cast(null as double) as numerator,
        cast(null as double) as denominator,
        need_index as worked_out,
        index_status as told_status,
        source_loads || spending_loads as loads
    from indexed

),

judged as (

    select
        * replace (
            case
                when told_status = 'reported' and worked_out is null then 'not_applicable' else told_status
            end as told_status
        )
    from calculated

),

final as (

    select *, 'formula' as group_category, formula as group_value from judged

    union all by name

    select *, 'all' as group_category, 'all' as group_value from judged
    where is_default

)

select
    {{ metric_columns(
        'worked_out',
        numerator='numerator',
        denominator='denominator',
        status='told_status',
        source_loads='list_sort(list_distinct(loads))'
    ) }}
from final
