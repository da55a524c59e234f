"""Incidents: what is wrong, since when, and who has been told.

    incidents/operations/open.json       what is wrong now
    incidents/operations/closed.jsonl    what was, oldest first

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
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include import lake, shared_lake

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
    "export": "the release could not be written or uploaded",
    "late": "no file by the promised date",
    "stale": "the lake holds what readers have not been given",
    "declaration": "the state's file cannot be understood, and none of its DAGs run",
    "maintenance": "what is no longer needed could not be removed",
}

# Machines that share a lake share these as well.
_shared = shared_lake.step("incidents/*", of=shared_lake.OPERATIONS)

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
        where = f"{_name(self.incident.state)}: {self.incident.subject}"
        if self.is_recovery:
            return f"[Statewide] Recovered: {where}"
        names = [part.name for part in self.parts]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        about = {SECTIONS[part.section] for part in self.parts}
        what = about.pop() if len(about) == 1 else f"{len(names)} things failed"
        return f"[Statewide] {where}: {shown}: {what}"

    def text(self, base_url: str) -> str:
        """The whole message, for people, in plain text."""
        incident = self.incident
        lines = [
            f"State:  {_name(incident.state)} ({incident.state})",
            f"Whose:  {_owner(incident.state)}",
            f"Since:  {_moment(incident.since)}",
        ]
        if self.is_recovery:
            times = sum(part.times for part in incident.parts.values())
            lines += [
                f"Until:  {_moment(incident.closed)}",
                "",
                "All of it is mended: "
                + ", ".join(sorted({*incident.mended, *(p.name for p in incident.parts.values())}))
                + f". It failed {times} time{'' if times == 1 else 's'}.",
            ]
            return "\n".join(lines) + "\n"
        for part in self.parts:
            lines += ["", f"{part.name}: {SECTIONS[part.section]}"]
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
    """The address of what to do, on the Statewide page."""
    return f"{base_url.rstrip('/')}/statewide/runbook#{section}"


# ---- what callbacks and the watch say -----------------------------------------------------------


@_shared
def note(
    state: str, subject: str, part: str, section: str, reason: str, link: str = ""
) -> Incident:
    """Remember that a part failed, now. Whoever was told of it already is not told again."""
    if section not in SECTIONS:
        raise ValueError(f"no runbook section {section!r}; there are {', '.join(SECTIONS)}")
    now = _now()
    with lake.lock("incidents"):
        found = _read()
        key = f"{state}/{subject}"
        incident = found.get(key) or Incident(state, subject, since=now)
        before = incident.parts.get(part)
        told = before.told if before and before.section == section else ()
        noted = Part(
            part,
            section,
            reason,
            link,
            since=before.since if before else now,
            last=now,
            times=before.times + 1 if before else 1,
            told=told,
        )
        found[key] = replace(incident, parts=incident.parts | {part: noted})
        _write(found)
        return found[key]


@_shared
def mend(state: str, subject: str, parts: Iterable[str] | None = None) -> Incident | None:
    """These parts work again (None: all). Returns the incident if that closed it."""
    with lake.lock("incidents"):
        found = _read()
        incident = found.get(f"{state}/{subject}")
        if incident is None:
            return None
        gone = set(incident.parts if parts is None else parts) & set(incident.parts)
        if not gone:
            return None
        left = {name: part for name, part in incident.parts.items() if name not in gone}
        if left:
            mended = tuple(sorted({*incident.mended, *gone}))
            found[incident.key] = replace(incident, parts=left, mended=mended)
            _write(found)
            return None
        closed = replace(incident, closed=_now())
        del found[incident.key]
        # Written first: who is killed in between finds it closed twice, and never lost.
        _append(closed)
        _write(found)
        return closed


@_shared
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


def reason_of(error: BaseException | str | None) -> str:
    """The first lines of why something failed, without a value or a secret."""
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
    shown = [_without_secrets(line)[:LENGTH] for line in lines[:LINES]]
    if len(lines) > LINES:
        shown.append(f"... and {len(lines) - LINES} more lines, in its log")
    return "\n".join(shown)


def _without_secrets(line: str) -> str:
    line = re.sub(r"(\w+://)[^/@\s]+@", r"\1", line)
    line = re.sub(r"(\w+://[^\s?]+)\?\S*", r"\1", line)
    for name, value in os.environ.items():
        if len(value) >= 6 and re.search(r"PASSWORD|TOKEN|SECRET|PASSPHRASE|_KEY$|CONN_", name):
            line = line.replace(value, "***")
    return line


# ---- what is told -------------------------------------------------------------------------------


@_shared
def open_incidents() -> dict[str, Incident]:
    """What is wrong now, by state and subject."""
    return _read()


@_shared
def closed_incidents(most: int = 50) -> list[Incident]:
    """What was wrong, the latest first."""
    path = _folder() / "closed.jsonl"
    if not path.exists():
        return []
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    return [_incident(json.loads(line)) for line in reversed(lines[-most:])]


@_shared
def pending(channel: str) -> list[Message]:
    """What a channel has yet to hear, what is over first."""
    recovered = [
        Message(incident, (), is_recovery=True)
        for incident in reversed(closed_incidents())
        if channel in incident.told and channel not in incident.told_closed
    ]
    opened = []
    for incident in _read().values():
        new = tuple(part for part in incident.parts.values() if channel not in part.told)
        if new:
            opened.append(Message(incident, new))
    return [*recovered, *opened]


@_shared
def told(channel: str, message: Message) -> None:
    """The channel has heard this message."""
    with lake.lock("incidents"):
        if message.is_recovery:
            _rewrite_closed(message.incident, channel)
            return
        found = _read()
        incident = found.get(message.incident.key)
        if incident is None or incident.since != message.incident.since:
            _rewrite_closed(message.incident, channel, opened=True)
            return
        heard = {part.name for part in message.parts}
        parts = {
            name: replace(part, told=(*part.told, channel)) if name in heard else part
            for name, part in incident.parts.items()
        }
        channels = tuple(sorted({*incident.told, channel}))
        found[incident.key] = replace(incident, parts=parts, told=channels)
        _write(found)


# ---- the store ----------------------------------------------------------------------------------


def _folder() -> Path:
    return lake.home() / "incidents" / shared_lake.OPERATIONS


def _read() -> dict[str, Incident]:
    path = _folder() / "open.json"
    if not path.exists():
        return {}
    return {key: _incident(told) for key, told in json.loads(path.read_text()).items()}


def _incident(told: dict[str, Any]) -> Incident:
    parts = {
        name: Part(**part | {"told": tuple(part["told"])}) for name, part in told["parts"].items()
    }
    lists = {name: tuple(told[name]) for name in ("mended", "told", "told_closed")}
    return Incident(**told | lists | {"parts": parts})


def _write(found: dict[str, Incident]) -> None:
    lake.write_json(_folder() / "open.json", {key: asdict(it) for key, it in found.items()})


def _append(closed: Incident) -> None:
    with (lake.private(_folder()) / "closed.jsonl").open("a") as history:
        history.write(json.dumps(asdict(closed), sort_keys=True) + "\n")


def _rewrite_closed(incident: Incident, channel: str, *, opened: bool = False) -> None:
    """Note in the history that a channel heard of an incident, or (else) of its end."""
    path = _folder() / "closed.jsonl"
    if not path.exists():
        return
    lines = []
    for line in path.read_text().splitlines():
        told = json.loads(line)
        if (told["state"], told["subject"], told["since"]) == (
            incident.state,
            incident.subject,
            incident.since,
        ):
            name = "told" if opened else "told_closed"
            told[name] = sorted({*told[name], channel})
        lines.append(json.dumps(told, sort_keys=True))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text("\n".join(lines) + "\n")
    part.replace(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _moment(told: str) -> str:
    return told[:16].replace("T", " ") + " UTC"


def _name(state: str) -> str:
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
