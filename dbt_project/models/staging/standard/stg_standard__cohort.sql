with

source as (

    select * from {{ source('standard_lake', 'graduation_cohort') }}

),

renamed as (

    select
        ---------- keys
        cast(school_year as integer) as school_year,
        lea_id,
        school_id,
        student_id,

        ---------- groups
        {{ race_of_seven() }} as race,
        sex,
        {{ either('economically_disadvantaged', 'ECODIS', 'NECODIS') }} as economic,
        {{ either('english_learner', 'EL', 'NEL') }} as english_learner,
        {{ either('idea', 'IDEA', 'NIDEA') }} as disability,
        case when homeless is null then 'N' else 'Y' end as homeless,
        foster,
        military,
        migrant,

        ---------- measures
        cast(school_year as integer) - cast(cohort_year as integer) as extra_years,
        graduated = 'Y' and cast(years as integer) <= 4 + extra_years as is_graduate,

        _file

    from source

)

select * from renamed
