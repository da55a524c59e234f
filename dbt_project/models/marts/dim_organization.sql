with

organizations as (

    select * from {{ ref('int_organizations') }}

),

quartiles as (

    select * from {{ ref('int_poverty_quartiles') }}

),

final as (

    select
        organizations.state,
        organizations.school_year,
        organizations.org_level,
        organizations.org_id,
        organizations.parent_org_id,
        organizations.nces_id,
        organizations.name,
        organizations.org_type,
        organizations.county,
        organizations.region,
        organizations.grade_low,
        organizations.grade_high,
        organizations.is_charter,
        organizations.title_i,
        organizations.status,
        quartiles.poverty_quartile,
        organizations.source_load
    from organizations
    left join quartiles using (state, school_year, org_level, org_id)

)

select * from final
