with

metrics as (

    select * from {{ ref('metrics') }}

)

select
    metric_id,
    label,
    definition,
    formula,
    unit,
    polarity,
    ceds_id,
    edfacts_file,
    citation
from metrics
