"""`make bench`: how protection grows with a state, and what the DAGs cost, to read and to run.

    python -m ops.bench                      all of it
    python -m ops.bench protection           drawn states (ops/large_state.py), each twice the last
    python -m ops.bench protection 2500 5    one state of so many schools and years
    python -m ops.bench crossed 2500 1       the same, and every rate by pairs of groups
    python -m ops.bench reading              how long it takes Airflow to read the DAG files
    python -m ops.bench dags                 the DAGs against the same work in one bare script
    python -m ops.bench bare ...             the bare script alone: the same functions, in order

Each is a process of its own. The DAGs' part uses North Carolina 2019 where the publisher's files
lie beside the checkout (../shared/data), else the fictitious state.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import psutil

from include.registry import Disclosure, states
from ops import configuration, large_state

REAL = configuration.ROOT.parent / "shared" / "data"
# States are doubled from so many schools until one takes the processor more than so many seconds.
FIRST = 25
LARGEST = 800
PATIENCE = 60.0
# Seconds between two looks at the memory.
OFTEN = 0.2
# Membership is published as it is, as North Carolina and Connecticut do; all else is protected.
POLICY = Disclosure(public_metrics=("membership",))
COLUMNS = ("schools", "years", "rows", "cells", "hidden", "seconds", "of processor",
           "ms a row", "x the last", "peak GB", "visible")  # fmt: skip


def protection(
    sizes: list[tuple[int, int]] | None = None,
    crossed: Mapping[str, tuple[str, ...]] = large_state.ASKED,
) -> None:
    """How long protecting and auditing takes, by size. Prints a row for each state.

    `x the last` is by how much the processor's time per row grew: 1.00 is growth in step.
    """
    print("protection, by size\n  " + "".join(f"{name:>13}" for name in COLUMNS), flush=True)
    doubling = [(FIRST << i, 1) for i in range(20) if FIRST << i <= LARGEST]
    last = None
    for schools, years in sizes or doubling:
        with tempfile.TemporaryDirectory(prefix="statewide-bench-") as folder:
            path = Path(folder) / "state.duckdb"
            made = large_state.create(path, schools, years, crossed=crossed)
            # In a process of its own, or the peak were that of drawing it.
            done = subprocess.run(
                [sys.executable, "-m", "ops.bench", "decide", str(path)],
                cwd=configuration.ROOT,
                capture_output=True,
                text=True,
            )
        if done.returncode:
            raise SystemExit(f"{schools} schools: protection failed:\n{done.stderr[-3000:]}")
        told = json.loads(done.stdout.splitlines()[-1])
        by_row = 1000 * told["processor"] / made["rows"]
        row = (
            f"{schools:,}", years, f"{made['rows']:,}", f"{told['cells']:,}",
            f"{told['hidden']:,}", f"{told['seconds']:.1f}", f"{told['processor']:.1f}",
            f"{by_row:.3f}", "" if last is None else f"{by_row / last:.2f}",
            f"{told['peak']:.2f}", f"{100 * told['visible']:.1f} %",
        )  # fmt: skip
        print("  " + "".join(f"{text!s:>13}" for text in row), flush=True)
        last = by_row
        if told["processor"] > PATIENCE:
            return


def _decide(path: Path) -> None:
    with _Memory() as memory:
        outcome, seconds = large_state.protect(path, POLICY)
    used, helped = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(
        json.dumps(
            {
                "cells": outcome.cells,
                "hidden": outcome.hidden,
                "visible": outcome.counts_visible / outcome.counts,
                "seconds": seconds,
                "processor": sum(it.ru_utime + it.ru_stime for it in (used, helped)),
                "peak": memory.peak / 1e9,
            }
        )
    )


class _Memory:
    """The most bytes that this process and those it started held at one time, meanwhile.

    Looked at a few times a second: the system's own peak of a process that was started counts what
    its starter held when it was, and two peaks are not at one time.
    """

    def __enter__(self) -> _Memory:
        self.peak, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(OFTEN):
            held = 0
            for process in (me, *me.children(recursive=True)):
                # It may have ended since.
                with contextlib.suppress(psutil.NoSuchProcess):
                    held += process.memory_info().rss
            self.peak = max(self.peak, held)


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
    match sys.argv[1:]:
        case ["bare", state, year]:
            bare(state, int(year))
        case ["decide", path]:
            _decide(Path(path))
        case ["protection", schools, years]:
            protection([(int(schools), int(years))])
        case ["crossed", schools, years]:
            protection([(int(schools), int(years))], large_state.CROSSED)
        case ["protection"]:
            protection()
        case ["reading"]:
            tell_reading()
        case ["dags"]:
            compare()
        case []:
            protection()
            tell_reading()
            compare()
        case _:
            raise SystemExit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
