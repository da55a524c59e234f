"""What is wrong although nothing failed: files that did not come, releases that were not made.

Each look lets exactly what it finds be wrong (`incidents.keep`), so that what is mended closes.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from include import incidents, lake, registry, shared_lake, status

# What the page's facts are read from; on a shared lake it is fetched for the look.
READ = (
    "lake/{state}/*",
    "landed/{state}/receipts/*.json",
    "quarantine/{state}/*.json",
    "published/{state}/*/manifest.json",
    "published/{state}/releases.jsonl",
    "published/{state}/current",
    "warehouse/{state}/*.json",
)


def late() -> None:
    """Files that were promised by a day that is over, one incident for each state.

    Failures of files that are declared no more end here.
    """
    for state in _readable():
        parts = {}
        with _working_copy(state):
            lines = status.lines(state)
        for line in lines:
            if line.is_late and line.due:
                refused = " One came and was refused." if line.is_refused else ""
                parts[incidents.part_of(line.extract, line.school_year)] = (
                    "late",
                    f"promised by {line.due.isoformat()}.{refused}",
                )
        incidents.keep(state, "files", parts)
        _retire(state)


def _retire(state: str) -> None:
    """What failed and is asked for no more, no run will ever mend."""
    incident = incidents.open_incidents().get(f"{state}/ingest")
    if incident is None:
        return
    asked = {
        incidents.part_of(name, year)
        for name, extract in registry.states()[state].extracts.items()
        for year in extract.school_years
    }
    gone = [
        name
        for name, part in incident.parts.items()
        if part.section in ("fetch", "check", "load") and name not in asked
    ]
    incidents.mend(state, "ingest", gone)


def stale() -> None:
    """Releases that lag behind the lake for longer than `patience`, one incident for each state."""
    for state in _readable():
        parts = {}
        with _working_copy(state):
            since = status.behind_since(state)
        if since and datetime.now(UTC) - since > patience():
            parts["the release that readers see"] = (
                "stale",
                f"files loaded since {since:%Y-%m-%d %H:%M} UTC are not in it",
            )
        incidents.keep(state, "release", parts)


def declarations() -> None:
    """States' files that cannot be understood, one incident for each."""
    for state in registry.states():
        parts = {}
        try:
            registry.read(registry.STATES / f"{state}.yml")
        except registry.BadDeclaration as error:
            parts[f"{state}.yml"] = ("declaration", incidents.reason_of(error))
        incidents.keep(state, "declaration", parts)


def patience() -> timedelta:
    """How long readers may be without what is loaded: `STATEWIDE_STALE_HOURS`, default 48."""
    return timedelta(hours=float(os.environ.get("STATEWIDE_STALE_HOURS") or 48))


def _working_copy(state: str) -> AbstractContextManager[None]:
    return shared_lake.working_copy(state, *(pattern.format(state=state) for pattern in READ))


def _readable() -> list[str]:
    """States whose file can be understood; the others are told of as such."""
    found = []
    for state in registry.states():
        try:
            registry.states()[state]
        except registry.BadDeclaration:
            continue
        is_used = shared_lake.is_configured() or (lake.home() / "lake" / state).exists()
        if is_used or registry.states()[state].schedule:
            found.append(state)
    return found
