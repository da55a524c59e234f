"""
### Maintenance

**Purpose.** Removes, once a week, what nothing needs any more: landed files that were replaced long
ago, their quarantine and Data Docs, old builds, old logs of tasks. In a folder as on a shared lake,
where the bytes of what went are removed by the next cleaning.

**In.** `STATEWIDE_KEEP_FILES` (400 days), `STATEWIDE_KEEP_BUILDS` (30), `STATEWIDE_KEEP_LOGS` (90).

**Out.** Room on the disk, and a list of what went in each task's log. Releases are never removed,
nor what a release was made from, what is in the lake, what came last, the current build, or a build
that a person said no to. Runs in Airflow's own database are removed by `make forget`.

**If it fails.** Something could not be removed, and the log names it; everything else is gone that
should be. Clearing is safe.

**Concerns.** The operators of this machine.
"""

import os

from airflow.sdk import dag, task
from pendulum import datetime

from console import alerts
from console.explained import explained
from ops.retries import UNLESS_IT_SAID_WHY

MACHINE = "the operators of this machine."


@task(
    task_display_name="Find the states",
    doc_md=explained(
        "List the states that have anything here.",
        given="`include/states/` and `STATEWIDE_HOME`.",
        makes="One cleaning task for each of them.",
        failure="that a state's file cannot be understood.",
        clearing="is safe.",
        concerns=MACHINE,
    ),
)
def find_states() -> list[str]:
    """The states to clean."""
    from include import retention

    return retention.states()


@task(
    task_display_name="Remove what nothing needs",
    map_index_template="{{ state }}",
    # A state whose release cannot be read keeps everything, and holds back no other's cleaning.
    doc_md=explained(
        "Remove a state's files and builds that nothing needs and that are old enough.",
        given="Releases, lake, receipts and answers of the state: what they name stays.",
        makes="The list of what went, in the log.",
        failure="that something could not be removed, or that a release could not be read: then "
        "nothing of the state is removed.",
        clearing="is safe.",
        concerns=MACHINE,
    ),
)
def clean(state: str) -> None:
    """Remove what a state does not need."""
    from airflow.sdk import get_current_context

    from include import retention

    get_current_context()["state"] = state  # names the mapped task
    # First, so that what goes today keeps its bytes until the next cleaning.
    print(retention.collect(state), "objects of a shared lake removed, which no file has any more")
    for path in retention.clean(state, retention.Policy.configured()):
        print(path)


@task(
    task_display_name="Remove old logs",
    doc_md=explained(
        "Remove logs of tasks that nobody wrote to for `STATEWIDE_KEEP_LOGS` days.",
        given="Airflow's log folder on this machine.",
        makes="How many went, in the log.",
        failure="that a file could not be removed: usually another user's.",
        clearing="is safe.",
        concerns=MACHINE,
    ),
)
def clean_logs() -> None:
    """Remove old logs of tasks."""
    from pathlib import Path

    from airflow.sdk.configuration import conf

    from include import retention

    folder = Path(conf.get("logging", "base_log_folder"))
    print(retention.clean_logs(folder, retention.Policy.configured()), "log files removed")


@dag(
    dag_id="statewide_maintenance",
    dag_display_name="Statewide: maintenance",
    description="Removes what no release, load or person needs any more",
    doc_md=__doc__,
    schedule="23 3 * * 0" if os.environ.get("STATEWIDE_SCHEDULES") != "off" else None,
    start_date=datetime(2024, 7, 1),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "operations",
        **UNLESS_IT_SAID_WHY,
        "on_failure_callback": alerts.failed,
        "on_success_callback": alerts.succeeded,
    },
    tags=["operations"],
)
def maintenance():
    clean.expand(state=find_states())
    clean_logs()


maintenance()
