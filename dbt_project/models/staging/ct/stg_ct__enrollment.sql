{# Files whose columns are groups: the file, and the category of the groups. #}
{%- set files = {
    'race': 'race',
    'sex': 'sex',
    'english_learner': 'english_learner',
    'disability': 'disability',
    'lunch': 'lunch',
    'grade': 'grade',
} -%}

with

everyone as (

    select * from {{ source('lake', 'ct_enrollment') }}

),

{% for file in files -%}
by_{{ file }} as (

    select * exclude (_row) from {{ source('lake', 'ct_enrollment_by_' ~ file) }}

),

{% endfor -%}
one_row_per_group as (

    select
        school_year,
        district_code,
        'all' as group_category,
        'all' as group_value,
        students,
        _file
    from everyone

    {% for file, category in files.items() %}
    union all

    select
        school_year,
        district_code,
        '{{ category }}' as group_category,
        upper(replace(student_group, 'grade_', '')) as group_value,
        students,
        _file
    from by_{{ file }}
    unpivot include nulls (
        students for student_group in (* exclude (school_year, district, district_code, _file))
    )
    {% endfor %}
),

counted as (

    select
        school_year,
        district_code,
        group_category,
        group_value,
        {{ ct_amount('students') }} as amount,
        {{ ct_status('students') }} as status,
        _file
    from one_row_per_group

),

-- Eligible for free or for reduced-price meals; with one of the two masked, their sum is unknown.
economic as (

    select
        school_year,
        district_code,
        'economic' as group_category,
        case when group_value = 'P' then 'NECODIS' else 'ECODIS' end as group_value,
        {{ complete_sum('amount', 'status', 'false') }} as amount,
        {{ status_of_sum('status', 'false') }} as status,
        _file
    from counted
    where group_category = 'lunch'
    group by
        school_year,
        district_code,
        case when group_value = 'P' then 'NECODIS' else 'ECODIS' end,
        _file

),

observations as (

    select * from counted
    union all by name
    select * from economic

),

final as (

    select
        'ct' as state,
        school_year,
        {{ ct_level('district_code') }} as org_level,
        {{ ct_org_id('district_code') }} as org_id,
        'membership' as measure,
        group_category,
        group_value,
        amount,
        status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from observations

)

select * from final
