with

source as (

    select * from {{ source('standard_lake', 'directory') }}

),

renamed as (

    select
        ---------- keys
        cast(school_year as integer) as school_year,
        org_level,
        org_id,
        coalesce(parent_org_id, {{ state_org_id() }}) as parent_org_id,
        nces_id,

        ---------- what it is
        name,
        org_type,
        county,
        region,
        grade_low,
        grade_high,
        is_charter = 'Y' as is_charter,
        title_i = 'Y' as title_i,
        status,
        _file as source_load

    from source

),

-- The directory lists what the state agency answers for, and not the agency itself.
state_agency as (

    select
        school_year,
        'SEA' as org_level,
        {{ state_org_id() }} as org_id,
        '{{ var("state_name", var("state") | upper) | replace("'", "''") }}' as name,
        'STATE' as org_type,
        'open' as status,
        max(source_load) as source_load

    from renamed
    group by school_year

),

final as (

    select
        '{{ var("state") }}' as state,
        *

    from (
        select * from renamed
        union all by name
        select * from state_agency
    )

)

select * from final
