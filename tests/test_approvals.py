"""Figures that readers have move only with a person's word, which stands in the release."""

from __future__ import annotations

import json

import pytest

from include import approvals, dbt, disclosure, lake, release
from tests import builds

BUILD = "b" * 12
WHY = "a district sent its pupils twice"


@pytest.fixture(autouse=True)
def small_builds(home, monkeypatch) -> None:
    monkeypatch.setattr(dbt, "derive", builds.derive)


def built(build: str = BUILD, members: int = 100, **promise: object) -> str:
    """A protected build, of which the marts' check said this of one promise more."""
    facts = [
        builds.fact("membership", numerator=members),
        builds.fact("membership", numerator=members, org_level="SEA", org_id="zz"),
    ]
    builds.warehouse("zz", build, facts, sha256=build[0] * 64)
    disclosure.protect("zz", build)
    if promise:
        path = lake.warehouse("zz") / f"{build}.checks.json"
        told = {"promise": "state totals move by at most 5%", "severity": "warning",
                "expected": "at most 5%", "observed": "3 rows", "outcome": "warned"}  # fmt: skip
        lake.write_json(path, [*json.loads(path.read_text()), told | promise])
    return build


def published() -> dict:
    folder = lake.published("zz") / "current"
    return json.loads((folder / release.MANIFEST).read_text())


def test_without_drift_nobody_is_asked_and_nobody_is_named():
    build = built()
    assert approvals.moved("zz", build) == []
    assert approvals.require("zz", build) is None
    assert release.publish("zz", build)
    assert published()["approval"] is None


def test_a_warning_that_is_not_about_the_last_release_asks_nobody():
    assert approvals.moved("zz", built(needs_approval=False)) == []


def test_what_moved_is_not_published_without_a_yes_by_whichever_way():
    build = built(needs_approval=True)
    with pytest.raises(release.NotReady, match="nobody has approved it yet"):
        release.publish("zz", build, force=True)
    assert release.current("zz") is None


def test_a_yes_stands_in_the_manifest_and_the_ledger_with_its_reason():
    build = built(needs_approval=True)
    approvals.answer("zz", build, is_yes=True, by="rosa", how="answered in Airflow", reason=WHY)
    assert release.publish("zz", build)
    told = {
        "by": "rosa", "how": "answered in Airflow", "reason": WHY,
        "asked": ["not kept: state totals move by at most 5% (3 rows)"],
    }  # fmt: skip
    assert published()["approval"] == told
    last = (lake.published("zz") / "releases.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["approval"] == told


def test_an_overridden_check_needs_a_word_as_well():
    assert approvals.moved("zz", built(overridden=WHY))


@pytest.mark.parametrize("reason", [None, "", "  ok ", "because"])
def test_neither_yes_nor_no_goes_without_a_reason(reason):
    build = built(needs_approval=True)
    with pytest.raises(ValueError, match="say why"):
        approvals.answer("zz", build, is_yes=True, by="rosa", how="here", reason=reason)


def test_a_no_is_remembered_and_names_who_said_it():
    build = built(needs_approval=True)
    approvals.answer("zz", build, is_yes=False, by="rosa", how="here", reason=WHY)
    assert approvals.is_refused("zz", build)
    assert [[it["sha256"] for it in told] for told in approvals.refused_inputs("zz")] == [
        ["b" * 64]
    ]
    with pytest.raises(approvals.NotApproved, match=f"rosa said no: {WHY}"):
        approvals.require("zz", build)


def test_a_yes_to_something_else_is_no_yes():
    build = built(needs_approval=True)
    approvals.answer("zz", build, is_yes=True, by="rosa", how="here", reason=WHY)
    path = lake.warehouse("zz") / f"{build}.checks.json"
    told = json.loads(path.read_text())
    told[-1]["observed"] = "300 rows"
    lake.write_json(path, told)
    assert approvals.answered("zz", build) is None
    with pytest.raises(approvals.NotApproved):
        approvals.require("zz", build)


def test_the_question_shows_what_readers_would_see_change():
    release.publish("zz", built("a" * 12, 100))
    build = built(members=107, needs_approval=True)
    asked = approvals.question("zz", build)
    assert "Figures of Franklin" in asked
    assert r"- not kept: state totals move by at most 5% \(3 rows\)" in asked
    assert "| 2025 | membership | 100 | 107 | +7.0% |" in asked
    assert "2025: 2 rows changed, 0 new, 0 gone" in asked
