{#
    What other thresholds would select: every pair of a count and a share of the grid, for each group of
    designations, joined by `or` and by `and`. The least number of schools that a share needs is the state's own.
#}
with

selection as (

    select * from {{ ref('rar_selection') }}
    where status in ('reported', 'not_applicable')

),

thresholds as (

    {{ own_or_default('rar_threshold') }}

),

designations as (

    select unnest(['CSI', 'TSI_OR_ATSI', 'ANY']) as designation

),

grid as (

    select
        designations.designation,
        combinations.combination,
        cast(counts.minimum_count as integer) as minimum_count,
        -- Counted in twentieths, so that a share is the number that one would type.
        cast(shares.twentieths as double) / 20 as minimum_share,
        coalesce(
            (
                select max(thresholds.least_for_share) from thresholds
                where thresholds.designation = designations.designation
            ),
            1
        ) as least_for_share
    from designations
    cross join (select unnest(['or', 'and']) as combination) as combinations
    cross join (select unnest(range(1, 13)) as minimum_count) as counts
    cross join (select unnest(range(1, 11)) as twentieths) as shares

),

agencies as (

    select
        grid.*,
        selection.state,
        selection.school_year,
        selection.org_id,
        selection.schools,
        {{ schools_with('grid.designation') }} as identified,
        selection.pupils,
        selection.pupils_status,
        coalesce(
            selection.schools > 0
            and {{ meets_threshold(
                meets_count('identified', 'grid.minimum_count'),
                meets_share('identified', 'nullif(selection.schools, 0)', 'grid.minimum_share', 'grid.least_for_share'),
                'grid.combination',
            ) }},
            false
        ) as is_selected
    from selection
    cross join grid

),

final as (

    select
        state,
        school_year,
        designation,
        combination,
        minimum_count,
        minimum_share,
        cast(least_for_share as integer) as least_for_share,
        cast(count(*) as integer) as leas,
        cast(count(*) filter (where is_selected) as integer) as leas_selected,
        cast(coalesce(sum(identified), 0) as integer) as identified_schools,
        cast(coalesce(sum(identified) filter (where is_selected), 0) as integer) as identified_schools_covered,
        -- A sum over agencies of which one is not told is no total.
        case
            when bool_and(pupils_status = 'reported' or not is_selected)
                then coalesce(sum(pupils order by org_id) filter (where is_selected), 0)
        end as pupils_selected,
        case
            when bool_and(pupils_status = 'reported' or not is_selected) then 'reported'
            when bool_or(is_selected and pupils_status in ('suppressed_primary', 'range_coded'))
                then 'suppressed_primary'
            when bool_or(is_selected and pupils_status = 'suppressed_complementary')
                then 'suppressed_complementary'
            when bool_or(is_selected and pupils_status = 'missing') then 'missing'
            else 'not_collected'
        end as pupils_status
    from agencies
    group by all

)

select * from final
