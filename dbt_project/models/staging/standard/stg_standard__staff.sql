with

source as (

    select * from {{ source('standard_lake', 'staff_assignment') }}

),

loads as (

    {{ loads_of('source') }}

),

-- The extract is a snapshot of the fall count date: how an assignment ended later changes nothing.
assignments as (

    select
        cast(school_year as integer) as school_year,
        lea_id,
        school_id,
        staff_id,
        staff_class,
        staff_class in ('PKTCH', 'KGTCH', 'ELMTCH', 'SECTCH', 'UGTCH') as is_teacher,
        coalesce(is_principal = 'Y', false) as is_principal,
        cast(fte as decimal(18, 6)) as fte,
        cast(prior_years as integer) as prior_years,
        credential_type in ('PROVISIONAL', 'EMERGENCY') as is_provisional

    from source

),

assignments_at_every_level as (

    {{ at_every_level('assignments') }}

),

fte_by_class as (

    select
        school_year,
        org_level,
        org_id,
        staff_class as group_value,
        sum(fte) as amount

    from assignments_at_every_level
    group by all

    union all by name

    -- Where there is staff and nobody teaches, teachers are none and not unknown.
    select
        school_year,
        org_level,
        org_id,
        'TCH' as group_value,
        coalesce(sum(fte) filter (where is_teacher), 0) as amount

    from assignments_at_every_level
    group by all

),

-- People, not assignments. Where assignments of one person disagree, the longest experience is
-- believed, since experience never falls.
people as (

    select
        school_year,
        org_level,
        org_id,
        staff_id,
        bool_or(is_teacher) as is_teacher,
        bool_or(is_principal) as is_principal,
        max(prior_years) filter (where is_teacher) as years_as_teacher,
        max(prior_years) filter (where is_principal) as years_as_principal,
        coalesce(bool_or(is_provisional) filter (where is_teacher), false) as is_provisional

    from assignments_at_every_level
    group by all

),

headcounts as (

    select
        school_year,
        org_level,
        org_id,
        count(*) filter (where is_teacher) as teachers,
        count(*) filter (where years_as_teacher < {{ inexperienced_below() }})
            as inexperienced_teachers,
        count(*) filter (where is_provisional) as provisional_teachers,
        count(*) filter (where is_principal) as principals,
        count(*) filter (where years_as_principal < {{ inexperienced_below() }})
            as inexperienced_principals

    from people
    group by all

),

one_row_per_measure as (

    unpivot headcounts
    on
        teachers, inexperienced_teachers, provisional_teachers,
        principals, inexperienced_principals
    into name measure value amount

),

observations as (

    select
        *,
        'all' as group_category,
        'all' as group_value

    from one_row_per_measure

    union all by name

    select
        *,
        'staff_fte' as measure,
        'staff_class' as group_category

    from fte_by_class

),

final as (

    select {{ observed() }}
    from observations
    left join loads using (school_year)

)

select * from final
