{{ canonical('cte') }}

union all

{{ canonical('perkins') }}

union all

{{ canonical('cte_discrepancies') }}

union all

{{ canonical('cte_alignment') }}
