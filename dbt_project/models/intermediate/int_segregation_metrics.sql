{#
    How unevenly a group is spread over the schools of an LEA, and of the state: against all other students,
    who are those of the school less the group.
#}
with

organizations as (

    select * from {{ ref('int_organizations') }}

),

membership as (

    select
        state,
        school_year,
        org_id,
        group_category,
        group_value,
        value,
        status,
        source_loads
    from {{ ref('int_base_metrics') }}
    where metric_id = 'membership' and org_level = 'SCH'

),

everyone as (

    select * from membership where group_category = 'all'

),

-- Every group of which a school of the state tells is asked of every school.
groups as (

    select distinct state, school_year, group_category, group_value
    from membership
    where group_category in ('race', 'economic', 'english_learner', 'disability')

),

schools as (

    select
        everyone.state,
        everyone.school_year,
        everyone.org_id as school_id,
        groups.group_category,
        groups.group_value,
        everyone.value as pupils,
        membership.value as of_group,
        everyone.value - membership.value as of_others,
        {{ status_of_both('everyone.status', "coalesce(membership.status, 'missing')") }} as status,
        list_concat(everyone.source_loads, coalesce(membership.source_loads, [])) as source_loads
    from everyone
    inner join groups using (state, school_year)
    left join membership
        on
            everyone.state = membership.state
            and everyone.school_year = membership.school_year
            and everyone.org_id = membership.org_id
            and groups.group_category = membership.group_category
            and groups.group_value = membership.group_value

),

schools_of_each as (

    {{ schools_of_each('schools', 'organizations') | trim }}

),

-- Only schools that tell both numbers are compared; the totals are theirs.
totalled as (

    select
        *,
        sum(of_group) filter (where status = 'reported') over told as all_of_group,
        sum(of_others) filter (where status = 'reported') over told as all_of_others
    from schools_of_each
    window told as (partition by state, school_year, org_level, org_id, group_category, group_value)

),

statistics as (

    select
        state,
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        {{ status_over_organizations('status', 'pupils') }} as status_of_schools,
        max(all_of_group) as all_of_group,
        max(all_of_others) as all_of_others,
        0.5 * sum(
            abs(of_group / nullif(all_of_group, 0) - of_others / nullif(all_of_others, 0))
            order by school_id
        ) filter (where status = 'reported') as dissimilarity,
        sum(of_group * of_others / nullif(pupils, 0) order by school_id)
            filter (where status = 'reported') as met,
        list_sort(list_distinct(flatten(list(source_loads)))) as source_loads
    from totalled
    group by all

),

judged as (

    select
        *,
        case
            when status_of_schools <> 'reported' then status_of_schools
            when all_of_group = 0 or all_of_others = 0 then 'not_applicable'
            else 'reported'
        end as status
    from statistics

),

final as (

    select
        {{ metric_columns('dissimilarity', metric_id="'dissimilarity'") }}
    from judged

    union all by name

    select
        {{ metric_columns(
            'met / all_of_group',
            metric_id="'exposure'",
            numerator=if_reported('met'),
            denominator=if_reported('all_of_group')
        ) }}
    from judged

)

select * from final
