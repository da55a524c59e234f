"""`make refresh`: ingest and then the publish run that it triggers, through the real scheduler.

    python -m ops.refresh --state nc [--school-year 2019] [--extracts ROOT] [--only a,b]
                          [--force] [--reason WHY]

Prints one line for each finished task, the reason of each failure, and at the end what was
published. Exit code: 0 if everything asked for was loaded and is published, 1 if something failed
(what did load is published all the same), 2 if the request itself makes no sense.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from include import approvals, lake, origins, runs, shared_lake, warehouse
from include.registry import BadDeclaration, extract_of, states
from ops import instance
from ops.client import Client, Refused, Unreachable, quoted

# What is not an end: the run waits for a person's answer.
WAITING = "waiting"
FINISHED = {"success", "failed", "skipped", "upstream_failed", "removed"}
POLL = 1.0


class Impossible(ValueError):
    """What was asked for does not exist. Nothing was started."""


class Lost(RuntimeError):
    """Airflow went away in the middle of a run."""


@dataclass
class Request:
    """What to refresh. `extracts_root` is where relative sources are, None: as configured."""

    state: str
    school_year: int
    extracts_root: str | None = None
    only: list[str] | None = None
    force: bool = False
    reason: str | None = None
    announce: bool = True

    def params(self) -> dict[str, Any]:
        """The params of the ingest run."""
        return {
            "school_year": self.school_year,
            "extracts": self.only,
            "force": self.force,
            "reason": self.reason,
            "announce": self.announce,
            "extracts_root": self.extracts_root,
        }


@dataclass
class Progress:
    """One line for each task that finished, and the reasons of those that failed."""

    say: Callable[[str], None] = print
    seen: set[tuple[str, str, int]] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def follow(self, client: Client, dag: str, run: str) -> str:
        """Wait for a run to end. Returns its state, or WAITING for one that asks a person.

        Raises Lost.
        """
        while True:
            try:
                state, tasks = client.run(dag, run)["state"], client.tasks(dag, run)
            except Unreachable:
                _require_airflow(f"{dag} was running")
                raise
            for task in sorted(tasks, key=lambda it: it["end_date"] or ""):
                self._show(client, dag, run, task)
            if state in ("success", "failed"):
                return state
            if any(task["state"] == "awaiting_input" for task in tasks):
                self._leave(client, dag, run)
                return WAITING
            _require_airflow(f"{dag} was running")
            time.sleep(POLL)

    def _leave(self, client: Client, dag: str, run: str) -> None:
        """A command asks nobody anything. An Airflow that stays asks on; one that ends cannot."""
        state = dag.partition("_")[0]
        self.say(
            "figures moved that readers have, and a person has to say yes: give a reason "
            f'(make publish STATE={state} REASON="...")'
        )
        if instance.is_kept():
            self.say(f"or answer at {client.url}/dags/{dag}/runs/{quoted(run)}/required_actions")
        else:
            client.patch(f"dags/{dag}/dagRuns/{quoted(run)}", {"state": "failed"})

    def _show(self, client: Client, dag: str, run: str, task: dict[str, Any]) -> None:
        state, tries = task["state"], task["try_number"]
        if state == "up_for_retry":
            outcome = f"failed at try {tries}, will try again"
        elif state in ("success", "failed"):
            outcome = "ok" if state == "success" else "FAILED"
        elif state == "skipped" and task["start_date"] and task["duration"]:
            outcome = "skipped"
        else:
            return
        if (run, task["task_id"], tries) in self.seen:
            return
        self.seen.add((run, task["task_id"], tries))
        seconds = task["duration"] or 0
        at = (datetime.now(UTC) - self.began).total_seconds()
        self.say(f"{at:6.1f} s  {task['task_display_name']:<40} {outcome} ({seconds:.1f} s)")
        if state == "failed":
            self.failed.append(task["task_id"])
            lines = client.log(dag, run, task["task_id"], tries)
            self.say(indented(reason_of(lines) or f"no reason in its log; run {run}"))
        if state == "skipped":
            self.say(indented(_skip_reason(client.log(dag, run, task["task_id"], tries))))


def reason_of(lines: list[dict[str, Any]]) -> str:
    """Why a task failed: the message of its error, not the traceback."""
    for line in reversed(lines):
        for error in line.get("error_detail") or []:
            if error["exc_type"] == "AirflowFailException":
                return error["exc_value"]
            return f"{error['exc_type']}: {error['exc_value']}"
    errors = [line["event"] for line in lines if line.get("level") in ("error", "critical")]
    return "\n".join(errors[-3:])


def _skip_reason(lines: list[dict[str, Any]]) -> str:
    told = [line for line in lines if "skip" in str(line.get("event", "")).lower()]
    for line in reversed(told):
        return str(line.get("reason") or line["event"])
    return "its log says why"


def indented(text: str) -> str:
    return "\n".join(f"            {line}" for line in text.splitlines())


def wait_for_dag(client: Client, dag: str, since: datetime) -> None:
    """Wait until Airflow has read the DAG as it is written now. Raises Impossible or Lost.

    An Airflow that has been up for a while is asked to read the file again: a state's YAML may have
    changed, which its DAG processor does not see at once.
    """
    patience, asked = time.monotonic() + instance.PATIENCE, False
    while time.monotonic() < patience:
        try:
            told = client.get(f"dags/{dag}")
            if _moment(told["last_parsed_time"]) >= since:
                return
            if not asked:
                client.put(f"parseDagFile/{told['file_token']}")
                asked = True
        except Refused as error:
            if error.status not in (404, 409):  # not known yet; to be read already
                raise
        if broken := client.get("importErrors")["import_errors"]:
            raise Impossible(f"{broken[0]['filename']} cannot be read:\n{broken[0]['stack_trace']}")
        _require_airflow(f"{dag} was being read")
        time.sleep(0.2)
    raise Lost(f"Airflow has not read {dag} in {instance.PATIENCE} s:\n{instance.last_words()}")


def _moment(told: str | None) -> datetime:
    return datetime.fromisoformat(told or "1970-01-01T00:00:00+00:00")


def _require_airflow(doing: str) -> None:
    if instance.running() is None:
        raise Lost(
            f"Airflow ended while {doing}; run again, what was loaded stays loaded. Its logs end "
            f"so:\n{instance.last_words()}"
        )


def ingest(client: Client, request: Request, progress: Progress) -> tuple[str, list[str]]:
    """Run the state's ingest to its end. Returns its state and the publish runs it started."""
    dag = f"{request.state}_ingest"
    wait_for_dag(client, dag, progress.began)
    wait_for_dag(client, f"{request.state}_publish", progress.began)
    run = client.trigger(dag, request.params())
    try:
        state = progress.follow(client, dag, run)
        patience = time.monotonic() + instance.PATIENCE
        while (caused := client.caused_by(dag, run)) == []:
            if time.monotonic() > patience:
                raise Lost(f"{request.state}_publish was not started:\n{instance.last_words()}")
            time.sleep(POLL)
    except KeyboardInterrupt:
        client.patch(f"dags/{dag}/dagRuns/{run}", {"state": "failed"})
        raise
    return state, sorted({it["run_id"] for it in caused or []})


def publish(client: Client, state: str, started: list[str], progress: Progress) -> str:
    """Wait for these publish runs. Returns `failed` if any did, WAITING if one asks a person."""
    ended = [progress.follow(client, f"{state}_publish", run) for run in started]
    return next((it for it in ("failed", WAITING) if it in ended), "success")


def refresh(request: Request, say: Callable[[str], None] = print) -> int:
    """Refresh a state, and say what became of it. Returns the exit code. Raises Lost."""
    progress = Progress(say)
    if instance.running() is None:
        say("starting Airflow ...")
    with instance.using() as client, _in_turn(request.state, say):
        before = current_release(request.state)
        say(f"{request.state} {request.school_year}: {client.url}/dags/{request.state}_ingest")
        loaded, started = ingest(client, request, progress)
        published = publish(client, request.state, started, progress)
        say(conclusion(request.state, published, before, current_release(request.state)))
    if published == WAITING and loaded != "failed":
        return 1
    if "failed" in (loaded, published) or progress.failed:
        say(f"failed: {', '.join(progress.failed) or 'the run was stopped'}")
        return 1
    return 0


def republish(state: str, reason: str | None, say: Callable[[str], None] = print) -> int:
    """Publish what is loaded, asked for by hand. Returns the exit code. Raises Lost, Impossible."""
    if state not in states():
        raise Impossible(f"no state {state!r}; say STATE= one of {', '.join(states())}")
    progress = Progress(say)
    with instance.using() as client, _in_turn(state, say):
        before, dag = current_release(state), f"{state}_publish"
        wait_for_dag(client, dag, progress.began)
        say(f"{state}: {client.url}/dags/{dag}")
        published = progress.follow(client, dag, client.trigger(dag, {"reason": reason}))
        say(conclusion(state, published, before, current_release(state)))
    return 0 if published == "success" else 1


@contextmanager
def _in_turn(state: str, say: Callable[[str], None]) -> Iterator[None]:
    """One refresh of a state after the other: a build amid another's loads would mix the two."""
    name = f"refresh-{state}"
    with ExitStack() as held:
        try:
            held.enter_context(lake.lock(name, wait=False))
        except lake.Busy:
            say(f"another refresh of {state} is under way; this one follows it")
            held.enter_context(lake.lock(name))
        yield


def conclusion(
    state: str, published: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> str:
    """What readers have now, in the words that end a refresh."""
    if published in ("failed", WAITING):
        return "nothing was published; readers keep " + (before["release"] if before else "nothing")
    build = warehouse.current(state)
    if build and approvals.is_refused(state, build) and not warehouse.changed(state):
        return (
            f"nothing was published: what moved was not approved, and readers keep "
            f"{before['release'] if before else 'nothing'}"
        )
    if after is None:
        return "nothing was published: no release has been made yet"
    if not runs.is_made_from_lake(state, after):
        return (
            f"nothing was published: the release of these inputs was rolled back, and readers keep "
            f"{after['release']}; to return to it: make rollback STATE={state} RELEASE=..."
        )
    if before and after["release"] == before["release"]:
        return f"nothing new: same inputs as release {after['release']}"
    return described(state, after)


def current_release(state: str) -> dict[str, Any] | None:
    """The manifest of the release that readers see, with its name under `release`."""
    if shared_lake.is_configured():
        shared_lake.view(state)
    pointer = lake.published(state) / "current"
    manifest = pointer / "manifest.json"
    if not manifest.exists():
        return None
    return json.loads(manifest.read_text()) | {"release": pointer.resolve().name}


def described(state: str, manifest: dict[str, Any]) -> str:
    """What was published: name, folder, tables with their rows."""
    tables = manifest.get("tables", {})
    if isinstance(tables, list):
        tables = {it["name"]: it for it in tables}
    lines = [f"published {state} release {manifest['release']}"]
    lines.append(f"  folder  {lake.published(state) / 'current'}")
    lines += [f"  {name:<28} {it.get('rows', '?'):>10,} rows" for name, it in tables.items()]
    return "\n".join(lines)


def root_of(told: str, places: list[str]) -> str:
    """EXTRACTS as a folder or address; a relative folder is looked for where the caller stands.

    `places`: the caller's folder, as the shell and as make name it.
    """
    if "://" in told or told.startswith(("/", "~")):
        return told if "://" in told else os.path.expanduser(told)
    candidates = [os.path.join(place, told) for place in places if place]
    for candidate in candidates:
        if os.path.exists(candidate.partition("!")[0]):
            return os.path.normpath(candidate)
    tried = " nor ".join(dict.fromkeys(candidates))
    raise Impossible(f"EXTRACTS={told}: there is no folder or zip {tried}")


def understood(arguments: argparse.Namespace) -> Request:
    """The request, if it makes sense. Raises Impossible naming what would."""
    declared = states()
    if arguments.state not in declared:
        raise Impossible(f"no state {arguments.state!r}; say STATE= one of {', '.join(declared)}")
    state = declared[arguments.state]
    try:
        year = int(arguments.school_year or state.latest_year)
    except ValueError:
        raise Impossible(f"SCHOOL_YEAR={arguments.school_year} is not a year") from None
    if year not in state.school_years:
        known = ", ".join(map(str, state.school_years))
        raise Impossible(f"{state.state} has no school year {year}; it has {known}")
    only = [it for it in (arguments.only or "").replace(",", " ").split() if it] or None
    for name in only or []:
        extract_of(state.state, name)
    root = arguments.extracts or os.environ.get("STATEWIDE_EXTRACTS") or None
    if root:
        root = origins.allow(root_of(root, arguments.place or [os.getcwd()]))
    return Request(state.state, year, root, only, arguments.force, arguments.reason or None)


def understood_years(arguments: argparse.Namespace) -> list[Request]:
    """A request for each school year that was asked for, in that order; the last one publishes.

    Raises Impossible.
    """
    years = (arguments.school_year or "").replace(",", " ").split() or [""]
    requests = []
    for number, year in enumerate(years, start=1):
        told = argparse.Namespace(**vars(arguments) | {"school_year": year})
        requests.append(replace(understood(told), announce=number == len(years)))
    return requests


def refresh_years(requests: list[Request], say: Callable[[str], None] = print) -> int:
    """Load several years of a state, in any order, and publish them once. Returns the exit code.

    A year that fails holds back no other. Raises Lost.
    """
    code = 0
    with ExitStack() as held:
        if len(requests) > 1:  # one Airflow for all of them
            client = held.enter_context(instance.using())
        for request in requests[:-1]:
            say(f"{request.state} {request.school_year}: {client.url}/dags/{request.state}_ingest")
            with _in_turn(request.state, say):
                if ingest(client, request, Progress(say))[0] == "failed":
                    code = 1
        return max(code, refresh(requests[-1], say))


def parser() -> argparse.ArgumentParser:
    told = argparse.ArgumentParser(prog="make refresh", description=__doc__)
    told.add_argument("--state", required=True)
    told.add_argument("--school-year", default="", help="one, or several by comma: in any order")
    told.add_argument("--extracts", default="", help="folder or address with the extracts")
    told.add_argument("--only", default="", help="names of extracts, by comma")
    told.add_argument("--force", action="store_true", help="fetch what has not changed as well")
    told.add_argument("--reason", default="", help="why a mass change is right")
    told.add_argument("--publish-only", action="store_true", help="load nothing; make publish")
    told.add_argument("--place", action="append", help="where a relative --extracts may be")
    return told


def guarded(work: Callable[[], int]) -> int:
    """The exit code of a command, with our own errors as their message only."""
    try:
        return work()
    except (Impossible, BadDeclaration, origins.NotAllowed) as error:
        print(error, file=sys.stderr)
        return 2
    except (Lost, Refused, Unreachable, instance.CannotStart, instance.Conflict) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; nothing that was published before has changed", file=sys.stderr)
        return 130


def main() -> int:
    arguments = parser().parse_args()

    def say(told: str) -> None:
        print(told, flush=True)

    if arguments.publish_only:
        return guarded(lambda: republish(arguments.state, arguments.reason or None, say))
    return guarded(lambda: refresh_years(understood_years(arguments), say))


if __name__ == "__main__":
    sys.exit(main())
