{# Whether teachers are of the races that their students are of: one share over the other, of the same group. #}
with

shares as (

    select *
    from {{ ref('int_base_metrics') }}
    where metric_id in ('teacher_share', 'group_share') and group_category = 'race'

),

teachers as (

    select * from shares where metric_id = 'teacher_share'

),

students as (

    select * from shares where metric_id = 'group_share'

),

judged as (

    select
        teachers.state,
        teachers.school_year,
        teachers.org_level,
        teachers.org_id,
        teachers.group_category,
        teachers.group_value,
        teachers.value as share_of_teachers,
        students.value as share_of_students,
        list_sort(list_distinct(
            list_concat(teachers.source_loads, coalesce(students.source_loads, []))
        )) as source_loads,
        case
            when {{ status_of_both('teachers.status', "coalesce(students.status, 'missing')") }} = 'reported'
                and students.value = 0
                then 'not_applicable'
            else {{ status_of_both('teachers.status', "coalesce(students.status, 'missing')") }}
        end as status
    from teachers
    left join students
        using (state, school_year, org_level, org_id, group_category, group_value)

),

final as (

    select
        {{ metric_columns(
            'share_of_teachers / share_of_students',
            metric_id="'teacher_parity'",
            numerator=if_reported('share_of_teachers'),
            denominator=if_reported('share_of_students')
        ) }}
    from judged

)

select * from final
