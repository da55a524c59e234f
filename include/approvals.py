"""A person's word on figures that moved: asked before a release, and kept with it.

    warehouse/<state>/<build>.approval.json    who said yes or no to one build, and why

A year that readers have already may be corrected, and the correction may be wrong. When the marts'
check warns that such figures moved since the last release, or when somebody overrode a check with
a reason, the build is published only with a yes that has a reason. Without either nobody is asked.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include import differences, disclosure, lake, registry, shared_lake

LEAST_REASON = 10
CHECKS = "warehouse/{state}/{build}.checks.json"
ANSWER = "warehouse/{state}/{build}.approval.json"
# State totals that a question shows; the page has all of them. What moved by less than would be
# seen is counted alone.
SHOWN, SEEN = 15, 0.0005


class NotApproved(RuntimeError):
    """A build moved figures that readers have, and nobody has said yes to it."""


class Unanswered(RuntimeError):
    """A question was asked, and nobody answered it in time. Nothing is published, or decided."""


@dataclass(frozen=True)
class Answer:
    """`how` is the way it was given; `asked` are the promises that it is about."""

    is_yes: bool
    by: str
    how: str
    reason: str
    asked: tuple[str, ...]
    at: str = ""

    def told(self) -> dict[str, Any]:
        """As a release's manifest has it: without a clock time, which the ledger has."""
        return {
            "by": self.by,
            "how": self.how,
            "reason": self.reason,
            "asked": list(self.asked),
        }


def _path(state: str, build: str) -> Path:
    return lake.warehouse(state) / f"{build}.approval.json"


@shared_lake.step(CHECKS)
def moved(state: str, build: str) -> list[str]:
    """What a person has to say yes to, as the promises that were not kept; empty if nothing."""
    path = lake.warehouse(state) / f"{build}.checks.json"
    if not path.exists():
        return []
    return [
        f"not kept: {promise['promise']} ({promise['observed']})"
        for promise in json.loads(path.read_text())
        if promise["outcome"] == "warned"
        and (promise.get("needs_approval") or promise.get("overridden"))
    ]


@shared_lake.step(CHECKS, ANSWER)
def answer(
    state: str, build: str, *, is_yes: bool, by: str, how: str, reason: str | None
) -> Answer:
    """Keep a person's word on a build. Raises ValueError for a yes or no without a reason."""
    if len((reason or "").strip()) < LEAST_REASON:
        raise ValueError(f"{state}: say why, in at least {LEAST_REASON} letters")
    given = Answer(
        is_yes,
        by,
        how,
        (reason or "").strip(),
        tuple(moved(state, build)),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    lake.write_json(_path(state, build), asdict(given))
    return given


@shared_lake.step(CHECKS, ANSWER)
def answered(state: str, build: str) -> Answer | None:
    """The last word on a build, if it is about what moved as it stands now."""
    path = _path(state, build)
    if not path.exists():
        return None
    told = json.loads(path.read_text())
    given = Answer(**told | {"asked": tuple(told["asked"])})
    return given if set(moved(state, build)) <= set(given.asked) else None


@shared_lake.step(CHECKS, ANSWER)
def require(state: str, build: str) -> Answer | None:
    """The yes that a build was given; None if it needs none. Raises NotApproved."""
    given = answered(state, build)
    if given and given.is_yes:
        return given
    if asked := moved(state, build):
        said = f"{given.by} said no: {given.reason}" if given else "nobody has approved it yet"
        raise NotApproved(
            f"{state}: build {build} moved figures that readers have ({'; '.join(asked)}), and "
            f"{said}. Readers keep the last release; to publish it, give a reason "
            f"(make publish STATE={state} REASON=...)"
        )
    return None


def is_refused(state: str, build: str) -> bool:
    """Whether a person decided that a build is not published."""
    given = answered(state, build)
    return given is not None and not given.is_yes


@shared_lake.step("warehouse/{state}/*.json")
def refused_inputs(state: str) -> list[list[dict[str, Any]]]:
    """The loads of every build that was refused, as far as they are known."""
    found = []
    for path in lake.warehouse(state).glob("*.approval.json"):
        build = path.name.partition(".")[0]
        inputs = path.with_name(f"{build}.inputs.json")
        if is_refused(state, build) and inputs.exists():
            found.append(json.loads(inputs.read_text()))
    return found


@shared_lake.step(CHECKS, "warehouse/{state}/{build}.protected.duckdb", "published/{state}/current")
def question(state: str, build: str) -> str:
    """What a person is asked, as Markdown: what moved, as readers would see it.

    Built from protected tables only: Airflow keeps the text, and shows it to whoever may see the
    run.
    """
    lines = [
        f"Figures of {registry.states()[state].name} that readers have already would change, more "
        "than they may without a person's word:",
        "",
        *(f"- {_plain(promise)}" for promise in moved(state, build)),
    ]
    pointer = lake.published(state) / "current"
    if pointer.is_symlink():
        shared_lake.bring(state, f"published/{state}/{os.readlink(pointer)}/statewide.duckdb")
    last = pointer / "statewide.duckdb"
    if last.exists():
        found = differences.between(last, disclosure.protected(state, build))
        lines += ["", "| School year | Metric | Readers have | Would have | Change |"]
        lines += ["| --- | --- | ---: | ---: | ---: |"]
        totals = [it for it in found.totals if it.change is None or abs(it.change) >= SEEN]
        for total in totals[:SHOWN]:
            change = "" if total.change is None else f"{total.change:+.1%}"
            lines.append(
                f"| {total.school_year} | {_plain(total.metric_id)} | {_figure(total.before)} "
                f"| {_figure(total.after)} | {change} |"
            )
        if more := found.totals_changed - len(totals[:SHOWN]):
            lines += ["", f"{more} more state totals moved{'' if totals[SHOWN:] else ' by less'}."]
        for year, metric in found.metrics_gone[:SHOWN]:
            lines += ["", f"Gone: {_plain(metric)} of {year}."]
        for rows in found.rows:
            lines += [
                "",
                f"{rows.school_year}: {rows.changed:,} rows changed, {rows.added:,} new, "
                f"{rows.removed:,} gone, {rows.hidden:,} withheld that were not.",
            ]
    return "\n".join(lines)


def _figure(number: float | None) -> str:
    if number is None:
        return "withheld or absent"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:,.4g}"


def _plain(text: str) -> str:
    """A text in which Markdown sees nothing of its own."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#|!" else c for c in text)
