{{ needs_assessment('labor_alignment') }}
