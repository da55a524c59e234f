{#
    Pupils who bring a weight of a formula that the state uses or compares, in average daily membership. Rules
    about a pupil are judged stay by stay, so that schools add up to their district; of weights that exclude
    each other a stay brings the largest alone. Rules about a district or county hold for all of its pupils.
#}
with

stays as (

    select *, row_number() over () as stay from {{ ref('stg_standard__stays') }}

),

loads as (

    {{ loads_of('stays') }}

),

directory as (

    select * from {{ source('standard_lake', 'directory') }}

),

lea_reference as (

    select * from {{ source('standard_lake', 'lea_reference') }}

),

formulas as (

    select
        budget_formula.*,
        years.school_year,
        budget_formula.formula || '.' || budget_formula.weight_id as budget_weight
    from {{ ref('budget_formula') }} as budget_formula
    inner join {{ ref('state_budget_formula') }} as chosen
        on budget_formula.formula = chosen.formula and chosen.state = '{{ var("state") }}'
    inner join (select distinct school_year from stays) as years
        on
            years.school_year >= budget_formula.first_year
            and years.school_year <= coalesce(budget_formula.last_year, years.school_year)
    where budget_formula.kind in ('weight', 'direct')

),

-- A rule names characteristics as category=value, of which any one is enough.
eligible as (

    select
        school_year,
        budget_weight,
        formula,
        weight,
        coalesce(combination, 'additive') as combination,
        unnest(string_split(eligible, '|')) as characteristic
    from formulas
    where rule = 'pupils'

),

characteristics as (

    select
        stays.stay,
        stays.school_year,
        unnest(
            [
                {%- for category in (
                    'economic', 'english_learner', 'el_tier', 'disability', 'homeless', 'foster',
                    'military', 'migrant', 'grade'
                ) %}
                '{{ category }}=' || stays.{{ category }},
                {%- endfor %}
                'title_i=' || directory.title_i
            ]
            || list_transform(stays.needs, need -> 'need=' || need)
        ) as characteristic
    from stays
    left join directory
        on
            stays.school_year = cast(directory.school_year as integer)
            and directory.org_level = 'SCH'
            and stays.school_id = directory.org_id

),

brought as (

    select distinct
        characteristics.stay,
        eligible.formula,
        eligible.budget_weight,
        eligible.combination,
        eligible.weight
    from characteristics
    inner join eligible using (school_year, characteristic)

),

weights_of_stays as (

    select stay, budget_weight from brought where combination = 'additive'

    union all

    select stay, budget_weight from brought
    where combination = 'exclusive'
    qualify row_number() over (partition by stay, formula order by weight desc, budget_weight) = 1

),

-- A thousand pupils are a thousand, also where quotients of days are added up to a hair more.
lea_pupils as (

    select
        school_year,
        lea_id,
        round(sum(days / days_in_session order by days_in_session), 9) as pupils
    from (
        select school_year, lea_id, days_in_session, sum(days_enrolled) as days
        from stays
        group by all
    )
    group by all

),

lea_counties as (

    select
        lea_pupils.*,
        directory.county,
        cast(lea_reference.county_square_miles as double) as square_miles
    from lea_pupils
    left join directory
        on
            lea_pupils.school_year = cast(directory.school_year as integer)
            and directory.org_level = 'LEA'
            and lea_pupils.lea_id = directory.org_id
    left join lea_reference
        on
            lea_pupils.school_year = cast(lea_reference.school_year as integer)
            and lea_pupils.lea_id = lea_reference.lea_id

),

counties as (

    select school_year, county, sum(pupils order by lea_id) as pupils, max(square_miles) as square_miles
    from lea_counties
    where county is not null
    group by all

),

-- Whether a rule about the district holds; null where its county or the county's land is not known.
lea_rules as (

    select
        lea_counties.school_year,
        lea_counties.lea_id,
        formulas.budget_weight,
        case formulas.rule
            when 'small_lea' then lea_counties.pupils <= formulas.threshold
            when 'sparse_county' then round(counties.pupils / counties.square_miles, 9) < formulas.threshold
        end as holds
    from lea_counties
    inner join formulas using (school_year)
    left join counties using (school_year, county)
    where formulas.rule in ('small_lea', 'sparse_county')

),

-- Every place with every weight: nobody is a number too.
places as (

    select distinct school_year, lea_id, school_id, days_in_session from stays

),

cells as (

    select
        places.*,
        formulas.budget_weight,
        formulas.rule,
        lea_rules.holds
    from places
    inner join formulas using (school_year)
    left join lea_rules using (school_year, lea_id, budget_weight)

),

days_of_all as (

    select school_year, lea_id, school_id, days_in_session, sum(days_enrolled) as days
    from stays
    group by all

),

days_of_weights as (

    select
        stays.school_year,
        stays.lea_id,
        stays.school_id,
        stays.days_in_session,
        weights_of_stays.budget_weight,
        sum(stays.days_enrolled) as days
    from stays
    inner join weights_of_stays using (stay)
    group by all

),

days as (

    select
        cells.school_year,
        cells.lea_id,
        cells.school_id,
        cells.days_in_session,
        cells.budget_weight,
        cells.rule = 'pupils' or cells.holds is not null as is_known,
        case
            when cells.rule = 'pupils' then coalesce(days_of_weights.days, 0)
            when cells.holds then days_of_all.days
            else 0
        end as days
    from cells
    left join days_of_weights using (school_year, lea_id, school_id, days_in_session, budget_weight)
    left join days_of_all using (school_year, lea_id, school_id, days_in_session)

),

days_at_every_level as (

    {{ at_every_level('days') }}

),

by_length_of_year as (

    select
        school_year,
        org_level,
        org_id,
        budget_weight,
        days_in_session,
        bool_and(is_known) as is_known,
        sum(days) as days
    from days_at_every_level
    group by all

),

counts as (

    select
        school_year,
        org_level,
        org_id,
        budget_weight,
        bool_and(is_known) as is_known,
        sum(days / days_in_session order by days_in_session) as pupils
    from by_length_of_year
    group by all

),

final as (

    select
        '{{ var("state") }}' as state,
        counts.school_year,
        counts.org_level,
        counts.org_id,
        'budget_pupils' as measure,
        'budget_weight' as group_category,
        counts.budget_weight as group_value,
        case when counts.is_known then cast(counts.pupils as double) end as amount,
        case when counts.is_known then 'reported' else 'not_collected' end as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        loads.source_load
    from counts
    left join loads using (school_year)

)

select * from final
