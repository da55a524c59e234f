{# Personal: points of one student stand here and nowhere after. #}
with

source as (

    select * from {{ source('standard_lake', 'work_ethic') }}

),

rules as (

    select
        rule,
        arg_min(value, case state when '{{ var("state") }}' then 0 else 1 end) as points_needed
    from {{ ref('cte_rules') }}
    where state in ('all', '{{ var("state") }}')
    group by rule

),

final as (

    select
        cast(source.school_year as integer) as school_year,
        source.lea_id,
        source.school_id,
        source.student_id,
        source.standard,
        case when source.step = '0' then 0 else standards.points end as points,
        rules.points_needed,
        source._file
    from source
    left join {{ ref('work_ethic_standards') }} as standards
        on
            source.version = standards.version
            and source.standard = standards.standard
            and cast(source.step as integer) = standards.step
    left join rules on rules.rule = 'work_ethic_points_' || source.version

)

select * from final
