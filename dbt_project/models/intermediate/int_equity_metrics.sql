{#
    Equity of spending: of the state across its districts, of a district across its schools. Statistics are
    taken over the organizations whose figures are told (docs/decisions/0009), each as heavy as its pupils;
    sums are added in a fixed order, so that the same bytes give the same number.
#}
{%- set statistics = horizontal_statistics() + vertical_statistics() + ['ppe_poverty_gap'] -%}

with

children as (

    select * from {{ ref('int_spending_of_organizations') }}

),

organizations as (

    select * from {{ ref('int_organizations') }}

),

told as (

    select
        *,
        sum(pupils) over (siblings order by spending, org_id) as pupils_up_to_here,
        sum(pupils) over siblings as all_pupils
    from children
    where status = 'reported' and pupils > 0

    window siblings as (partition by state, school_year, basis, parent_level, parent_org_id)

),

centers as (

    select
        state,
        school_year,
        basis,
        parent_level,
        parent_org_id,
        sum(pupils * spending order by org_id) / sum(pupils order by org_id) as mean,
        -- The smallest figure whose cumulative share of pupils reaches the quantile, without interpolation.
        min(spending) filter (where 2 * pupils_up_to_here >= all_pupils) as median,
        min(spending) filter (where 20 * pupils_up_to_here >= all_pupils) as p5,
        min(spending) filter (where 20 * pupils_up_to_here >= 19 * all_pupils) as p95
    from told
    group by all

),

horizontal as (

    select
        told.state,
        told.school_year,
        told.basis,
        told.parent_level,
        told.parent_org_id,
        any_value(centers.mean) as mu,
        sum(told.pupils order by told.org_id) as n,
        sqrt(sum(told.pupils * (told.spending - centers.mean) ** 2 order by told.org_id) / n) / mu
            as ppe_cv,
        (any_value(centers.p95) - any_value(centers.p5)) / nullif(any_value(centers.p5), 0)
            as ppe_federal_range_ratio,
        sum(told.pupils * told.spending order by told.org_id)
            filter (where {{ below_median('told.spending', 'centers.median') }})
        / nullif(
            any_value(centers.median)
            * sum(told.pupils) filter (where {{ below_median('told.spending', 'centers.median') }}), 0
        ) as ppe_mcloone,
        sum(told.pupils * told.spending order by told.org_id)
            filter (where {{ above_median('told.spending', 'centers.median') }})
        / nullif(
            any_value(centers.median)
            * sum(told.pupils) filter (where {{ above_median('told.spending', 'centers.median') }}), 0
        ) as ppe_verstegen,
        -- The double sum over all pairs, from the order of the organizations: one pass instead of a square.
        sum(
            told.pupils * told.spending * (2 * told.pupils_up_to_here - told.pupils - told.all_pupils)
            order by told.spending, told.org_id
        ) / (n * n * mu) as ppe_gini,
        -- Nothing spent adds nothing; less than nothing has no logarithm.
        case
            when min(told.spending) >= 0
                then sum(
                    case
                        when told.spending > 0
                            then told.pupils * told.spending / centers.mean * ln(told.spending / centers.mean)
                        else 0
                    end
                    order by told.org_id
                ) / n
        end as ppe_theil
    from told
    inner join centers using (state, school_year, basis, parent_level, parent_org_id)
    group by all

),

-- With a known share of poor pupils as well: both means are of the same organizations.
of_known_poverty as (

    select
        *,
        sum(pupils * spending order by org_id) over siblings / sum(pupils order by org_id) over siblings
            as mean_spending,
        sum(pupils * poverty order by org_id) over siblings / sum(pupils order by org_id) over siblings
            as mean_poverty
    from told
    where poverty_status = 'reported'

    window siblings as (partition by state, school_year, basis, parent_level, parent_org_id)

),

vertical as (

    select
        state,
        school_year,
        basis,
        parent_level,
        parent_org_id,
        sum(pupils * (spending - mean_spending) ** 2 order by org_id) as spending_squares,
        sum(pupils * (poverty - mean_poverty) ** 2 order by org_id) as poverty_squares,
        sum(pupils * (spending - mean_spending) * (poverty - mean_poverty) order by org_id) as products,
        -- A single share, or a single figure, correlates with nothing.
        case
            when min(spending) < max(spending) and min(poverty) < max(poverty)
                then products / sqrt(spending_squares * poverty_squares)
        end as ppe_poverty_correlation,
        case
            when min(poverty) < max(poverty) and any_value(mean_spending) > 0
                then products / poverty_squares * any_value(mean_poverty) / any_value(mean_spending)
        end as ppe_poverty_elasticity,
        (
            sum(pupils * poverty * spending order by org_id)
            / nullif(sum(pupils * poverty order by org_id), 0)
        )
        / nullif(
            sum(pupils * (1 - poverty) * spending order by org_id)
            / nullif(sum(pupils * (1 - poverty) order by org_id), 0), 0
        ) as ppe_progressivity
    from of_known_poverty
    group by all

),

-- Quartiles hold equal enrollment among the siblings, as in int_poverty_quartiles.
ranked as (

    select
        *,
        cast(
            least(
                4,
                1 + floor(
                    4 * (sum(members) over by_poverty - members / 2) / sum(members) over siblings
                )
            ) as integer
        ) as quartile
    from children
    where poverty_rank is not null and members > 0

    window
        siblings as (partition by state, school_year, basis, parent_level, parent_org_id),
        by_poverty as (
            partition by state, school_year, basis, parent_level, parent_org_id
            order by poverty_rank, org_id
            rows between unbounded preceding and current row
        )

),

by_quartile as (

    select
        state,
        school_year,
        basis,
        parent_level,
        parent_org_id,
        quartile,
        sum(pupils * spending order by org_id) filter (where status = 'reported')
        / nullif(sum(pupils order by org_id) filter (where status = 'reported'), 0) as mean,
        {{ status_over_organizations('status', 'pupils') }} as status
    from ranked
    where quartile in (1, 4)
    group by all

),

gaps as (

    select
        highest.state,
        highest.school_year,
        highest.basis,
        highest.parent_level,
        highest.parent_org_id,
        highest.mean - lowest.mean as ppe_poverty_gap,
        {{ status_of_both('highest.status', 'lowest.status') }} as status
    from by_quartile as highest
    inner join by_quartile as lowest
        using (state, school_year, basis, parent_level, parent_org_id)
    where highest.quartile = 4 and lowest.quartile = 1

),

-- Why a statistic is told or not, by what it needs of each organization.
asked as (

    select
        state,
        school_year,
        basis,
        parent_level,
        parent_org_id,
        count(*) filter (where pupils > 0) as members_of_family,
        {{ status_over_organizations('status', 'pupils') }} as status,
        {{ status_over_organizations(
            status_of_both('status', 'poverty_status'), 'pupils'
        ) }} as status_with_poverty,
        {{ status_over_organizations(
            "case when poverty_rank is not null and members > 0 then 'reported' else poverty_status end", 'pupils'
        ) }} as status_of_ranks,
        list_sort(list_distinct(flatten(list(source_loads)))) as source_loads,
        list_sort(list_distinct(flatten(list(source_loads || poverty_loads)))) as loads_with_poverty
    from children
    group by all

),

-- The basis that a state's own row is on: current spending where its extracts tell it, else all spending.
bases as (

    select
        state,
        school_year,
        case when bool_or(basis = 'CURRENT') then 'CURRENT' else 'TOTAL' end as basis
    from children
    group by all

),

families as (

    select
        organizations.state,
        organizations.school_year,
        organizations.org_level,
        organizations.org_id,
        each.basis
    from organizations
    cross join (values ('CURRENT'), ('TOTAL')) as each (basis)
    where organizations.org_level in ('SEA', 'LEA')

),

calculated as (

    select
        families.*,
        asked.members_of_family,
        asked.source_loads,
        asked.loads_with_poverty,
        asked.status as asked_status,
        asked.status_with_poverty,
        {{ status_of_both('asked.status_of_ranks', "coalesce(gaps.status, 'not_applicable')") }} as gap_status,
        {%- for statistic in statistics %}
        {{ statistic }}{{ ',' if not loop.last }}
        {%- endfor %}
    from families
    left join asked
        on
            families.state = asked.state
            and families.school_year = asked.school_year
            and families.basis = asked.basis
            and families.org_level = asked.parent_level
            and families.org_id = asked.parent_org_id
    {%- for part in ('horizontal', 'vertical', 'gaps') %}
    left join {{ part }}
        on
            families.state = {{ part }}.state
            and families.school_year = {{ part }}.school_year
            and families.basis = {{ part }}.basis
            and families.org_level = {{ part }}.parent_level
            and families.org_id = {{ part }}.parent_org_id
    {%- endfor %}

),

judged as (

    {% for statistic in statistics -%}
    select
        state,
        school_year,
        '{{ statistic }}' as metric_id,
        org_level,
        org_id,
        basis,
        {{ statistic }} as worked_out,
        case
            -- Nobody's spending of this kind is in the extracts at this level.
            when asked_status is null then 'not_collected'
            -- One school is not unequal to itself.
            when members_of_family < 2 then 'not_applicable'
            {% if statistic in horizontal_statistics() -%}
            when asked_status <> 'reported' then asked_status
            {% elif statistic == 'ppe_poverty_gap' -%}
            when gap_status <> 'reported' then gap_status
            {% else -%}
            when status_with_poverty <> 'reported' then status_with_poverty
            {% endif -%}
            when worked_out is null or not isfinite(worked_out) then 'not_applicable'
            else 'reported'
        end as status,
        coalesce(
            {{ 'source_loads' if statistic in horizontal_statistics() else 'loads_with_poverty' }}, []
        ) as source_loads
    from calculated
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

by_basis as (

    select *, 'basis' as group_category, basis as group_value from judged

    union all by name

    select judged.*, 'all' as group_category, 'all' as group_value
    from judged
    inner join bases using (state, school_year, basis)

),

-- Among the pupils of one school there is nothing to compare.
schools as (

    select
        organizations.state,
        organizations.school_year,
        each.metric_id,
        organizations.org_level,
        organizations.org_id,
        'all' as group_category,
        'all' as group_value,
        'not_applicable' as status,
        cast([] as varchar[]) as source_loads
    from organizations
    cross join (
        values {% for statistic in statistics %}('{{ statistic }}'){{ ', ' if not loop.last }}{% endfor %}
    ) as each (metric_id)
    where organizations.org_level = 'SCH'

),

final as (

    select * from by_basis
    union all by name
    select * from schools

)

select
    {{ metric_columns('worked_out') }}
from final
