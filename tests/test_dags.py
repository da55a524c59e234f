"""The DAGs are drawn from the states' files: what an operator sees, and what follows what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from include import lake, runs
from include.registry import said, states

ROOT = Path(__file__).parents[1]
OF_ALL_STATES = {"statewide_watch", "statewide_maintenance"}
HEAVY = [
    "dbt", "great_expectations", "pandas", "duckdb", "duckdb_engine", "numpy", "pyarrow", "scipy",
    "openpyxl", "boto3", "botocore", "paramiko", "markdown_it",
]  # fmt: skip

# Reading DAG files needs an Airflow that is configured, so it happens in a process of its own.
READ = """
import json, sys
before = set(sys.modules)
from airflow.dag_processing.dagbag import DagBag
loaded_by_airflow = set(sys.modules)
bag = DagBag(sys.argv[1])
def listed(told):
    return list(told) if isinstance(told, (list, tuple)) else [told] if told else []
heavy = [it for it in sys.argv[2].split(",") if it in set(sys.modules) - loaded_by_airflow]
dags = {
    dag.dag_id: {
        "owner": dag.owner,
        "tags": sorted(dag.tags),
        "doc": dag.doc_md,
        "display": dag.dag_display_name,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "timetable": repr(dag.schedule),
        "params": {name: dag.params.get_param(name).dump() for name in dag.params},
        "groups": {name: it.group_display_name for name, it in dag.task_group_dict.items()},
        "tasks": {
            task.task_id: {
                "display": task.task_display_name,
                "retries": task.retries,
                "gives_up": bool(task.retry_policy)
                and task.retry_policy.evaluate(ValueError("x"), 1, 2).action.value == "fail",
                "delay": task.retry_delay.total_seconds(),
                "trigger": task.trigger_rule.value,
                "pool": task.pool,
                "doc": task.doc_md,
                "mends": [it.__name__ for it in listed(task.on_success_callback)],
                "tells": [it.__name__ for it in listed(task.on_failure_callback)],
                "upstream": sorted(task.upstream_task_ids),
                "inlets": [asset.name for asset in task.inlets],
                "outlets": [asset.name for asset in task.outlets],
                "params": sorted(task.params),
            }
            for task in dag.tasks
        },
    }
    for dag in bag.dags.values()
}
json.dump({"dags": dags, "errors": bag.import_errors, "heavy": heavy}, sys.stdout, default=str)
"""


def drawn(tmp: Path, **environment: str) -> dict:
    """The DAGs as Airflow reads them, with these variables in its environment."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(ROOT / "dags"), ",".join(HEAVY)],
        env=os.environ
        | {"AIRFLOW_HOME": str(tmp), "PYTHONPATH": str(ROOT), "AIRFLOW__CORE__LOAD_EXAMPLES": "no"}
        | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout[done.stdout.index('{"dags"') :])


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> dict:
    return drawn(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="module")
def dags(read) -> dict:
    return read["dags"]


def test_every_state_has_an_ingest_and_a_publish_dag_and_nothing_else(read, dags):
    assert read["errors"] == {}
    of_states = {
        f"{code}_{verb}" for code in states() for verb in ("ingest", "publish", "rollback")
    }
    assert set(dags) == of_states | OF_ALL_STATES


def test_reading_the_dag_files_imports_nothing_heavy(read):
    assert read["heavy"] == []


def test_no_task_has_a_copy_of_the_form_of_its_dag(dags):
    """Copying it for every task takes longer than all the rest of reading the DAG files."""
    for code in states():
        for name, task in dags[f"{code}_ingest"]["tasks"].items():
            assert task["params"] == [], name


@pytest.mark.parametrize("code", sorted(states()))
def test_each_extract_is_fetched_checked_and_loaded_in_a_group_of_its_own(code, dags):
    tasks = dags[f"{code}_ingest"]["tasks"]
    for name, extract in states()[code].extracts.items():
        path = f"{extract.group}.{name}"
        label = dags[f"{code}_ingest"]["groups"][path]
        assert label.lower() == name.replace("_", " ") and label[0].isupper()
        assert tasks[f"{path}.check"]["display"] == f"Check {said(name)}"
        assert tasks[f"{path}.fetch"]["upstream"] == []
        assert tasks[f"{path}.check"]["upstream"] == [f"{path}.fetch"]
        assert tasks[f"{path}.load"]["upstream"] == [f"{path}.check"]


@pytest.mark.parametrize("code", sorted(states()))
def test_a_failing_extract_holds_back_no_other(code, dags):
    """The extracts share no dependency, and what follows them does not ask how they ended."""
    tasks = dags[f"{code}_ingest"]["tasks"]
    loads = [f"{it.group}.{name}.load" for name, it in states()[code].extracts.items()]

    assert tasks["announce"]["upstream"] == sorted(loads)
    assert tasks["announce"]["trigger"] == "all_done"
    assert tasks["announce"]["outlets"] == [f"lake/{code}"]
    assert tasks["report"]["upstream"] == ["announce"]
    assert tasks["report"]["trigger"] == "all_done"
    # What is loaded is seen in the graph of assets, and starts nothing.
    for name in states()[code].extracts:
        [task] = [it for it in tasks if it.endswith(f".{name}.load")]
        assert tasks[task]["outlets"] == [f"extract/{code}/{name}"]
        assert f"extract/{code}/{name}" in tasks["announce"]["inlets"]
    publish = dags[f"{code}_publish"]
    assert f"lake/{code}" in publish["timetable"] and "extract/" not in publish["timetable"]
    for dag, task in ((publish, "export"), (dags[f"{code}_rollback"], "roll_back")):
        assert dag["tasks"][task]["outlets"] == [f"release/{code}"]


@pytest.mark.parametrize("code", sorted(states()))
def test_publishing_goes_from_build_to_export_and_follows_the_lake(code, dags):
    publish = dags[f"{code}_publish"]
    order = ["build", "check", "protect", "approve", "export"]
    assert [publish["tasks"][it]["upstream"] for it in order] == [[], *([it] for it in order[:-1])]
    assert publish["tasks"]["build"]["pool"] == "warehouse"
    assert f"lake/{code}" in publish["timetable"]


def test_only_what_depends_on_others_machines_and_disks_is_tried_again(dags):
    """The same file fails its check the same way, and the same marts theirs.

    A task whose worker was lost said nothing: it is tried again, whatever it is.
    """
    for dag in dags.values():
        for name, task in dag["tasks"].items():
            may_pass_next_time = name.endswith((".fetch", ".load")) or name == "export"
            assert task["gives_up"] != may_pass_next_time, name
            assert task["retries"] > 0, name


def test_how_long_a_fetch_waits_is_the_deployments_choice(tmp_path):
    told = drawn(tmp_path, STATEWIDE_FETCH_RETRIES="7", STATEWIDE_FETCH_RETRY_DELAY="0.5")
    fetch = told["dags"]["zz_ingest"]["tasks"]["reference.directory.fetch"]
    assert (fetch["retries"], fetch["delay"]) == (7, 0.5)


@pytest.mark.parametrize("code", sorted(states()))
def test_every_dag_of_a_state_says_whose_it_is(code, dags):
    for verb in ("ingest", "publish", "rollback"):
        dag = dags[f"{code}_{verb}"]
        assert dag["owner"] == states()[code].owner
        assert dag["tags"] == sorted([verb, code])
        assert dag["max_active_runs"] == 1
        assert not dag["catchup"]


def test_every_dag_and_every_task_has_a_page_that_answers_an_operators_questions(dags):
    for dag_id, dag in dags.items():
        for word in ("Purpose.", "In.", "Out.", "If it fails.", "Concerns."):
            assert f"**{word}**" in dag["doc"], (dag_id, word)
        for name, task in dag["tasks"].items():
            for word in ("In.", "Out.", "A failure means", "Clearing", "Concerns"):
                assert f"**{word}** " in task["doc"], (dag_id, name, word)
            assert task["display"] != name
            assert task["tells"] == ["failed"], "whoever answers for it hears of a failure"
            if dag_id in OF_ALL_STATES:
                assert task["mends"] == ["succeeded"], "and of its end"


@pytest.mark.parametrize("code", sorted(states()))
def test_nobody_rolls_back_by_clock_or_without_a_reason(code, dags):
    dag = dags[f"{code}_rollback"]
    assert dag["timetable"] == "None"
    assert dag["params"]["reason"]["schema"]["minLength"] >= 10
    assert dag["params"]["release"]["value"] is None


@pytest.mark.parametrize("code", sorted(states()))
def test_a_run_is_asked_for_one_of_the_states_school_years(code, dags):
    params = dags[f"{code}_ingest"]["params"]
    assert params["school_year"]["value"] == states()[code].latest_year
    assert params["school_year"]["schema"]["enum"] == states()[code].school_years
    assert params["extracts"]["schema"]["items"]["enum"] == list(states()[code].extracts)
    assert set(params) >= {"force", "reason", "extracts_root", "announce"}


def test_the_calendar_is_the_states_own_unless_the_machine_keeps_none(dags, tmp_path):
    assert dags["nc_ingest"]["timetable"] != "None"
    quiet = drawn(tmp_path, STATEWIDE_SCHEDULES="off")["dags"]
    assert quiet["nc_ingest"]["timetable"] == "None"
    assert "lake/nc" in quiet["nc_publish"]["timetable"]


# ---- what became of a run, which `report` tells -----------------------------------------------


def states_of(code: str, year: int, **ends: str) -> dict[str, str]:
    """Task states of a run in which every due extract loaded, but for those in `ends`."""
    told = {}
    for name, extract in states()[code].extracts.items():
        due = year in extract.school_years
        for step in runs.STEPS:
            told[f"{extract.group}.{name}.{step}"] = "success" if due else "skipped"
        if name in ends:
            told[f"{extract.group}.{name}.{ends[name]}"] = "failed"
            for later in runs.STEPS[runs.STEPS.index(ends[name]) + 1 :]:
                told[f"{extract.group}.{name}.{later}"] = "upstream_failed"
    return told


def put_in_lake(code: str, name: str, year: int) -> None:
    import duckdb

    load = lake.Load(code, name, year, "ab" * 32, "spec", 1200, 1195, 5)
    lake.private(load.path.parent)
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select 1 as one) to '{load.path}' (format parquet, {lake.stamp(load)})"
        )


def test_the_report_names_what_failed_and_what_to_do_about_it(home):
    for name in states()["zz"].due(2025):
        put_in_lake("zz", name, 2025)
    found = runs.outcomes("zz", 2025, states_of("zz", 2025, finance_ledger="check"))

    by_name = {it.extract: it for it in found}
    assert by_name["finance_ledger"].outcome == "failed in check"
    assert by_name["directory"].accepted == 1195
    assert "1,200" in runs.table(found)
    with pytest.raises(runs.ExtractsFailed, match=r"finance_ledger: the file broke its promises"):
        runs.require_all("zz", found)


def test_an_extract_of_another_year_is_left_out_with_a_reason_and_is_no_failure(home):
    reason = runs.reason_to_skip("nc", "district_spending", 2019, None)
    assert reason == (
        "North Carolina Department of Public Instruction has no district_spending for 2019; "
        "it has 2018"
    )
    assert runs.reason_to_skip("nc", "membership", 2019, None) is None
    assert "membership only" in runs.reason_to_skip("nc", "teachers", 2019, ["membership"])
    for name in states()["nc"].due(2019):
        put_in_lake("nc", name, 2019)
    found = runs.outcomes("nc", 2019, states_of("nc", 2019))
    runs.require_all("nc", found)
    assert {it.extract for it in found if it.outcome == "skipped"} == set(
        states()["nc"].extracts
    ) - set(states()["nc"].due(2019))


def fetched(monkeypatch: pytest.MonkeyPatch, extract: str) -> str:
    """What the task does for one extract of North Carolina's 2019, without a scheduler."""
    from dags import ingest

    asked = {"school_year": 2019, "extracts": None, "force": False, "extracts_root": None}
    monkeypatch.setattr(ingest, "chosen", asked.__getitem__)
    return ingest.fetch.function("nc", extract)


def test_a_nationwide_file_that_is_not_in_the_drop_fails_nobody(home, extracts, monkeypatch):
    """It says where to put it, and what stays. A state's own file that is not there fails."""
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    (extracts / "nc" / "2019").mkdir(parents=True)
    with pytest.raises(AirflowSkipException) as first:
        fetched(monkeypatch, "oews")
    put_in_lake("nc", "oews", 2019)
    with pytest.raises(AirflowSkipException) as again:
        fetched(monkeypatch, "oews")
    with pytest.raises(AirflowFailException, match=r"nc membership 2019: .*there is no such file"):
        fetched(monkeypatch, "membership")

    assert "was never loaded for 2019: what is made of it is not collected" in str(first.value)
    assert "the one loaded before stays (1,195 rows of abababababab)" in str(again.value)
    for told in (str(first.value), str(again.value)):
        assert "as reference/oews_may2025_nc_ct_us.csv" in told
        assert "include/states/nc.yml" in told
        assert str(extracts) in told


def test_a_zip_of_the_states_files_alone_is_no_failure_either(home, tmp_path, monkeypatch):
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    drop = tmp_path / "report_card.zip"
    with zipfile.ZipFile(drop, "w") as archive:
        archive.writestr("nc/2019/rcd_eq.csv", "agency_code,year\n")
    monkeypatch.setenv("STATEWIDE_EXTRACTS", str(drop))
    with pytest.raises(
        AirflowSkipException, match=r"as reference/ussd17\.xls \(in a folder or zip"
    ):
        fetched(monkeypatch, "saipe")
    with pytest.raises(AirflowFailException, match="nc membership 2019"):
        fetched(monkeypatch, "membership")


def test_a_nationwide_file_that_is_there_and_cannot_be_read_fails(home, extracts, monkeypatch):
    from airflow.sdk.exceptions import AirflowFailException

    (extracts / "nc").mkdir()
    (extracts / "reference" / "oews_may2025_nc_ct_us.csv").mkdir(parents=True)
    with pytest.raises(AirflowFailException, match="is not a plain file"):
        fetched(monkeypatch, "oews")


def test_a_lake_that_holds_nothing_owes_no_release(home):
    assert not runs.release_is_owed("zz")
