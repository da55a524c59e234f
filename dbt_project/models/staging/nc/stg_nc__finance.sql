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
        {%- for source in ('total', 'federal', 'state', 'local') %}
        sum({{ number(source ~ '_dollars') }}) filter (where kind = 'total') as {{ source }},
        case
            when count(*) filter (where kind = 'personnel') = 2
                then sum({{ number(source ~ '_dollars') }}) filter (where kind = 'personnel')
        end as {{ source }}_personnel,
        {%- endfor %}
        max({{ number('pupils') }}) as finance_pupils,
        school_spending._file
    from school_spending
    inner join categories using (category)
    group by all

),

one_row_per_measure as (

    select
        school_year,
        agency_code,
        _file,
        unnest([
            {'measure': 'expenditure', 'group_category': 'all', 'group_value': 'all', 'amount': total},
            {'measure': 'expenditure_federal', 'group_category': 'all', 'group_value': 'all', 'amount': federal},
            {'measure': 'expenditure_state', 'group_category': 'all', 'group_value': 'all', 'amount': state},
            {'measure': 'expenditure_local', 'group_category': 'all', 'group_value': 'all', 'amount': local},
            {
                'measure': 'expenditure_state_local', 'group_category': 'all', 'group_value': 'all',
                'amount': state + local
            },
            {
                'measure': 'expenditure_personnel', 'group_category': 'all', 'group_value': 'all',
                'amount': total_personnel
            },
            {
                'measure': 'expenditure_nonpersonnel', 'group_category': 'all', 'group_value': 'all',
                'amount': total - total_personnel
            },
            {'measure': 'finance_pupils', 'group_category': 'all', 'group_value': 'all', 'amount': finance_pupils},
            {%- for source, dollars, personnel in (
                ('', 'total', 'total_personnel'),
                ('FED', 'federal', 'federal_personnel'),
                ('STATE_LOCAL', '(state + local)', '(state_personnel + local_personnel)'),
            ) %}
            {%- set category, prefix = ('source*kind', source ~ '*') if source else ('kind', '') %}
            {%- if source %}
            {
                'measure': 'expenditure', 'group_category': 'source', 'group_value': '{{ source }}',
                'amount': {{ dollars }}
            },
            {%- endif %}
            {
                'measure': 'expenditure', 'group_category': '{{ category }}',
                'group_value': '{{ prefix }}PERSONNEL', 'amount': {{ personnel }}
            },
            {
                'measure': 'expenditure', 'group_category': '{{ category }}',
                'group_value': '{{ prefix }}NONPERSONNEL', 'amount': {{ dollars }} - {{ personnel }}
            }{{ ',' if not loop.last }}
            {%- endfor %}
        ], recursive := true)
    from dollars

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
        {{ number('state_per_pupil') }} + {{ number('local_per_pupil') }} as ppe_state_local,
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
            ppe_total, ppe_federal, ppe_state, ppe_local, ppe_state_local, ppe_personnel, ppe_nonpersonnel
        )
    )

),

observations as (

    select *, {{ nc_level('agency_code') }} as org_level from one_row_per_measure

    union all by name

    -- A charter school stands in this file as the agency that it is.
    select
        *,
        case when agency_code = 'NC-SEA' then 'SEA' else 'LEA' end as org_level,
        'all' as group_category,
        'all' as group_value
    from one_row_per_rate

),

final as (

    select
        'nc' as state,
        school_year,
        org_level,
        agency_code as org_id,
        measure,
        group_category,
        group_value,
        amount,
        case when amount is null then 'missing' else 'reported' end as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from observations

)

select * from final
