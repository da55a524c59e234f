{#
    One row for each region and detailed occupation, judged by rules that a state may set. What a region's figures do
    not tell is null with its status, and never a no.
#}
{%- set figures = ['employment', 'projected_employment', 'openings', 'wage_p25', 'wage_median', 'wage_p75'] -%}

with

labor as (

    select * from {{ ref('int_labor') }}

),

one_row_per_occupation as (

    select
        state,
        school_year,
        region,
        soc,
        max(occupation) as occupation,
        max(entry_education) as entry_education,
        max(vintage) as vintage,
        {%- for figure in figures %}
        max(amount) filter (where measure = '{{ figure }}') as {{ figure }},
        coalesce(max(status) filter (where measure = '{{ figure }}'), 'not_collected') as {{ figure }}_status,
        {%- endfor %}
        list_sort(list_distinct(list(source_load))) as source_loads
    from labor
    group by all

),

detailed as (

    select * from one_row_per_occupation where soc <> '00-0000'

),

-- The wage that half of the region's jobs pay no more than, where the region's file does not tell it itself: jobs in
-- order of the median wage of their occupation.
wages_in_order as (

    select
        *,
        sum(employment) over (
            partition by state, school_year, region
            order by wage_median, soc
            rows between unbounded preceding and current row
        ) as jobs_up_to_here,
        sum(employment) over (partition by state, school_year, region) as jobs
    from detailed
    where employment is not null and wage_median is not null

),

regions as (

    select
        detailed.state,
        detailed.school_year,
        detailed.region,
        median(detailed.openings) as openings_of_the_median_occupation,
        sum(detailed.projected_employment) filter (
            where detailed.employment is not null and detailed.projected_employment is not null
        ) / nullif(sum(detailed.employment) filter (
            where detailed.employment is not null and detailed.projected_employment is not null
        ), 0) - 1 as growth
    from detailed
    group by all

),

median_wages as (

    select
        regions.state,
        regions.school_year,
        regions.region,
        coalesce(
            max(whole.wage_median),
            min(wages_in_order.wage_median) filter (where 2 * wages_in_order.jobs_up_to_here >= wages_in_order.jobs)
        ) as wage
    from regions
    left join wages_in_order using (state, school_year, region)
    left join one_row_per_occupation as whole
        on
            regions.state = whole.state
            and regions.school_year = whole.school_year
            and regions.region = whole.region
            and whole.soc = '00-0000'
    group by all

),

judged as (

    select
        detailed.*,
        median_wages.wage as region_wage_median,
        regions.growth as region_growth,
        detailed.projected_employment / nullif(detailed.employment, 0) - 1 as growth,
        case
            -- Above all that is told is above the median.
            when detailed.wage_median_status = 'range_coded' then true
            else detailed.wage_median >= {{ cte_rule('high_wage_times_median') }} * median_wages.wage
        end as is_high_wage,
        -- Either of the two is enough, and neither is known to fail where it is not told.
        case
            when
                detailed.openings
                >= {{ cte_rule('in_demand_times_median_openings') }} * regions.openings_of_the_median_occupation
                then true
            when detailed.projected_employment / nullif(detailed.employment, 0) - 1 > regions.growth then true
            when detailed.openings is not null and detailed.projected_employment is not null then false
        end as is_in_demand,
        education.rank > {{ cte_rule('high_skill_above_rank') }} as is_high_skill
    from detailed
    inner join regions using (state, school_year, region)
    inner join median_wages using (state, school_year, region)
    left join {{ ref('entry_education') }} as education using (entry_education)

)

select * from judged
