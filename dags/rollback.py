"""
### Roll back

**Purpose.** Points readers at an earlier release: the one before, or a named one.

**In.** The release's name, if it is not the one before, and a reason. The releases of the state
stand on the [Statewide page](/statewide/).

**Out.** The pointer to the release, here and where it is published to. Every newer release is
withdrawn: the same files do not publish it again. Name and reason stand in the ledger. To return to
a newer release, roll back to it by its name.

**When.** Only by hand.

**If it fails.** Readers see what they saw. The log says why: there is no such release, or one of
its files is not what was published. Clearing is safe.

**Concerns.** The owner of the DAG, who is named in the state's file.
"""

from airflow.sdk import Asset, Param, dag, get_current_context, get_parsing_context, task
from pendulum import datetime

from console import alerts
from console.explained import explained
from include.registry import State, states
from ops.retries import UNLESS_IT_SAID_WHY


@task(
    task_id="roll_back",
    task_display_name="Roll back",
    doc_md=explained(
        "Compare every file of a release with its hash, then point readers at it.",
        given="The releases of the state, and the ledger of what was published and rolled back.",
        makes="A line in the ledger with who did it and why; the pointer moves last.",
        failure="that there is no such release, that it was altered, or that the store was away. "
        "Readers see what they saw.",
        clearing="is safe: to roll back to the same release again changes nothing.",
        concerns="the state's owner, who tells those that read the figures.",
    ),
)
def roll_back(state: str) -> str:
    """Point readers at an earlier release. Returns its name."""
    from include import release

    context = get_current_context()
    told, by = context["params"], context["dag_run"].triggering_user_name
    name = release.rollback(state, told["release"], reason=told["reason"], by=by)
    context["outlet_events"][Asset(f"release/{state}")].extra = {"release": name}
    alerts.after_rollback(state)
    return name


def rollback(state: State) -> None:
    @dag(
        dag_id=f"{state.state}_rollback",
        dag_display_name=f"{state.name}: roll back",
        description="Readers see an earlier release again",
        doc_md=__doc__,
        schedule=None,
        start_date=datetime(2024, 7, 1),
        catchup=False,
        max_active_runs=1,
        params={
            "release": Param(
                None,
                type=["null", "string"],
                pattern=f"^{state.state}-[0-9a-f]{{12}}$",
                title="Release",
                description="Its name, as the Statewide page has it. Empty: the one before.",
            ),
            "reason": Param(
                type="string",
                minLength=10,
                title="Reason",
                description="Why readers are to see the earlier one again, in at least ten "
                "letters; stands in the ledger with your name.",
            ),
        },
        on_failure_callback=alerts.run_failed,
        default_args={
            "owner": state.owner,
            **UNLESS_IT_SAID_WHY,
            "on_failure_callback": alerts.failed,
        },
        tags=["rollback", state.state],
    )
    def rollback_state():
        roll_back.override(outlets=[Asset(f"release/{state.state}")])(state.state)

    rollback_state()


# A task reads this file too, and needs the one DAG that it is part of.
wanted = get_parsing_context().dag_id
for code in states():
    if wanted in (None, f"{code}_rollback"):
        rollback(states()[code])
