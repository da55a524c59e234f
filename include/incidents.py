"""Incidents: what is wrong, since when, and who has been told.

    incidents.json    what is wrong now (`open`), and what was lately (`closed`, oldest first)

It lies in STATEWIDE_HOME, or beside a lake that several machines share, where each change is a
compare-and-swap: whichever machine a task ran on, there is one list.

An incident is one thing that somebody has to see to: a state's ingest, its publishing, files that
are late. It is made of parts (an extract of a year, say), so that ten files that one cut cable
kept away are one message. A part that fails again is counted and told no more; a new part is told;
once the last part is mended, the incident closes, which is told to those who heard of it.

A message names states, extracts, years, promises and counts. It never holds a value out of a file,
nor a secret: of an error that is not one of ours only the kind is told, since its text may quote
what it stumbled over.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from include import lake, shared_lake
from include.object_store import LostRace, ObjectStore

# What an incident may be about: the section of docs/runbook.md that says what to do, and what a
# message says of it.
SECTIONS = {
    "fetch": "the file could not be had",
    "check": "the file broke its promises",
    "load": "the lake could not be written",
    "announce": "the lake could not be announced, so nothing new is published",
    "report": "the run could not say what became of its extracts",
    "build": "the marts could not be built",
    "check-the-marts": "the marts broke their promises",
    "protect": "something could not be protected, so nothing leaves",
    "approval": "a release waits for a person, because figures moved since the last one",
    "unanswered": "nobody answered whether figures that moved may be published",
    "export": "the release could not be written or uploaded",
    "rollback": "readers could not be given an earlier release again",
    "late": "no file by the promised date",
    "stale": "the lake holds what readers have not been given",
    "declaration": "the state's file cannot be understood, and none of its DAGs run",
    "watch": "late files, stale releases or broken declarations could not be looked for",
    "maintenance": "what is no longer needed could not be removed",
}

# Lines of a reason that a message has room for, and characters of a line.
LINES, LENGTH = 6, 300


@dataclass(frozen=True)
class Part:
    """One thing that failed. `section` is a key of SECTIONS; `told` names channels."""

    name: str
    section: str
    reason: str
    link: str = ""
    since: str = ""
    last: str = ""
    times: int = 1
    told: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Its name as people say it; the name itself is what mending it goes by."""
        return _said(self.name)


@dataclass(frozen=True)
class Incident:
    """What is wrong with one subject of a state. Times are ISO 8601, UTC."""

    state: str
    subject: str
    since: str
    parts: dict[str, Part] = field(default_factory=dict)
    # Parts that were mended while others were not.
    mended: tuple[str, ...] = ()
    closed: str = ""
    # Channels that heard of it, and those that heard that it is over.
    told: tuple[str, ...] = ()
    told_closed: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.state}/{self.subject}"


@dataclass(frozen=True)
class Message:
    """What one channel has yet to hear of one incident."""

    incident: Incident
    parts: tuple[Part, ...]
    is_recovery: bool = False

    @property
    def section(self) -> str:
        return self.parts[0].section if self.parts else ""

    def subject(self) -> str:
        """One line: what, where."""
        where = f"{name_of(self.incident.state)}: {self.incident.subject}"
        if self.is_recovery:
            return f"[Statewide] Recovered: {where}"
        names = [part.label for part in self.parts]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        about = {SECTIONS[part.section] for part in self.parts}
        what = about.pop() if len(about) == 1 else f"{len(names)} things failed"
        return f"[Statewide] {where}: {shown}: {what}"

    def text(self, base_url: str) -> str:
        """The whole message, for people, in plain text."""
        incident = self.incident
        lines = [
            f"State:  {name_of(incident.state)} ({incident.state})",
            f"Whose:  {_owner(incident.state)}",
            f"Since:  {_moment(incident.since)}",
        ]
        if self.is_recovery:
            times = sum(part.times for part in incident.parts.values())
            lines += [
                f"Until:  {_moment(incident.closed)}",
                "",
                "All of it is mended: "
                + ", ".join(sorted(_said(it) for it in {*incident.mended, *incident.parts}))
                + f". It failed {times} time{'' if times == 1 else 's'}.",
            ]
            return "\n".join(lines) + "\n"
        for part in self.parts:
            lines += ["", f"{part.label}: {SECTIONS[part.section]}"]
            lines += [f"    {line}" for line in part.reason.splitlines()]
            if part.link:
                lines.append(f"  Task:        {part.link}")
            lines.append(f"  What to do:  {runbook(part.section, base_url)}")
        if others := len(incident.parts) - len(self.parts):
            lines += ["", f"{others} more of this incident were told before and are not mended."]
        return "\n".join(lines) + "\n"

    def webhook(self, base_url: str) -> dict[str, Any]:
        """The message as Slack and what is compatible with it take it."""
        body = _escaped(self.text(base_url))[:2900]
        return {
            "text": _escaped(self.subject()),
            "blocks": [
                {
                    "type": "section",
                    "text": {"type": "mrkdwn", "text": f"*{_escaped(self.subject())}*"},
                },
                {"type": "section", "text": {"type": "mrkdwn", "text": f"```{body}```"}},
            ],
        }


def runbook(section: str, base_url: str) -> str:
    """The address of what to do, on the Statewide page.

    A path and no fragment: who has to log in on the way arrives at the section all the same.
    """
    return f"{base_url.rstrip('/')}/statewide/runbook/{section}"


# ---- what callbacks and the watch say -----------------------------------------------------------


def note(
    state: str, subject: str, part: str, section: str, reason: str, link: str = ""
) -> Incident:
    """Remember that a part failed, now. Whoever was told of it already is not told again."""
    if section not in SECTIONS:
        raise ValueError(f"no runbook section {section!r}; there are {', '.join(SECTIONS)}")
    now, key = _now(), f"{state}/{subject}"

    def noted(kept: _Kept) -> Incident:
        incident = kept.open.get(key) or Incident(state, subject, since=now)
        before = incident.parts.get(part)
        it = Part(
            part,
            section,
            reason,
            link,
            since=before.since if before else now,
            last=now,
            times=before.times + 1 if before else 1,
            told=before.told if before and before.section == section else (),
        )
        kept.open[key] = replace(incident, parts=incident.parts | {part: it})
        return kept.open[key]

    return _change(noted)


def mend(state: str, subject: str, parts: Iterable[str] | None = None) -> Incident | None:
    """These parts work again (None: all). Returns the incident if that closed it."""

    def mended(kept: _Kept) -> Incident | None:
        incident = kept.open.get(f"{state}/{subject}")
        if incident is None:
            return None
        gone = set(incident.parts if parts is None else parts) & set(incident.parts)
        left = {name: part for name, part in incident.parts.items() if name not in gone}
        if not gone:
            return None
        if left:
            before = tuple(sorted({*incident.mended, *gone}))
            kept.open[incident.key] = replace(incident, parts=left, mended=before)
            return None
        closed = replace(incident, closed=_now())
        del kept.open[incident.key]
        kept.closed.append(closed)
        return closed

    return _change(mended)


def keep(state: str, subject: str, parts: dict[str, tuple[str, str]]) -> None:
    """Let exactly these parts be wrong: name to (section, reason). What is known stays as it is.

    For what is looked at again and again: looking is not failing, so nothing is counted.
    """
    known = {}
    if incident := open_incidents().get(f"{state}/{subject}"):
        known = incident.parts
    for name, (section, reason) in parts.items():
        if name not in known or known[name].section != section:
            note(state, subject, name, section, reason)
    mend(state, subject, [name for name in known if name not in parts])


def part_of(extract: str, school_year: int) -> str:
    """The name of an extract of a year in an incident."""
    return f"{extract.replace('_', ' ')} {school_year}"


def reason_of(error: BaseException | str | None, *, rest: str = ", in its log") -> str:
    """The first lines of why something failed, without a value or a secret.

    `rest` says where those lines are that are not among them.
    """
    if error is None:
        return "no reason was given; its log says more"
    if isinstance(error, str):
        return "it was stopped from outside; its log says more"
    kind = type(error)
    ours = kind.__module__.split(".")[0] in ("include", "expectations")
    if not ours and kind.__name__ not in ("AirflowFailException", "AirflowTaskTimeout"):
        return f"{kind.__name__} (its log says more)"
    lines = [line for line in str(error).splitlines() if line.strip()]
    if kind.__name__ == "BuildFailed":
        # What DuckDB says of a model may quote a cell; which model it was is enough here.
        lines = [line.partition("): ")[0] + (")" if "): " in line else "") for line in lines]
    shown = [_cut(_without_secrets(line)) for line in lines[:LINES]]
    if len(lines) > LINES:
        shown.append(f"... and {len(lines) - LINES} more lines{rest}")
    return "\n".join(shown)


def _cut(line: str) -> str:
    return line if len(line) <= LENGTH else line[: LENGTH - 4] + " ..."


def _without_secrets(line: str) -> str:
    line = re.sub(r"(\w+://)[^/@\s]+@", r"\1", line)
    line = re.sub(r"(\w+://[^\s?]+)\?\S*", r"\1", line)
    for name, value in os.environ.items():
        if len(value) >= 6 and re.search(r"PASSWORD|TOKEN|SECRET|PASSPHRASE|_KEY$|CONN_", name):
            line = line.replace(value, "***")
    return line


# ---- what is told -------------------------------------------------------------------------------


def open_incidents() -> dict[str, Incident]:
    """What is wrong now, by state and subject."""
    return _read().open


def closed_incidents(most: int = 50) -> list[Incident]:
    """What was wrong, the latest first."""
    return _read().closed[: -most - 1 : -1]


def pending(channel: str) -> list[Message]:
    """What a channel has yet to hear, what is over first."""
    kept = _read()
    recovered = [
        Message(incident, (), is_recovery=True)
        for incident in kept.closed
        if channel in incident.told and channel not in incident.told_closed
    ]
    opened = []
    for incident in kept.open.values():
        new = tuple(part for part in incident.parts.values() if channel not in part.told)
        if new:
            opened.append(Message(incident, new))
    return [*recovered, *opened]


def told(channel: str, message: Message) -> None:
    """The channel has heard this message."""

    def heard(kept: _Kept) -> None:
        mine = message.incident
        for number, closed in enumerate(kept.closed):
            # Also one that was mended while it was being told of.
            if (closed.key, closed.since) == (mine.key, mine.since):
                name = "told_closed" if message.is_recovery else "told"
                channels = tuple(sorted({*getattr(closed, name), channel}))
                kept.closed[number] = replace(closed, **{name: channels})
        incident = kept.open.get(mine.key)
        if message.is_recovery or incident is None or incident.since != mine.since:
            return
        names = {part.name for part in message.parts}
        parts = {
            name: replace(part, told=(*part.told, channel)) if name in names else part
            for name, part in incident.parts.items()
        }
        channels = tuple(sorted({*incident.told, channel}))
        kept.open[mine.key] = replace(incident, parts=parts, told=channels)

    _change(heard)


# ---- where they are kept -------------------------------------------------------------------------

NAME = "incidents.json"
# Incidents that are over and still known; the latest are what people ask about.
REMEMBERED = 200
T = TypeVar("T")


@dataclass
class _Kept:
    """The whole list."""

    open: dict[str, Incident] = field(default_factory=dict)
    closed: list[Incident] = field(default_factory=list)


def _read() -> _Kept:
    if shared_lake.is_configured():
        return _understood(_store().read(NAME).content)
    path = lake.machine() / NAME
    return _understood(path.read_bytes() if path.exists() else None)


def _change(how: Callable[[_Kept], T]) -> T:
    """Change the list, with nobody else's change in between. `how` may be asked more than once."""
    if not shared_lake.is_configured():
        with lake.lock("incidents"):
            kept = _read()
            told = how(kept)
            lake.write_json(lake.machine() / NAME, _written(kept))
            return told
    store = _store()
    for _ in range(50):
        seen = store.read(NAME)
        kept = _understood(seen.content)
        told = how(kept)
        try:
            store.swap(NAME, seen, json.dumps(_written(kept), sort_keys=True).encode())
            return told
        except LostRace:
            time.sleep(secrets.randbelow(200) / 1000)
    raise LostRace(f"{store}/{NAME} never stood still")


def show(to: Path | None = None) -> None:
    """Copy the list of a shared lake to this machine, whose page has no business in the store.

    `to`: another folder, for a backup.
    """
    lake.write_json((to or lake.machine()) / NAME, _written(_read()))


def adopt() -> None:
    """Bring the list in STATEWIDE_HOME to a shared lake that has none: back from a backup."""
    path = lake.machine() / NAME
    seen = _store().read(NAME)
    if path.exists() and seen.content is None:
        _store().swap(NAME, seen, path.read_bytes())


def _store() -> ObjectStore:
    return ObjectStore(os.environ[shared_lake.VARIABLE], shared_lake.VARIABLE)


def _understood(content: bytes | None) -> _Kept:
    told = json.loads(content) if content else {"open": {}, "closed": []}
    return _Kept(
        {key: _incident(it) for key, it in told["open"].items()},
        [_incident(it) for it in told["closed"]],
    )


def _incident(told: dict[str, Any]) -> Incident:
    parts = {
        name: Part(**part | {"told": tuple(part["told"])}) for name, part in told["parts"].items()
    }
    lists = {name: tuple(told[name]) for name in ("mended", "told", "told_closed")}
    return Incident(**told | lists | {"parts": parts})


def _written(kept: _Kept) -> dict[str, Any]:
    return {
        "open": {key: asdict(it) for key, it in kept.open.items()},
        "closed": [asdict(it) for it in kept.closed[-REMEMBERED:]],
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _moment(told: str) -> str:
    return told[:16].replace("T", " ") + " UTC"


def _said(name: str) -> str:
    from include import registry

    return registry.said(name)


def name_of(state: str) -> str:
    """What people call a state, or what an incident is of that is about none."""
    declared = _declared(state)
    return declared.name if declared else state


def _owner(state: str) -> str:
    declared = _declared(state)
    return f"{declared.owner}, {declared.agency}" if declared else "whoever keeps the state's file"


def _declared(state: str) -> Any:
    """The state as declared; None for what is no state, or whose file is what is broken."""
    from include import registry

    try:
        return registry.states()[state]
    except (KeyError, registry.BadDeclaration):
        return None


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
