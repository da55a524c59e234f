{{ canonical('enrollment') }}
