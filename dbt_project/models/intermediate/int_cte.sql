{{ canonical('cte') }}

union all

{{ canonical('perkins') }}

union all

{{ canonical('cte_discrepancies') }}
