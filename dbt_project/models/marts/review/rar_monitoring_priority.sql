{%- set components = ['identified', 'poverty', 'concentration', 'funding', 'teaching'] -%}
{#
    In which order to monitor: the most in need first. Each component of need places an organization by its
    middle rank among those of its level that are ranked, 0 the least and 1 the most in need; the score is their
    mean by the weights of the seed rar_priority.
#}
with

facts as (

    select * from {{ ref('fct_metric') }}

),

selection as (

    select * from {{ ref('rar_selection') }}

),

schools as (

    select * from {{ ref('int_identified_schools') }}

),

organizations as (

    select * from {{ ref('dim_organization') }}

),

components as (

    {{ own_or_default('rar_priority') }}

),

ranked as (

    select
        state,
        school_year,
        'LEA' as org_level,
        org_id,
        org_id as lea_id,
        cast(null as varchar) as designations,
        identified_schools / schools as identified_share
    from selection
    where is_selected

    union all by name

    -- Comprehensive support asks for more than targeted support: a whole school, not a group of it.
    select
        schools.state,
        schools.school_year,
        'SCH' as org_level,
        schools.org_id,
        schools.lea_id,
        schools.designations,
        case when schools.is_csi then 1.0 else 0.5 end as identified_share
    from schools
    where schools.is_identified

),

pupils as (

    {{ pupils_of_organizations('facts') }}

),

-- How many of an agency's pupils go to schools of the state's highest poverty quartile. Poverty by agency is
-- not in every state's files; by school it is.
school_poverty as (

    select
        schools.state,
        schools.school_year,
        schools.parent_org_id as lea_id,
        schools.org_id,
        schools.poverty_quartile,
        pupils.pupils,
        case
            when schools.poverty_quartile is not null then 'reported'
            -- A share without the enrollment that would place it.
            when facts.status in ('reported', 'range_coded') then 'not_collected'
            else coalesce(facts.status, 'not_collected')
        end as status
    from organizations as schools
    left join pupils using (state, school_year, org_level, org_id)
    left join facts
        on
            schools.state = facts.state
            and schools.school_year = facts.school_year
            and schools.org_level = facts.org_level
            and schools.org_id = facts.org_id
            and facts.metric_id = 'group_share'
            and facts.group_category = 'economic'
            and facts.group_value = 'ECODIS'
    where schools.org_level = 'SCH'

),

concentrated as (

    select
        state,
        school_year,
        lea_id,
        {{ status_over_organizations('status', 'pupils') }} as concentration_status,
        case
            when concentration_status = 'reported'
                then
                    coalesce(sum(pupils order by org_id) filter (where poverty_quartile = 4), 0)
                    / sum(pupils order by org_id) filter (where poverty_quartile is not null)
        end as share_in_poorest_schools
    from school_poverty
    group by all

),

placed as (

    select
        ranked.state,
        ranked.school_year,
        ranked.org_level,
        ranked.org_id,
        components.component,
        components.weight,
        -- A value that is told as a range is placed by the middle of it.
        (facts.value_lower + facts.value_upper) / 2 as middle,
        case components.more_need when 'lower' then -1 else 1 end as toward_need,
        case
            when components.component = 'identified' then ranked.identified_share
            when components.component = 'concentration' then concentrated.share_in_poorest_schools
            when facts.status = 'reported' then facts.value
        end as value,
        case
            when components.component = 'identified' then 'reported'
            when components.component = 'concentration'
                then coalesce(concentrated.concentration_status, 'not_collected')
            else coalesce(facts.status, everyone.status, 'not_collected')
        end as status,
        the_state.value as state_value,
        case
            when components.metric_id is null then 'not_applicable'
            else coalesce(the_state.status, 'not_collected')
        end as state_status
    from ranked
    cross join components
    left join concentrated
        on
            ranked.state = concentrated.state
            and ranked.school_year = concentrated.school_year
            and ranked.lea_id = concentrated.lea_id
    left join facts
        on
            ranked.state = facts.state
            and ranked.school_year = facts.school_year
            and ranked.org_level = facts.org_level
            and ranked.org_id = facts.org_id
            and components.metric_id = facts.metric_id
            and components.group_category = facts.group_category
            and components.group_value = facts.group_value
    -- A group without a row of its own: what is said of everyone says why.
    left join facts as everyone
        on
            ranked.state = everyone.state
            and ranked.school_year = everyone.school_year
            and ranked.org_level = everyone.org_level
            and ranked.org_id = everyone.org_id
            and components.metric_id = everyone.metric_id
            and everyone.group_category = 'all'
            and everyone.status <> 'reported'
    left join facts as the_state
        on
            ranked.state = the_state.state
            and ranked.school_year = the_state.school_year
            and the_state.org_level = 'SEA'
            and components.metric_id = the_state.metric_id
            and components.group_category = the_state.group_category
            and components.group_value = the_state.group_value

),

placed_by as (

    select *, toward_need * coalesce(value, case when status = 'range_coded' then middle end) as need_at from placed

),

needs as (

    select
        *,
        case
            when need_at is not null
                then {{ middle_rank('need_at', 'state, school_year, org_level, component, need_at is not null') }}
        end as need
    from placed_by

),

scores as (

    select
        state,
        school_year,
        org_level,
        org_id,
        max(value) filter (where component = 'identified') as identified_share,
        {%- for component, name in [('poverty', 'poverty_share'), ('concentration', 'high_poverty_school_share')] %}
        max(value) filter (where component = '{{ component }}') as {{ name }},
        coalesce(max(status) filter (where component = '{{ component }}'), 'not_collected') as {{ name }}_status,
        {%- endfor %}
        {%- for component in ['funding', 'teaching'] %}
        max(value - state_value) filter (where component = '{{ component }}') as {{ component }}_gap,
        coalesce(
            max({{ status_of_both('status', 'state_status') }}) filter (where component = '{{ component }}'),
            'not_collected'
        ) as {{ component }}_gap_status,
        {%- endfor %}
        {%- for component in components %}
        coalesce(max(weight) filter (where component = '{{ component }}'), 0) as {{ component }}_weight,
        max(need) filter (where component = '{{ component }}') as {{ component }}_need{{ ',' if not loop.last }}
        {%- endfor %}
    from needs
    group by all

),

-- Added up in one order, so that the same needs give the same score to its last digit.
weighed as (

    select
        *,
        {%- for part in ["%s_weight * coalesce(%s_need, 0)", "case when %s_need is null then 0 else %s_weight end"] %}
        (
            {%- for component in components %}
            {{ part | replace('%s', component) }}{{ ' +' if not loop.last }}
            {%- endfor %}
        ) as {{ 'need' if loop.first else 'weight_of_told' }},
        {%- endfor %}
        ({% for component in components %}{{ component }}_weight{{ ' + ' if not loop.last }}{% endfor %}) as weight
    from scores

),

judged as (

    select
        *,
        weight_of_told / weight as weight_told,
        -- A mean of less than half of what need is made of is not a ranking.
        case when weight_of_told >= 0.5 * weight then need / weight_of_told end as score
    from weighed

),

final as (

    select
        judged.state,
        judged.school_year,
        judged.org_level,
        judged.org_id,
        ranked.lea_id,
        organizations.name,
        ranked.designations,
        coalesce(selection.is_selected, false) as is_lea_selected,
        case
            when judged.score is not null
                then
                    cast(
                        row_number() over (
                            partition by judged.state, judged.school_year, judged.org_level
                            order by judged.score desc nulls last, judged.org_id
                        ) as integer
                    )
        end as priority,
        judged.score,
        case when judged.score is null then 'not_collected' else 'reported' end as score_status,
        judged.weight_told,
        judged.identified_share,
        judged.poverty_share,
        judged.poverty_share_status,
        judged.high_poverty_school_share,
        judged.high_poverty_school_share_status,
        judged.funding_gap,
        judged.funding_gap_status,
        judged.teaching_gap,
        judged.teaching_gap_status
    from judged
    inner join ranked using (state, school_year, org_level, org_id)
    left join organizations using (state, school_year, org_level, org_id)
    left join selection
        on
            judged.state = selection.state
            and judged.school_year = selection.school_year
            and ranked.lea_id = selection.org_id

)

select * from final
