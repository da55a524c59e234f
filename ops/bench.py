"""`make bench`: what the DAGs cost: to read their files, and to run, against one bare script.

    python -m ops.bench            all of it, each in a process and a STATEWIDE_HOME of its own
    python -m ops.bench bare ...   the bare script alone: the same functions, in order
    python -m ops.bench reading    how long it takes Airflow to read the DAG files

Uses North Carolina 2019 where the publisher's files lie beside the checkout (../shared/data), else
the fictitious state.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from include.registry import states
from ops import configuration

REAL = configuration.ROOT.parent / "shared" / "data"

# Prints the processor's seconds for Airflow itself, and for reading a folder of DAG files.
READ = """
import sys, time
from airflow.dag_processing.dagbag import DagBag
airflow = time.process_time()
bag = DagBag(sys.argv[1])
print("seconds", airflow, time.process_time() - airflow)
sys.exit(str(bag.import_errors) if bag.import_errors or not bag.dags else 0)
"""
# What any DAG file needs, and no more.
BARE_DAG = """
from airflow.sdk import dag, task

@dag
def bare():
    task(lambda: None, task_id="nothing")()

bare()
"""
READ_WITHIN = 0.3


def bare(state: str, school_year: int) -> None:
    """Everything that a refresh does, without Airflow. Prints the seconds of each step."""
    spent: dict[str, float] = defaultdict(float)
    mark = time.perf_counter()

    def done(step: str) -> None:
        nonlocal mark
        now = time.perf_counter()
        spent[step] += now - mark
        mark = now

    from include import disclosure, lake, portals, quality, release, warehouse

    done("import")
    for name in states()[state].due(school_year):
        sha256 = portals.fetch(state, name, school_year)
        done("fetch")
        quality.check(state, name, school_year, sha256)
        done("check")
        lake.replace(state, name, school_year, sha256)
        done("load")
    build = warehouse.create(state)
    done("build")
    quality.check_marts(state, build)
    warehouse.accept(state, build)
    done("check marts")
    disclosure.protect(state, build)
    done("protect")
    release.publish(state, build)
    done("export")
    print("  " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in spent.items()))


def timed(told: list[str], root: Path, home: str) -> float:
    """Seconds that a command takes in a home of its own. Raises SystemExit if it fails."""
    environment = os.environ | {"STATEWIDE_HOME": home, "STATEWIDE_EXTRACTS": str(root)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *told],
        cwd=configuration.ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    print(done.stdout if told[0] == "ops.bench" else "", end="")
    if done.returncode:
        raise SystemExit(f"{' '.join(told)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return seconds


def reading(times: int = 3) -> tuple[float, float]:
    """Seconds that a bare Airflow takes to start and read one DAG, and what our DAG files add.

    The least of several `times`, each in a process of its own: seconds of the processor, so that
    what else the machine does counts for little.
    """
    with tempfile.TemporaryDirectory(prefix="statewide-bench-") as folder:
        (Path(folder) / "dags").mkdir()
        (Path(folder) / "dags" / "bare.py").write_text(BARE_DAG)
        environment = os.environ | {
            "AIRFLOW_HOME": folder,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(configuration.ROOT),
        }
        spent: dict[Path, list[float]] = defaultdict(list)
        for _ in range(times):
            for dags in (Path(folder) / "dags", configuration.ROOT / "dags"):
                done = subprocess.run(
                    [sys.executable, "-c", READ, str(dags)],
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    raise SystemExit(f"{dags} cannot be read:\n{done.stderr[-3000:]}")
                line = next(it for it in done.stdout.splitlines() if it.startswith("seconds "))
                spent[dags].append(sum(map(float, line.split()[1:])))
        bare_airflow, ours = (min(it) for it in spent.values())
        return bare_airflow, ours - bare_airflow


def tell_reading() -> None:
    """How long reading the DAG files takes, and its share of what a bare Airflow takes."""
    bare_airflow, added = reading()
    print(f"bare Airflow      {bare_airflow:7.2f} s  (started, and one DAG of one task read)")
    print(f"our DAG files     {added:7.2f} s  more, of at most {READ_WITHIN} s")
    print(f"ratio             {added / bare_airflow:7.2f}", flush=True)


def compare() -> None:
    """Both ways, and their ratio."""
    with tempfile.TemporaryDirectory(prefix="statewide-bench-") as folder:
        if REAL.is_dir():
            state, year, root = "nc", 2019, REAL
        else:
            state, root = "zz", Path(folder) / "demo"
            year = states()[state].latest_year
            told = [sys.executable, "-m", "include.demo", "--out", str(root)]
            subprocess.run(told, cwd=configuration.ROOT, check=True, stdout=subprocess.DEVNULL)
        print(f"{state} {year}, from {root}", flush=True)
        script = timed(["ops.bench", "bare", state, str(year)], root, f"{folder}/bare")
        print(f"one bare script   {script:7.1f} s", flush=True)
        dags = timed(
            ["ops.refresh", "--state", state, "--school-year", str(year)], root, f"{folder}/dags"
        )
        print(f"through the DAGs  {dags:7.1f} s  (Airflow started, set up and stopped)")
        print(f"ratio             {dags / script:7.2f}")


def main() -> int:
    if sys.argv[1:2] == ["bare"]:
        bare(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["reading"]:
        tell_reading()
    else:
        tell_reading()
        compare()
    return 0


if __name__ == "__main__":
    sys.exit(main())
