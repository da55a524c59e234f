"""Two states are refreshed at once by two workers, one of which is killed in the middle.

The topology is that of `docker-compose.yaml`, as processes: PostgreSQL, Redis, an S3 for lake and
releases, api-server, scheduler, dag-processor, triggerer, and workers that are machines of their
own. What comes out has to be what one process in one folder makes of the same files, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests import deployed, services

ROOT = Path(__file__).parents[1]
STATES = {"zz": 7, "zy": 11}
YEAR = 2025
pytestmark = [
    pytest.mark.machines,
    pytest.mark.skipif(bool(services.missing()), reason=f"needs: {services.missing()}"),
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """The project, as it is put on a machine."""
    folder = tmp_path_factory.mktemp("checkout") / "statewide"
    folder.mkdir()
    for name in ("dags", "expectations", "include", "dbt_project", "ops", "tests", "plugins"):
        if (ROOT / name).exists():
            left_out = shutil.ignore_patterns("__pycache__", "target", "logs")
            shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    for path in ROOT.iterdir():
        if path.is_dir() and path.name not in ("var", "docs") and not path.name.startswith("."):
            if not (folder / path.name).exists():
                shutil.copytree(path, folder / path.name)
        elif path.is_file():
            shutil.copy(path, folder / path.name)
    return folder


def add_a_state(checkout: Path) -> None:
    """One more file: what docs/runbook.md says of a state that sends the standard extracts."""
    declared = (checkout / "include/states/zz.yml").read_text()
    (checkout / "include/states/zy.yml").write_text(
        declared.replace("state: zz", "state: zy")
        .replace(" zz/", " zy/")
        .replace("name: Franklin", "name: Jefferson")
    )


@pytest.fixture(scope="module")
def extracts(tmp_path_factory) -> Path:
    """One year of two small fictitious states, which have nobody in common."""
    folder = tmp_path_factory.mktemp("publisher")
    for state, seed in STATES.items():
        drawn = tmp_path_factory.mktemp("drawn")
        told = ["--out", drawn, "--students", 2000, "--districts", 3, "--seed", seed]
        run = [sys.executable, "-m", "include.demo", *map(str, told), "--years", str(YEAR)]
        subprocess.run(run, cwd=ROOT, check=True, capture_output=True)
        shutil.move(drawn / "zz", folder / state)
    return folder


@pytest.fixture(scope="module")
def settings(object_store, extracts) -> dict[str, str]:
    bucket = object_store.bucket()
    return object_store.environment | {
        "STATEWIDE_LAKE": f"s3://{bucket}/lake",
        "STATEWIDE_PUBLISH": f"s3://{object_store.bucket()}/published",
        "STATEWIDE_EXTRACTS": str(extracts),
        "STATEWIDE_SCHEDULES": "off",
        "STATEWIDE_FETCH_RETRY_DELAY": "1",
        "STATEWIDE_CONCURRENCY": "2",
        # The killed worker is given up sooner than in earnest.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    }


def test_two_states_on_two_workers_one_of_which_is_killed(
    checkout, settings, extracts, object_store, tmp_path
):
    with deployed.deployed(tmp_path, checkout, **settings) as it:
        for component in ("api-server", "scheduler", "dag-processor", "triggerer", "view"):
            it.start(component)
        for name in ("one", "two"):
            it.start("worker", name)
        it.wait_until_up()
        client = it.client()
        it.wait_for("zz_ingest", lambda: client.get("dags/zz_ingest"))
        add_a_state(checkout)
        runs = {state: refresh(it, client, state) for state in STATES}

        victim = it.wait_for("a build", lambda: worker_of(client, "build"))
        assert_knows_only_what_it_needs(it, victim)
        it.kill(victim)

        for state, run in runs.items():
            told = it.wait_for(
                f"{state}_ingest", lambda s=state, r=run: ended(client, s, r), deployed.PATIENCE
            )
            assert told == "success", f"{state}_ingest: {told}"
            told = it.wait_for(
                f"{state}_publish", lambda s=state: published(client, s), deployed.PATIENCE
            )
            assert told == "success", f"{state}_publish: {told}\n{failures(client, state)}"
        tries = [task["try_number"] for task in tasks_of(client, "build")]
        assert max(tries) > 1, "the build that was under way was tried again"
        [survivor] = {"one", "two"} - {victim}
        assert tasks_of(client, "export")[0]["hostname"] == survivor
        assert "Jefferson" in page_of(it), "nobody had to restart anything for it"
        assert maintained(it, client) == "success"

    for state in STATES:
        manifest = whole_release(object_store, settings["STATEWIDE_PUBLISH"], state)
        assert manifest == of_one_folder(checkout, extracts, state, tmp_path / f"folder-{state}")
    assert_lake_is_whole(checkout, settings, tmp_path)


def refresh(it, client, state: str) -> str:
    for dag in (f"{state}_ingest", f"{state}_publish"):
        it.wait_for(dag, lambda dag=dag: client.get(f"dags/{dag}")["is_paused"] is True)
        client.patch(f"dags/{dag}", {"is_paused": False})
    return client.trigger(f"{state}_ingest", {"school_year": YEAR})


def page_of(it) -> str:
    """The Statewide page, as the first user sees it."""
    request = urllib.request.Request(f"{it.url}/statewide/")
    request.add_header("Authorization", f"Bearer {it.client().session()}")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return answer.read().decode()


def maintained(it, client) -> str:
    """Run `statewide_maintenance`, which looks through the shared lake. Returns how it ended."""
    client.patch("dags/statewide_maintenance", {"is_paused": False})
    run = client.trigger("statewide_maintenance", {})
    ends = ("success", "failed")
    it.wait_for("maintenance", lambda: client.run("statewide_maintenance", run)["state"] in ends)
    return client.run("statewide_maintenance", run)["state"]


def tasks_of(client, task: str) -> list[dict]:
    path = "dags/~/dagRuns/~/taskInstances"
    found = client.get(path, limit=1000)["task_instances"]
    return [it for it in found if it["task_id"] == task]


def worker_of(client, task: str) -> str | None:
    """The worker on which a task of that name is running."""
    running = [it for it in tasks_of(client, task) if it["state"] == "running" and it["hostname"]]
    return running[0]["hostname"] if running else None


def ended(client, state: str, run: str) -> str | None:
    told = client.run(f"{state}_ingest", run)["state"]
    return told if told in ("success", "failed") else None


def published(client, state: str) -> str | None:
    runs = client.get(f"dags/{state}_publish/dagRuns")["dag_runs"]
    done = [run["state"] for run in runs if run["state"] in ("success", "failed")]
    return done[0] if runs and len(done) == len(runs) else None


def failures(client, state: str) -> str:
    lines = []
    for run in client.get(f"dags/{state}_publish/dagRuns")["dag_runs"]:
        for task in client.tasks(f"{state}_publish", run["dag_run_id"]):
            told = client.log(
                f"{state}_publish", run["dag_run_id"], task["task_id"], task["try_number"]
            )
            lines.append(f"{task['task_id']} {task['state']}: {told[-6:]}")
    return "\n".join(lines)


def assert_knows_only_what_it_needs(it, worker: str) -> None:
    """A worker runs a state's files through code: it cannot read Airflow's database or keys."""
    unknown = ("DATABASE_PASSWORD", "FERNET_KEY", "JWT_SECRET", "ADMIN_PASSWORD")
    process = psutil.Process(it.processes[worker].pid)
    for one in [process, *process.children(recursive=True)]:
        try:
            values = "\n".join(one.environ().values())
        except psutil.NoSuchProcess:
            assert one != process
            continue  # a task that ended meanwhile
        for name in unknown:
            assert it.settings[f"STATEWIDE_{name}"] not in values, name
    for name in ("api-server", "scheduler"):
        values = "\n".join(psutil.Process(it.processes[name].pid).environ().values())
        for secret in ("STATEWIDE_HMAC_KEY", "AWS_SECRET_ACCESS_KEY"):
            assert it.settings[secret] not in values, (name, secret)


def whole_release(object_store, published: str, state: str) -> dict:
    """The public release of a state, every file of which is what its manifest says."""
    client, (bucket, prefix) = object_store.client(), published.removeprefix("s3://").split("/")

    def get(name: str) -> bytes:
        return client.get_object(Bucket=bucket, Key=f"{prefix}/{state}/{name}")["Body"].read()

    pointer = json.loads(get("current.json"))
    text = get(pointer["manifest"])
    assert hashlib.sha256(text).hexdigest() == pointer["manifest_sha256"]
    manifest = json.loads(text)
    for name, told in manifest["files"].items():
        found = hashlib.sha256(get(f"{pointer['release']}/{name}")).hexdigest()
        assert found == told["sha256"], name
    return {"release": pointer["release"], "files": manifest["files"]}


def of_one_folder(checkout: Path, extracts: Path, state: str, home: Path) -> dict:
    """The same release, made in one process and one folder."""
    code = f"from tests import pipeline as p; p.load('{state}', {YEAR}); p.publish('{state}')"
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env={k: v for k, v in os.environ.items() if not k.startswith("STATEWIDE_")}
        | {
            "PYTHONPATH": str(checkout),
            "STATEWIDE_HOME": str(home),
            "STATEWIDE_EXTRACTS": str(extracts),
            "STATEWIDE_HMAC_KEY": "another agency's key, of thirty-two bytes or more",
        },
        check=True,
        capture_output=True,
    )
    current = home / "published" / state / "current"
    files = json.loads((current / "manifest.json").read_text())["files"]
    return {"release": current.resolve().name, "files": files}


def assert_lake_is_whole(checkout: Path, settings: dict[str, str], folder: Path) -> None:
    """Every byte that the index names is there, and the workers kept no copy of a step."""
    for state in STATES:
        done = subprocess.run(
            [sys.executable, "-m", "include.shared_lake", "verify", "--state", state],
            cwd=checkout,
            env=os.environ | settings | {"STATEWIDE_HOME": str(folder / "reader")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert not (folder / "api-server" / "lake").exists()
