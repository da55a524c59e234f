{#
    Every count, rate and ratio that is made of measures. What disclosure control protects is this table
    and nothing else: all that is made of it afterwards is made a second time of its protected rows, so a
    gap, an index or a review can tell no more than they do.
#}
with

measures as (

    select * from {{ ref('int_measures') }}

),

metrics as (

    -- A metric without a numerator is made of others, later.
    select * from {{ ref('metrics') }} where numerator is not null

),

organizations as (

    select * from {{ ref('int_organizations') }}

),

numerators as (

    select
        metrics.metric_id,
        metrics.denominator,
        {{ denominator_category('metrics.denominator_of', 'metrics.dimension', 'measures.group_category') }}
            as denominator_category,
        {{ denominator_value('metrics.denominator_of', 'metrics.dimension', 'measures.group_category', 'measures.group_value') }}
            as denominator_value,
        measures.*
    from measures
    inner join metrics on measures.measure = metrics.numerator
    where
        -- Of everyone, everyone is all of them.
        (
            coalesce(metrics.denominator_of, '') <> 'all'
            or metrics.numerator <> metrics.denominator
            or measures.group_category <> 'all'
        )
        -- Whose teacher or counselor somebody is, is not known by group.
        and (not coalesce(contains(metrics.denominator_of, '='), false) or measures.group_category = 'all')

),

-- Two sums that leave out different schools do not make a ratio: pupils of schools without a count of
-- teachers, teachers of charter schools without a count of pupils. It is taken over schools with both.
pairs as (

    select
        numerators.metric_id,
        numerators.state,
        numerators.school_year,
        organizations.parent_org_id as district_id,
        numerators.amount as numerator,
        denominators.amount as denominator
    from numerators
    inner join metrics
        on numerators.metric_id = metrics.metric_id and contains(metrics.denominator_of, '=')
    inner join measures as denominators
        on
            metrics.denominator = denominators.measure
            and numerators.state = denominators.state
            and numerators.school_year = denominators.school_year
            and numerators.org_level = denominators.org_level
            and numerators.org_id = denominators.org_id
            and numerators.denominator_category = denominators.group_category
            and numerators.denominator_value = denominators.group_value
    inner join organizations
        on
            numerators.state = organizations.state
            and numerators.school_year = organizations.school_year
            and numerators.org_level = organizations.org_level
            and numerators.org_id = organizations.org_id
    where
        numerators.org_level = 'SCH'
        and numerators.status = 'reported'
        and denominators.status = 'reported'

),

paired_sums as (

    select
        metric_id,
        state,
        school_year,
        'LEA' as org_level,
        district_id as org_id,
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from pairs
    group by all

    union all

    select
        pairs.metric_id,
        pairs.state,
        pairs.school_year,
        'SEA' as org_level,
        organizations.org_id,
        sum(pairs.numerator) as numerator,
        sum(pairs.denominator) as denominator
    from pairs
    inner join organizations
        on
            pairs.state = organizations.state
            and pairs.school_year = organizations.school_year
            and organizations.org_level = 'SEA'
    group by all

),

-- Whether the extracts have a denominator for such groups at all tells absent from not collected.
denominators_collected as (

    select distinct
        state,
        school_year,
        org_level,
        measure,
        group_category,
        cast(null as varchar) as group_value
    from measures
    where measure in (select denominator from metrics) and status = 'reported'

    union all

    -- Of a group that the metric names: that a file has teachers does not say that it has nurses.
    select distinct
        measures.state,
        measures.school_year,
        measures.org_level,
        measures.measure,
        measures.group_category,
        measures.group_value
    from measures
    inner join metrics
        on
            measures.measure = metrics.denominator
            and metrics.denominator_of = measures.group_category || '=' || measures.group_value
    where measures.status = 'reported'

),

published as (

    select measures.*
    from measures
    semi join metrics on measures.measure = metrics.metric_id and measures.measure <> metrics.numerator

),

-- Where a publisher gives no such rate at a level at all, it is not collected there, and not missing. A charter
-- school is its own district, and says nothing of others.
published_levels as (

    select distinct
        published.state,
        published.school_year,
        published.measure as metric_id,
        published.org_level,
        coalesce(organizations.is_charter, false) as is_charter
    from published
    inner join organizations using (state, school_year, org_level, org_id)

),

-- A rate given for schools alone is still a question about their district and the state.
published_above as (

    select distinct
        published.state,
        published.school_year,
        above.org_level,
        above.org_id,
        published.measure as metric_id,
        published.group_category,
        published.group_value
    from published
    inner join organizations
        on
            published.state = organizations.state
            and published.school_year = organizations.school_year
            and published.org_level = organizations.org_level
            and published.org_id = organizations.org_id
    inner join organizations as above
        on
            organizations.state = above.state
            and organizations.school_year = above.school_year
            and (
                (above.org_level = 'LEA' and organizations.org_level = 'SCH' and organizations.parent_org_id = above.org_id)
                or above.org_level = 'SEA'
            )

),

asked as (

    select state, school_year, metric_id, org_level, org_id, group_category, group_value from numerators
    union
    select state, school_year, measure, org_level, org_id, group_category, group_value from published
    union
    select state, school_year, metric_id, org_level, org_id, group_category, group_value from published_above

),

joined as (

    select
        asked.*,
        published.amount as published_amount,
        published.status as published_status,
        published.lower_bound,
        published.upper_bound,
        published.source_loads as published_loads,
        -- A publisher's own total may be of other schools than a sum of those that it tells.
        coalesce(
            contains(metrics.denominator_of, '=')
            and (
                (numerators.is_sum and denominators.is_sum)
                or ((numerators.is_sum or denominators.is_sum) and paired_sums.denominator is not null)
            ),
            false
        ) as is_paired,
        case when is_paired then paired_sums.numerator else numerators.amount end as numerator,
        case
            when numerators.status is null and published_levels.metric_id is null then 'not_collected'
            else numerators.status
        end as numerator_status,
        numerators.source_loads as numerator_loads,
        metrics.denominator is null as is_count,
        coalesce(contains(metrics.denominator_of, '='), false) as is_of_named_group,
        metrics.unit,
        case when is_paired then paired_sums.denominator else denominators.amount end as denominator,
        case
            when is_paired and paired_sums.denominator is null then 'not_collected'
            when denominators.status is not null then denominators.status
            when denominators_collected.measure is not null then 'missing'
            else 'not_collected'
        end as denominator_status,
        denominators.source_loads as denominator_loads
    from asked
    inner join metrics using (metric_id)
    left join numerators
        using (state, school_year, metric_id, org_level, org_id, group_category, group_value)
    left join published
        on
            asked.metric_id = published.measure
            and asked.state = published.state
            and asked.school_year = published.school_year
            and asked.org_level = published.org_level
            and asked.org_id = published.org_id
            and asked.group_category = published.group_category
            and asked.group_value = published.group_value
    left join measures as denominators
        on
            metrics.denominator = denominators.measure
            and asked.state = denominators.state
            and asked.school_year = denominators.school_year
            and asked.org_level = denominators.org_level
            and asked.org_id = denominators.org_id
            and coalesce(numerators.denominator_category, asked.group_category) = denominators.group_category
            and coalesce(numerators.denominator_value, asked.group_value) = denominators.group_value
    left join paired_sums using (state, school_year, metric_id, org_level, org_id)
    left join organizations as asked_of
        on
            asked.state = asked_of.state
            and asked.school_year = asked_of.school_year
            and asked.org_level = asked_of.org_level
            and asked.org_id = asked_of.org_id
    left join published_levels
        on
            asked.state = published_levels.state
            and asked.school_year = published_levels.school_year
            and asked.metric_id = published_levels.metric_id
            and asked.org_level = published_levels.org_level
            and coalesce(asked_of.is_charter, false) = published_levels.is_charter
    left join denominators_collected
        on
            metrics.denominator = denominators_collected.measure
            and asked.state = denominators_collected.state
            and asked.school_year = denominators_collected.school_year
            and asked.org_level = denominators_collected.org_level
            and coalesce(numerators.denominator_category, asked.group_category)
            = denominators_collected.group_category
            and case when contains(metrics.denominator_of, '=') then split_part(metrics.denominator_of, '=', 2) end
            is not distinct from denominators_collected.group_value

),

judged as (

    select
        *,
        case
            -- A rate that its publisher gives, and no count with it, is taken as it is.
            when published_status is not null then published_status
            when numerator_status is null then 'missing'
            when is_of_named_group and denominator_status = 'not_collected' then 'not_collected'
            when numerator_status <> 'reported' then numerator_status
            when is_count then 'reported'
            when denominator_status <> 'reported' then denominator_status
            when denominator = 0 then 'not_applicable'
            -- Fewer people than those of them that are counted: it is not the rate's denominator.
            when unit like 'fraction of %' and numerator > denominator then 'not_collected'
            else 'reported'
        end as status
    from joined

),

calculated as (

    select
        state,
        school_year,
        metric_id,
        org_level,
        org_id,
        group_category,
        group_value,
        case when published_status is null then numerator end as numerator,
        case when not is_count then denominator end as denominator,
        case
            when status <> 'reported' then null
            when published_status is not null then published_amount
            when is_count then numerator
            else numerator / denominator
        end as value,
        status,
        list_sort(list_distinct(
            coalesce(published_loads, numerator_loads, [])
            || case when is_count then [] else coalesce(denominator_loads, []) end
        )) as source_loads,
        lower_bound as value_lower,
        upper_bound as value_upper
    from judged

)

select * from calculated
