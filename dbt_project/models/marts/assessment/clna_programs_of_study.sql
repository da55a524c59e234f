{{ needs_assessment('programs_of_study') }}
