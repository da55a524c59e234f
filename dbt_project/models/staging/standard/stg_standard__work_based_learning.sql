with

source as (

    select * from {{ source('standard_lake', 'work_based_learning') }}

),

loads as (

    {{ loads_of('source') }}

),

opportunities as (

    select
        cast(source.school_year as integer) as school_year,
        source.lea_id,
        source.school_id,
        source.wbl_type,
        types.stage as wbl_stage,
        source.cluster as career_cluster,
        cast(source.requested as integer) as requested,
        cast(source.filled as integer) as filled,
        cast(source.filled as integer) * cast(source.hours as double) as hours,
        case when cast(source.filled as integer) > 0 then cast(source.hours as double) end as hours_of_one,
        -- An employer takes part who has taken somebody.
        case when cast(source.filled as integer) > 0 then source.employer_id end as employer_id
    from source
    left join {{ ref('work_based_learning_types') }} as types on source.wbl_type = types.wbl_type

),

opportunities_at_every_level as (

    {{ at_every_level('opportunities') }}

),

opportunities_by_group as (

    {{ by_group(
        'opportunities_at_every_level',
        ['school_year', 'org_level', 'org_id', 'requested', 'filled', 'hours', 'hours_of_one', 'employer_id'],
        [('wbl_type', 'wbl_type'), ('wbl_stage', 'wbl_stage'), ('career_cluster', 'career_cluster')]
    ) }}

),

-- An employer of two schools is one employer of the LEA.
counts as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        cast(sum(requested) as double) as wbl_requested,
        cast(sum(filled) as double) as wbl_filled,
        sum(hours) as wbl_hours,
        -- Never published: whether one place's hours are nearly all of them.
        max(hours_of_one) as wbl_hours_largest,
        cast(count(distinct employer_id) as double) as wbl_employers
    from opportunities_by_group
    group by all

),

observations as (

    unpivot counts
    on wbl_requested, wbl_filled, wbl_hours, wbl_hours_largest, wbl_employers
    into name measure value amount

),

loaded as (

    select
        observations.*,
        loads.source_load
    from observations
    left join loads using (school_year)

),

final as (

    select {{ observed() }}
    from loaded

)

select * from final
