{{ canonical('labor') }}

union all

select
    state,
    school_year,
    region,
    soc,
    measure,
    amount,
    status,
    occupation,
    entry_education,
    vintage,
    source_load
from {{ ref('int_oews') }}
