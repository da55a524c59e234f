{# A number that a state may set (seed cte_rules): its own where it has one, else the one for all. #}
{% macro cte_rule(name) -%}
    (
        select arg_min(value, case state when '{{ var("state") }}' then 0 else 1 end)
        from {{ ref('cte_rules') }}
        where rule = '{{ name }}' and state in ('all', '{{ var("state") }}')
    )
{%- endmacro %}

{# The nine special populations of Perkins V, Sec. 3(48): each value with the flag of the outcome extract. #}
{% macro special_populations() %}
    {{ return([
        ('DISABLED', 'is_disabled'),
        ('ECODIS', 'is_economically_disadvantaged'),
        ('NONTRAD', 'is_nontraditional'),
        ('SINGLEPAR', 'is_single_parent'),
        ('OUTOFWORK', 'is_out_of_workforce'),
        ('EL', 'is_english_learner'),
        ('HOMELESS', 'is_homeless'),
        ('FOSTER', 'is_foster'),
        ('MILITARY', 'is_military'),
    ]) }}
{% endmacro %}

{# Those that follow from what every student's record says; a disability is one under IDEA or section 504. #}
{% macro populations_of_students(has_504) %}
        {%- if has_504 %}
        case when disability = 'IDEA' or section_504 = 'S504' then 'DISABLED' end as population_disabled,
        {%- else %}
        case when disability = 'IDEA' then 'DISABLED' end as population_disabled,
        {%- endif %}
        case when economic = 'ECODIS' then 'ECODIS' end as population_ecodis,
        case when english_learner = 'EL' then 'EL' end as population_el,
        case when homeless = 'Y' then 'HOMELESS' end as population_homeless,
        case when foster = 'Y' then 'FOSTER' end as population_foster,
        case when military = 'Y' then 'MILITARY' end as population_military
{% endmacro %}

{# The categories by which Perkins V asks about concentrators; `told` are the populations that are known. #}
{% macro perkins_categories(told) %}
    {%- set found = [
        ('race', 'race'), ('sex', 'sex'), ('migrant', 'migrant'),
        ('career_cluster', 'career_cluster'), ('cip', 'cip'),
        ('career_cluster*race', 'cluster_of_state || $*$ || race'),
        ('career_cluster*sex', 'cluster_of_state || $*$ || sex'),
    ] -%}
    {%- for value in told -%}
        {%- do found.append(('special_population', 'population_' ~ value | lower)) -%}
        {%- do found.append((
            'career_cluster*special_population',
            'cluster_of_state || $*$ || population_' ~ value | lower
        )) -%}
    {%- endfor -%}
    {%- set quoted = [] -%}
    {%- for category, column in found -%}
        {%- do quoted.append((category, column | replace('$', "'"))) -%}
    {%- endfor -%}
    {{ return(quoted) }}
{% endmacro %}

{#
    Concentrators of a program, each with the years from which it is known: two courses of ONE program in high
    school, or an outcome record that says so (courses of years before the first file are not there to be counted).
#}
{% macro concentrations(courses, outcomes) %}
    select
        school_year,
        student_id,
        cip,
        cluster as career_cluster
    from (
        select
            school_year,
            student_id,
            program,
            max(cip) as cip,
            max(cluster) as cluster,
            max(cast(prior_courses as integer))
            + count(distinct course_code) filter (where completed = 'Y') as courses
        from {{ courses }}
        group by all
    )
    where courses >= {{ cte_rule('concentrator_courses') }}

    union

    select
        school_year,
        student_id,
        cip,
        cluster as career_cluster
    from {{ outcomes }}
    where is_concentrator = 'Y'
{% endmacro %}
