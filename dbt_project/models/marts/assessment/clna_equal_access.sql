{{ needs_assessment('equal_access') }}
