{{ canonical('cte') }}

union all

{{ canonical('perkins') }}

union all

{{ canonical('cte_discrepancies') }}

union all

{{ canonical('cte_alignment') }}

union all

{{ canonical('work_based_learning') }}

union all

{{ canonical('work_ethic') }}
