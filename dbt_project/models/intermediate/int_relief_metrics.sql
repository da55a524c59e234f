{#
    Federal relief: how much of spending it was, how much of it paid people, and what is gone after its last
    full year. Dollars are those of the protected metrics per pupil, above their line.
#}
with

metrics as (

    select
        *,
        -- Money at a school without members is money all the same.
        case when numerator is not null then 'reported' else status end as dollars_status
    from {{ ref('int_base_metrics') }}
    where
        metric_id in ('ppe_total', 'ppe_federal_relief', 'membership')
        and (group_category = 'all' or (metric_id = 'ppe_federal_relief' and group_value = 'PERSONNEL'))

),

fund as (

    select
        min(first_year) as first_year,
        max(last_full_year) as last_full_year,
        max(last_year) as last_year
    from {{ ref('relief_listings') }}
    where is_esser

),

relief as (

    select * from metrics where metric_id = 'ppe_federal_relief' and group_category = 'all'

),

on_people as (

    select * from metrics where metric_id = 'ppe_federal_relief' and group_category = 'kind'

),

everything as (

    select * from metrics where metric_id = 'ppe_total'

),

membership as (

    select * from metrics where metric_id = 'membership'

),

years as (

    select
        relief.state,
        relief.school_year,
        relief.org_level,
        relief.org_id,
        relief.numerator as relief,
        everything.numerator as spending,
        {{ status_of_both('relief.dollars_status', "coalesce(everything.dollars_status, 'missing')") }} as status,
        relief.school_year between fund.first_year and fund.last_year as is_of_the_fund,
        relief.source_loads || coalesce(everything.source_loads, []) as source_loads
    from relief
    cross join fund
    left join everything using (state, school_year, org_level, org_id)

),

reliance as (

    select
        latest.state,
        latest.school_year,
        'federal_relief_reliance' as metric_id,
        latest.org_level,
        latest.org_id,
        sum(years.relief order by years.school_year) as numerator,
        sum(years.spending order by years.school_year) as denominator,
        case
            when count(years.school_year) = 0 then 'not_applicable'
            when bool_and(years.status = 'reported')
                -- Corrections can make one of the two negative: then it is no share.
                then case
                    when sum(years.relief) between 0 and sum(years.spending) and sum(years.spending) > 0
                        then 'reported'
                    else 'not_applicable'
                end
            when bool_or(years.status = 'suppressed_primary') then 'suppressed_primary'
            when bool_or(years.status = 'suppressed_complementary') then 'suppressed_complementary'
            when bool_or(years.status = 'missing') then 'missing'
            else 'not_collected'
        end as status,
        flatten(list(years.source_loads) filter (where years.school_year is not null)) as source_loads
    from years as latest
    left join years
        on
            latest.state = years.state
            and latest.org_level = years.org_level
            and latest.org_id = years.org_id
            and years.school_year <= latest.school_year
            and years.is_of_the_fund
    group by all

),

cliff as (

    select
        relief.state,
        relief.school_year,
        'federal_relief_cliff_per_pupil' as metric_id,
        relief.org_level,
        relief.org_id,
        relief.school_year = fund.last_full_year as is_last_full_year,
        case when is_last_full_year then relief.numerator end as numerator,
        case when is_last_full_year then membership.value end as denominator,
        case
            when not is_last_full_year then 'not_applicable'
            when membership.value = 0 and relief.dollars_status = 'reported' then 'not_applicable'
            else {{ status_of_both('relief.dollars_status', "coalesce(membership.status, 'missing')") }}
        end as status,
        case
            when is_last_full_year then relief.source_loads || coalesce(membership.source_loads, [])
            else []
        end as source_loads
    from relief
    cross join fund
    left join membership using (state, school_year, org_level, org_id)

),

recurring as (

    select
        relief.state,
        relief.school_year,
        'federal_relief_recurring_share' as metric_id,
        relief.org_level,
        relief.org_id,
        on_people.numerator,
        relief.numerator as denominator,
        case
            when relief.numerator <= 0 or on_people.numerator not between 0 and relief.numerator
                then 'not_applicable'
            else {{ status_of_both('relief.dollars_status', "coalesce(on_people.dollars_status, 'missing')") }}
        end as status,
        relief.source_loads
    from relief
    left join on_people using (state, school_year, org_level, org_id)

),

together as (

    select * from reliance
    union all by name
    select * exclude (is_last_full_year) from cliff
    union all by name
    select * from recurring

),

final as (

    select
        {{ metric_columns(
            'numerator / denominator',
            group_category="'all'",
            group_value="'all'",
            numerator="case when status in ('reported', 'not_applicable') then numerator end",
            denominator="case when status in ('reported', 'not_applicable') then denominator end",
            source_loads='list_sort(list_distinct(coalesce(source_loads, [])))'
        ) }}
    from together

)

select * from final
