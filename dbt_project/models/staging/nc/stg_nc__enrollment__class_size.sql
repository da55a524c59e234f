with

class_size as (

    select * from {{ source('lake', 'nc_class_size') }}

),

classes as (

    select code as grade_or_course, group_category, group_value
    from {{ ref('code_set') }}
    where state = 'nc' and code_set = 'class' and group_category is not null

),

-- In 2018 a district's and the state's rows with a category are of its elementary, middle ... schools alone.
final as (

    select
        'nc' as state,
        class_size.school_year,
        {{ nc_level('class_size.agency_code') }} as org_level,
        class_size.agency_code as org_id,
        'class_size' as measure,
        classes.group_category,
        classes.group_value,
        {{ number('class_size.average_size') }} as amount,
        case when class_size.average_size is null then 'missing' else 'reported' end as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        class_size._file as source_load
    from class_size
    inner join classes using (grade_or_course)
    where class_size.category is null

)

select * from final
