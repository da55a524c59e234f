{{ canonical('labor') }}
