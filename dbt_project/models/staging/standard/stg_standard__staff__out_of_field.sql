with

source as (

    select * from {{ source('standard_lake', 'staff_assignment') }}

),

loads as (

    {{ loads_of('source') }}

),

-- Any one of a course's endorsements entitles to teach it.
courses as (

    select course_code, list(endorsement) as endorsements
    from {{ ref('course_endorsements') }}
    where state = '{{ var("state") }}'
    group by course_code

),

teaching as (

    select
        cast(source.school_year as integer) as school_year,
        source.lea_id,
        source.school_id,
        cast(source.fte as decimal(18, 6)) as fte,
        case
            when courses.endorsements is null then coalesce(source.is_out_of_field = 'Y', false)
            else not list_has_any(
                courses.endorsements,
                regexp_split_to_array(trim(coalesce(source.endorsements, '')), '\s*;\s*')
            )
        end as is_out_of_field

    from source
    left join courses on source.course_code = courses.course_code
    where source.staff_class in ('PKTCH', 'KGTCH', 'ELMTCH', 'SECTCH', 'UGTCH')

),

teaching_at_every_level as (

    {{ at_every_level('teaching') }}

),

observations as (

    select
        school_year,
        org_level,
        org_id,
        'out_of_field_fte' as measure,
        'all' as group_category,
        'all' as group_value,
        coalesce(sum(fte) filter (where is_out_of_field), 0) as amount

    from teaching_at_every_level
    group by all

),

final as (

    select {{ observed() }}
    from observations
    left join loads using (school_year)

)

select * from final
