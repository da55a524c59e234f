"""
### Watch

**Purpose.** Looks once an hour for what no run can tell, because nothing ran: files that were
promised and did not come, releases that lag behind the lake, a state's file that cannot be
understood. Tells whom it concerns, and tells again what could not be delivered before.

**In.** Receipts, loads and releases as they lie there.

**Out.** Alerts, and the list of what is wrong on the [Statewide page](/statewide/).

**If it fails.** Nobody hears of late files until it works again; everything else goes on. Clearing
is safe: what was told is not told again.

**Concerns.** The operators of this machine.
"""

import os

from airflow.sdk import dag, task
from pendulum import datetime, duration

from console import alerts
from console.explained import explained
from ops.retries import UNLESS_IT_SAID_WHY

MACHINE = "the operators of this machine."
AGAIN = "is safe: what was told is not told again."


@task(
    task_display_name="Look for late files",
    doc_md=explained(
        "Find files that were promised by a day that is over.",
        given="`due` of every extract in the states' files, and the lake.",
        makes="An incident for each state that has some.",
        failure="that the lake could not be read.",
        clearing=AGAIN,
        concerns=MACHINE,
    ),
)
def look_for_late_files() -> None:
    """Open an incident for every state of which a promised file is not loaded."""
    from include import watch

    watch.late()


@task(
    task_display_name="Look for stale releases",
    doc_md=explained(
        "Find states whose readers have not been given what is loaded.",
        given="The lake and the last release of every state; `STATEWIDE_STALE_HOURS`.",
        makes="An incident for each state that lags.",
        failure="that the lake or a release could not be read.",
        clearing=AGAIN,
        concerns=MACHINE,
    ),
)
def look_for_stale_releases() -> None:
    """Open an incident for every state whose release lags behind its lake."""
    from include import watch

    watch.stale()


@task(
    task_display_name="Read the states' files",
    doc_md=explained(
        "See that every state's file can be understood: while one cannot, no DAG of any state is "
        "read anew.",
        given="`include/states/`.",
        makes="An incident for each file that cannot.",
        failure="a fault of ours.",
        clearing=AGAIN,
        concerns=MACHINE,
    ),
)
def read_declarations() -> None:
    """Open an incident for every state's file that cannot be understood."""
    from include import watch

    watch.declarations()


@task(
    task_display_name="Tell",
    trigger_rule="all_done",
    doc_md=explained(
        "Send what was found, and what could not be delivered before.",
        given="Incidents, and the channels that are configured.",
        makes="Messages.",
        failure="that nothing could be sent at all; it is tried again in an hour.",
        clearing=AGAIN,
        concerns=MACHINE,
    ),
)
def tell() -> None:
    """Send what each channel has not heard yet."""
    alerts.tell()


@dag(
    dag_id="statewide_watch",
    dag_display_name="Statewide: watch",
    description="Late files, stale releases, and what was not told yet",
    doc_md=__doc__,
    schedule="17 * * * *" if os.environ.get("STATEWIDE_SCHEDULES") != "off" else None,
    start_date=datetime(2024, 7, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=duration(minutes=30),
    default_args={
        "owner": "operations",
        **UNLESS_IT_SAID_WHY,
        "on_failure_callback": alerts.failed,
    },
    tags=["operations"],
)
def watch():
    found = [look_for_late_files(), look_for_stale_releases(), read_declarations()]
    found >> tell()


watch()
