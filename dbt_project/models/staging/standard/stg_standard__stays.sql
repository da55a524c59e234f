with

source as (

    select * from {{ source('standard_lake', 'student_enrollment') }}

),

renamed as (

    select
        ---------- keys
        cast(school_year as integer) as school_year,
        lea_id,
        school_id,
        student_id,
        _row,

        ---------- groups
        {{ race_of_seven() }} as race,
        sex,
        {{ either('economically_disadvantaged', 'ECODIS', 'NECODIS') }} as economic,
        {{ either('english_learner', 'EL', 'NEL') }} as english_learner,
        {{ either('idea', 'IDEA', 'NIDEA') }} as disability,
        case when section_504 = 'Y' then 'S504' end as section_504,
        case when homeless is null then 'N' else 'Y' end as homeless,
        foster,
        military,
        migrant,
        el_tier,
        -- The needs of the state's funding formula, 01 to 10.
        list_filter([
            {%- for need in range(1, 11) %}
            case when need_{{ need }} = 'Y' then '{{ '%02d' % need }}' end{{ ',' if not loop.last }}
            {%- endfor %}
        ], need -> need is not null) as needs,
        grade,

        ---------- measures
        cast(fte as decimal(9, 6)) as fte,
        coalesce(grade in ('09', '10', '11', '12'), false) as is_grade_9_12,
        coalesce(count_date = 'Y', false) as is_counted,
        coalesce(ap = 'Y', false) as is_ap,
        coalesce(ib = 'Y', false) as is_ib,
        coalesce(dual_enrollment = 'Y', false) as is_dual,
        cast(days_in_session as integer) as days_in_session,
        cast(days_enrolled as integer) as days_enrolled,
        cast(days_absent as integer) as days_absent,
        cast(out_of_school_suspensions as integer) as suspensions,

        ---------- dates
        cast(entry_date as date) as entry_date,
        _file

    from source

)

select * from renamed
