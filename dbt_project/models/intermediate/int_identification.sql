{{ canonical('identification') }}
