{{ canonical('staff') }}
