{# Areas of the state that is built, from the nationwide file of jobs and wages: detailed occupations, and all together. #}
with

oews as (

    select * from {{ source('reference', 'reference_oews') }}

),

areas as (

    select oews.*
    from oews
    inner join {{ ref('state_fips') }} as states on oews.state_fips = states.fips
    where
        states.state = '{{ var("state") }}'
        and (oews.level = '3' or oews.soc_digits = '000000')

),

figures as (

    {% for measure, column in [('employment', 'employment'), ('wage_median', 'wage_median')] -%}
    select
        cast(school_year as integer) as school_year,
        area as region,
        left(soc_digits, 2) || '-' || right(soc_digits, 4) as soc,
        occupation,
        '{{ measure }}' as measure,
        cast(nullif({{ column }}, '-') as double) as amount,
        {% if measure == 'wage_median' -%}
        case when wage_footnote = '5' then 'range_coded' end as masked,
        {%- else -%}
        cast(null as varchar) as masked,
        {%- endif %}
        _file as source_load
    from areas
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

final as (

    select
        '{{ var("state") }}' as state,
        figures.school_year,
        figures.region,
        figures.soc,
        figures.measure,
        figures.amount,
        case when figures.amount is not null then 'reported' else coalesce(figures.masked, 'suppressed_primary') end
            as status,
        figures.occupation,
        cast(null as varchar) as entry_education,
        vintages.vintage,
        figures.source_load
    from figures
    left join {{ ref('reference_vintage') }} as vintages
        on
            vintages.state = '{{ var("state") }}'
            and vintages.extract = 'oews'
            and figures.school_year = vintages.school_year

)

select * from final
