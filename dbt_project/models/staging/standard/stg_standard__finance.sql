with

ledger as (

    select * from {{ source('standard_lake', 'finance_ledger') }}

),

relief_listings as (

    select assistance_listing from {{ ref('relief_listings') }} where is_esser

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

-- Spent, not planned or ordered. Total spending is all expenditure; current is instruction, support, food
-- services and enterprises, without capital objects and without what `exclusion` marks.
spent as (

    select
        cast(ledger.school_year as integer) as school_year,
        ledger.lea_id,
        ledger.school_id,
        ledger.source as fund_source,
        case when ledger.source = 'FED' then 'FED' else 'STATE_LOCAL' end as source,
        case when left(ledger.object, 1) in ('1', '2') then 'PERSONNEL' else 'NONPERSONNEL' end as kind,
        (left(ledger.function, 1) in ('1', '2') or left(ledger.function, 2) in ('31', '32'))
        and left(ledger.object, 1) <> '7'
        and ledger.exclusion is null as is_current,
        relief_listings.assistance_listing is not null as is_relief,
        cast(ledger.amount as decimal(18, 2)) as dollars

    from ledger
    left join relief_listings using (assistance_listing)
    where ledger.basis = 'actual'

),

spent_at_every_level as (

    {{ at_every_level('spent') }}

),

spending as (

    select
        school_year,
        org_level,
        org_id,
        coalesce(sum(dollars) filter (where fund_source = 'FED'), 0) as expenditure_federal,
        coalesce(sum(dollars) filter (where fund_source = 'STATE'), 0) as expenditure_state,
        coalesce(sum(dollars) filter (where fund_source = 'LOCAL'), 0) as expenditure_local,
        coalesce(sum(dollars) filter (where source = 'STATE_LOCAL'), 0) as expenditure_state_local,
        coalesce(sum(dollars) filter (where kind = 'PERSONNEL'), 0) as expenditure_personnel,
        coalesce(sum(dollars) filter (where kind = 'NONPERSONNEL'), 0) as expenditure_nonpersonnel

    from spent_at_every_level
    group by all

),

-- By source, by kind and by both, as school report cards show them. Of an agency that has a ledger, what
-- it has no line for is nothing spent.
groups as (

    select 'all' as group_category, 'all' as group_value, null as source, null as kind
    union all
    select 'source', source, source, null from (values ('FED'), ('STATE_LOCAL')) as sources (source)
    union all
    select 'kind', kind, null, kind from (values ('PERSONNEL'), ('NONPERSONNEL')) as kinds (kind)
    union all
    select 'source*kind', source || '*' || kind, source, kind
    from (values ('FED'), ('STATE_LOCAL')) as sources (source)
    cross join (values ('PERSONNEL'), ('NONPERSONNEL')) as kinds (kind)

),

spent_by_source_and_kind as (

    select
        school_year,
        org_level,
        org_id,
        source,
        kind,
        sum(dollars) as expenditure,
        coalesce(sum(dollars) filter (where is_current), 0) as expenditure_current,
        coalesce(sum(dollars) filter (where is_relief), 0) as expenditure_relief

    from spent_at_every_level
    group by all

),

spending_by_group as (

    select
        spending.school_year,
        spending.org_level,
        spending.org_id,
        groups.group_category,
        groups.group_value,
        coalesce(sum(parts.expenditure), 0) as expenditure,
        coalesce(sum(parts.expenditure_current), 0) as expenditure_current,
        coalesce(sum(parts.expenditure_relief), 0) as expenditure_relief

    from spending
    cross join groups
    left join spent_by_source_and_kind as parts
        on
            spending.school_year = parts.school_year
            and spending.org_level = parts.org_level
            and spending.org_id = parts.org_id
            and coalesce(groups.source, parts.source) = parts.source
            and coalesce(groups.kind, parts.kind) = parts.kind
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
        'all' as group_category,
        'all' as group_value,
        'finance_pupils' as measure,
        coalesce(students, 0) as amount

    from spending
    full join membership using (school_year, org_level, org_id)
    where school_year in (select school_year from ledger_loads)

),

dollars as (

    select *, 'all' as group_category, 'all' as group_value
    from (
        unpivot spending
        on
            expenditure_federal, expenditure_state, expenditure_local, expenditure_state_local,
            expenditure_personnel, expenditure_nonpersonnel
        into name measure value amount
    )

    union all by name

    unpivot spending_by_group
    on expenditure, expenditure_current, expenditure_relief
    into name measure value amount

),

observations as (

    select * from dollars
    inner join ledger_loads using (school_year)
    -- Relief money is all federal; of it, only the kind is a question.
    where measure <> 'expenditure_relief' or group_category in ('all', 'kind')

    union all by name

    -- Where no enrollment is loaded, pupils are unknown, and nothing is said of them.
    select * from pupils
    inner join enrollment_loads using (school_year)

),

final as (

    select {{ observed() }} from observations

)

select * from final
