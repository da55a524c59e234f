{# Files that name organizations; the directory does not list all of those that the others report on. #}
{%- set reporting = [
    'membership', 'average_daily_membership', 'economically_disadvantaged', 'prekindergarten',
    'chronic_absence', 'cohort_graduation', 'class_size', 'discipline', 'advanced_courses_2018',
    'advanced_courses', 'district_spending', 'school_spending', 'teachers', 'educator_experience',
    'licenses', 'teacher_effectiveness', 'cte_enrollment', 'cte_concentrators', 'cte_credentials',
    'essa_designation'
] -%}
{#- Years without a directory: who they report on is known by the codes, and from the directories of other years. #}

with

directory as (

    select * from {{ source('lake', 'nc_directory') }}

),

membership as (

    select * from {{ source('lake', 'nc_membership') }}

),

reported_on as (

    {% for extract in reporting -%}
    select distinct school_year, agency_code, _file from {{ source('lake', 'nc_' ~ extract) }}
    union all
    {% endfor %}

    select distinct school_year, agency_code, _file from {{ source('lake', 'nc_cte_concentrators_of_years') }}
    where {{ whole('reported_year') }} = school_year
    union all

    -- A school all of whose rows were set aside is a school all the same.
    select school_year, org_id, source_load
    from {{ source('quarantine', 'set_aside') }}
    where regexp_full_match(org_id, '[0-9]{2}[0-9A-Z][0-9]{3}|[0-9]{3}LEA|NC-SEA')

),

unlisted as (

    select
        reported_on.school_year,
        reported_on.agency_code,
        -- Any of the files that name it will do; the same one every time.
        min(reported_on._file) as _file
    from reported_on
    anti join directory using (school_year, agency_code)
    group by all

),

-- What the nearest directory says of an organization that this year's does not list, or where there is none.
known_elsewhere as (

    select
        unlisted.school_year,
        unlisted.agency_code,
        arg_min(directory.name, abs(directory.school_year - unlisted.school_year)) as name,
        arg_min(directory.county, abs(directory.school_year - unlisted.school_year)) as county
    from unlisted
    inner join directory using (agency_code)
    group by all

),

named as (

    select
        school_year,
        agency_code,
        agency_level,
        coalesce(lea_code, case when agency_level = 'LEA' then agency_code end) as lea_code,
        name,
        school_type,
        county,
        grade_span,
        coalesce(designation = 'C', false) as is_charter,
        coalesce(title_i = 'Y', false) as title_i,
        'open' as status,
        _file
    from directory

    union all

    select
        unlisted.school_year,
        unlisted.agency_code,
        case
            when unlisted.agency_code = 'NC-SEA' then 'SEA'
            when unlisted.agency_code like '%LEA' then 'LEA'
            else 'SCH'
        end as agency_level,
        case
            when regexp_full_match(unlisted.agency_code, '[0-9]{2}[A-Z][0-9]{3}') then 'CH'
            when unlisted.agency_code <> 'NC-SEA' then left(unlisted.agency_code, 3) || 'LEA'
        end as lea_code,
        coalesce(membership.school_name, known_elsewhere.name) as name,
        cast(null as varchar) as school_type,
        known_elsewhere.county,
        cast(null as varchar) as grade_span,
        regexp_full_match(unlisted.agency_code, '[0-9]{2}[A-Z][0-9]{3}') as is_charter,
        cast(null as boolean) as title_i,
        case
            when {{ whole('membership.reported_year') }} < unlisted.school_year then 'closed'
            else 'unlisted'
        end as status,
        unlisted._file
    from unlisted
    left join membership using (school_year, agency_code)
    left join known_elsewhere using (school_year, agency_code)

),

schools as (

    select
        school_year,
        'SCH' as org_level,
        agency_code as org_id,
        -- A charter school is its own local education agency.
        case when lea_code = 'CH' then agency_code else lea_code end as parent_org_id,
        name,
        school_type as org_type,
        county,
        grade_span,
        is_charter,
        title_i,
        status,
        _file
    from named
    where agency_level = 'SCH'

),

district_names as (

    select agency_code as org_id, max_by(name, school_year) as name
    from directory
    where agency_level = 'LEA'
    group by all

    union all

    select left(agency_code, 3) || 'LEA' as org_id, max_by(lea_name, school_year) as name
    from membership
    anti join directory
        on
            directory.agency_code = left(membership.agency_code, 3) || 'LEA'
            and directory.agency_level = 'LEA'
    group by all

),

-- In 2019 the directory lists schools only; their districts are known by them.
districts as (

    select
        schools.school_year,
        'LEA' as org_level,
        schools.parent_org_id as org_id,
        'NC-SEA' as parent_org_id,
        case
            when bool_or(schools.is_charter) then any_value(schools.name)
            else any_value(district_names.name)
        end as name,
        case
            when bool_or(schools.is_charter) then 'charter school'
            when any_value(district_names.name) is not null then 'school district'
            else 'other public agency'
        end as org_type,
        -- A district in more than one county has none.
        case when count(distinct schools.county) = 1 then any_value(schools.county) end as county,
        case when bool_or(schools.is_charter) then any_value(schools.grade_span) end as grade_span,
        bool_or(schools.is_charter) as is_charter,
        cast(null as boolean) as title_i,
        case when bool_or(schools.status = 'open') then 'open' else 'unlisted' end as status,
        min(schools._file) as _file
    from schools
    left join district_names on schools.parent_org_id = district_names.org_id
    group by all

),

districts_alone as (

    select
        named.school_year,
        'LEA' as org_level,
        named.agency_code as org_id,
        'NC-SEA' as parent_org_id,
        named.name,
        'other public agency' as org_type,
        named.county,
        cast(null as varchar) as grade_span,
        false as is_charter,
        cast(null as boolean) as title_i,
        named.status,
        named._file
    from named
    anti join districts
        on named.school_year = districts.school_year and named.agency_code = districts.org_id
    where named.agency_level = 'LEA'

),

the_state as (

    select
        school_year,
        'SEA' as org_level,
        'NC-SEA' as org_id,
        cast(null as varchar) as parent_org_id,
        'North Carolina' as name,
        'state' as org_type,
        cast(null as varchar) as county,
        cast(null as varchar) as grade_span,
        false as is_charter,
        cast(null as boolean) as title_i,
        'open' as status,
        min(_file) as _file
    from named
    group by all

),

organizations as (

    select * from schools
    union all by name
    select * from districts
    union all by name
    select * from districts_alone
    union all by name
    select * from the_state

),

final as (

    select
        'nc' as state,
        school_year,
        org_level,
        org_id,
        parent_org_id,
        nces_ids.nces_id,
        name,
        org_type,
        organizations.county,
        -- The area of the wage survey that the county is in today, whatever the school year.
        counties.region,
        {{ nc_grade_low('grade_span') }} as grade_low,
        {{ nc_grade_high('grade_span') }} as grade_high,
        is_charter,
        title_i,
        status,
        _file as source_load
    from organizations
    left join {{ ref('nc_districts') }} as nces_ids
        on organizations.org_level = 'LEA' and organizations.org_id = nces_ids.agency_code
    left join {{ ref('nc_counties') }} as counties on organizations.county = counties.county

)

select * from final
