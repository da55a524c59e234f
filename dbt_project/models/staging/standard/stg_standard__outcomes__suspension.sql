with

stays as (

    select * from {{ ref('stg_standard__stays') }}

),

loads as (

    {{ loads_of('stays') }}

),

students as (

    {{ students_at_every_level('stays') }}

),

-- A share of membership: members are asked, of what they did in all their stays there.
members as (

    select * from students where is_member

),

members_by_group as (

    {{ by_group(
        'members',
        ['school_year', 'org_level', 'org_id', 'suspensions_in_all'],
        student_categories(), [('race', 'sex')]
    ) }}

),

years_collected as (

    select distinct school_year from stays where suspensions is not null

),

observations as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        'suspended_students' as measure,
        -- A count that leaves out who is unknown would be only a lower bound.
        case
            when bool_and(suspensions_in_all is not null)
                then count(*) filter (where suspensions_in_all > 0)
        end as amount

    from members_by_group
    semi join years_collected using (school_year)
    group by all

),

final as (

    select {{ observed("if(amount is null, 'missing', 'reported')") }}
    from observations
    left join loads using (school_year)

)

select * from final
