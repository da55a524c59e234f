{# Files that give a district's code beside its name, and files that give the name alone. #}
{%- set with_codes = [
    'enrollment', 'enrollment_by_race', 'enrollment_by_sex', 'enrollment_by_english_learner',
    'enrollment_by_disability', 'enrollment_by_lunch', 'enrollment_by_grade', 'chronic_absence',
    'chronic_absence_by_race', 'chronic_absence_by_sex', 'chronic_absence_by_english_learner',
    'chronic_absence_by_disability', 'chronic_absence_by_lunch', 'chronic_absence_by_grade'
] -%}
{%- set with_names = ['spending', 'staffing'] -%}

with

enrollment as (

    select * from {{ source('lake', 'ct_enrollment') }}

),

district_names as (

    select * from {{ ref('ct_district_names') }}

),

kinds as (

    select code as kind, label as org_type
    from {{ ref('code_set') }}
    where state = 'ct' and code_set = 'district_kind'

),

reported_on as (

    {% for extract in with_codes -%}
    select distinct school_year, {{ ct_org_id('district_code') }} as org_id, district as name, _file
    from {{ source('lake', 'ct_' ~ extract) }}
    union all
    {% endfor %}
    {%- for extract in with_names -%}
    select distinct
        reported.school_year,
        coalesce(district_names.district_code, reported.district) as org_id,
        reported.district as name,
        reported._file
    from {{ source('lake', 'ct_' ~ extract) }} as reported
    left join district_names on reported.district = district_names.district_name
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- Enrollment is the nearest to a directory that the exports have.
listed as (

    select
        school_year,
        {{ ct_org_id('district_code') }} as org_id,
        district as name,
        'open' as status,
        _file
    from enrollment
    where district_code is not null

),

-- Any of the files that name it will do; the same one every time.
unlisted as (

    select
        reported_on.school_year,
        reported_on.org_id,
        min(reported_on.name) as name,
        'unlisted' as status,
        min(reported_on._file) as _file
    from reported_on
    anti join listed using (school_year, org_id)
    where reported_on.org_id <> {{ ct_state_id() }}
    group by all

),

districts as (

    select * from listed
    union all by name
    select * from unlisted

),

organizations as (

    select
        districts.school_year,
        'LEA' as org_level,
        districts.org_id,
        {{ ct_state_id() }} as parent_org_id,
        districts.name,
        coalesce(kinds.org_type, 'other public agency') as org_type,
        coalesce(kinds.org_type = 'charter school', false) as is_charter,
        districts.status,
        districts._file
    from districts
    left join kinds
        on
            regexp_full_match(districts.org_id, '[0-9]{7}')
            and right(districts.org_id, 2) = kinds.kind

    union all by name

    select
        school_year,
        'SEA' as org_level,
        {{ ct_state_id() }} as org_id,
        'Connecticut' as name,
        'state' as org_type,
        false as is_charter,
        'open' as status,
        min(_file) as _file
    from reported_on
    group by school_year

),

final as (

    select
        'ct' as state,
        school_year,
        org_level,
        org_id,
        parent_org_id,
        nces_ids.nces_id,
        name,
        org_type,
        -- A town's own district bears its name; one of several towns or of none is in no one county.
        towns.county,
        towns.region,
        cast(null as varchar) as grade_low,
        cast(null as varchar) as grade_high,
        is_charter,
        cast(null as boolean) as title_i,
        status,
        _file as source_load
    from organizations
    left join {{ ref('ct_districts') }} as nces_ids
        on organizations.org_level = 'LEA' and organizations.org_id = nces_ids.agency_code
    left join {{ ref('ct_towns') }} as towns
        on organizations.org_level = 'LEA' and organizations.name = towns.town || ' School District'

)

select * from final
