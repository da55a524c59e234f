"""The commands of the Makefile, as far as they go without starting Airflow."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from include import lake, origins
from include.registry import states
from ops import configuration, environment, instance, preflight, refresh

ROOT = Path(__file__).parents[1]


# ---- where a run reads from --------------------------------------------------------------------


def test_a_run_reads_only_from_where_somebody_on_the_machine_allowed(home, tmp_path, monkeypatch):
    monkeypatch.delenv("STATEWIDE_EXTRACTS", raising=False)
    with (
        pytest.raises(origins.NotAllowed, match="make refresh"),
        origins.reading_from(str(tmp_path)),
    ):
        pass
    name = origins.allow(str(tmp_path))
    with origins.reading_from(name):
        assert os.environ["STATEWIDE_EXTRACTS"] == str(tmp_path)
    assert "STATEWIDE_EXTRACTS" not in os.environ


def test_a_run_that_names_no_root_reads_from_the_only_one_that_is_allowed(
    home, tmp_path, monkeypatch
):
    """After `make demo` and `make up`, the form in the UI works as it stands."""
    monkeypatch.delenv("STATEWIDE_EXTRACTS", raising=False)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one = origins.allow(str(tmp_path / "one"))
    with origins.reading_from(None):
        assert os.environ["STATEWIDE_EXTRACTS"] == one
    assert "STATEWIDE_EXTRACTS" not in os.environ

    monkeypatch.setenv("STATEWIDE_EXTRACTS", "/the/deployments")
    with origins.reading_from(None):
        assert os.environ["STATEWIDE_EXTRACTS"] == "/the/deployments"
    monkeypatch.delenv("STATEWIDE_EXTRACTS")
    origins.allow(str(tmp_path / "other"))
    with origins.reading_from(None):
        assert "STATEWIDE_EXTRACTS" not in os.environ, "nobody guesses which of two is meant"


def test_the_root_of_everybody_needs_no_further_permission(home, extracts):
    with origins.reading_from(str(extracts)):
        assert os.environ["STATEWIDE_EXTRACTS"] == str(extracts)
    assert os.environ["STATEWIDE_EXTRACTS"] == str(extracts)


def test_a_run_never_carries_a_password(home, monkeypatch):
    monkeypatch.delenv("STATEWIDE_EXTRACTS", raising=False)
    name = origins.allow("https://reader:s3cret@files.example.gov/nc/")
    assert name == "https://files.example.gov/nc"
    with origins.reading_from(name):
        assert os.environ["STATEWIDE_EXTRACTS"] == "https://reader:s3cret@files.example.gov/nc/"
    assert stat.S_IMODE((home / "origins.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "root", ["relative/folder", "/no/such/folder", "file:///etc", "gopher://x"]
)
def test_what_is_neither_folder_nor_address_is_refused(home, root):
    with pytest.raises(origins.NotAllowed, match="neither an existing folder"):
        origins.allow(root)


def test_the_root_is_put_back_when_the_work_fails(home, extracts, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    name = origins.allow(str(other))
    with pytest.raises(ZeroDivisionError), origins.reading_from(name):
        raise ZeroDivisionError
    assert os.environ["STATEWIDE_EXTRACTS"] == str(extracts)


# ---- what is asked for -------------------------------------------------------------------------


def asked(*arguments: str) -> refresh.Request:
    return refresh.understood(refresh.parser().parse_args(arguments))


def test_a_relative_folder_is_looked_for_where_the_caller_stands(home, tmp_path):
    (tmp_path / "from_nc").mkdir()
    request = asked(
        "--state=nc", "--extracts=from_nc", f"--place={tmp_path}", "--place=/nowhere/else"
    )
    assert request.extracts_root == str(tmp_path / "from_nc")
    with pytest.raises(refresh.Impossible, match="no folder or zip /nowhere/else/from_nc"):
        asked("--state=nc", "--extracts=from_nc", "--place=/nowhere/else")


def test_the_latest_school_year_is_meant_where_none_is_named(home):
    assert asked("--state=nc").school_year == states()["nc"].latest_year


def test_several_years_are_loaded_one_after_the_other_and_published_once(home):
    told = refresh.parser().parse_args(["--state=ct", "--school-year=2015, 2013 2014"])
    requests = refresh.understood_years(told)
    assert [(it.school_year, it.announce) for it in requests] == [
        (2015, False), (2013, False), (2014, True),
    ]  # fmt: skip
    told = refresh.parser().parse_args(["--state=ct", "--school-year=2015,1999"])
    with pytest.raises(refresh.Impossible, match="ct has no school year 1999"):
        refresh.understood_years(told)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--state=xx"], "no state 'xx'; say STATE= one of"),
        (["--state=nc", "--school-year=1999"], "nc has no school year 1999; it has 2017, 2018"),
        (["--state=nc", "--school-year=soon"], "SCHOOL_YEAR=soon is not a year"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_starts(home, arguments, said):
    with pytest.raises(refresh.Impossible, match=said):
        asked(*arguments)


def test_a_request_that_makes_no_sense_is_exit_code_2_and_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "ops.refresh", "--state", "xx"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("no state 'xx'")
    assert "Traceback" not in done.stderr


def test_the_reason_of_a_failure_is_our_message_and_not_the_traceback():
    lines = [
        {"event": "Filling up the DagBag", "level": "info"},
        {
            "event": "Task failed with exception",
            "level": "error",
            "error_detail": [{"exc_type": "BrokenPromises", "exc_value": "5 rows", "frames": []}],
        },
    ]
    assert refresh.reason_of(lines) == "BrokenPromises: 5 rows"


# ---- the machine's Airflow ---------------------------------------------------------------------


def test_secrets_are_made_once_and_for_the_owner_only(home):
    first = configuration.secrets()
    path = configuration.write(8080)
    assert configuration.secrets() == first
    for private in (path, configuration.home() / "secrets.json"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert len(first["password"]) >= 12


def test_every_home_has_secrets_of_its_own(home, tmp_path, monkeypatch):
    first = configuration.secrets()
    monkeypatch.setenv("STATEWIDE_HOME", str(tmp_path / "other"))
    assert not set(first.values()) & set(configuration.secrets().values())


def test_a_port_that_is_taken_is_not_taken_again():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert configuration.free_port(port) != port


def test_runs_of_a_scheduler_that_is_gone_are_marked_failed(home):
    database = configuration.home() / "airflow.db"
    with sqlite3.connect(database) as connection:
        for table in ("dag_run", "task_instance"):
            connection.execute(f"create table {table} (name text, state text, end_date timestamp)")
            connection.executemany(
                f"insert into {table} values (?, ?, null)",
                [("a", "running"), ("b", "queued"), ("c", "success"), ("d", None)],
            )
    connection.close()
    assert instance.fail_abandoned_runs() == 2
    with sqlite3.connect(database) as connection:
        told = dict(connection.execute("select name, state from dag_run").fetchall())
    connection.close()
    assert told == {"a": "failed", "b": "failed", "c": "success", "d": None}


def test_processes_of_a_killed_airflow_are_found_by_their_mark_and_ended(home):
    mark = {"STATEWIDE_INSTANCE": f"{lake.home()}:mark"}
    other = {"STATEWIDE_INSTANCE": f"{lake.home()}-of-another:mark"}
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    ours = subprocess.Popen(sleep, env=os.environ | mark)
    theirs = subprocess.Popen(sleep, env=os.environ | other)
    try:
        instance.end_leftovers()
        assert not psutil.pid_exists(ours.pid)
        assert theirs.poll() is None
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()


def test_an_airflow_that_was_never_started_is_not_running(home):
    assert instance.running() is None


# ---- set-up ------------------------------------------------------------------------------------


def test_this_machine_lacks_nothing(tmp_path):
    assert [what for what, _, _ in preflight.missing(str(ROOT)) if "disk" not in what] == []


def test_a_missing_part_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "SQLITE", (99, 0, 0))
    monkeypatch.setenv("PATH", "")
    found = {what: command for what, _, command in preflight.missing(str(tmp_path))}
    assert "libsqlite3-0" in found["SQLite 3.15 or newer"]
    assert found["make"] == "apt-get install make"


def test_another_python_is_named_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "PYTHON", (3, 99))
    [(what, why, command)] = preflight.missing(str(tmp_path))
    assert (what, "apt-get install python3.11" in command) == ("Python 3.11", True)
    assert "this is Python" in why


def test_the_environment_is_made_again_only_when_the_lock_changed(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.txt"
    lock.write_text("one==1 \\\n    --hash=sha256:00\n# note\ntwo[x]==2 \\\n    --hash=sha256:00\n")
    monkeypatch.setattr(environment, "LOCK", lock)
    monkeypatch.setattr(environment, "COMPLETE", tmp_path / ".complete")
    assert environment.wanted() == 2
    assert not environment.is_complete()
    environment.COMPLETE.write_text(environment.fingerprint())
    assert environment.is_complete()
    lock.write_text(lock.read_text() + "three==3\n")
    assert not environment.is_complete()
