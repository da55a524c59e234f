"""
### Ingest

**Purpose.** Pulls one school year of a state's extracts. Every extract is fetched, checked and
loaded on its own, so a broken workforce file never holds back enrollment. The lake only ever holds
rows that passed their checks.

**In.** The publisher's files, at the addresses in `include/states/<state>.yml`.

**Out.** The state's lake: the asset `lake/<state>`, made of `extract/<state>/<extract>`. If
anything in it changed, it is announced once, and that starts one `publish` run, though some
extracts failed. A run in which any failed is red, and its `report` names them.

**If it fails.** The extracts that failed keep their last good load, the others are loaded and
published. Clear what failed; every task may be cleared safely. What happened stands on the
[Statewide page](/statewide/), what to do in the [runbook](/statewide/runbook).

**By hand.** Trigger it with an earlier `school_year`, or with some `extracts` only. `force` fetches
what has not changed as well. A file that lost many rows, rightly so, is loaded with a `reason`.
Running again is safe at any time: files that are loaded already are not loaded again. Many years,
in any order: one run for each, and only the last with *Publish afterwards*.

**Concerns.** The owner of the DAG, who is named in the state's file.
"""

import os

from airflow.sdk import (
    Asset,
    Param,
    dag,
    get_current_context,
    get_parsing_context,
    task,
    task_group,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pendulum import datetime, duration

from console import alerts
from console.explained import explained
from include.registry import State, said, states
from ops.retries import UNLESS_IT_SAID_WHY

# Publishers' servers are flaky, so fetching waits and tries again. How long is the deployment's
# choice: five minutes suit a nightly run, nobody wants them while looking on.
FETCH_RETRIES = int(os.environ.get("STATEWIDE_FETCH_RETRIES") or 4)
FETCH_RETRY_DELAY = duration(seconds=float(os.environ.get("STATEWIDE_FETCH_RETRY_DELAY") or 300))


def chosen(param: str):
    """What this run was asked for."""
    return get_current_context()["params"][param]


@task(
    pool="publishers",
    retries=FETCH_RETRIES,
    retry_delay=FETCH_RETRY_DELAY,
    retry_exponential_backoff=True,
    retry_policy=None,
    doc_md=explained(
        "Copy the publisher's file, byte for byte.",
        given="The address in the state's file, for this school year.",
        makes="The bytes under their hash, and a receipt. What the publisher says is unchanged is "
        "not copied again, unless the run was told to.",
        failure="that the file could not be had: the address, the network or the publisher's "
        "server. What may pass by itself is tried again first.",
        clearing="is safe; check and load run after it.",
        concerns="the state's owner, and through them the publisher.",
    ),
)
def fetch(state: str, extract: str) -> str:
    """Land the file under its hash. Skips what this run does not want, or can do without."""
    from include import origins, portals, runs
    from include.registry import BadDeclaration

    year = chosen("school_year")
    if reason := runs.reason_to_skip(state, extract, year, chosen("extracts")):
        raise AirflowSkipException(reason)
    try:
        with origins.reading_from(chosen("extracts_root")):
            return portals.fetch(state, extract, year, force=chosen("force"))
    except portals.NotPublished as error:
        # A state's own drop need not bring the nation's files along each time.
        if reason := runs.reason_to_do_without(state, extract, year, error):
            raise AirflowSkipException(reason) from None
        raise AirflowFailException(str(error)) from None
    except (portals.FetchError, origins.NotAllowed, BadDeclaration) as error:
        if getattr(error, "transient", False):
            raise
        # A file that is not there is not there in five minutes either.
        raise AirflowFailException(str(error)) from None


@task(
    doc_md=explained(
        "Hold the file to its promises: columns, keys, codes, volume.",
        given="The landed bytes, the state's file, and the load before it to compare with.",
        makes="Rows that passed; the others in quarantine with their reasons; a verdict and Data "
        "Docs. All of it is on the [Statewide page](/statewide/).",
        failure="that the file is not as declared. The same file fails the same way, so it is not "
        "tried again. The log names the promises.",
        clearing="is safe, and right once the state's file was corrected; the file is not fetched "
        "again. When the publisher has corrected its file, clear the fetch task instead.",
        concerns="the state's owner.",
    ),
)
def check(state: str, extract: str, sha256: str) -> str:
    """Set bad rows aside with their reasons; refuse a file with too many of them."""
    from include import quality

    year = chosen("school_year")
    by = get_current_context()["dag_run"].triggering_user_name
    return quality.check(
        state, extract, year, sha256, override_reason=chosen("reason"), override_by=by
    )


@task(
    retries=1,
    retry_policy=None,
    doc_md=explained(
        "Replace this year's part of the lake with the checked rows, all at once.",
        given="Rows that passed the check.",
        makes="The accepted load of this extract and year.",
        failure="that the lake could not be written: no room, no permission. The last good load "
        "stays.",
        clearing="is safe.",
        concerns="whoever runs the machine.",
    ),
)
def load(state: str, extract: str, sha256: str) -> None:
    """Make the checked rows the accepted ones."""
    from include import lake

    lake.replace(state, extract, chosen("school_year"), sha256)


@task(
    task_display_name="Announce the lake",
    trigger_rule="all_done",
    doc_md=explained(
        "Say once that the lake has something new, which starts `publish`.",
        given="The lake and the last release.",
        makes="One event of the lake's asset. Skipped when every file is the one that the last "
        "release was made from, and when a person refused to publish these.",
        failure="that nothing new is published, though it is loaded.",
        clearing="is safe: at worst a publish run finds nothing to do.",
        concerns="whoever runs the machine.",
    ),
)
def announce(state: str) -> None:
    """Emit the state's lake, if a release of it is owed."""
    from include import runs

    if not chosen("announce"):
        raise AirflowSkipException("this run was asked not to publish")
    if not runs.release_is_owed(state):
        raise AirflowSkipException("the last release was made from these very files")


@task(
    task_display_name="Report",
    trigger_rule="all_done",
    doc_md=explained(
        "Say what became of every extract, once for the whole run, to those whom alerts go to.",
        given="How the tasks before it ended, and the lake.",
        makes="A table in the log: what became of each extract, rows in, accepted and set aside, "
        "hash of the file. One alert for all that failed, or that all is mended.",
        failure="that at least one extract failed; the log says what to do about each. The others "
        "are loaded and published.",
        clearing="is safe, and changes nothing by itself: clear the task that failed.",
        concerns="the state's owner.",
    ),
)
def report(state: str) -> None:
    """Print what became of every extract, and fail if one failed."""
    from include import runs

    context = get_current_context()
    run = context["dag_run"]
    states_of_run = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id])
    found = runs.outcomes(state, chosen("school_year"), states_of_run[run.run_id])
    announced = states_of_run[run.run_id].get("announce")
    print(runs.table(found))
    alerts.after_ingest(state, chosen("school_year"), found, announced, run.start_date)
    runs.require_all(state, found)
    runs.require_announced(state, announced)


def readable(name: str) -> str:
    """A name as the label of a group."""
    return said(name)[:1].upper() + said(name)[1:]


def form(state: State) -> dict[str, Param]:
    """What a run may be asked for, as the form that Airflow shows."""
    return {
        "school_year": Param(
            state.latest_year,
            type="integer",
            enum=state.school_years,
            title="School year",
            description="The year in which the school year ends: 2018-19 is 2019.",
        ),
        "extracts": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "enum": list(state.extracts)},
            examples=list(state.extracts),
            title="Only these extracts",
            description="Empty: every extract that this school year has.",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Fetch again",
            description="Also what the publisher says has not changed.",
        ),
        "announce": Param(
            True,
            type="boolean",
            title="Publish afterwards",
            description="Not, while loading many years: the last of them publishes them all.",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            minLength=10,
            title="Reason for a mass change",
            description="At least ten letters. Loads files although they lost many rows, or have "
            "many bad ones; holds for every extract of the run, so name them. Kept with the "
            "verdict.",
        ),
        "extracts_root": Param(
            None,
            type=["null", "string"],
            title="Read extracts from",
            description="A folder or address that the operator of this machine has allowed. "
            "Empty: the deployment's STATEWIDE_EXTRACTS; without it, the only one that is allowed.",
        ),
    }


def ingest(state: State) -> None:
    @dag(
        dag_id=f"{state.state}_ingest",
        dag_display_name=f"{state.name}: ingest",
        description=f"Extracts from the {state.agency}",
        doc_md=__doc__,
        # One machine that was only started for a refresh keeps no calendar.
        schedule=state.schedule if os.environ.get("STATEWIDE_SCHEDULES") != "off" else None,
        start_date=datetime(2024, 7, 1),
        catchup=False,
        # Two years must not race for one announcement.
        max_active_runs=1,
        on_failure_callback=alerts.run_failed,
        default_args={
            "owner": state.owner,
            **UNLESS_IT_SAID_WHY,
            "on_failure_callback": alerts.failed,
        },
        tags=["ingest", state.state],
    )
    def ingest_state():
        groups: dict[str, list[str]] = {}
        for name, extract in state.extracts.items():
            groups.setdefault(extract.group, []).append(name)

        loads = []
        for group in ("enrollment", "finance", "workforce", "reference"):
            if group in groups:
                loads.append(draw_group(state, group, groups[group]))
        announced = announce.override(
            inlets=[Asset(f"extract/{state.state}/{name}") for name in state.extracts],
            outlets=[Asset(f"lake/{state.state}")],
        )(state.state)
        loads >> announced >> report(state.state)

    # Last: every task would get a copy of the form of its own, which takes longer than all the rest
    # of reading this file. A run knows the form from its DAG.
    ingest_state().params = form(state)


def draw_group(state: State, group: str, extracts: list[str]):
    @task_group(group_id=group, group_display_name=readable(group))
    def subject():
        for name in extracts:
            draw_extract(state.state, name, state.extracts[name].description)

    return subject()


def draw_extract(state: str, name: str, description: str):
    @task_group(group_id=name, group_display_name=readable(name), tooltip=description)
    def extract():
        label = said(name)
        loaded = Asset(f"extract/{state}/{name}")
        fetched = fetch.override(task_display_name=f"Fetch {label}")(state, name)
        checked = check.override(task_display_name=f"Check {label}")(state, name, fetched)
        load.override(task_display_name=f"Load {label}", outlets=[loaded])(state, name, checked)

    return extract()


# A task reads this file too, and needs the one DAG that it is part of.
wanted = get_parsing_context().dag_id
for code in states():
    if wanted in (None, f"{code}_ingest"):
        ingest(states()[code])
