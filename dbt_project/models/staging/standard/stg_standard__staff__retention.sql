with

source as (

    select * from {{ source('standard_lake', 'staff_assignment') }}

),

years as (

    select cast(school_year as integer) as school_year, source_load
    from ({{ loads_of('source') }})

),

teaching as (

    select distinct
        cast(school_year as integer) as school_year,
        lea_id,
        school_id,
        staff_id

    from source
    where staff_class in ('PKTCH', 'KGTCH', 'ELMTCH', 'SECTCH', 'UGTCH')

),

-- Where each teacher of a year is in the next. The last year that was sent has no next one and is
-- not asked. Numbers of staff are the same keyed hash in every year.
followed as (

    select
        this_year.school_year,
        this_year.lea_id,
        this_year.school_id,
        this_year.staff_id,
        coalesce(bool_or(
            this_year.school_id = next_year.school_id
            and (this_year.school_id <> 'CENTRAL' or this_year.lea_id = next_year.lea_id)
        ), false) as is_at_the_same_school,
        coalesce(bool_or(this_year.lea_id = next_year.lea_id), false) as is_in_the_same_lea,
        count(next_year.staff_id) > 0 as still_teaches

    from teaching as this_year
    inner join years on this_year.school_year + 1 = years.school_year
    left join teaching as next_year
        on
            this_year.school_year + 1 = next_year.school_year
            and this_year.staff_id = next_year.staff_id
    group by all

),

followed_at_every_level as (

    {{ at_every_level('followed') }}

),

-- People, not assignments. For an LEA a move inside it is retention; for the state a teacher stays at
-- a school, as in the national survey.
fates as (

    select
        school_year,
        org_level,
        org_id,
        staff_id,
        bool_or(if(org_level = 'LEA', is_in_the_same_lea, is_at_the_same_school)) as stays,
        bool_or(still_teaches) as still_teaches

    from followed_at_every_level
    group by all

),

teachers as (

    unpivot (
        select
            school_year,
            org_level,
            org_id,
            school_year + 1 as other_year,
            count(*) filter (where stays) as teacher_stayers,
            count(*) filter (where still_teaches and not stays) as teacher_movers,
            count(*) filter (where not still_teaches) as teacher_leavers

        from fates
        group by all
    )
    on teacher_stayers, teacher_movers, teacher_leavers
    into name measure value amount

),

heading as (

    select distinct
        cast(school_year as integer) as school_year,
        lea_id,
        school_id,
        staff_id

    from source
    where is_principal = 'Y'

),

-- Whoever headed a school three years ago, if somebody heads it now; it is the school's LEA of now.
posts as (

    select
        now.school_year,
        now.lea_id,
        now.school_id,
        earlier.staff_id,
        bool_or(now.staff_id = earlier.staff_id) as is_still_there

    from heading as now
    inner join heading as earlier
        on
            now.school_year - 3 = earlier.school_year
            and now.school_id = earlier.school_id
    group by all

),

posts_at_every_level as (

    {{ at_every_level('posts') }}

),

principals as (

    unpivot (
        select
            school_year,
            org_level,
            org_id,
            school_year - 3 as other_year,
            count(*) as principals_3yr_before,
            count(*) filter (where not is_still_there) as principals_gone_3yr

        from posts_at_every_level
        group by all
    )
    on principals_3yr_before, principals_gone_3yr
    into name measure value amount

),

-- Both years' files are named.
observations as (

    select
        followed.*,
        'all' as group_category,
        'all' as group_value,
        years.source_load || ' ' || other_years.source_load as source_load

    from (
        select * from teachers
        union all by name
        select * from principals
    ) as followed
    left join years using (school_year)
    left join years as other_years on followed.other_year = other_years.school_year

),

final as (

    select {{ observed() }}
    from observations

)

select * from final
