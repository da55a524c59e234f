{{ canonical('finance') }}
