with

staffing as (

    select * from {{ source('lake', 'ct_staffing') }}

),

district_names as (

    select * from {{ ref('ct_district_names') }}

),

classes as (

    select code as assignment, group_category, group_value
    from {{ ref('code_set') }}
    where state = 'ct' and code_set = 'assignment'

),

-- A class is made of several rows of a district: with one of them set aside, none of its classes is sure.
set_aside as (

    select distinct school_year, org_id as district, source_load as _file
    from {{ source('quarantine', 'set_aside') }}

),

assigned as (

    select
        staffing.school_year,
        coalesce(district_names.district_code, staffing.district) as org_id,
        classes.group_category,
        classes.group_value,
        {{ ct_amount('staffing.fte') }} as amount,
        {{ ct_status('staffing.fte') }} as status,
        set_aside.district is not null as has_lost_rows,
        staffing._file
    from staffing
    inner join classes using (assignment)
    left join district_names on staffing.district = district_names.district_name
    left join set_aside
        on
            staffing.school_year = set_aside.school_year
            and staffing.district = set_aside.district
            and staffing._file = set_aside._file

),

fte as (

    select
        school_year,
        org_id,
        group_category,
        group_value,
        {{ complete_sum('amount', 'status', 'has_lost_rows') }} as amount,
        {{ status_of_sum('status', 'has_lost_rows') }} as status,
        _file
    from assigned
    group by school_year, org_id, group_category, group_value, _file

),

final as (

    select
        'ct' as state,
        school_year,
        'LEA' as org_level,
        org_id,
        'staff_fte' as measure,
        group_category,
        group_value,
        amount,
        status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from fte

)

select * from final
