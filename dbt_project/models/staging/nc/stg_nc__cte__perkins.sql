{#
    Secondary concentrators of the whole state by group of students and career cluster, as the state reported them under
    Perkins V. Its totals are the sums of the schools' file of the same year, school by school and cluster by cluster.
#}
with

perkins as (

    select * from {{ source('reference', 'reference_perkins_concentrators') }}
    where state_name = 'North Carolina' and education = 'Secondary'

),

populations as (

    select code as population, group_category, group_value
    from {{ ref('code_set') }}
    where state = 'nc' and code_set = 'perkins_population' and group_category is not null

),

one_row_per_cluster as (

    unpivot perkins
    on
        students, agnr, arch, aavc, bma, educ, fina, govt, hlth, hosp, huma, info, law, manu, mrkt, stem, tran
    into name cluster value told

),

counted as (

    select
        cast(one_row_per_cluster.school_year as integer) as school_year,
        case
            when one_row_per_cluster.cluster = 'students' then populations.group_category
            when populations.group_category = 'all' then 'career_cluster'
            else 'career_cluster*' || populations.group_category
        end as group_category,
        case
            when one_row_per_cluster.cluster = 'students' then populations.group_value
            when populations.group_category = 'all' then upper(one_row_per_cluster.cluster)
            else upper(one_row_per_cluster.cluster) || '*' || populations.group_value
        end as group_value,
        {{ number('one_row_per_cluster.told') }} as amount,
        one_row_per_cluster._file
    from one_row_per_cluster
    inner join populations using (population)

),

final as (

    select
        'nc' as state,
        school_year,
        'SEA' as org_level,
        'NC-SEA' as org_id,
        'cte_concentrators' as measure,
        group_category,
        group_value,
        amount,
        'reported' as status,
        cast(null as double) as lower_bound,
        cast(null as double) as upper_bound,
        _file as source_load
    from counted

)

select * from final
