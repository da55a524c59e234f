{{ needs_assessment('educators') }}
