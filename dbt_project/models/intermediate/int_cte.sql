{{ canonical('cte') }}
