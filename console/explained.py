"""The page that a task has in Airflow: the same questions for every task, all of them answered."""

from __future__ import annotations


def explained(
    what: str, *, given: str, makes: str, failure: str, clearing: str, concerns: str
) -> str:
    """A task's `doc_md`: its purpose, inputs, outputs, and what to do when it fails."""
    return "\n".join(
        [
            what,
            "",
            f"**In.** {given}",
            "",
            f"**Out.** {makes}",
            "",
            f"**A failure means** {failure}",
            "",
            f"**Clearing** {clearing}",
            "",
            f"**Concerns** {concerns}",
            "",
            "What to do stands in the [runbook](/statewide/runbook).",
        ]
    )
