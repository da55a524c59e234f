"""An operator's day under the real Airflow: files that break, alerts, a question, its answers."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from include import incidents, lake, release
from ops import configuration, instance
from ops.client import Client, quoted
from tests.drawn import Publisher
from tests.mailbox import Mailbox, receiving

PATIENCE = 600
WHY = "a district sent its pupils twice last year"
CLOSED = "three schools have closed their books"
pytestmark = pytest.mark.machines


class Day:
    """A machine whose Airflow stays up, a publisher's folder, and somebody who gets the alerts."""

    def __init__(self, client: Client, publisher: Publisher, box: Mailbox) -> None:
        self.client, self.publisher, self.box = client, publisher, box

    def run(self, dag: str, **conf: Any) -> tuple[str, str]:
        """Trigger a DAG and wait for its end, or for a question. Returns run and state."""
        run = self.client.trigger(dag, conf)
        return run, self.follow(dag, run)

    def follow(self, dag: str, run: str, *, asked: bool = False) -> str:
        """Wait for a run's end, or for a question, unless that was `asked` already."""
        patience = time.monotonic() + PATIENCE
        while True:
            state = self.client.run(dag, run)["state"]
            if state in ("success", "failed"):
                return state
            if not asked and "awaiting_input" in self.states(dag, run).values():
                return "asks"
            assert time.monotonic() < patience, self.states(dag, run)
            time.sleep(0.3)

    def states(self, dag: str, run: str) -> dict[str, str]:
        return {it["task_id"]: it["state"] for it in self.client.tasks(dag, run)}

    def ingest(self, **conf: Any) -> tuple[str, str, str]:
        """Ingest 2025. Returns the run, its state, and the run of publish that it started."""
        run, state = self.run("zz_ingest", school_year=2025, **conf)
        caused = self.client.caused_by("zz_ingest", run)
        patience = time.monotonic() + PATIENCE
        while caused == []:
            assert time.monotonic() < patience
            time.sleep(0.3)
            caused = self.client.caused_by("zz_ingest", run)
        return run, state, caused[0]["run_id"] if caused else ""

    def clear(self, run: str, task: str) -> str:
        """Clear one task of an ingest run, with what follows it, as in the UI.

        Returns the run of publish that follows. Nothing else may have run again.
        """
        tries = {it["task_id"]: it["try_number"] for it in self.client.tasks("zz_ingest", run)}
        caused = {it["run_id"] for it in self.client.caused_by("zz_ingest", run) or []}
        told = {
            "dag_run_id": run, "task_ids": [task], "include_downstream": True,
            "only_failed": False, "reset_dag_runs": True, "dry_run": False,
        }  # fmt: skip
        self.client.post("dags/zz_ingest/clearTaskInstances", told)
        assert self.follow("zz_ingest", run) == "success"
        for it in self.client.tasks("zz_ingest", run):
            is_cleared = it["task_id"].startswith(task.rpartition(".")[0])
            again = is_cleared or it["task_id"] in ("announce", "report")
            assert (it["try_number"] > tries[it["task_id"]]) == again, it["task_id"]
        patience = time.monotonic() + PATIENCE
        while True:
            now = {it["run_id"] for it in self.client.caused_by("zz_ingest", run) or []}
            if now - caused:
                return (now - caused).pop()
            assert time.monotonic() < patience
            time.sleep(0.3)

    def answer(self, run: str, option: str, why: str) -> None:
        # No person answers in the second in which the task's process is still ending.
        time.sleep(5)
        told = {"chosen_options": [option], "params_input": {"why": why}}
        self.client.patch(
            f"dags/zz_publish/dagRuns/{quoted(run)}/taskInstances/approve/-1/hitlDetails", told
        )


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Iterator[Day]:
    home = tmp_path_factory.mktemp("day") / "home"
    publisher = Publisher.drawn(tmp_path_factory.mktemp("publisher"))
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch, receiving() as box:
        patch.setenv("STATEWIDE_HOME", str(home))
        patch.setenv("STATEWIDE_EXTRACTS", str(publisher.files))
        patch.setenv("STATEWIDE_FETCH_RETRIES", "0")
        for name, value in box.environment().items():
            patch.setenv(name, value)
        with instance.using() as client:
            yield Day(client, publisher, box)


def current() -> str:
    return os.readlink(lake.published("zz") / "current")


def manifest() -> dict[str, Any]:
    return json.loads((lake.published("zz") / "current" / release.MANIFEST).read_text())


def test_two_broken_files_are_one_message_and_their_repair_another(day):
    ledger = day.publisher.path("finance_ledger")
    record = ledger.with_suffix(".json")
    good = {file: file.read_bytes() for file in (ledger, record)}
    day.publisher.rewrite("finance_ledger", lambda rows: rows, header=("amount", "amuont"))
    cohort = day.publisher.path("graduation_cohort")
    cohort.rename(cohort.with_suffix(".away"))

    _, state, published = day.ingest()
    assert state == "failed"
    assert day.follow("zz_publish", published) == "success"
    day.box.wait(lambda box: box.mails and box.posts)
    [subject] = day.box.subjects()
    assert "Franklin: ingest: " in subject
    assert "finance ledger 2025" in subject
    assert "graduation cohort 2025" in subject
    text = day.box.text()
    assert "Whose:  demo-team" in text
    assert "BrokenPromises" not in text
    assert "every header is declared" in text
    assert "/dags/zz_ingest/runs/" in text
    assert "/statewide/runbook/check" in text
    assert "/statewide/runbook/fetch" in text

    cohort.with_suffix(".away").rename(cohort)
    run, state, _ = day.ingest()
    assert state == "failed"
    assert len(day.box.mails) == 1, "what is known is not told again"
    [incident] = incidents.open_incidents().values()
    assert set(incident.parts) == {"finance ledger 2025"}

    for file, content in good.items():
        file.write_bytes(content)
    published = day.clear(run, "finance.finance_ledger.fetch")
    assert day.follow("zz_publish", published) == "success"
    day.box.wait(lambda box: len(box.mails) == 2 and len(box.posts) == 2)
    assert day.box.subjects()[-1] == "[Statewide] Recovered: Franklin: ingest"
    assert incidents.open_incidents() == {}


def test_without_drift_nobody_is_asked(day):
    told = manifest()
    assert told["approval"] is None
    assert [it for it in lake.warehouse("zz").glob("*.approval.json")] == []


def test_what_moved_waits_for_a_person_whose_name_and_reason_stand_in_the_release(day):
    before, mails = current(), len(day.box.mails)
    day.publisher.lose_pupils()
    _, state, run = day.ingest()
    assert state == "success"
    assert day.follow("zz_publish", run) == "asks"
    assert current() == before, "readers keep what they have"
    day.box.wait(lambda box: len(box.mails) > mails)
    assert "a release waits for a person" in day.box.subjects()[-1]
    assert "/required_actions" in day.box.text()
    pools = day.client.get("pools", limit=100)["pools"]
    assert sum(pool["occupied_slots"] for pool in pools) == 0, "waiting takes no slot"
    [asked] = day.client.get(f"dags/zz_publish/dagRuns/{quoted(run)}/hitlDetails")["hitl_details"]
    assert "| 2025 | membership |" in asked["body"]

    day.answer(run, "Publish", "ok")
    time.sleep(5)
    assert day.follow("zz_publish", run) == "asks", "without a reason it is no answer"
    day.answer(run, "Publish", WHY)
    assert day.follow("zz_publish", run) == "success"
    assert current() != before
    approval = manifest()["approval"]
    assert (approval["by"], approval["reason"]) == ("admin", WHY)
    assert approval["how"] == "answered in Airflow"
    assert any("state totals move" in promise for promise in approval["asked"])
    day.box.wait(lambda box: "Recovered" in box.subjects()[-1])
    ledger = (lake.published("zz") / "releases.jsonl").read_text().splitlines()
    assert json.loads(ledger[-1])["approval"]["reason"] == WHY


def test_a_refusal_keeps_the_last_release_and_is_not_asked_about_again(day):
    before = current()
    day.publisher.lose_pupils()
    _, _, run = day.ingest()
    assert day.follow("zz_publish", run) == "asks"
    day.answer(run, "Keep the last release", "the file lacks a district")
    assert day.follow("zz_publish", run) == "success"
    assert day.states("zz_publish", run)["export"] == "skipped"
    assert current() == before

    _, state, published = day.ingest()
    assert (state, published) == ("success", ""), "the same files are not announced again"
    _, state = day.run("zz_publish")
    assert state == "asks", "somebody who publishes by hand is asked"


def test_a_reason_given_with_the_run_is_an_answer(day):
    before = current()
    [run] = [
        it["dag_run_id"]
        for it in day.client.get("dags/zz_publish/dagRuns", limit=100)["dag_runs"]
        if it["state"] == "running"
    ]
    day.answer(run, "Keep the last release", "it is published by hand")
    assert day.follow("zz_publish", run) == "success"
    _, state = day.run("zz_publish", reason=WHY)
    assert state == "success"
    assert current() != before
    approval = manifest()["approval"]
    assert (approval["by"], approval["reason"]) == ("admin", WHY)
    assert approval["how"] == "a reason given with the run"


def test_readers_are_given_the_release_before_and_the_one_after_again(day):
    now = current()
    assert day.run("zz_rollback", reason=WHY)[1] == "success"
    before = current()
    assert before != now
    told = (lake.published("zz") / "releases.jsonl").read_text().splitlines()[-1]
    last = json.loads(told)
    assert (last["action"], last["by"], last["reason"]) == ("rollback", "admin", WHY)
    assert day.ingest()[1:] == ("success", ""), "what was withdrawn is not announced again"

    mails = len(day.box.mails)
    assert day.run("zz_rollback", release="zz-000000000000", reason=WHY)[1] == "failed"
    assert current() == before
    day.box.wait(lambda box: len(box.mails) > mails)
    assert "zz has no release zz-000000000000" in day.box.text()
    assert "/statewide/runbook/rollback" in day.box.text()
    assert day.run("zz_rollback", release=now, reason=WHY)[1] == "success"
    assert current() == now
    day.box.wait(lambda box: box.subjects()[-1] == "[Statewide] Recovered: Franklin: rollback")


def test_a_question_that_nobody_answers_decides_nothing_and_is_asked_again(day):
    before, mails = current(), len(day.box.mails)
    day.publisher.lose_pupils()
    _, _, run = day.ingest()
    assert day.follow("zz_publish", run) == "asks"
    a_week_passes()
    assert day.follow("zz_publish", run, asked=True) == "failed"
    assert day.states("zz_publish", run)["export"] == "upstream_failed"
    assert current() == before, "readers keep what they have"
    day.box.wait(lambda box: len(box.mails) > mails + 1)
    assert "nobody answered whether figures that moved may be published" in day.box.subjects()[-1]
    assert "/statewide/runbook/unanswered" in day.box.text()
    assert "The next publish run asks again" in day.box.text()
    [incident] = incidents.open_incidents().values()
    assert incident.subject == "publish"

    _, state, run = day.ingest()
    assert state == "success"
    assert day.follow("zz_publish", run) == "asks", "the same files are announced and asked about"
    day.box.wait(lambda box: "a release waits for a person" in box.subjects()[-1])
    day.answer(run, "Publish", WHY)
    assert day.follow("zz_publish", run) == "success"
    assert current() != before
    day.box.wait(lambda box: "Recovered" in box.subjects()[-1])
    assert incidents.open_incidents() == {}


def a_week_passes() -> None:
    """For the questions that are asked now: their time is up."""
    with closing(sqlite3.connect(configuration.home() / "airflow.db", timeout=60)) as database:
        asked = "update task_instance set trigger_timeout = ? where state = 'awaiting_input'"
        changed = database.execute(asked, ["2024-07-01 00:00:00.000000"])
        database.commit()
        assert changed.rowcount == 1


def test_who_let_a_file_pass_that_lost_many_rows_and_why_stands_in_the_release(day):
    day.publisher.rewrite("finance_ledger", lambda rows: rows[: int(len(rows) * 0.7)])
    assert day.ingest()[1] == "failed", "a file that lost many rows is refused"
    _, state, _ = day.ingest(extracts=["finance_ledger"], reason=CLOSED, announce=False)
    assert state == "success"
    day.box.wait(lambda box: box.subjects()[-1] == "[Statewide] Recovered: Franklin: ingest")
    _, state = day.run("zz_publish", reason=CLOSED)
    assert state == "success"
    overridden = {it["extract"]: it["override"] for it in manifest()["inputs"] if it["override"]}
    [promise] = overridden["finance_ledger"].pop("promises")
    assert "fewer rows than the last good load" in promise
    assert overridden == {"finance_ledger": {"reason": CLOSED, "by": "admin"}}


def test_a_paused_state_starts_nothing_and_does_afterwards_what_was_left(day):
    def publishing() -> list[str]:
        runs = day.client.get("dags/zz_publish/dagRuns", limit=100)["dag_runs"]
        return [it["dag_run_id"] for it in runs]

    before, known = current(), publishing()
    day.client.patch("dags/zz_publish", {"is_paused": True})
    day.publisher.rewrite("work_based_learning", lambda rows: rows[:-1])
    _, state = day.run("zz_ingest", school_year=2025)
    assert state == "success"
    time.sleep(10)
    assert publishing() == known
    day.client.patch("dags/zz_publish", {"is_paused": False})
    time.sleep(10)
    assert publishing() == known, "what was announced meanwhile started nothing"
    _, _, run = day.ingest()
    # The file is small: a row of it is more than a person should let pass unseen.
    assert day.follow("zz_publish", run) == "asks"
    day.answer(run, "Publish", WHY)
    assert day.follow("zz_publish", run) == "success"
    assert current() != before


def test_the_watch_tells_of_a_release_that_lags(day):
    mails = len(day.box.mails)
    _, state = day.run("statewide_watch")
    assert state == "success"
    assert len(day.box.mails) == mails, "nothing is late"
