with

state_definitions as (

    select * from {{ ref('state_definitions') }}

)

select
    state,
    school_year,
    metric_id,
    definition
from state_definitions
where state = '{{ var("state") }}'
