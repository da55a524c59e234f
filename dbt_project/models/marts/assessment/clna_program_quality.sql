{{ needs_assessment('program_quality') }}
