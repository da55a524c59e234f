{#
    The gap in a rate between the schools of the poor and of the others, in two ways (group category `method`):
    between the highest and the lowest poverty quartile of the state's schools, and between what the average
    student of a group and the average other student meet at their schools. Every metric <rate>_equity_gap of
    the seed is made here of its rate.
#}
with

organizations as (

    select * from {{ ref('int_organizations') }}

),

gaps as (

    select metric_id, regexp_replace(metric_id, '_equity_gap$', '') as rate_id
    from {{ ref('metrics') }}
    where metric_id like '%\_equity\_gap' escape '\' and numerator is null

),

base as (

    select * from {{ ref('int_base_metrics') }}

),

membership as (

    select * exclude (metric_id) from base where metric_id = 'membership' and org_level = 'SCH'

),

rates as (

    select gaps.metric_id, base.* exclude (metric_id)
    from base
    inner join gaps on base.metric_id = gaps.rate_id
    where base.org_level = 'SCH' and base.group_category = 'all'

),

poverty as (

    select state, school_year, org_id, status
    from base
    where
        metric_id = 'group_share'
        and group_category = 'economic'
        and group_value = 'ECODIS'
        and org_level = 'SCH'

),

quartiles as (

    select state, school_year, org_id, poverty_quartile
    from {{ ref('int_poverty_quartiles') }}
    where org_level = 'SCH'

),

-- A school is asked for every rate that some school of the state has in that year.
asked as (

    select
        rates_of_the_state.metric_id,
        membership.state,
        membership.school_year,
        membership.org_id as school_id,
        membership.value as pupils,
        membership.status as status_of_pupils,
        rates.numerator,
        rates.denominator,
        rates.value as rate,
        coalesce(rates.status, 'missing') as status,
        quartiles.poverty_quartile,
        case
            when quartiles.poverty_quartile is not null then 'reported'
            when poverty.status in ('reported', 'range_coded') then membership.status
            else coalesce(poverty.status, 'not_collected')
        end as status_of_quartile,
        list_concat(membership.source_loads, coalesce(rates.source_loads, [])) as source_loads
    from membership
    inner join (select distinct metric_id, state, school_year from rates) as rates_of_the_state
        using (state, school_year)
    left join rates using (metric_id, state, school_year, org_id)
    left join poverty using (state, school_year, org_id)
    left join quartiles using (state, school_year, org_id)
    where
        membership.group_category = 'all'
        -- A rate of nobody has nothing to say of a gap.
        and coalesce(rates.status, 'missing') <> 'not_applicable'

),

schools as (

    {{ schools_of_each('asked', 'organizations') | trim }}

),

-- A rate that its publisher gives without its counts cannot be added up over schools.
countable as (

    select
        *,
        case
            when status = 'reported' and (numerator is null or denominator is null) then 'not_collected'
            else status
        end as status_of_counts
    from schools

),

quartile_sums as (

    select
        metric_id,
        state,
        school_year,
        org_level,
        org_id,
        {{ status_over_organizations('status_of_quartile', 'pupils') }} as status_of_quartiles,
        {% for quartile, name in {1: 'lowest', 4: 'highest'}.items() -%}
        count(*) filter (where poverty_quartile = {{ quartile }}) as schools_of_{{ name }},
        sum(numerator order by school_id)
            filter (where poverty_quartile = {{ quartile }} and status_of_counts = 'reported') as numerator_of_{{ name }},
        sum(denominator order by school_id)
            filter (where poverty_quartile = {{ quartile }} and status_of_counts = 'reported') as denominator_of_{{ name }},
        {% endfor -%}
        list_sort(list_distinct(flatten(list(source_loads)))) as source_loads
    from countable
    group by all

),

statuses_of_quartiles as (

    select
        metric_id,
        state,
        school_year,
        org_level,
        org_id,
        poverty_quartile,
        {{ status_over_organizations('status_of_counts', 'pupils') }} as status
    from countable
    where poverty_quartile in (1, 4)
    group by all

),

between_quartiles as (

    select
        sums.*,
        'method' as group_category,
        'poverty_quartile' as group_value,
        sums.numerator_of_highest / nullif(sums.denominator_of_highest, 0)
        - sums.numerator_of_lowest / nullif(sums.denominator_of_lowest, 0) as gap,
        case
            when sums.status_of_quartiles <> 'reported' then sums.status_of_quartiles
            -- Without a school in both there is no gap.
            when sums.schools_of_highest = 0 or sums.schools_of_lowest = 0 then 'not_applicable'
            when {{ status_of_both('highest.status', 'lowest.status') }} <> 'reported'
                then {{ status_of_both('highest.status', 'lowest.status') }}
            when sums.denominator_of_highest = 0 or sums.denominator_of_lowest = 0 then 'not_applicable'
            else 'reported'
        end as status
    from quartile_sums as sums
    left join statuses_of_quartiles as highest
        on
            sums.metric_id = highest.metric_id
            and sums.state = highest.state
            and sums.school_year = highest.school_year
            and sums.org_level = highest.org_level
            and sums.org_id = highest.org_id
            and highest.poverty_quartile = 4
    left join statuses_of_quartiles as lowest
        on
            sums.metric_id = lowest.metric_id
            and sums.state = lowest.state
            and sums.school_year = lowest.school_year
            and sums.org_level = lowest.org_level
            and sums.org_id = lowest.org_id
            and lowest.poverty_quartile = 1

),

groups_collected as (

    select distinct state, school_year, group_category, group_value
    from membership
    where group_category = 'race' or (group_category = 'economic' and group_value = 'ECODIS')

),

-- The economically disadvantaged are always asked for, be it in vain.
groups as (

    select *, true as is_collected from groups_collected

    union all by name

    select distinct
        state,
        school_year,
        'economic' as group_category,
        'ECODIS' as group_value,
        false as is_collected
    from membership
    anti join (select * from groups_collected where group_category = 'economic') as collected
        using (state, school_year)

),

met as (

    select
        schools.metric_id,
        schools.state,
        schools.school_year,
        schools.org_level,
        schools.org_id,
        schools.school_id,
        groups.group_category,
        groups.group_value,
        schools.pupils,
        schools.rate,
        members.value as of_group,
        schools.pupils - members.value as of_others,
        case
            when not groups.is_collected then 'not_collected'
            else coalesce(members.status, 'missing')
        end as status_of_group,
        {{ status_of_both('schools.status', 'schools.status_of_pupils') }} as status_of_rate,
        {{ status_of_both('status_of_rate', 'status_of_group') }} as status,
        list_concat(schools.source_loads, coalesce(members.source_loads, [])) as source_loads
    from schools
    inner join groups using (state, school_year)
    left join membership as members
        on
            schools.state = members.state
            and schools.school_year = members.school_year
            and schools.school_id = members.org_id
            and groups.group_category = members.group_category
            and groups.group_value = members.group_value

),

exposure as (

    select
        metric_id,
        state,
        school_year,
        org_level,
        org_id,
        case when group_category = 'economic' then 'method' else 'method*' || group_category end
            as group_category,
        case when group_category = 'economic' then 'exposure' else 'exposure*' || group_value end
            as group_value,
        {{ status_over_organizations('status', 'pupils') }} as status_of_schools,
        sum(of_group * rate order by school_id) filter (where status = 'reported')
        / nullif(sum(of_group) filter (where status = 'reported'), 0)
        - sum(of_others * rate order by school_id) filter (where status = 'reported')
        / nullif(sum(of_others) filter (where status = 'reported'), 0) as gap,
        -- Nobody of the group, or nobody else, meets nothing.
        case when status_of_schools = 'reported' and gap is null then 'not_applicable' else status_of_schools end
            as status,
        list_sort(list_distinct(flatten(list(source_loads)))) as source_loads
    from met
    group by metric_id, state, school_year, org_level, org_id, met.group_category, met.group_value

),

told as (

    select metric_id, state, school_year, org_level, org_id, group_category, group_value, gap, status, source_loads
    from between_quartiles

    union all

    select metric_id, state, school_year, org_level, org_id, group_category, group_value, gap, status, source_loads
    from exposure

),

final as (

    select
        {{ metric_columns('gap') }}
    from told

)

select * from final
