{#
    The review itself: every selected agency and each of its schools, beside each other, their agency and the
    state, on every measure of the ten dimensions. Which measures a dimension has is the seed rar_dimension's to say.
#}
{%- set worst_share = 0.25 -%}
{#- Whom a file leaves out (charter schools, often) is not asked; whose figure is withheld or lost is. -#}
{%- set is_asked = "status not in ('not_applicable', 'not_collected')" -%}
{%- set pupils_asked = "case when " ~ is_asked ~ " then pupils end" -%}

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

selection as (

    select * from {{ ref('rar_selection') }}
    where is_selected

),

identified as (

    select * from {{ ref('int_identified_schools') }}

),

measures as (

    select
        seeded.dimension,
        seeded.dimension_name,
        seeded.measure,
        seeded.metric_id,
        coalesce(seeded.group_category, 'all') as group_category,
        coalesce(seeded.group_value, 'all') as group_value,
        coalesce(seeded.polarity, metrics.polarity) as polarity,
        metrics.numerator is not null as is_made_of_counts
    from ({{ own_or_default('rar_dimension') }}) as seeded
    left join metrics using (metric_id)

),

pupils as (

    {{ pupils_of_organizations('facts') }}

),

-- A group that has no row of its own: where the organization has others of the category, it has nobody of
-- this one; where no organization of the level has any, it is not collected; else it is missing.
groups_told as (

    select distinct state, school_year, metric_id, org_level, org_id, group_category
    from facts

),

groups_collected as (

    select distinct state, school_year, metric_id, org_level, group_category
    from groups_told

),

numbers as (

    select
        organizations.state,
        organizations.school_year,
        organizations.org_level,
        organizations.org_id,
        organizations.parent_org_id,
        organizations.poverty_quartile,
        measures.metric_id,
        measures.group_category,
        measures.group_value,
        measures.is_made_of_counts,
        facts.numerator,
        facts.denominator,
        facts.value,
        facts.value_lower,
        facts.value_upper,
        case
            when facts.status is not null then facts.status
            when everyone.status in ('not_applicable', 'not_collected') then everyone.status
            -- A school is not asked about a grade that it does not have.
            when
                measures.group_category = 'grade'
                and (
                    {{ grade_rank('measures.group_value') }} < {{ grade_rank('organizations.grade_low') }}
                    or {{ grade_rank('measures.group_value') }} > {{ grade_rank('organizations.grade_high') }}
                )
                then 'not_applicable'
            when everyone.status = 'missing' then everyone.status
            when groups_told.metric_id is not null then 'not_applicable'
            when groups_collected.metric_id is null then 'not_collected'
            else 'missing'
        end as status,
        pupils.pupils
    from organizations
    cross join (
        select distinct metric_id, group_category, group_value, is_made_of_counts from measures
        where metric_id is not null
    ) as measures
    left join facts using (state, school_year, org_level, org_id, metric_id, group_category, group_value)
    left join facts as everyone
        on
            organizations.state = everyone.state
            and organizations.school_year = everyone.school_year
            and organizations.org_level = everyone.org_level
            and organizations.org_id = everyone.org_id
            and measures.metric_id = everyone.metric_id
            and everyone.group_category = 'all'
    left join groups_told
        on
            organizations.state = groups_told.state
            and organizations.school_year = groups_told.school_year
            and organizations.org_level = groups_told.org_level
            and organizations.org_id = groups_told.org_id
            and measures.metric_id = groups_told.metric_id
            and measures.group_category = groups_told.group_category
    left join groups_collected
        on
            organizations.state = groups_collected.state
            and organizations.school_year = groups_collected.school_year
            and organizations.org_level = groups_collected.org_level
            and measures.metric_id = groups_collected.metric_id
            and measures.group_category = groups_collected.group_category
    left join pupils
        on
            organizations.state = pupils.state
            and organizations.school_year = pupils.school_year
            and organizations.org_level = pupils.org_level
            and organizations.org_id = pupils.org_id

),

-- ---------------------------------------------------------------- where in the state
standings as (

    select
        state,
        school_year,
        org_level,
        metric_id,
        group_category,
        group_value,
        count(value) as organizations_compared,
        {{ status_over_organizations('status', pupils_asked) }} as standing_status
    from numbers
    group by all

),

ranks as (

    select
        state,
        school_year,
        org_level,
        org_id,
        metric_id,
        group_category,
        group_value,
        {{ middle_rank(
            'value', 'state, school_year, org_level, metric_id, group_category, group_value'
        ) }} as middle_rank
    from numbers
    where status = 'reported'

),

-- ---------------------------------------------------------------- rich and poor schools
-- The quartiles are the state's; a quartile's figure is its schools' numerators over their denominators.
quartile_schools as (

    select *, 'LEA' as of_level, parent_org_id as of_org_id from numbers
    where org_level = 'SCH' and poverty_quartile in (1, 4)

    union all

    select *, 'SEA' as of_level, cast(null as varchar) as of_org_id from numbers
    where org_level = 'SCH' and poverty_quartile in (1, 4)

),

quartiles as (

    select
        state,
        school_year,
        of_level,
        of_org_id,
        metric_id,
        group_category,
        group_value,
        poverty_quartile,
        sum(numerator order by org_id) filter (where status = 'reported')
        / nullif(sum(denominator order by org_id) filter (where status = 'reported'), 0) as figure,
        case
            when not bool_or({{ is_asked }})
                then case when bool_or(status = 'not_collected') then 'not_collected' else 'not_applicable' end
            else {{ status_over_organizations('status', pupils_asked) }}
        end as told_status,
        case
            when told_status <> 'reported' then told_status
            -- The parts of an index or of a parity are not counts, and do not add up.
            when not bool_and(is_made_of_counts) then 'not_applicable'
            -- A rate without its counts is not added up.
            when
                bool_or(numerator is null or denominator is null) filter (where status = 'reported')
                then 'not_collected'
            when figure is null then 'not_applicable'
            else 'reported'
        end as figure_status
    from quartile_schools
    group by all

),

gaps as (

    select
        state,
        school_year,
        highest.of_level,
        highest.of_org_id,
        metric_id,
        group_category,
        group_value,
        {{ status_of_both('highest.figure_status', 'lowest.figure_status') }} as status,
        case
            when highest.figure_status = 'reported' and lowest.figure_status = 'reported'
                then highest.figure - lowest.figure
        end as gap
    from quartiles as highest
    inner join quartiles as lowest
        using (state, school_year, metric_id, group_category, group_value)
    where
        highest.poverty_quartile = 4
        and lowest.poverty_quartile = 1
        and highest.of_level = lowest.of_level
        and highest.of_org_id is not distinct from lowest.of_org_id

),

-- ---------------------------------------------------------------- who is reviewed
reviewed as (

    select
        selection.state,
        selection.school_year,
        selection.org_id as lea_id,
        organizations.org_level,
        organizations.org_id,
        organizations.name,
        identified.designations
    from selection
    inner join organizations
        on
            selection.state = organizations.state
            and selection.school_year = organizations.school_year
            and (
                (organizations.org_level = 'LEA' and organizations.org_id = selection.org_id)
                or (organizations.org_level = 'SCH' and organizations.parent_org_id = selection.org_id)
            )
    left join identified
        on
            organizations.state = identified.state
            and organizations.school_year = identified.school_year
            and organizations.org_level = 'SCH'
            and organizations.org_id = identified.org_id
    where organizations.org_level = 'LEA' or organizations.status <> 'closed' or identified.org_id is not null

),

agencies as (

    select * exclude (org_id, value, status), org_id as lea_id, value as lea_value, status as lea_status
    from numbers
    where org_level = 'LEA'

),

the_state as (

    select * exclude (value, status), value as state_value, status as state_status
    from numbers
    where org_level = 'SEA'

),

agency_gaps as (

    select * exclude (of_org_id), of_org_id as lea_id from gaps
    where of_level = 'LEA'

),

state_gaps as (

    select * from gaps
    where of_level = 'SEA'

),

{%- set cell = 'state, school_year, metric_id, group_category, group_value' %}

laid_out as (

    select
        reviewed.*,
        measures.* exclude (is_made_of_counts),
        numbers.value,
        numbers.value_lower,
        numbers.value_upper,
        coalesce(numbers.status, 'not_collected') as status,
        agencies.lea_value,
        coalesce(agencies.lea_status, 'not_collected') as lea_status,
        the_state.state_value,
        coalesce(the_state.state_status, 'not_collected') as state_status,
        agency_gaps.gap as poverty_gap,
        state_gaps.gap as state_poverty_gap,
        {%- for gap in ['agency_gaps', 'state_gaps'] %}
        case
            when measures.metric_id is null then 'not_collected'
            -- An agency may have no school in one of the state's quartiles.
            else coalesce({{ gap }}.status, 'not_applicable')
        end as {{ 'poverty_gap_status' if gap == 'agency_gaps' else 'state_poverty_gap_status' }},
        {%- endfor %}
        case when standings.standing_status = 'reported' then ranks.middle_rank end as percentile,
        case
            when numbers.status is null then 'not_collected'
            when numbers.status <> 'reported' then numbers.status
            else standings.standing_status
        end as percentile_status,
        standings.organizations_compared
    from reviewed
    cross join measures
    left join numbers using ({{ cell }}, org_level, org_id)
    left join agencies using ({{ cell }}, lea_id)
    left join the_state using ({{ cell }})
    left join ranks using ({{ cell }}, org_level, org_id)
    left join standings using ({{ cell }}, org_level)
    left join agency_gaps using ({{ cell }}, lea_id)
    left join state_gaps using ({{ cell }})

),

final as (

    select
        state,
        school_year,
        lea_id,
        org_level,
        org_id,
        name,
        designations,
        cast(dimension as integer) as dimension,
        dimension_name,
        measure,
        metric_id,
        group_category,
        group_value,
        polarity,
        value,
        status,
        value_lower,
        value_upper,
        lea_value,
        lea_status,
        state_value,
        state_status,
        poverty_gap,
        poverty_gap_status,
        state_poverty_gap,
        state_poverty_gap_status,
        percentile,
        percentile_status,
        cast(organizations_compared as integer) as organizations_compared,
        -- The least and the most favorable quarter of the organizations of the level.
        case
            when percentile is null then null
            when coalesce(polarity, 'neutral') = 'neutral' then 'neutral'
            when (polarity = 'lower_is_better' and percentile >= 1 - {{ worst_share }})
                or (polarity = 'higher_is_better' and percentile <= {{ worst_share }})
                then 'concern'
            when (polarity = 'lower_is_better' and percentile <= {{ worst_share }})
                or (polarity = 'higher_is_better' and percentile >= 1 - {{ worst_share }})
                then 'strength'
            else 'typical'
        end as flag,
        case
            when poverty_gap is null then null
            when coalesce(polarity, 'neutral') = 'neutral' then 'neutral'
            when poverty_gap = 0 then 'even'
            when (polarity = 'lower_is_better') = (poverty_gap > 0) then 'against_poor_schools'
            else 'for_poor_schools'
        end as gap_flag
    from laid_out

)

select * from final
