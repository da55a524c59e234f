{#
    Which local agencies serve a significant number of identified schools. What is significant is the state's
    to say, in the seed rar_threshold.
#}
with

schools as (

    select * from {{ ref('int_identified_schools') }}

),

organizations as (

    select * from {{ ref('int_organizations') }}

),

facts as (

    select * from {{ ref('fct_metric') }}
    where org_level = 'LEA'

),

thresholds as (

    {{ own_or_default('rar_threshold') }}

),

pupils as (

    {{ pupils_of_organizations('facts') }}

),

collected as (

    select
        state,
        school_year,
        -- A row of a school that nobody knows may be any agency's.
        bool_or(lea_id is null) as has_rows_of_unknown_schools
    from schools
    group by all

),

counted as (

    select
        state,
        school_year,
        lea_id as org_id,
        count(*) as schools,
        count(*) filter (where is_csi) as csi_schools,
        count(*) filter (where is_targeted) as tsi_schools,
        count(*) filter (where is_tsi) as consistently_underperforming_schools,
        count(*) filter (where is_atsi) as additional_targeted_schools,
        count(*) filter (where is_identified) as identified_schools,
        case when count(is_low_performing) > 0 then count(*) filter (where is_low_performing) end
            as low_performing_schools,
        case when count(is_low_graduation) > 0 then count(*) filter (where is_low_graduation) end
            as low_graduation_schools,
        bool_or(status = 'missing') as has_lost_rows
    from schools
    where lea_id is not null
    group by all

),

agencies as (

    select
        agency.state,
        agency.school_year,
        agency.org_id,
        agency.name,
        agency.is_charter,
        counted.* exclude (state, school_year, org_id),
        case
            when collected.state is null then 'not_collected'
            when collected.has_rows_of_unknown_schools or counted.has_lost_rows then 'missing'
            when counted.schools is null then 'not_applicable'
            else 'reported'
        end as identification_status
    from organizations as agency
    left join collected
        on
            agency.state = collected.state
            and agency.school_year = collected.school_year
    left join counted
        on
            agency.state = counted.state
            and agency.school_year = counted.school_year
            and agency.org_id = counted.org_id
    where agency.org_level = 'LEA'

),

-- One row for each agency and threshold that is put to it.
asked as (

    select
        agencies.state,
        agencies.school_year,
        agencies.org_id,
        agencies.schools,
        thresholds.designation,
        thresholds.combination,
        thresholds.minimum_count,
        thresholds.minimum_share,
        thresholds.least_for_share,
        {{ schools_with('thresholds.designation') }} as identified,
        {{ meets_count('identified', 'thresholds.minimum_count') }} as is_met_by_count,
        {{ meets_share('identified', 'agencies.schools', 'thresholds.minimum_share', 'thresholds.least_for_share') }}
            as is_met_by_share
    from agencies
    inner join thresholds
        on
            agencies.school_year >= coalesce(thresholds.first_school_year, agencies.school_year)
            and agencies.school_year <= coalesce(thresholds.last_school_year, agencies.school_year)
    where agencies.identification_status = 'reported'

),

verdicts as (

    select
        state,
        school_year,
        org_id,
        bool_or({{ meets_threshold('is_met_by_count', 'is_met_by_share', 'combination') }}) as is_selected,
        string_agg(
            designation || ': '
            || concat_ws(
                ' ' || combination || ' ',
                case when is_met_by_count then identified || ' schools >= ' || minimum_count end,
                case
                    when is_met_by_share
                        then
                            printf('%.1f %%', 100 * identified / schools) || ' of schools >= '
                            || printf('%.1f %%', 100 * minimum_share)
                end
            ),
            '; '
            order by designation
        ) filter (where {{ meets_threshold('is_met_by_count', 'is_met_by_share', 'combination') }}) as rule
    from asked
    group by all

),

final as (

    select
        agencies.state,
        agencies.school_year,
        agencies.org_id,
        {%- set counts = "case when agencies.identification_status = 'reported' then agencies.%s "
            ~ "when agencies.identification_status = 'not_applicable' then 0 end" %}
        cast({{ counts | format('schools') }} as integer) as schools,
        cast({{ counts | format('csi_schools') }} as integer) as csi_schools,
        case when agencies.identification_status = 'reported' then agencies.csi_schools / agencies.schools end
            as csi_share,
        cast({{ counts | format('tsi_schools') }} as integer) as tsi_schools,
        case when agencies.identification_status = 'reported' then agencies.tsi_schools / agencies.schools end
            as tsi_share,
        case
            when agencies.identification_status = 'reported' then coalesce(verdicts.is_selected, false)
            when agencies.identification_status = 'not_applicable' then false
        end as is_selected,
        case
            when agencies.identification_status = 'not_collected' then 'the year has no identification file'
            when agencies.identification_status = 'missing' then 'a row of the identification file was set aside'
            when agencies.identification_status = 'not_applicable' then 'no school in the identification file'
            when verdicts.org_id is null then 'the state has no threshold for the year'
            else coalesce(verdicts.rule, 'no threshold met')
        end as rule,
        agencies.name,
        agencies.is_charter,
        {%- for count in [
            'identified_schools', 'low_performing_schools', 'low_graduation_schools',
            'consistently_underperforming_schools', 'additional_targeted_schools'
        ] %}
        cast({{ counts | format(count) }} as integer) as {{ count }},
        {%- endfor %}
        pupils.pupils_metric,
        pupils.pupils,
        coalesce(pupils.pupils_status, 'not_collected') as pupils_status,
        agencies.identification_status as status
    from agencies
    left join verdicts using (state, school_year, org_id)
    left join pupils using (state, school_year, org_id)

)

select * from final
