{{ canonical('reference') }}
