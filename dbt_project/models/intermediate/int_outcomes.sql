{{ canonical('outcomes') }}
