with

ledger as (

    select * from {{ source('standard_lake', 'finance_ledger') }}

),

stays as (

    select * from {{ ref('stg_standard__stays') }}

),

ledger_loads as (

    {{ loads_of('ledger') }}

),

enrollment_loads as (

    {{ loads_of('stays') }}

),

-- Spent, not planned or ordered. `exclusion` marks what is not current expenditure; total spending
-- is all expenditure, so these lines stay in it.
spent as (

    select
        cast(school_year as integer) as school_year,
        lea_id,
        school_id,
        source,
        left(object, 1) in ('1', '2') as is_personnel,
        cast(amount as decimal(18, 2)) as dollars

    from ledger
    where basis = 'actual'

),

spent_at_every_level as (

    {{ at_every_level('spent') }}

),

spending as (

    select
        school_year,
        org_level,
        org_id,
        sum(dollars) as expenditure,
        coalesce(sum(dollars) filter (where source = 'FED'), 0) as expenditure_federal,
        coalesce(sum(dollars) filter (where source = 'STATE'), 0) as expenditure_state,
        coalesce(sum(dollars) filter (where source = 'LOCAL'), 0) as expenditure_local,
        coalesce(sum(dollars) filter (where is_personnel), 0) as expenditure_personnel,
        coalesce(sum(dollars) filter (where not is_personnel), 0) as expenditure_nonpersonnel

    from spent_at_every_level
    group by all

),

counted as (

    select * from stays
    where is_counted

),

counted_at_every_level as (

    {{ at_every_level('counted') }}

),

membership as (

    select
        school_year,
        org_level,
        org_id,
        count(distinct student_id) as students

    from counted_at_every_level
    group by all

),

-- Money at a school without members is money over nobody, and not over an unknown number.
pupils as (

    select
        school_year,
        org_level,
        org_id,
        'finance_pupils' as measure,
        coalesce(students, 0) as amount

    from spending
    full join membership using (school_year, org_level, org_id)
    where school_year in (select school_year from ledger_loads)

),

dollars as (

    unpivot spending
    on
        expenditure, expenditure_federal, expenditure_state, expenditure_local,
        expenditure_personnel, expenditure_nonpersonnel
    into name measure value amount

),

observations as (

    select * from dollars
    inner join ledger_loads using (school_year)

    union all by name

    -- Where no enrollment is loaded, pupils are unknown, and nothing is said of them.
    select * from pupils
    inner join enrollment_loads using (school_year)

),

final as (

    select {{ observed() }}
    from (select *, 'all' as group_category, 'all' as group_value from observations)

)

select * from final
