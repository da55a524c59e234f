{#
    Poverty among the children who live in a district, whatever school they go to. It is a public estimate and
    no count of the state's, so nothing of it is protected. The state is its districts together.
#}
with

children as (

    select * from {{ ref('int_reference') }} where measure = 'saipe_children'

),

in_poverty as (

    select * from {{ ref('int_reference') }} where measure = 'saipe_children_in_poverty'

),

organizations as (

    select * from {{ ref('int_organizations') }}

),

districts as (

    select
        children.state,
        children.school_year,
        children.org_level,
        children.org_id,
        in_poverty.amount as numerator,
        children.amount as denominator,
        list_distinct([children.source_load, in_poverty.source_load]) as source_loads
    from children
    inner join in_poverty using (state, school_year, org_level, org_id)
    semi join organizations using (state, school_year, org_level, org_id)

),

together as (

    select * from districts

    union all by name

    select
        districts.state,
        districts.school_year,
        the_state.org_level,
        the_state.org_id,
        sum(districts.numerator) as numerator,
        sum(districts.denominator) as denominator,
        list_distinct(flatten(list(districts.source_loads))) as source_loads
    from districts
    inner join organizations as the_state
        on
            districts.state = the_state.state
            and districts.school_year = the_state.school_year
            and the_state.org_level = 'SEA'
    group by all

),

final as (

    select
        state,
        school_year,
        'saipe_poverty_rate' as metric_id,
        org_level,
        org_id,
        'all' as group_category,
        'all' as group_value,
        numerator,
        denominator,
        case when denominator > 0 then numerator / denominator end as value,
        case when denominator > 0 then 'reported' else 'not_applicable' end as status,
        list_sort(source_loads) as source_loads,
        cast(null as double) as value_lower,
        cast(null as double) as value_upper
    from together

)

select * from final
