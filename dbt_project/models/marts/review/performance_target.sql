{#
    Targets beside what was reached. The way from baseline to target is a straight line; a target that names no
    organization is put to every one of its level, unless that has one of its own.
#}
with

facts as (

    select * from {{ ref('fct_metric') }}

),

organizations as (

    select * from {{ ref('dim_organization') }}

),

metrics as (

    select * from {{ ref('metrics') }}

),

seeded as (

    select * from {{ ref('performance_targets') }}
    where state = '{{ var("state") }}'

),

asked as (

    select
        organizations.state,
        organizations.school_year,
        organizations.org_level,
        organizations.org_id,
        organizations.name,
        seeded.metric_id,
        coalesce(seeded.group_category, 'all') as group_category,
        coalesce(seeded.group_value, 'all') as group_value,
        seeded.baseline_year,
        seeded.baseline_value,
        seeded.target_year,
        seeded.target_value
    from seeded
    inner join organizations
        on
            seeded.state = organizations.state
            and seeded.org_level = organizations.org_level
            and organizations.org_id = coalesce(seeded.org_id, organizations.org_id)
    where
        organizations.school_year >= seeded.baseline_year
        and (
            seeded.org_id is not null
            or not exists (
                select 1 from seeded as own
                where
                    own.metric_id = seeded.metric_id
                    and coalesce(own.group_category, 'all') = coalesce(seeded.group_category, 'all')
                    and coalesce(own.group_value, 'all') = coalesce(seeded.group_value, 'all')
                    and own.org_level = seeded.org_level
                    and own.org_id = organizations.org_id
            )
        )

),

compared as (

    select
        asked.* exclude (baseline_value),
        -- A baseline that the seed does not give is what was reported then.
        coalesce(asked.baseline_value, baselines.value) as baseline_value,
        case
            when asked.baseline_value is not null then 'reported'
            else coalesce(baselines.status, 'missing')
        end as baseline_status,
        facts.value,
        coalesce(facts.status, 'missing') as status,
        metrics.polarity
    from asked
    inner join metrics using (metric_id)
    left join facts using (state, school_year, org_level, org_id, metric_id, group_category, group_value)
    left join facts as baselines
        on
            asked.state = baselines.state
            and asked.baseline_year = baselines.school_year
            and asked.org_level = baselines.org_level
            and asked.org_id = baselines.org_id
            and asked.metric_id = baselines.metric_id
            and asked.group_category = baselines.group_category
            and asked.group_value = baselines.group_value

),

on_the_way as (

    select
        *,
        baseline_value + (target_value - baseline_value) * least(
            1.0, (school_year - baseline_year) / (target_year - baseline_year)
        ) as expected_value,
        -- Which way is better: the metric's own, and where that is neutral, from baseline to target.
        case
            when polarity = 'higher_is_better' then 1
            when polarity = 'lower_is_better' then -1
            else sign(target_value - baseline_value)
        end as better,
        {{ status_of_both('status', 'baseline_status') }} as both_status
    from compared

),

final as (

    select
        state,
        school_year,
        metric_id,
        org_level,
        org_id,
        name,
        group_category,
        group_value,
        cast(baseline_year as integer) as baseline_year,
        baseline_value,
        baseline_status,
        cast(target_year as integer) as target_year,
        target_value,
        expected_value,
        value,
        status,
        -- Sums of decimals differ in their last digits: a value that is the expected one has reached it.
        case
            when status <> 'reported' then null
            when better * (value - target_value) >= -1e-12 and better <> 0 then 'met'
            when baseline_status <> 'reported' then null
            when better = 0 then case when abs(value - target_value) <= 1e-12 then 'met' else 'off_track' end
            when better * (value - expected_value) >= -1e-12 then 'on_track'
            else 'off_track'
        end as target_status
    from on_the_way

)

select * from final
