"""From extract to release under the real Airflow: twice, side by side, broken, and killed half way.

The state is the fictitious one, drawn small; everything else is what `make refresh` runs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import psutil
import pytest

ROOT = Path(__file__).parents[1]
STUDENTS = 2000
PATIENCE = 900
pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def extracts(tmp_path_factory) -> Path:
    """Two years of a small fictitious state."""
    folder = tmp_path_factory.mktemp("publisher")
    draw = ["-m", "include.demo", "--out", folder, "--students", STUDENTS, "--districts", 3]
    subprocess.run([sys.executable, *map(str, draw)], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory, extracts) -> Path:
    """A home in which the year 2024 is published, and the release that others compare with."""
    folder = tmp_path_factory.mktemp("lived_in")
    done = refresh(folder, 2024, extracts)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def command(home: Path, year: int, extracts: Path, *more: str) -> dict:
    said = ["--school-year", str(year), "--extracts", str(extracts)]
    return {
        "args": [sys.executable, "-m", "ops.refresh", "--state", "zz", *more, *said],
        "cwd": ROOT,
        "env": {k: v for k, v in os.environ.items() if k != "STATEWIDE_EXTRACTS"}
        | {"STATEWIDE_HOME": str(home), "STATEWIDE_FETCH_RETRY_DELAY": "0"},
        "text": True,
    }


def refresh(home: Path, year: int, extracts: Path, *more: str) -> subprocess.CompletedProcess:
    told = command(home, year, extracts, *more)
    done = subprocess.run(**told, capture_output=True, timeout=PATIENCE)
    assert_nothing_runs(home)
    return done


def publish(home: Path, reason: str) -> subprocess.CompletedProcess:
    told = command(home, 2024, home, "--publish-only", "--reason", reason)
    return subprocess.run(**told, capture_output=True, timeout=PATIENCE)


def assert_nothing_runs(home: Path) -> None:
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("STATEWIDE_INSTANCE", "").startswith(f"{home.resolve()}:"):
                left.append(process)
        except (psutil.Error, OSError):
            continue
    assert left == []


def current(home: Path) -> str:
    return os.readlink(home / "published/zz/current")


def test_a_refresh_goes_from_extract_to_release(lived_in):
    folder = lived_in / "published/zz/current"
    manifest = json.loads((folder / "manifest.json").read_text())
    with duckdb.connect(str(folder / "statewide.duckdb"), read_only=True) as connection:
        for table, told in manifest["tables"].items():
            counted = connection.execute(f'select count(*) from published."{table}"').fetchone()
            assert counted == (told["rows"],)
    with duckdb.connect(str(lived_in / "warehouse/zz/current.duckdb"), read_only=True) as marts:
        counted = marts.execute(
            "select value from marts.fct_metric where metric_id = 'membership' "
            "and org_level = 'SEA' and group_category = 'all'"
        ).fetchone()
    assert counted and 0.5 * STUDENTS < counted[0] < 1.5 * STUDENTS


def test_the_same_inputs_again_publish_nothing_new(lived_in, extracts):
    before = current(lived_in)
    done = refresh(lived_in, 2024, extracts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"nothing new: same inputs as release {before}" in done.stdout
    assert current(lived_in) == before


def test_a_broken_extract_fails_the_run_and_holds_back_no_other(
    lived_in, extracts, tmp_path_factory
):
    home = copy_of(lived_in, tmp_path_factory.mktemp("broken") / "home")
    broken = tmp_path_factory.mktemp("broken_publisher") / "files"
    shutil.copytree(extracts, broken)
    ledger = broken / "zz/2025/finance_ledger.csv"
    (broken / "zz/2025/finance_ledger.json").unlink(missing_ok=True)
    ledger.write_text("<html><body>Service unavailable</body></html>\n")

    done = refresh(home, 2025, broken)

    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"(Fetch|Check) finance ledger +FAILED", done.stdout)
    assert re.search(r"Load staff assignment +ok", done.stdout)
    assert re.search(r"finance_ledger: ", done.stdout), "the report names the extract"
    assert "Traceback" not in done.stdout + done.stderr
    assert (home / "lake/zz/student_enrollment/2025.parquet").exists()
    assert not (home / "lake/zz/finance_ledger/2025.parquet").exists()


def test_two_refreshes_side_by_side_end_as_one_after_the_other(
    lived_in, extracts, tmp_path_factory
):
    one_after_the_other = copy_of(lived_in, tmp_path_factory.mktemp("serial") / "home")
    assert refresh(one_after_the_other, 2025, extracts).returncode == 0
    home = tmp_path_factory.mktemp("parallel")
    elsewhere = tmp_path_factory.mktemp("other_publisher") / "files"
    shutil.copytree(extracts, elsewhere)

    running = [
        subprocess.Popen(
            **command(home, year, root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for year, root in ((2024, extracts), (2025, elsewhere))
    ]
    told = [process.communicate(timeout=PATIENCE)[0] for process in running]

    ended = [process.returncode for process in running]
    if ended == [1, 0]:
        # A year that comes after a later one moves it (concentrators took earlier courses), and
        # which of the two is first is the machine's choice.
        assert "figures moved that readers have" in told[0]
        ended[0] = publish(home, "2024 came after 2025, whose figures it moves").returncode
    assert ended == [0, 0], "\n".join(told)
    assert current(home) == current(one_after_the_other)
    assert_nothing_runs(home)


def test_a_year_that_moves_a_later_one_is_published_by_a_person(
    lived_in, extracts, tmp_path_factory
):
    one_after_the_other = copy_of(lived_in, tmp_path_factory.mktemp("serial") / "home")
    assert refresh(one_after_the_other, 2025, extracts).returncode == 0
    home = tmp_path_factory.mktemp("later_first")
    assert refresh(home, 2025, extracts).returncode == 0
    readers_have = current(home)

    asked = refresh(home, 2024, extracts)
    assert asked.returncode == 1
    assert "figures moved that readers have" in asked.stdout
    assert current(home) == readers_have

    approved = publish(home, "2024 came after 2025, whose figures it moves")
    assert approved.returncode == 0, approved.stdout + approved.stderr
    assert current(home) == current(one_after_the_other)


@pytest.mark.parametrize("moment", ["Check", "Build"])
def test_a_refresh_that_was_killed_half_way_leaves_no_poison(
    moment, lived_in, extracts, tmp_path_factory
):
    home = copy_of(lived_in, tmp_path_factory.mktemp("killed") / "home")
    before = current(home)
    process = subprocess.Popen(
        **command(home, 2025, extracts), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(rf" {moment} .*ok", line):
            break
    else:
        pytest.fail(f"nothing was said of {moment}")
    record = json.loads((home / "airflow/instance.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(1)
    assert current(home) == before, "readers keep the last release"

    done = refresh(home, 2025, extracts)

    assert done.returncode == 0, done.stdout + done.stderr
    assert current(home) != before
    manifest = json.loads((home / "published/zz/current/manifest.json").read_text())
    assert {it["school_year"] for it in manifest["inputs"]} == {2024, 2025}


def copy_of(home: Path, to: Path) -> Path:
    """A home like this one, without its Airflow: whose paths are its own."""
    shutil.copytree(home, to, symlinks=True, ignore=shutil.ignore_patterns("airflow", "locks"))
    return to
