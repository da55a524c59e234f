{{ needs_assessment('student_performance') }}
