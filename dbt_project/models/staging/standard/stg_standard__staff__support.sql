with

source as (

    select * from {{ source('standard_lake', 'staff_assignment') }}

),

loads as (

    {{ loads_of('source') }}

),

assignments as (

    select
        cast(school_year as integer) as school_year,
        lea_id,
        school_id,
        staff_class,
        support_role,
        cast(fte as decimal(18, 6)) as fte

    from source

),

assignments_at_every_level as (

    {{ at_every_level('assignments') }}

),

-- What the state tells apart: a class or role that nobody is in all year is not asked for.
classes_of_the_state as (

    select distinct
        school_year,
        'staff_class' as group_category,
        staff_class as group_value

    from assignments
    where staff_class in ('GUI', 'SCHPSYCH')

),

roles_of_the_state as (

    select distinct
        school_year,
        'support_role' as group_category,
        support_role as group_value

    from assignments
    where support_role is not null

),

organizations as (

    select distinct school_year, org_level, org_id from assignments_at_every_level

),

-- Where there is staff and no counselor, counselors are none and not unknown.
nobody as (

    select
        organizations.*,
        classes_of_the_state.group_category,
        classes_of_the_state.group_value,
        cast(0 as decimal(18, 6)) as amount

    from organizations
    inner join classes_of_the_state using (school_year)
    anti join assignments_at_every_level as held
        on
            organizations.school_year = held.school_year
            and organizations.org_level = held.org_level
            and organizations.org_id = held.org_id
            and classes_of_the_state.group_value = held.staff_class

),

-- Support staff without a role may be anything: then no role there is known.
roles as (

    select
        organizations.*,
        roles_of_the_state.group_category,
        roles_of_the_state.group_value,
        case
            when not coalesce(bool_or(held.staff_class = 'STUSUP' and held.support_role is null), false)
                then coalesce(
                    sum(held.fte) filter (where held.support_role = roles_of_the_state.group_value), 0
                )
        end as amount

    from organizations
    inner join roles_of_the_state using (school_year)
    left join assignments_at_every_level as held using (school_year, org_level, org_id)
    group by all

),

observations as (

    select *, 'staff_fte' as measure from nobody
    union all by name
    select *, 'staff_fte' as measure from roles

),

final as (

    select {{ observed("if(amount is null, 'missing', 'reported')") }}
    from observations
    left join loads using (school_year)

)

select * from final
