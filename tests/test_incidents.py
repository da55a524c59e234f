"""What people are told: one message for one incident, no value of a file, no secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from console import alerts
from include import approvals, incidents, lake, quality, registry, status, watch
from include.dbt import BuildFailed
from include.incidents import SECTIONS, Message
from tests.landing import EXTRACT, STATE, Landing
from tests.mailbox import Mailbox, receiving

ROOT = Path(__file__).parents[1]
URL = "https://airflow.example.gov"


def note(part: str, section: str = "fetch", reason: str = "no answer", link: str = "") -> None:
    incidents.note("nc", "ingest", part, section, reason, link)


def test_ten_files_that_one_cut_cable_kept_away_are_one_message(home):
    for number in range(10):
        note(f"extract {number} 2019")
    [message] = incidents.pending("email")
    assert len(message.parts) == 10
    assert message.subject() == (
        "[Statewide] North Carolina: ingest: extract 0 2019, extract 1 2019, extract 2 2019 "
        "and 7 more: the file could not be had"
    )


def test_a_message_says_what_where_since_when_whose_why_and_what_to_do(home):
    note("teachers 2019", "check", "2 promises broken", f"{URL}/dags/nc_ingest/runs/r/tasks/t")
    [message] = incidents.pending("email")
    text = message.text(URL)
    assert "State:  North Carolina (nc)" in text
    assert f"Whose:  {registry.states()['nc'].owner}, " in text
    assert re.search(r"Since:  \d{4}-\d\d-\d\d \d\d:\d\d UTC", text)
    assert "teachers 2019: the file broke its promises" in text
    assert "    2 promises broken" in text
    assert f"Task:        {URL}/dags/nc_ingest/runs/r/tasks/t" in text
    assert f"What to do:  {URL}/statewide/runbook/check" in text


def test_what_fails_again_is_counted_and_not_told_again(home):
    note("teachers 2019")
    incidents.told("email", incidents.pending("email")[0])
    for _ in range(5):
        note("teachers 2019")
    assert incidents.pending("email") == []
    [incident] = incidents.open_incidents().values()
    assert incident.parts["teachers 2019"].times == 6


def test_what_fails_as_well_is_told_alone(home):
    note("teachers 2019")
    incidents.told("email", incidents.pending("email")[0])
    note("membership 2019")
    [message] = incidents.pending("email")
    assert [part.name for part in message.parts] == ["membership 2019"]
    assert "1 more of this incident were told before" in message.text(URL)


def test_what_fails_in_another_way_is_told_again(home):
    note("teachers 2019", "fetch")
    incidents.told("email", incidents.pending("email")[0])
    note("teachers 2019", "check")
    [message] = incidents.pending("email")
    assert message.section == "check"


def test_the_end_of_an_incident_is_told_once_to_those_who_heard_of_it(home):
    note("teachers 2019")
    note("membership 2019")
    incidents.told("email", incidents.pending("email")[0])
    assert incidents.mend("nc", "ingest", ["teachers 2019"]) is None
    assert incidents.pending("email") == []
    incidents.mend("nc", "ingest", ["membership 2019", "never failed 2019"])

    [message] = incidents.pending("email")
    assert message.subject() == "[Statewide] Recovered: North Carolina: ingest"
    assert "membership 2019, teachers 2019" in message.text(URL)
    assert incidents.pending("webhook") == [], "who never heard of it hears nothing of its end"
    incidents.told("email", message)
    assert incidents.pending("email") == []
    assert incidents.open_incidents() == {}


def test_an_incident_that_comes_back_is_a_new_one(home):
    note("teachers 2019")
    incidents.told("email", incidents.pending("email")[0])
    incidents.mend("nc", "ingest")
    incidents.told("email", incidents.pending("email")[0])
    note("teachers 2019")
    [message] = incidents.pending("email")
    assert not message.is_recovery


def test_an_unknown_section_is_refused(home):
    with pytest.raises(ValueError, match="no runbook section 'coffee'"):
        note("teachers 2019", "coffee")


# ---- nothing that is nobody's business -----------------------------------------------------------


def test_an_error_that_is_not_ours_is_told_by_its_kind_alone():
    error = ValueError("could not convert string to float: '123-45-6789'")
    assert incidents.reason_of(error) == "ValueError (its log says more)"


def test_a_failed_build_names_its_models_and_no_cell():
    error = BuildFailed(
        "zz: dbt build stopped on 1 of its steps; the last build and release stay as they are.\n"
        "  fct_metric (error): Conversion Error: Could not convert string 'Jane Roe' to INT32"
    )
    told = incidents.reason_of(error)
    assert "fct_metric (error)" in told
    assert "Jane Roe" not in told


def test_secrets_are_not_told(monkeypatch):
    monkeypatch.setenv("STATEWIDE_HTTP_FILES_TOKEN", "tok-4711-abc")
    error = quality.BrokenPromises(
        "https://reader:s3cret@files.example.gov/x.csv?signature=abcdef said tok-4711-abc", []
    )
    told = incidents.reason_of(error)
    assert told == "https://files.example.gov/x.csv said ***"


def test_a_long_reason_is_cut_and_says_so():
    error = quality.BrokenPromises("\n".join(f"line {n} " + "x" * 999 for n in range(20)), [])
    lines = incidents.reason_of(error).splitlines()
    assert len(lines) == incidents.LINES + 1
    assert all(len(line) <= incidents.LENGTH for line in lines)
    assert lines[-1] == "... and 14 more lines, in its log"


def test_a_webhook_takes_a_header_as_text():
    part = incidents.Part("teachers 2019", "check", "unknown: '<!channel> & <http://x|y>'")
    told = Message(incidents.Incident("nc", "ingest", "2026-01-01T00:00:00"), (part,)).webhook(URL)
    assert "<!channel>" not in json.dumps(told)
    assert "&lt;!channel&gt; &amp; &lt;http" in told["blocks"][1]["text"]["text"]


# ---- what is wrong although nothing failed -------------------------------------------------------


@pytest.fixture
def landing(home, tmp_path, monkeypatch):
    yield Landing(tmp_path / "states", monkeypatch)
    registry.states.cache_clear()


def test_a_file_that_is_late_is_an_incident_until_it_is_loaded(landing, monkeypatch):
    rows = [[2019, f"{n:04}", "KG", 10, ""] for n in range(8)]
    landing.declare(due="{school_year}-09-30", school_years=[2019])
    lake.private(lake.home() / "lake" / STATE)
    monkeypatch.setattr(status, "today", lambda: date(2019, 9, 30))
    watch.late()
    assert incidents.open_incidents() == {}
    monkeypatch.setattr(status, "today", lambda: date(2019, 10, 1))
    for _ in range(3):
        watch.late()
    [incident] = incidents.open_incidents().values()
    [part] = incident.parts.values()
    assert (part.name, part.section, part.times) == (f"{EXTRACT} 2019", "late", 1)
    assert part.reason == "promised by 2019-09-30."

    landing.load(rows)
    watch.late()
    assert incidents.open_incidents() == {}


def test_what_is_asked_for_no_more_is_wrong_no_more(landing):
    lake.private(lake.home() / "lake" / STATE)
    for year in (2018, 2019):
        incidents.note(STATE, "ingest", incidents.part_of(EXTRACT, year), "fetch", "no answer")
    watch.late()
    [incident] = incidents.open_incidents().values()
    assert len(incident.parts) == 2
    landing.declare(school_years=[2019])
    watch.late()
    [incident] = incidents.open_incidents().values()
    assert set(incident.parts) == {f"{EXTRACT} 2019"}


def test_a_release_that_lags_is_an_incident_after_its_patience(landing, monkeypatch):
    landing.load([[2019, f"{n:04}", "KG", 10, ""] for n in range(8)])
    watch.stale()
    assert incidents.open_incidents() == {}
    monkeypatch.setenv("STATEWIDE_STALE_HOURS", "-1")
    watch.stale()
    [incident] = incidents.open_incidents().values()
    assert incident.parts["the release that readers see"].section == "stale"


def test_a_states_file_that_cannot_be_understood_is_an_incident_until_it_can(landing):
    file = landing.folder / f"{STATE}.yml"
    good = file.read_text()
    file.write_text(good.replace("max_bad_rows", "max_bad_roes"))
    watch.declarations()
    [incident] = incidents.open_incidents().values()
    [part] = incident.parts.values()
    assert part.section == "declaration"
    assert "max_bad_roes" in part.reason
    file.write_text(good)
    watch.declarations()
    assert incidents.open_incidents() == {}


# ---- several machines ----------------------------------------------------------------------------


def test_machines_that_share_a_lake_share_one_list(home, tmp_path, monkeypatch, object_store):
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATEWIDE_LAKE", f"s3://{object_store.bucket()}/lake")
    note("teachers 2019")
    monkeypatch.setenv("STATEWIDE_HOME", str(tmp_path / "another machine"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(note, [f"extract {number} 2019" for number in range(8)]))
    [incident] = incidents.open_incidents().values()
    assert len(incident.parts) == 9, "nobody's change is lost"
    incidents.show()
    monkeypatch.delenv("STATEWIDE_LAKE")
    assert len(incidents.open_incidents()["nc/ingest"].parts) == 9


# ---- the runbook ---------------------------------------------------------------------------------


def test_every_alert_has_its_section_in_the_runbook():
    from_headings = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^### (.+)$", (ROOT / "docs/runbook.md").read_text(), re.M)
    }
    assert set(SECTIONS) <= from_headings, set(SECTIONS) - from_headings


class Task:
    """What a callback is told of the task that ended."""

    def __init__(self, dag: str, task: str, number: int = -1) -> None:
        self.dag_id, self.task_id, self.map_index = dag, task, number
        self.log_url = f"{URL}/dags/{dag}"


def test_a_task_of_no_state_is_an_incident_until_it_works(home, monkeypatch):
    monkeypatch.setattr(alerts, "tell", lambda: None)
    for dag in ("statewide_watch", "statewide_maintenance"):
        alerts.failed({"ti": Task(dag, "clean", 1), "exception": OSError("no room")})
        alerts.succeeded({"ti": Task(dag, "clean", 0)})
        [incident] = incidents.open_incidents().values()
        assert incident.parts["clean 1"].section == dag.removeprefix("statewide_")
        alerts.succeeded({"ti": Task(dag, "clean", 1)})
        assert incidents.open_incidents() == {}


@pytest.mark.parametrize("task", ["build", "check", "protect", "approve", "export"])
def test_every_task_of_a_publish_run_has_its_section(home, monkeypatch, task):
    monkeypatch.setattr(alerts, "tell", lambda: None)
    alerts.failed({"ti": Task("zz_publish", task), "exception": OSError("no room")})
    [incident] = incidents.open_incidents().values()
    [part] = incident.parts.values()
    assert part.section in SECTIONS
    alerts.after_publish("zz")
    assert incidents.open_incidents() == {}


def test_the_log_of_a_task_that_failed_ends_with_why_and_what_to_do(home, monkeypatch):
    """Airflow opens logs at their end, and folds what callbacks say until the fold is closed."""
    monkeypatch.setattr(alerts, "tell", lambda: None)
    lines: list[str] = []
    monkeypatch.setattr(
        alerts,
        "log",
        SimpleNamespace(info=lines.append, error=lambda how, *told: lines.append(how % told)),
    )
    error = quality.BrokenPromises("\n".join(f"line {number}" for number in range(9)), [])
    task = Task("zz_ingest", "finance.finance_ledger.check")
    alerts.failed({"ti": task, "exception": error, "params": {"school_year": 2025}})
    fold, told = lines
    assert fold == "::endgroup::"
    assert told.startswith("line 0\nline 1\n")
    assert "... and 3 more lines above" in told
    assert "clear the fetch task of this extract" in told
    assert told.endswith("/statewide/runbook/check")


def test_a_question_that_nobody_answered_is_told_though_its_asking_was(home, monkeypatch):
    monkeypatch.setattr(alerts, "tell", lambda: None)
    alerts.asked("zz", "state totals moved", URL)
    incidents.told("email", incidents.pending("email")[0])
    error = approvals.Unanswered("zz: nobody said in 7 days")
    alerts.failed({"ti": Task("zz_publish", "approve"), "exception": error})
    [message] = incidents.pending("email")
    assert (message.section, message.parts[0].reason) == ("unanswered", str(error))
    alerts.asked("zz", "state totals moved", URL)
    [message] = incidents.pending("email")
    assert message.section == "approval", "and the next question is told as well"


@pytest.mark.parametrize("verb", ["publish", "rollback"])
def test_a_run_whose_end_is_told_late_opens_nothing_that_was_mended_meanwhile(
    home, monkeypatch, verb
):
    """Airflow tells of a failed run in another process, when it comes to it."""
    monkeypatch.setattr(alerts, "tell", lambda: None)
    began = datetime.now(UTC)
    run = {
        "dag": SimpleNamespace(dag_id=f"zz_{verb}"),
        "dag_run": SimpleNamespace(start_date=began),
    }
    task = {"publish": "export", "rollback": "roll_back"}[verb]
    alerts.failed({"ti": Task(f"zz_{verb}", task), "exception": OSError("no room")})
    alerts.run_failed(run)
    [incident] = incidents.open_incidents().values()
    assert [part.times for part in incident.parts.values()] == [1]
    {"publish": alerts.after_publish, "rollback": alerts.after_rollback}[verb]("zz")
    alerts.run_failed(run)
    assert incidents.open_incidents() == {}

    run["dag_run"].start_date = began + timedelta(hours=1)
    alerts.run_failed(run)
    [incident] = incidents.open_incidents().values()
    [part] = incident.parts.values()
    assert part.section in SECTIONS and "stopped from outside" in part.reason


# ---- channels ------------------------------------------------------------------------------------

# Airflow needs a home of its own, so telling happens in a process of its own.
TELL = "from console import alerts; alerts.tell()"


def tell(tmp_path: Path, box: Mailbox | None, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TELL],
        cwd=ROOT,
        env=os.environ
        | {"AIRFLOW_HOME": str(tmp_path / "airflow"), "PYTHONPATH": str(ROOT)}
        | {"AIRFLOW__API__BASE_URL": URL}
        | (box.environment() if box else {})
        | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_mail_and_a_post_arrive_and_are_not_sent_again(home, tmp_path):
    note("teachers 2019", "check", "unknown: '{{ 7 * 7 }}' <b>")
    with receiving() as box:
        tell(tmp_path, box)
        tell(tmp_path, box)
        assert box.subjects() == [
            "[Statewide] North Carolina: ingest: teachers 2019: the file broke its promises"
        ]
        assert box.recipients == [["data@example.gov", "desk@example.gov"]]
        assert "unknown: '{{ 7 * 7 }}' <b>" in box.text()
        assert f"{URL}/statewide/runbook/check" in box.text()
        [post] = box.posts
        assert post["text"] == box.subjects()[0]
        incidents.mend("nc", "ingest")
        tell(tmp_path, box)
        assert box.subjects()[1:] == ["[Statewide] Recovered: North Carolina: ingest"]
        assert len(box.posts) == 2


def test_what_could_not_be_delivered_is_told_next_time_and_fails_nothing(home, tmp_path):
    note("teachers 2019")
    with receiving() as box:
        box.refuses = True
        said = tell(tmp_path, box)
        assert "topsecret" not in said
        assert (box.mails, box.posts) == ([], [])
        box.refuses = False
        tell(tmp_path, box)
        assert (len(box.mails), len(box.posts)) == (1, 1)


def test_a_channel_that_is_not_configured_is_no_failure(home, tmp_path):
    note("teachers 2019")
    tell(tmp_path, None)
    assert [it.subject for it in incidents.open_incidents().values()] == ["ingest"]


def test_a_mail_server_that_is_not_configured_holds_back_no_post(home, tmp_path):
    note("teachers 2019")
    with receiving() as box:
        tell(
            tmp_path,
            None,
            STATEWIDE_ALERT_EMAIL="x@example.gov",
            STATEWIDE_ALERT_WEBHOOK=box.webhook,
        )
        assert (len(box.mails), len(box.posts)) == (0, 1)
