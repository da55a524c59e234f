"""What is told of a release's protection: counts by rule, what is still visible, the audits.

Never a value of a cell. `audits` is part of the record beside the build and of the manifest;
`page` is for a data steward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.disclosure.decide import Outcome
from include.registry import Disclosure

RULES = {
    "absent": "nothing to tell: not collected, missing or not applicable",
    "complementary": "hidden, because subtraction would give another number back",
    "dominated": "hidden: money (hours, points) that is nearly all one person's",
    "few_persons": "hidden: money of too few persons",
    "hidden_before": "hidden, because an earlier release hides it",
    "masked_by_publisher": "masked by the publisher",
    "masked_elsewhere": "hidden, because the publisher masks it in another table",
    "public": "published exactly: the state's policy calls it public, or it follows from what is",
    "rate_coded": "told as a range",
    "shown": "published exactly",
    "small_complement": "hidden: all but a few people",
    "small_count": "hidden: a count of few people",
    "small_denominator": "hidden: a figure on few people",
    "small_numerator": "hidden: few people are counted",
}


def audits(outcome: Outcome) -> dict[str, Any]:
    """The outcome of a protection as the record has it."""
    return {
        "exposed_by_policy": outcome.exposed_by_policy,
        "audit": {
            "cells": outcome.cells,
            "equations": outcome.equations,
            "hidden": outcome.hidden,
            "audited": outcome.audited,
            "rounds": outcome.rounds,
            "recoverable": outcome.recoverable,
            "too_narrow": outcome.too_narrow,
            "found_on_the_way": outcome.found,
            "exposed_exactly": outcome.exposed_exactly,
            "exposed_before": outcome.exposed_before,
            "exposed_by_rules": outcome.exposed_by_rules,
            "sums_that_do_not_add": outcome.far_sums,
        },
        "visible": {
            "counts": _share(outcome.counts_visible, outcome.counts),
            "people": _share(outcome.people_visible, outcome.people),
        },
    }


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def page(title: str, told: Mapping[str, Any], policy: Disclosure) -> str:
    """The report as Markdown, from a record."""
    audit, visible = told["audit"], told["visible"]
    n = "their n" if policy.other_n else policy.minimum_n

    def percent(share: float | None) -> str:
        return "none to show" if share is None else f"{100 * share:.1f} %"

    lines = [
        f"# {title}",
        "",
        f"Counts of people from {policy.withheld()} are not told, nor what gives them back.",
        "",
        f"- Of the protected counts, {percent(visible['counts'])} are visible; they hold "
        f"{percent(visible['people'])} of the people counted.",
        f"- {audit['hidden']:,} numbers are hidden. {audit['audited']:,} of them, and of the "
        f"remainders that would tell them, were put to the audits, {audit['rounds']} times until "
        f"all passed: {audit['recoverable']} can be worked out, {audit['too_narrow']} are known to "
        f"within fewer than {n}.",
    ]
    if told["exposed_by_policy"]:
        rows = ", ".join(f"{metric} ({n:,})" for metric, n in told["exposed_by_policy"].items())
        lines.append(
            "- **Public figures tell on hidden ones.** What is published exactly gives away, or "
            f"narrows down, hidden counts in rows of: {rows}. {audit['exposed_exactly']:,} cells "
            "are told exactly. Only the policy can change this."
        )
    if audit["exposed_before"]:
        lines.append(
            f"- **Earlier releases tell on hidden ones**: {audit['exposed_before']:,} small counts "
            "stand in a release that is out."
        )
    if audit["exposed_by_rules"]:
        lines.append(
            f"- To a reader who knows which hidden numbers are below {n}, public figures "
            f"tell {audit['exposed_by_rules']:,} of them, or leave two numbers for them."
        )
    if audit["sums_that_do_not_add"]:
        sums = ", ".join(f"{name} ({n:,})" for name, n in audit["sums_that_do_not_add"].items())
        lines.append(f"- Sums that miss their total by too much to work anything out: {sums}.")
    lines += ["", "| rule | rows | |", "| --- | ---: | --- |"]
    lines += [f"| {rule} | {n:,} | {RULES.get(rule, '')} |" for rule, n in told["rules"].items()]
    head = "| metric | shown | range | hidden | nothing to tell |"
    lines += ["", head, "| --- " + "| ---: " * 4 + "|"]
    shown, nothing = ("public", "shown"), ("absent", "masked_by_publisher")
    for metric, rules in told["metrics"].items():
        seen = sum(rules.get(rule, 0) for rule in shown)
        none = sum(rules.get(rule, 0) for rule in nothing)
        ranged = rules.get("rate_coded", 0)
        rest = sum(rules.values()) - seen - none - ranged
        lines.append(f"| {metric} | {seen:,} | {ranged:,} | {rest:,} | {none:,} |")
    return "\n".join(lines) + "\n"
