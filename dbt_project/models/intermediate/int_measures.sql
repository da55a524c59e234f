{#
    Every measure at every level. A publisher's own total is used where it gives one; where it does
    not, a district is the sum of its schools and the state the sum of its districts. A sum over
    terms of which one is withheld, absent or was quarantined is no total: it has no amount and says why.
#}
{%- set subjects = ['enrollment', 'outcomes', 'finance', 'staff', 'cte', 'identification'] -%}

with

observations as (

    {% for subject in subjects -%}
    select * from {{ ref('int_' ~ subject) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

organizations as (

    select * from {{ ref('int_organizations') }}

),

-- Whose rows were quarantined, in which file. A school that nobody knows could be any district's: then
-- no district's sum over that file is one.
set_aside as (

    select
        rows.school_year,
        rows.source_load,
        rows.org_id,
        schools.parent_org_id as district_id
    from {{ source('quarantine', 'set_aside') }} as rows
    left join organizations as schools
        on
            rows.school_year = schools.school_year
            and rows.org_id = schools.org_id
            and schools.org_level = 'SCH'

),

additive as (

    select measure from {{ ref('measures') }} where is_additive

),

published as (

    -- What two years say together names both files, with a space between them.
    select * exclude (source_load), string_split(source_load, ' ') as source_loads from observations

),

-- What a quarantined row may have said: whatever its file says of other schools and, without that row,
-- not of this one. It is missing, which is something else than not being there.
lost as (

    select distinct
        schools.state,
        schools.school_year,
        schools.org_level,
        schools.org_id,
        said.measure,
        said.group_category,
        said.group_value,
        cast(null as double) as amount,
        'missing' as status,
        [set_aside.source_load] as source_loads
    from set_aside
    inner join organizations as schools
        on
            set_aside.school_year = schools.school_year
            and set_aside.org_id = schools.org_id
            and schools.org_level = 'SCH'
    inner join (
        select distinct school_year, measure, group_category, group_value, source_loads[1] as source_load
        from published
        where org_level = 'SCH'
    ) as said
        on
            set_aside.school_year = said.school_year
            and set_aside.source_load = said.source_load
    anti join published
        on
            schools.state = published.state
            and schools.school_year = published.school_year
            and schools.org_level = published.org_level
            and schools.org_id = published.org_id
            and said.measure = published.measure
            and said.group_category = published.group_category
            and said.group_value = published.group_value

),

given as (

    select * from published
    union all by name
    select * from lost

    union all by name

    -- A charter school is its own district: what is known of the one is known of the other.
    select schools.* replace ('LEA' as org_level)
    from published as schools
    inner join organizations
        on
            schools.state = organizations.state
            and schools.school_year = organizations.school_year
            and schools.org_level = organizations.org_level
            and schools.org_id = organizations.org_id
            and organizations.org_id = organizations.parent_org_id
    anti join published as own
        on
            own.org_level = 'LEA'
            and schools.state = own.state
            and schools.school_year = own.school_year
            and schools.org_id = own.org_id
            and schools.measure = own.measure
            and schools.group_category = own.group_category
            and schools.group_value = own.group_value
    where schools.org_level = 'SCH'

),

school_terms as (

    select
        given.state,
        given.school_year,
        organizations.parent_org_id as org_id,
        given.measure,
        given.group_category,
        given.group_value,
        given.amount,
        given.status,
        given.source_loads,
        exists (
            select 1 from set_aside
            where
                set_aside.school_year = given.school_year
                and coalesce(set_aside.district_id, organizations.parent_org_id) = organizations.parent_org_id
                and list_contains(given.source_loads, set_aside.source_load)
        ) as has_lost_rows
    from given
    inner join additive using (measure)
    inner join organizations using (state, school_year, org_level, org_id)
    where given.org_level = 'SCH'

),

district_sums as (

    select
        state,
        school_year,
        'LEA' as org_level,
        org_id,
        measure,
        group_category,
        group_value,
        {{ complete_sum('amount', 'status', 'has_lost_rows') }} as amount,
        {{ status_of_sum('status', 'has_lost_rows') }} as status,
        list_sort(list_distinct(flatten(list(source_loads)))) as source_loads
    from school_terms
    group by all

),

districts as (

    select *, false as is_sum from given where org_level = 'LEA'

    union all by name

    select district_sums.*, true as is_sum
    from district_sums
    anti join given using (state, school_year, org_level, org_id, measure, group_category, group_value)

),

state_sums as (

    select
        districts.state,
        districts.school_year,
        'SEA' as org_level,
        the_state.org_id,
        districts.measure,
        districts.group_category,
        districts.group_value,
        {{ complete_sum('districts.amount', 'districts.status', 'unknown_rows.source_load is not null') }}
            as amount,
        {{ status_of_sum('districts.status', 'unknown_rows.source_load is not null') }} as status,
        list_sort(list_distinct(flatten(list(districts.source_loads)))) as source_loads
    from districts
    inner join additive using (measure)
    inner join organizations as the_state
        on
            districts.state = the_state.state
            and districts.school_year = the_state.school_year
            and the_state.org_level = 'SEA'
    left join (select distinct school_year, source_load from set_aside where district_id is null)
        as unknown_rows
        on
            districts.school_year = unknown_rows.school_year
            and list_contains(districts.source_loads, unknown_rows.source_load)
    group by all

),

final as (

    select *, false as is_sum from given where org_level in ('SCH', 'SEA')

    union all by name

    select * from districts

    union all by name

    select state_sums.*, true as is_sum
    from state_sums
    anti join given using (state, school_year, org_level, org_id, measure, group_category, group_value)

)

select * from final
