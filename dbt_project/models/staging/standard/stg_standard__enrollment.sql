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

students_by_group as (

    {{ by_group(
        'students',
        [
            'school_year', 'org_level', 'org_id', 'is_member', 'is_grade_9_12',
            'days_enrolled', 'days_in_session',
        ],
        student_categories(), [('race', 'sex')]
    ) }}

),

by_length_of_year as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        days_in_session,
        count(*) filter (where is_member) as members,
        count(*) filter (where is_member and is_grade_9_12) as members_9_12,
        bool_or(is_grade_9_12) as has_grade_9_12,
        sum(days_enrolled) as days_enrolled

    from students_by_group
    group by all

),

-- Whole days are summed before they are divided, and the quotients are added in a fixed order:
-- the same bytes give the same number on any number of threads.
counts as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        sum(members) as membership,
        sum(members_9_12) as membership_9_12,
        bool_or(has_grade_9_12) as has_grade_9_12,
        sum(days_enrolled / days_in_session order by days_in_session) as average_daily_membership

    from by_length_of_year
    group by all

),

organizations as (

    select distinct school_year, org_level, org_id from counts

),

groups_of_the_state as (

    select distinct school_year, group_category, group_value from counts

),

-- Nobody is a number too, and a row that is absent would give away a zero that is to be withheld.
-- But a grade that an organization does not teach is no zero.
nobody as (

    select
        organizations.school_year,
        organizations.org_level,
        organizations.org_id,
        groups_of_the_state.group_category,
        groups_of_the_state.group_value,
        'membership' as measure,
        0 as amount

    from organizations
    inner join groups_of_the_state using (school_year)
    anti join counts using (school_year, org_level, org_id, group_category, group_value)
    where groups_of_the_state.group_category <> 'grade'

),

observations as (

    select
        *,
        'membership' as measure,
        membership as amount

    from counts

    union all by name

    select * from nobody

    union all by name

    select
        *,
        'membership_9_12' as measure,
        membership_9_12 as amount

    from counts
    where has_grade_9_12

    union all by name

    select
        *,
        'average_daily_membership' as measure,
        average_daily_membership as amount

    from counts

),

final as (

    select {{ observed() }}
    from observations
    left join loads using (school_year)

    union all by name

    select * from {{ ref('stg_standard__budget_pupils') }}

)

select * from final
