{#
    One of the six parts of a comprehensive local needs assessment (Perkins V Sec. 134(c)): the measures that the
    seed clna_measure names for it, of every agency that serves grades 9 to 12, by group; beside the state, the year
    before, and the others, with method, n and margin. It reads metrics only.
#}
{% macro needs_assessment(part) %}
with

measures as (

    select
        seeded.measure,
        seeded.metric_id,
        unnest(string_split(seeded.group_categories, ' ')) as group_category
    from ({{ own_or_default('clna_measure') }}) as seeded
    where seeded.part = '{{ part }}'

),

facts as (

    select * from {{ ref('fct_metric') }}
    semi join measures using (metric_id, group_category)

),

everyone as (

    select * from {{ ref('fct_metric') }}
    where group_category = 'all' and org_level = 'LEA'

),

recipients as (

    select * from {{ ref('dim_organization') }}
    where org_level = 'LEA' and coalesce({{ grade_rank('grade_high') }}, 12) >= 9

),

-- Of several ways to measure a disparity the points have a margin; the others stand in cte_gap.
disparities as (

    select
        state,
        school_year,
        metric_id,
        org_level,
        org_id,
        group_category,
        group_value,
        'points against all others' as method,
        denominator as n,
        value,
        margin,
        status
    from {{ ref('cte_gap') }}
    where method = 'points'

),

the_state as (

    select * from facts where org_level = 'SEA'

),

-- Every group of which the state or the agency knows; where there is none, the question itself.
asked as (

    select distinct
        recipients.state,
        recipients.school_year,
        recipients.org_id,
        recipients.name,
        measures.measure,
        measures.metric_id,
        measures.group_category,
        coalesce(facts.group_value, case when measures.group_category = 'all' then 'all' end) as group_value
    from recipients
    cross join measures
    left join facts
        on
            recipients.state = facts.state
            and recipients.school_year = facts.school_year
            and facts.org_level = 'LEA'
            and recipients.org_id = facts.org_id
            and measures.metric_id = facts.metric_id
            and measures.group_category = facts.group_category

),

final as (

    select
        asked.state,
        asked.school_year,
        asked.org_id,
        asked.name,
        asked.measure,
        asked.metric_id,
        asked.group_category,
        coalesce(asked.group_value, 'none') as group_value,
        facts.numerator,
        facts.denominator,
        facts.value,
        coalesce(facts.status, everyone.status, 'not_collected') as status,
        the_state.value as state_value,
        coalesce(the_state.status, 'not_collected') as state_status,
        case when facts.status = 'reported' and before.status = 'reported' then facts.value - before.value end
            as change,
        {{ status_of_both(
            "coalesce(facts.status, everyone.status, 'not_collected')", "coalesce(before.status, 'not_collected')"
        ) }} as change_status,
        disparities.method as gap_method,
        disparities.n as gap_n,
        disparities.value as gap,
        disparities.margin as gap_margin,
        coalesce(disparities.status, 'not_applicable') as gap_status,
        case
            when disparities.status = 'reported' then abs(disparities.value) > disparities.margin
        end as is_beyond_margin
    from asked
    left join facts
        on
            asked.state = facts.state
            and asked.school_year = facts.school_year
            and facts.org_level = 'LEA'
            and asked.org_id = facts.org_id
            and asked.metric_id = facts.metric_id
            and asked.group_category = facts.group_category
            and asked.group_value = facts.group_value
    left join everyone
        on
            asked.state = everyone.state
            and asked.school_year = everyone.school_year
            and asked.org_id = everyone.org_id
            and asked.metric_id = everyone.metric_id
            and everyone.status <> 'reported'
    left join facts as before
        on
            asked.state = before.state
            and asked.school_year = before.school_year + 1
            and before.org_level = 'LEA'
            and asked.org_id = before.org_id
            and asked.metric_id = before.metric_id
            and asked.group_category = before.group_category
            and asked.group_value = before.group_value
    left join the_state
        on
            asked.state = the_state.state
            and asked.school_year = the_state.school_year
            and asked.metric_id = the_state.metric_id
            and asked.group_category = the_state.group_category
            and asked.group_value = the_state.group_value
    left join disparities
        on
            asked.state = disparities.state
            and asked.school_year = disparities.school_year
            and disparities.org_level = 'LEA'
            and asked.org_id = disparities.org_id
            and asked.metric_id = disparities.metric_id
            and asked.group_category = disparities.group_category
            and asked.group_value = disparities.group_value

)

select * from final
{% endmacro %}
