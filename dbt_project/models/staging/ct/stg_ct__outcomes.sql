{# Files with a row for each group; the code set that its labels are in has the same name. #}
{%- set files = ['race', 'sex', 'english_learner', 'disability', 'lunch', 'grade'] -%}

with

everyone as (

    select * from {{ source('lake', 'ct_chronic_absence') }}

),

groups as (

    select
        code_set,
        code as student_group,
        group_category,
        group_value
    from {{ ref('code_set') }}
    where state = 'ct'

),

by_group as (

    {% for file in files -%}
    select school_year, district_code, '{{ file }}' as code_set, student_group, percent, _file
    from {{ source('lake', 'ct_chronic_absence_by_' ~ file) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

percentages as (

    select
        school_year,
        district_code,
        'all' as group_category,
        'all' as group_value,
        percent,
        _file
    from everyone

    union all by name

    select by_group.* exclude (code_set, student_group), groups.group_category, groups.group_value
    from by_group
    inner join groups using (code_set, student_group)

),

rates as (

    select
        school_year,
        district_code,
        group_category,
        group_value,
        {{ ct_amount('percent') }} / 100 as amount,
        {{ ct_status('percent') }} as status,
        _file
    from percentages

),

observations as (

    select * from rates

    union all by name

    -- Not eligible for free or reduced-price meals is not economically disadvantaged.
    select * replace ('economic' as group_category, 'NECODIS' as group_value)
    from rates
    where group_category = 'lunch' and group_value = 'P'

    union all by name

    -- Two rates without their denominators have no rate together.
    select distinct
        school_year,
        district_code,
        'economic' as group_category,
        'ECODIS' as group_value,
        'not_collected' as status,
        _file
    from rates
    where group_category = 'lunch'

    union all by name

    -- The state stands in the files by group only.
    select distinct
        school_year,
        {{ ct_state_id() }} as district_code,
        'all' as group_category,
        'all' as group_value,
        'not_collected' as status,
        _file
    from everyone

),

final as (

    select
        'ct' as state,
        school_year,
        {{ ct_level('district_code') }} as org_level,
        {{ ct_org_id('district_code') }} as org_id,
        'chronic_absence_rate' as measure,
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
