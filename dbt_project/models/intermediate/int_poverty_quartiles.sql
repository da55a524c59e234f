with

poverty as (

    select
        state,
        school_year,
        org_level,
        org_id,
        -- A share coded as a range is placed by the middle of its range.
        coalesce(value, (value_lower + value_upper) / 2) as share
    from {{ ref('int_base_metrics') }}
    where metric_id = 'group_share' and group_category = 'economic' and group_value = 'ECODIS'

),

pupils as (

    select state, school_year, org_level, org_id, value as students
    from {{ ref('int_base_metrics') }}
    where metric_id = 'membership' and group_category = 'all'

),

ranked as (

    select
        state,
        school_year,
        org_level,
        org_id,
        students,
        sum(students) over by_poverty as students_up_to_here,
        sum(students) over (partition by state, school_year, org_level) as students_in_all
    from poverty
    inner join pupils using (state, school_year, org_level, org_id)
    where share is not null and students > 0 and org_level in ('SCH', 'LEA')

    window by_poverty as (
        partition by state, school_year, org_level
        order by share, org_id
        rows between unbounded preceding and current row
    )

),

-- Quartiles hold equal enrollment: an organization falls where the middle of its pupils falls.
final as (

    select
        state,
        school_year,
        org_level,
        org_id,
        cast(
            least(4, 1 + floor(4 * (students_up_to_here - students / 2) / students_in_all)) as integer
        ) as poverty_quartile
    from ranked

)

select * from final
