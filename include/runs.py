"""What an ingest run is to do, and what became of each extract in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include import lake, shared_lake
from include.registry import extract_of, is_reference, states

if TYPE_CHECKING:
    from include.portals import FetchError

STEPS = ("fetch", "check", "load")
REMEDIES = {
    "fetch": "the publisher's file could not be had: see that its address answers, then clear the "
    "fetch task",
    "check": "the file broke its promises: the log names them and the quarantine holds the rows; "
    "have the file mended and run again, or, if it is right as it is, run again with a reason",
    "load": "the lake could not be written: see that the disk has room, then clear the load task",
}


class ExtractsFailed(RuntimeError):
    """Some extracts of a run were not loaded. Names them and what to do; the others are loaded."""


@dataclass(frozen=True)
class Outcome:
    """What became of one extract: `loaded`, `skipped`, or `failed in <step>`."""

    extract: str
    outcome: str
    rows_in: int | None = None
    accepted: int | None = None
    quarantined: int | None = None
    sha256: str = ""

    @property
    def failed_step(self) -> str | None:
        return self.outcome.removeprefix("failed in ") if "failed" in self.outcome else None


@shared_lake.step(
    "lake/{state}/*.parquet",
    "published/{state}/*/manifest.json",
    "published/{state}/releases.jsonl",
    "published/{state}/current",
    "warehouse/{state}/current.duckdb",
    "warehouse/{state}/*.checks.json",
    "warehouse/{state}/*.approval.json",
)
def release_is_owed(state: str) -> bool:
    """Whether the lake, as it is now, holds anything that readers cannot see yet.

    A build that became current and never got out, because its run was killed or its upload failed,
    is owed as well; what a person rolled back, or refused to approve, is not.
    """
    from include import approvals, warehouse

    if warehouse.changed(state):
        return True
    build = warehouse.current(state)
    if build is None or approvals.is_refused(state, build):
        return False
    return not _is_released(state)


def _is_released(state: str) -> bool:
    """Whether a release was made from these loads by this code, and is where it belongs."""
    from include import release, warehouse

    for name in release.releases(state):
        told = json.loads((lake.published(state) / name / release.MANIFEST).read_text())
        is_by_this_code = told["code"]["sha256"] == warehouse.code_version(state)
        if is_by_this_code and is_made_from_lake(state, told):
            return release.is_settled(state, name)
    return False


def is_made_from_lake(state: str, manifest: dict[str, Any]) -> bool:
    """Whether a release, told by its manifest, was made from what the lake holds now."""
    made_of = {(it["extract"], it["school_year"], it["sha256"]) for it in manifest["inputs"]}
    return made_of == {(it.extract, it.school_year, it.sha256) for it in lake.loads(state)}


def reason_to_skip(
    state: str, extract: str, school_year: int, wanted: list[str] | None
) -> str | None:
    """Why a run leaves this extract out; None if it does not."""
    if wanted and extract not in wanted:
        return f"this run was asked for {', '.join(wanted)} only"
    years = extract_of(state, extract).school_years
    if school_year not in years:
        published = ", ".join(map(str, sorted(years)))
        return f"{states()[state].agency} has no {extract} for {school_year}; it has {published}"
    return None


@shared_lake.step("lake/{state}/*.parquet")
def reason_to_do_without(
    state: str, extract: str, school_year: int, error: FetchError
) -> str | None:
    """Why a run goes on without a file that is not there; None if it must not.

    A nationwide file is not the state's to publish: a folder or zip of the state's own files seldom
    has it. The one loaded before stays; where there is none, the metrics made of it say so.
    """
    if not is_reference(state, extract):
        return None
    wanted = extract_of(state, extract).location(school_year)
    to_do = (
        f"to load it, put it where the state's files are, as {wanted} (in a folder or zip of "
        f"{state}/ files beside {state}/), or name its address as the source of {extract} in "
        f"include/states/{state}.yml, and run again with this extract alone"
    )
    load = lake.accepted(state, extract, school_year)
    if load:
        kept = f"the one loaded before stays ({load.accepted:,} rows of {load.sha256[:12]})"
        return f"the nationwide file {extract} is not there, and {kept}; {to_do}. {error}"
    return (
        f"the nationwide file {extract} is not there and was never loaded for {school_year}: what "
        f"is made of it is not collected; {to_do}. {error}"
    )


@shared_lake.step("lake/{state}/*.parquet")
def outcomes(state: str, school_year: int, task_states: dict[str, str | None]) -> list[Outcome]:
    """One row for each extract of the state, in the order of its declaration.

    `task_states`: the state that Airflow gives each task, by task id (`group.extract.step`).
    """
    found = []
    for name, extract in states()[state].extracts.items():
        steps = {step: task_states.get(f"{extract.group}.{name}.{step}") for step in STEPS}
        failed = [step for step, it in steps.items() if it == "failed"]
        if failed:
            found.append(Outcome(name, f"failed in {failed[0]}"))
        elif steps["load"] == "success":
            load = lake.accepted(state, name, school_year)
            assert load, f"{state} {name} {school_year} was loaded and is not in the lake"
            rows = (load.rows_in, load.accepted, load.quarantined)
            found.append(Outcome(name, "loaded", *rows, load.sha256))
        elif "skipped" in steps.values():
            found.append(Outcome(name, "skipped"))
        else:
            found.append(Outcome(name, "failed in fetch"))
    return found


def table(found: list[Outcome]) -> str:
    """The outcomes as text, in columns, for a log."""
    head = ("extract", "outcome", "rows in", "accepted", "quarantined", "file")
    rows = [
        (
            it.extract,
            it.outcome,
            *("" if n is None else f"{n:,}" for n in (it.rows_in, it.accepted, it.quarantined)),
            it.sha256[:12],
        )
        for it in found
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if 2 <= i <= 4 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join(lines)


def require_announced(state: str, task_state: str | None) -> None:
    """Raises ExtractsFailed if the lake could not be announced: nothing new would be published."""
    if task_state not in ("success", "skipped"):
        raise ExtractsFailed(
            f"{state}: every extract is loaded, and the lake could not be announced, so nothing "
            "new is published; the log of the announce task says why. Clear it when that is mended"
        )


def require_all(state: str, found: list[Outcome]) -> None:
    """Raises ExtractsFailed if an extract was neither loaded nor left out on purpose."""
    failed = [it for it in found if it.failed_step]
    if failed:
        told = "\n".join(f"  {it.extract}: {REMEDIES[it.failed_step or 'fetch']}" for it in failed)
        raise ExtractsFailed(
            f"{state}: {len(failed)} of {len(found)} extracts failed; what others loaded stands, "
            f"and of these the last good load stays.\n{told}"
        )
