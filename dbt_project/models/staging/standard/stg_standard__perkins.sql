{#
    What Perkins V, Sec. 113(b)(2)(A) asks about secondary concentrators. Everyone is counted once in each group:
    who concentrates in two programs stands in both clusters, and in `all` once.
#}
{%- set everybody = special_populations() | map('first') | list -%}
{%- set flagged = ['DISABLED', 'ECODIS', 'EL', 'HOMELESS', 'FOSTER', 'MILITARY'] -%}
{%- set tests = ['reading', 'mathematics', 'science'] -%}

with

outcomes as (

    select * from {{ source('standard_lake', 'cte_outcome') }}

),

courses as (

    select * from {{ source('standard_lake', 'cte_enrollment') }}

),

stays as (

    select * from {{ ref('stg_standard__stays') }}

),

cohort as (

    select * from {{ ref('stg_standard__cohort') }}

),

nontraditional_programs as (

    -- A state's own list takes the place of the list for all.
    select
        cip,
        sex
    from {{ ref('nontraditional_programs') }}
    where
        state = case
            when exists (
                select 1 from {{ ref('nontraditional_programs') }} where state = '{{ var("state") }}'
            ) then '{{ var("state") }}'
            else 'all'
        end

),

outcome_loads as (

    {{ loads_of('outcomes') }}

),

cohort_loads as (

    {{ loads_of('cohort') }}

),

course_loads as (

    {{ loads_of('courses') }}

),

-- The outcome extract tells neither race nor sex: the student's last stay of the year does.
persons as (

    select
        school_year,
        student_id,
        race,
        sex,
        migrant
    from stays
    qualify row_number() over (
        partition by school_year, student_id order by entry_date desc, fte desc, school_id, _row
    ) = 1

),

-- What the year's file says at all: a column that nobody filled was not collected.
told as (

    select
        school_year,
        bool_or(state_quality_measure is not null) as has_quality
        {%- for test in tests %},
        bool_or(proficient_{{ test }} is not null) as has_{{ test }}
        {%- endfor %}
    from outcomes
    group by all

),

left_school as (

    select
        outcomes.school_year,
        outcomes.lea_id,
        outcomes.school_id,
        outcomes.student_id,
        outcomes.cip,
        outcomes.cluster as career_cluster,
        persons.race,
        persons.sex,
        persons.migrant,
        {%- for value, flag in special_populations() %}
        case when outcomes.{{ flag }} = 'Y' then '{{ value }}' end as population_{{ value | lower }},
        {%- endfor %}
        -- Graduating is with a diploma, regular or alternate; an equivalency is not.
        outcomes.graduation in ('REGULAR', 'ALTERNATE') as is_graduate,
        -- Unknown is not placed, and stays in the denominator.
        outcomes.placement in ('EDUCATION', 'TRAINING', 'MILITARY', 'SERVICE', 'EMPLOYED') as is_placed,
        outcomes.credential = 'Y' as has_credential,
        cast(outcomes.postsecondary_credits as double)
        >= {{ cte_rule('postsecondary_credits_at_least') }} as has_credits,
        coalesce(cast(outcomes.wbl_hours as double), 0)
        >= {{ cte_rule('work_based_learning_hours_at_least') }} as has_worked,
        coalesce(outcomes.state_quality_measure = 'Y', false) as has_quality
        {%- for test in tests %},
        outcomes.proficient_{{ test }} is not null as was_tested_{{ test }},
        coalesce(outcomes.proficient_{{ test }} = 'Y', false) as is_proficient_{{ test }}
        {%- endfor %}

    from outcomes
    left join persons using (school_year, student_id)
    where outcomes.is_concentrator = 'Y'

),

left_at_every_level as (

    select
        *,
        -- Crossed for the state only: below it, most of such cells are of a few students.
        case when org_level = 'SEA' then career_cluster end as cluster_of_state
    from ({{ at_every_level('left_school') }})

),

left_by_group as (

    {{ by_group(
        'left_at_every_level',
        [
            'school_year', 'org_level', 'org_id', 'student_id', 'is_graduate', 'is_placed', 'has_credential',
            'has_credits', 'has_worked', 'has_quality', 'was_tested_reading', 'is_proficient_reading',
            'was_tested_mathematics', 'is_proficient_mathematics', 'was_tested_science', 'is_proficient_science',
        ],
        perkins_categories(everybody)
    ) }}

),

students_left as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        student_id,
        bool_or(is_graduate) as is_graduate,
        bool_or(is_placed) as is_placed,
        bool_or(has_credential) as has_credential,
        bool_or(has_credits) as has_credits,
        bool_or(has_worked) as has_worked,
        bool_or(has_quality) as has_quality
        {%- for test in tests %},
        bool_or(was_tested_{{ test }}) as was_tested_{{ test }},
        bool_or(is_proficient_{{ test }}) as is_proficient_{{ test }}
        {%- endfor %}
    from left_by_group
    group by all

),

counts_left as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        count(*) as concentrators_left,
        count(*) filter (where is_placed) as concentrators_placed,
        count(*) filter (where is_graduate) as concentrators_graduating,
        count(*) filter (where is_graduate and has_credential) as graduating_with_credential,
        count(*) filter (where is_graduate and has_credits) as graduating_with_credits,
        count(*) filter (where is_graduate and has_worked) as graduating_with_work,
        case
            when bool_or(told.has_quality) then count(*) filter (where is_graduate and students_left.has_quality)
        end as graduating_with_quality
        {%- for test in tests %},
        case when bool_or(told.has_{{ test }}) then count(*) filter (where was_tested_{{ test }}) end as tested_{{ test }},
        case
            when bool_or(told.has_{{ test }}) then count(*) filter (where is_proficient_{{ test }})
        end as proficient_{{ test }}
        {%- endfor %}
    from students_left
    inner join told using (school_year)
    group by all

),

-- Unpivoting leaves out what is null, which is what the file does not have.
of_those_who_left as (

    select *
    from (
        unpivot (
            select
                school_year, org_level, org_id, group_category, group_value, concentrators_left,
                concentrators_placed, concentrators_graduating, graduating_with_credential,
                graduating_with_credits, graduating_with_work, graduating_with_quality, tested_reading,
                proficient_reading, tested_mathematics, proficient_mathematics, tested_science,
                proficient_science
            from counts_left
        )
        on columns(* exclude (school_year, org_level, org_id, group_category, group_value))
        into name measure value amount
    )

),

concentrations as (

    {{ concentrations('courses', 'outcomes') }}

),

-- Three populations are known from the outcome record only.
outcome_populations as (

    select
        school_year,
        student_id,
        {%- for value, flag in special_populations() if value not in flagged %}
        max(case when {{ flag }} = 'Y' then '{{ value }}' end) as population_{{ value | lower }}{{ ',' if not loop.last }}
        {%- endfor %}
    from outcomes
    group by all

),

cohort_of_concentrators as (

    select
        cohort.school_year,
        cohort.lea_id,
        cohort.school_id,
        cohort.student_id,
        concentrations.cip,
        concentrations.career_cluster,
        cohort.race,
        cohort.sex,
        cohort.migrant,
        {{ populations_of_students(false) | trim }},
        outcome_populations.population_nontrad,
        outcome_populations.population_singlepar,
        outcome_populations.population_outofwork,
        cohort.extra_years,
        cohort.is_graduate
    from cohort
    -- Known as a concentrator by the end of the year that is reported.
    inner join concentrations
        on
            cohort.student_id = concentrations.student_id
            and concentrations.school_year <= cohort.school_year
    left join outcome_populations
        on
            cohort.student_id = outcome_populations.student_id
            and outcome_populations.school_year <= cohort.school_year
    where cohort.extra_years in (0, 1)

),

cohort_at_every_level as (

    select
        *,
        case when org_level = 'SEA' then career_cluster end as cluster_of_state
    from ({{ at_every_level('cohort_of_concentrators') }})

),

cohort_by_group as (

    {{ by_group(
        'cohort_at_every_level',
        ['school_year', 'org_level', 'org_id', 'student_id', 'extra_years', 'is_graduate'],
        perkins_categories(everybody)
    ) }}

),

cohort_counts as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        if(extra_years = 0, '4yr', '5yr') as span,
        count(distinct student_id) as members,
        count(distinct student_id) filter (where is_graduate) as graduates
    from cohort_by_group
    group by all

),

of_the_cohort as (

    select
        * exclude (span, members, graduates),
        'concentrators_cohort_' || span as measure,
        members as amount
    from cohort_counts

    union all by name

    select
        * exclude (span, members, graduates),
        'concentrators_graduates_' || span as measure,
        graduates as amount
    from cohort_counts

),

-- Concentrators of this year, as the concentration rate counts them: members of grades 9 to 12.
students as (

    {{ students_at_every_level('stays') }}

),

typed_courses as (

    select
        school_year,
        lea_id,
        school_id,
        student_id,
        program,
        max(cip) over (partition by school_year, program) as cip,
        max(cluster) over (partition by school_year, program) as career_cluster,
        course_code,
        completed = 'Y' as is_completed,
        cast(prior_courses as integer) as prior_courses,
        {%- for flag in ['is_nontraditional', 'is_single_parent', 'is_out_of_workforce'] %}
        {{ flag }} = 'Y' as {{ flag }}{{ ',' if not loop.last }}
        {%- endfor %}
    from courses

),

programs as (

    select
        school_year,
        org_level,
        org_id,
        student_id,
        program,
        cip,
        career_cluster,
        max(prior_courses) + count(distinct course_code) filter (where is_completed) as completed,
        bool_or(is_nontraditional) as is_nontraditional,
        bool_or(is_single_parent) as is_single_parent,
        bool_or(is_out_of_workforce) as is_out_of_workforce
    from ({{ at_every_level('typed_courses') }})
    group by all

),

in_nontraditional_fields as (

    select
        students.school_year,
        students.org_level,
        students.org_id,
        students.student_id,
        students.race,
        students.sex,
        students.migrant,
        {{ populations_of_students(true) | trim }},
        case when programs.is_nontraditional then 'NONTRAD' end as population_nontrad,
        case when programs.is_single_parent then 'SINGLEPAR' end as population_singlepar,
        case when programs.is_out_of_workforce then 'OUTOFWORK' end as population_outofwork,
        programs.cip,
        programs.career_cluster,
        case when students.org_level = 'SEA' then programs.career_cluster end as cluster_of_state,
        students.sex = nontraditional_programs.sex as is_of_the_rare_sex
    from programs
    inner join students using (school_year, org_level, org_id, student_id)
    inner join nontraditional_programs on programs.cip = nontraditional_programs.cip
    where
        students.is_member
        and students.is_grade_9_12
        and programs.completed >= {{ cte_rule('concentrator_courses') }}

),

fields_by_group as (

    {{ by_group(
        'in_nontraditional_fields',
        ['school_year', 'org_level', 'org_id', 'student_id', 'is_of_the_rare_sex'],
        perkins_categories(everybody)
    ) }}

),

field_counts as (

    select
        school_year,
        org_level,
        org_id,
        group_category,
        group_value,
        count(distinct student_id) as concentrators_in_nontraditional_fields,
        count(distinct student_id) filter (where is_of_the_rare_sex) as concentrators_nontraditional
    from fields_by_group
    group by all

),

of_this_year as (

    unpivot field_counts
    on concentrators_in_nontraditional_fields, concentrators_nontraditional
    into name measure value amount

),

loaded as (

    select
        of_those_who_left.*,
        outcome_loads.source_load
    from of_those_who_left
    left join outcome_loads using (school_year)

    union all by name

    select
        of_the_cohort.*,
        cohort_loads.source_load
    from of_the_cohort
    left join cohort_loads using (school_year)

    union all by name

    select
        of_this_year.*,
        course_loads.source_load
    from of_this_year
    left join course_loads using (school_year)

),

final as (

    select {{ observed() }}
    from loaded

)

select * from final
