"""
### Publish

**Purpose.** Builds every mart, checks every mart, hides what could point at a person, then
exports. One broken mart holds back all of the state's, so readers never see this month's enrollment
beside last month's finance.

**In.** The state's lake, whole, and the release that readers see.

**Out.** An immutable release, and the pointer to it: the asset `release/<state>`.

**When.** Once for each announcement of the state's lake. Run again on the same loads, it publishes
nothing new.

**A person's word.** Where figures moved that readers have already, the run waits for an answer
under *Required Actions*, with a reason; a reason given with the run is an answer. Without drift
nobody is asked.

**By hand.** `make publish STATE=...`, or trigger it here. A metric or a year that readers had, and
that is rightly gone, is let go with a `reason`.

**If it fails.** Readers keep the last release, and `current.duckdb` the last build that kept its
promises. Every task may be cleared safely; nothing is exported unless all of them pass. What to do
stands in the [runbook](/statewide/runbook).

**Concerns.** The owner of the DAG, who is named in the state's file.
"""

from airflow.sdk import Asset, Param, dag, get_current_context, get_parsing_context, task
from pendulum import datetime, duration

from console import alerts
from console.approval import ApproveWhatMoved
from console.explained import explained
from include.registry import State, states
from ops.retries import UNLESS_IT_SAID_WHY


@task(
    pool="warehouse",
    task_display_name="Build the marts",
    doc_md=explained(
        "Run dbt from the lake into a fresh DuckDB file.",
        given="Every accepted load of the state, as of one moment.",
        makes="A build, named by its inputs and the code; the same of both is not built again.",
        failure="that a model or one of its tests failed; the log names it.",
        clearing="is safe.",
        concerns="who looks after the models.",
    ),
)
def build(state: str) -> str:
    """Build the state's warehouse from its lake, in a file of its own."""
    from include import warehouse

    return warehouse.create(state)


@task(
    task_display_name="Check the marts",
    doc_md=explained(
        "Hold the marts to their promises: sums of groups and levels, bounds, drift against the "
        "last release.",
        given="The build, and the release that readers see.",
        makes="How every promise came out, with Data Docs; a build that keeps them becomes "
        "`current.duckdb`.",
        failure="that a number is not believable, or that a metric or a year is gone that readers "
        "had.",
        clearing="is safe, and finds the same again: mend the file or the model, or publish with a "
        "reason.",
        concerns="the state's owner.",
    ),
)
def check(state: str, build: str) -> str:
    """Hold the marts to their promises; a build that keeps them becomes the current one."""
    from include import quality, warehouse

    quality.check_marts(state, build, override_reason=get_current_context()["params"]["reason"])
    warehouse.accept(state, build)
    return build


@task(
    task_display_name="Protect people",
    doc_md=explained(
        "Hide what could point at a person.",
        given="The checked build, and the state's disclosure policy.",
        makes="A protected build, in which what is made of metrics is made again of what may be "
        "told, and a record of how many cells met which rule.",
        failure="that something could not be hidden, or has no rule: nothing leaves.",
        clearing="is safe. Never publish around it.",
        concerns="who answers for disclosure control.",
    ),
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
    doc_md=explained(
        "Write the release whole, then point readers at it.",
        given="The protected build, approved where it has to be.",
        makes="An immutable release with its manifest; `current` moves last.",
        failure="that the disk or the store could not be written; readers keep the last release.",
        clearing="is safe: it goes on where it was.",
        concerns="whoever runs the machine and its store.",
    ),
)
def export(state: str, build: str) -> str | None:
    """Write the release, then point readers at it. Gives its name, or nothing if it is out."""
    from include import release

    name = release.publish(state, build)
    context = get_current_context()
    context["outlet_events"][Asset(f"release/{state}")].extra = {"release": release.current(state)}
    alerts.after_publish(state)
    return name


ASKS = explained(
    "Ask a person, if figures moved that readers have already; else go on at once.",
    given="The protected build, the release that readers see, and the checks that warned.",
    makes="An answer with a name and a reason, which stands in the release's manifest. A no skips "
    "the export: readers keep the last release. Waiting takes no worker.",
    failure="that nobody answered in time, or that the question could not be asked. Nothing is "
    "published, and nothing is decided: the next run asks again.",
    clearing="is safe: it asks again.",
    concerns="the state's owner, who answers under **Required Actions**.",
)


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
                title="Reason for what moved or is gone",
                description="At least ten letters. Publishes although figures moved or readers "
                "lose something; stands in the release with your name.",
            )
        },
        on_failure_callback=alerts.run_failed,
        default_args={
            "owner": state.owner,
            **UNLESS_IT_SAID_WHY,
            "on_failure_callback": alerts.failed,
        },
        tags=["publish", state.state],
    )
    def publish_state():
        checked = check(state.state, build(state.state))
        approved = ApproveWhatMoved(
            task_id="approve",
            task_display_name="Approve what moved",
            state=state.state,
            name=state.name,
            build=protect(state.state, checked),
            doc_md=ASKS,
        )
        exported = export.override(
            inlets=[Asset(f"lake/{state.state}")], outlets=[Asset(f"release/{state.state}")]
        )
        exported(state.state, approved.output)

    publish_state()


# A task reads this file too, and needs the one DAG that it is part of.
wanted = get_parsing_context().dag_id
for code in states():
    if wanted in (None, f"{code}_publish"):
        publish(states()[code])
