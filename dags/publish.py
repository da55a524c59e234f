"""
### Publish

**What it does.** Builds every mart, checks every mart, hides what could point at a person, then
exports. One broken mart holds back all of the state's, so readers never see this month's enrollment
beside last month's finance.

**When.** Once for each announcement of the state's lake. Run again on the same loads, it publishes
nothing new.

**By hand.** `make publish STATE=...`, or trigger it here. A metric or a year that readers had, and
that is rightly gone, is let go with a `reason`.

**If it fails.** Readers keep the last release, and `current.duckdb` the last build that kept its
promises. Every task may be cleared safely; nothing is exported unless all of them pass.
"""

from airflow.sdk import Asset, Param, dag, get_current_context, get_parsing_context, task
from pendulum import datetime, duration

from include.registry import State, states
from ops.retries import UNLESS_IT_SAID_WHY


@task(
    pool="warehouse",
    task_display_name="Build the marts",
    doc_md="Run dbt from the lake into a fresh DuckDB file. A failure means that a model or one of "
    "its tests failed; the log names it. Clearing is safe.",
)
def build(state: str) -> str:
    """Build the state's warehouse from its lake, in a file of its own."""
    from include import warehouse

    return warehouse.create(state)


@task(
    task_display_name="Check the marts",
    doc_md="Hold the marts to their promises: sums of groups and levels, bounds, drift against the "
    "last release. A failure means that a number is not believable; Data Docs show which. Clearing "
    "is safe.",
)
def check(state: str, build: str) -> str:
    """Hold the marts to their promises; a build that keeps them becomes the current one."""
    from include import quality, warehouse

    quality.check_marts(state, build, override_reason=get_current_context()["params"]["reason"])
    warehouse.accept(state, build)
    return build


@task(
    task_display_name="Protect people",
    doc_md="Hide small cells. A failure means that something could not be hidden: nothing leaves. "
    "Clearing is safe.",
)
def protect(state: str, build: str) -> str:
    """Hide small cells."""
    from include import disclosure

    return disclosure.protect(state, build)


@task(
    task_display_name="Export the release",
    # A store that is away for a moment; running again is safe.
    retries=3,
    retry_delay=duration(seconds=10),
    retry_policy=None,
    doc_md="Write the release whole, then point readers at it. A failure leaves the last release "
    "in place. Clearing is safe.",
)
def export(state: str, build: str) -> str | None:
    """Write the release, then point readers at it. Gives its name, or nothing if it is out."""
    from include import release

    return release.publish(state, build)


def publish(state: State) -> None:
    @dag(
        dag_id=f"{state.state}_publish",
        dag_display_name=f"{state.name}: publish",
        description=f"A release of what the {state.agency} sent",
        doc_md=__doc__,
        schedule=[Asset(f"lake/{state.state}")],
        start_date=datetime(2024, 7, 1),
        catchup=False,
        # One warehouse file is current at a time.
        max_active_runs=1,
        params={
            "reason": Param(
                None,
                type=["null", "string"],
                minLength=10,
                title="Reason for a metric or year that is gone",
                description="Publishes although readers lose something.",
            )
        },
        default_args={"owner": state.owner, **UNLESS_IT_SAID_WHY},
        tags=["publish", state.state],
    )
    def publish_state():
        checked = check(state.state, build(state.state))
        export(state.state, protect(state.state, checked))

    publish_state()


# A task reads this file too, and needs the one DAG that it is part of.
wanted = get_parsing_context().dag_id
for code in states():
    if wanted in (None, f"{code}_publish"):
        publish(states()[code])
