"""Name the system parts that are missing, with the command that installs each.

Runs on whatever `python3` the machine has, before there is an environment: standard library
only, and nothing newer than Python 3.6 in its syntax.
"""

import os
import shutil
import sys

PYTHON = (3, 11)
SQLITE = (3, 15, 0)
# The environment takes about 1.5 GB while it is being installed, the demo's data a little more.
DISK = 3 * 10**9


def missing(root):
    """What this machine lacks, as (what, why, command) tuples; empty if nothing.

    `root` is the folder in which the environment and the data will be made.
    """
    found = []
    if sys.version_info[:2] != PYTHON:
        return [
            (
                "Python 3.11",
                "this is Python {}.{}, and the lock was made for 3.11".format(*sys.version_info),
                "apt-get install python3.11 python3.11-venv "
                "(or name one: make PYTHON=/path/to/python3.11 ...)",
            )
        ]
    for module, why, command in [
        ("venv", "the environment is a virtual one", "apt-get install python3.11-venv"),
        ("ensurepip", "pip is put into the environment", "apt-get install python3.11-venv"),
        ("ssl", "packages are fetched over https", "apt-get install python3.11 openssl"),
        ("sqlite3", "Airflow keeps its runs in SQLite", "apt-get install python3.11 libsqlite3-0"),
        ("fcntl", "locks need a Unix system", "use Linux, macOS or WSL"),
    ]:
        try:
            __import__(module)
        except ImportError:
            found.append(("Python's module " + module, why, command))
    try:
        import sqlite3
    except ImportError:
        pass
    else:
        if sqlite3.sqlite_version_info < SQLITE:
            found.append(
                (
                    "SQLite 3.15 or newer",
                    "this Python has {}".format(sqlite3.sqlite_version),
                    "apt-get install --only-upgrade libsqlite3-0",
                )
            )
    if shutil.which("make") is None:
        found.append(("make", "every command is a target of the Makefile", "apt-get install make"))
    free = shutil.disk_usage(root).free
    if free < DISK and not os.path.exists(os.path.join(root, ".venv", ".complete")):
        found.append(
            (
                "{:.0f} GB of disk".format(DISK / 10**9),
                "{} has {:.1f} GB left".format(root, free / 10**9),
                "df -h {}".format(root),
            )
        )
    return found


def main():
    found = missing(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for what, why, command in found:
        sys.stderr.write("missing: {}: {}\n    {}\n".format(what, why, command))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
