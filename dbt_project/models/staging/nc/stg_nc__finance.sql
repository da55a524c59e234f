with

school_spending as (

    select * from {{ source('lake', 'nc_school_spending') }}

),

district_spending as (

    select * from {{ source('lake', 'nc_district_spending') }}

),

categories as (

    select code as category, group_value as kind
    from {{ ref('code_set') }}
    where state = 'nc' and code_set = 'expenditure_category'

),

-- 2019: dollars by school. The file's total is the sum of its categories; it is used as given. Personnel
-- is salaries and benefits, and is not known where one of the two is not.
dollars as (

    select
        school_spending.school_year,
        school_spending.agency_code,
        sum({{ number('total_dollars') }}) filter (where kind = 'total') as expenditure,
        sum({{ number('federal_dollars') }}) filter (where kind = 'total') as expenditure_federal,
        sum({{ number('state_dollars') }}) filter (where kind = 'total') as expenditure_state,
        sum({{ number('local_dollars') }}) filter (where kind = 'total') as expenditure_local,
        case
            when count(*) filter (where kind = 'personnel') = 2
                then sum({{ number('total_dollars') }}) filter (where kind = 'personnel')
        end as expenditure_personnel,
        expenditure - expenditure_personnel as expenditure_nonpersonnel,
        max({{ number('pupils') }}) as finance_pupils,
        school_spending._file
    from school_spending
    inner join categories using (category)
    group by all

),

one_row_per_measure as (

    from dollars
    unpivot include nulls (
        amount for measure in (
            expenditure, expenditure_federal, expenditure_state, expenditure_local,
            expenditure_personnel, expenditure_nonpersonnel, finance_pupils
        )
    )

),

-- 2018: dollars per pupil by district and charter, and shares by object; no dollars, no pupils.
per_pupil as (

    select
        school_year,
        agency_code,
        {{ number('total_per_pupil') }} as ppe_total,
        {{ number('federal_per_pupil') }} as ppe_federal,
        {{ number('state_per_pupil') }} as ppe_state,
        {{ number('local_per_pupil') }} as ppe_local,
        {{ number('total_per_pupil') }}
        * ({{ number('salary_share') }} + {{ number('benefits_share') }}) as ppe_personnel,
        {{ number('total_per_pupil') }}
        * (1 - {{ number('salary_share') }} - {{ number('benefits_share') }}) as ppe_nonpersonnel,
        _file
    from district_spending

),

one_row_per_rate as (

    from per_pupil
    unpivot include nulls (
        amount for measure in (
            ppe_total, ppe_federal, ppe_state, ppe_local, ppe_personnel, ppe_nonpersonnel
        )
    )

),

observations as (

    select *, {{ nc_level('agency_code') }} as org_level from one_row_per_measure

    union all by name

    -- A charter school stands in this file as the agency that it is.
    select
        *,
        case when agency_code = 'NC-SEA' then 'SEA' else 'LEA' end as org_level
    from one_row_per_rate

),

final as (

    select
        'nc' as state,
        school_year,
        org_level,
        agency_code as org_id,
        measure,
        'all' as group_category,
        'all' as group_value,
        amount,
        case when amount is null then 'missing' else 'reported' end as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from observations

)

select * from final
