{{ canonical('organizations') }}
