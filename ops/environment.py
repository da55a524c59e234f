"""Make the environment: `.venv`, holding exactly what `requirements.txt` locks.

Runs on the system's Python 3.11, so it imports nothing but the standard library. Done again only
when the lock or the interpreter changed; several processes may ask for it at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.txt"
COMPLETE = VENV / ".complete"


def fingerprint() -> str:
    """Changes when the environment has to be made again."""
    told = LOCK.read_bytes() + sys.version.encode() + str(ROOT).encode()
    return hashlib.sha256(told).hexdigest()


def is_complete() -> bool:
    return COMPLETE.exists() and COMPLETE.read_text().strip() == fingerprint()


def wanted() -> int:
    """How many packages the lock names."""
    return sum("==" in line and not line.startswith((" ", "#")) for line in _lines())


def make() -> None:
    """Create `.venv` and install the lock. Raises CalledProcessError with pip's own words shown."""
    started = time.monotonic()
    print(f"making the environment: {wanted()} packages, a few minutes the first time", flush=True)
    if not (VENV / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    _install(
        [*pip, "install", "--progress-bar", "off", "--no-deps", "--require-hashes", "-r", str(LOCK)]
    )
    checked = subprocess.run([*pip, "check"], capture_output=True, text=True)
    if checked.returncode:
        raise SystemExit(f"the installed packages do not fit together:\n{checked.stdout}")
    COMPLETE.write_text(fingerprint() + "\n")
    print(f"environment ready after {time.monotonic() - started:.0f} s", flush=True)


def _lines() -> list[str]:
    return LOCK.read_text().splitlines()


def _install(command: list[str]) -> None:
    """Run pip, and turn its many lines into a few that show how far it is."""
    seen, shown, tail = 0, time.monotonic(), []
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    assert process.stdout is not None
    for line in process.stdout:
        tail = [*tail[-29:], line]
        # "Processing" is what pip says of a file that lies on this machine.
        if line.startswith(("Collecting ", "Processing ", "Requirement already satisfied")):
            seen += 1
        if time.monotonic() - shown > 5:
            print(f"  {seen} of {wanted()} packages", flush=True)
            shown = time.monotonic()
        if line.startswith("Installing collected packages"):
            print(f"  all {seen} fetched, now unpacking them", flush=True)
    if process.wait():
        raise SystemExit("".join(tail) + "\nthe lock could not be installed; pip said why above")


def main() -> None:
    if is_complete():
        return
    with (ROOT / ".environment.lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not is_complete():
            COMPLETE.unlink(missing_ok=True)
            make()


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
