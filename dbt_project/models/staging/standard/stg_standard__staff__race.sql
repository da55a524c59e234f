{#- A measure of people for each way of being counted. -#}
{%- set careers = {'teachers': 'is_teacher', 'principals': 'is_principal'} -%}

with

source as (

    select * from {{ source('standard_lake', 'staff_assignment') }}

),

loads as (

    {{ loads_of('source') }}

),

assignments as (

    select
        cast(school_year as integer) as school_year,
        lea_id,
        school_id,
        staff_id,
        staff_class in ('PKTCH', 'KGTCH', 'ELMTCH', 'SECTCH', 'UGTCH') as is_teacher,
        coalesce(is_principal = 'Y', false) as is_principal,
        -- A person is of one race everywhere: of two that contradict each other, the first by code.
        min(race) over (partition by school_year, staff_id) as race

    from source

),

assignments_at_every_level as (

    {{ at_every_level('assignments') }}

),

people as (

    select
        school_year,
        org_level,
        org_id,
        staff_id,
        race,
        bool_or(is_teacher) as is_teacher,
        bool_or(is_principal) as is_principal

    from assignments_at_every_level
    where race is not null
    group by all

),

races_of_the_state as (

    select distinct school_year, race from people

),

organizations as (

    select distinct school_year, org_level, org_id from people

),

-- Nobody of a race is a number too.
counts as (

    select
        organizations.school_year,
        organizations.org_level,
        organizations.org_id,
        races_of_the_state.race,
        {% for measure, career in careers.items() -%}
        count(people.staff_id) filter (where people.{{ career }}) as {{ measure }}{{ ',' if not loop.last }}
        {% endfor %}
    from organizations
    inner join races_of_the_state using (school_year)
    left join people using (school_year, org_level, org_id, race)
    group by all

),

observations as (

    {% for measure in careers -%}
    select
        school_year,
        org_level,
        org_id,
        '{{ measure }}_of_group' as measure,
        'race' as group_category,
        race as group_value,
        {{ measure }} as amount

    from counts

    union all by name

    select
        school_year,
        org_level,
        org_id,
        '{{ measure }}_of_known_group' as measure,
        'all' as group_category,
        'all' as group_value,
        sum({{ measure }}) as amount

    from counts
    group by all

    {{ 'union all by name' if not loop.last }}

    {% endfor %}
),

final as (

    select {{ observed() }}
    from observations
    left join loads using (school_year)

)

select * from final
