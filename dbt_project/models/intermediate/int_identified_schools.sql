{#
    Schools of the identification file, one row each, with those of which a row was set aside. It reads no
    number about a person, so it is public, and reviews may read it on either side of disclosure control.
#}
with

identification as (

    select * from {{ ref('int_identification') }}

),

organizations as (

    select * from {{ ref('int_organizations') }}

),

identification_files as (

    select distinct state, school_year, source_load from identification

),

told as (

    select
        state,
        school_year,
        org_id,
        bool_or(amount = 1) filter (where measure = 'csi') as is_csi,
        bool_or(amount = 1) filter (where measure = 'tsi') as is_tsi,
        bool_or(amount = 1) filter (where measure = 'atsi') as is_atsi,
        bool_or(amount = 1) filter (where measure = 'low_performing') as is_low_performing,
        bool_or(amount = 1) filter (where measure = 'low_graduation') as is_low_graduation,
        'reported' as status
    from identification
    where org_level = 'SCH'
    group by all

),

-- What a quarantined row would have said of a school is not "not identified".
lost as (

    select distinct
        identification_files.state,
        set_aside.school_year,
        set_aside.org_id,
        'missing' as status
    from {{ source('quarantine', 'set_aside') }} as set_aside
    inner join identification_files
        on
            set_aside.school_year = identification_files.school_year
            and set_aside.source_load = identification_files.source_load
    anti join told
        on
            set_aside.school_year = told.school_year
            and set_aside.org_id = told.org_id

),

schools as (

    select * from told
    union all by name
    select * from lost

),

final as (

    select
        schools.state,
        schools.school_year,
        coalesce(schools.org_id, 'unknown') as org_id,
        organizations.parent_org_id as lea_id,
        schools.is_csi,
        schools.is_tsi,
        schools.is_atsi,
        schools.is_low_performing,
        schools.is_low_graduation,
        -- A school that is both TSI and ATSI is one school.
        schools.is_tsi or schools.is_atsi as is_targeted,
        schools.is_csi or schools.is_tsi or schools.is_atsi as is_identified,
        nullif(
            concat_ws(
                ', ',
                case when schools.is_csi then 'CSI' end,
                case when schools.is_tsi then 'TSI' end,
                case when schools.is_atsi then 'ATSI' end
            ),
            ''
        ) as designations,
        schools.status
    from schools
    left join organizations
        on
            schools.state = organizations.state
            and schools.school_year = organizations.school_year
            and schools.org_id = organizations.org_id
            and organizations.org_level = 'SCH'

)

select * from final
