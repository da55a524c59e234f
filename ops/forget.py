"""`make forget`: let Airflow forget runs of long ago.

    python -m ops.forget [--days N]

Tasks may not touch Airflow's database, so this is a command beside it: for a timer, or by hand.
On several machines it is `python -m ops.deployment forget [DAYS]`.
Files of states are the business of `statewide_maintenance`; no release needs a run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from ops import configuration, instance

DAYS = 400


def command(days: float = DAYS) -> list[str]:
    """Arguments of `airflow` that remove runs, tasks and events older than this."""
    before = datetime.now(UTC) - timedelta(days=days)
    return [
        *("db", "clean", "--yes", "--skip-archive", "--error-on-cleanup-failure"),
        *("--clean-before-timestamp", before.isoformat(timespec="seconds")),
    ]


def forget(days: float) -> int:
    """Remove runs, tasks and events older than this. Returns the exit code."""
    environment = configuration.environment("forget")
    if instance.running() is None:
        configuration.write(0)
        instance.prepare_database(environment)
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *command(days)],
        env=environment,
        cwd=configuration.ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print((done.stderr or done.stdout)[-2000:], file=sys.stderr)
        print("Airflow's history could not be shortened; nothing else is affected", file=sys.stderr)
        return 1
    print(f"Airflow has forgotten what was more than {days:g} days ago")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make forget", description=__doc__)
    parser.add_argument("--days", type=float, default=DAYS, help="how long runs are remembered")
    told = parser.parse_args()
    if told.days < 1:
        parser.error("--days is at least 1")
    return forget(told.days)


if __name__ == "__main__":
    sys.exit(main())
