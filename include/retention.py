"""What is no longer needed, and only that, goes.

Never removed: releases and their ledger; the lake; receipts; keys. Kept for as long as something
needs them, however old they are:

- landed bytes, quarantine, verdict and Data Docs of every file that a release was made from (its
  numbers can be walked back to the bytes), that is in the lake (builds need its quarantine), or
  that came last (it is what the next check is about);
- the archive that such a file came in;
- the current build, and builds that a person said no to (or nobody would remember the no).

Of the rest, files stay `files` days, builds and what was left over `builds` days. Whatever cannot
be read counts as needed: with a release whose manifest is broken, nothing of its state is removed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from include import lake, registry, release, shared_lake, warehouse

log = logging.getLogger(__name__)

DAY = 86_400
OF_A_BUILD = {
    "duckdb", "protected.duckdb", "inputs.json", "checks.json", "disclosure.json", "dbt.json",
}  # fmt: skip
HASH = re.compile(r"[0-9a-f]{64}")


class NotRemoved(RuntimeError):
    """Some of what is not needed could not be removed. Names each; the rest is gone."""


@dataclass(frozen=True)
class Policy:
    """Days that something stays though nothing needs it."""

    files: float = 400
    builds: float = 30
    logs: float = 90

    @classmethod
    def configured(cls) -> Policy:
        """From STATEWIDE_KEEP_FILES, STATEWIDE_KEEP_BUILDS and STATEWIDE_KEEP_LOGS, in days.

        Raises ValueError for what is no number of days, and for builds that would go while a
        person may still be asked about them.
        """
        told = {}
        for name in ("files", "builds", "logs"):
            if value := os.environ.get(f"STATEWIDE_KEEP_{name.upper()}"):
                told[name] = _days(f"STATEWIDE_KEEP_{name.upper()}", value)
        policy = cls(**told)
        asking = float(os.environ.get("STATEWIDE_APPROVAL_DAYS") or 7)
        if policy.builds <= asking:
            raise ValueError(
                f"STATEWIDE_KEEP_BUILDS={policy.builds:g}: a build may wait {asking:g} days for a "
                "person's answer; keep builds longer"
            )
        return policy


def _days(name: str, value: str) -> float:
    try:
        days = float(value)
    except ValueError:
        days = 0.0
    if days < 1:
        raise ValueError(f"{name}={value}: expected a number of days, 1 or more")
    return days


@dataclass(frozen=True)
class Needed:
    """What something needs, of one state."""

    objects: frozenset[str]
    archives: frozenset[str]
    builds: frozenset[str]


def needed(state: str) -> Needed:
    """What releases, the lake, the last receipts and persons' answers need.

    Raises whatever reading one of them raises: who cannot read a release cannot say what it needs.
    """
    objects, archives = set(), set()
    for name in release.releases(state):
        told = json.loads((lake.published(state) / name / release.MANIFEST).read_text())
        objects |= {it["sha256"] for it in told["inputs"]}
    # Also of extracts and years that are declared no longer: their rows stay in the lake.
    for path in (lake.home() / "lake" / state).glob("*/*.parquet"):
        if load := lake.read_load(path):
            objects.add(load.sha256)
    for path in (lake.home() / "landed" / state / "receipts").glob("*/*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        if lines:
            objects.add(lines[-1]["sha256"])
        archives |= {_archive(it) for it in lines if it["sha256"] in objects}
    # Notes beside the archives say which one the publisher has now.
    for path in (lake.home() / "landed" / state / "archives").glob("*.json"):
        archives.add(str(json.loads(path.read_text()).get("sha256", "")))
    builds = {path.name.partition(".")[0] for path in lake.warehouse(state).glob("*.approval.json")}
    if now := warehouse.current(state):
        builds.add(now)
    return Needed(frozenset(objects), frozenset(archives - {""}), frozenset(builds))


def _archive(receipt: dict) -> str:
    """The hash of the archive that a file came in, as its receipt tells; empty without one."""
    return str((receipt.get("archive") or {}).get("sha256", ""))


def unneeded(state: str, policy: Policy, now: float | None = None) -> list[Path]:
    """What of a state may go, as files and folders. `now` is in seconds since 1970."""
    now = time.time() if now is None else now
    need = needed(state)
    found = [*_of_files(state, need), *_of_builds(state, need)]
    return sorted(
        path
        for path, kind in found
        if _age(path, now) > DAY * (policy.files if kind == "file" else policy.builds)
    )


def _age(path: Path, now: float) -> float:
    """Seconds since anything in it changed; a link counts as itself."""
    try:
        times = [path.lstat().st_mtime]
        if path.is_dir() and not path.is_symlink():
            times += [it.lstat().st_mtime for it in path.rglob("*")]
    except FileNotFoundError:
        return 0
    return now - max(times)


def _of_files(state: str, need: Needed) -> Iterator[tuple[Path, str]]:
    home = lake.home()
    for path in (home / "landed" / state / "objects").glob("*"):
        if path.name not in need.objects:
            yield path, "file"
    for path in (home / "landed" / state / "archives").glob("*"):
        if HASH.fullmatch(path.name) and path.name not in need.archives:
            yield path, "file"
    # Half a download goes on where it was cut, but not weeks later.
    for path in (home / "landed" / state / "partial").glob("*"):
        yield path, "build"
    for path in (home / "checked" / state).glob("*/*/*.parquet"):
        if path.stem not in need.objects:
            yield path, "build"
    for path in (home / "quarantine" / state).glob("*/*/*"):
        if path.name.partition(".")[0] not in need.objects:
            yield path, "file"
    short = {sha256[:12] for sha256 in need.objects}
    for path in lake.data_docs(state).glob("*/*/*"):
        of_marts = path.parts[-3] == "marts"
        if path.is_dir() and not path.is_symlink() and not of_marts and path.name not in short:
            yield path, "file"


def _of_builds(state: str, need: Needed) -> Iterator[tuple[Path, str]]:
    for path in lake.warehouse(state).glob("*"):
        build, _, kind = path.name.partition(".")
        if kind in OF_A_BUILD and build != "current" and build not in need.builds:
            yield path, "build"
    for path in (lake.data_docs(state) / "marts").glob("*"):
        if path.is_dir() and not path.is_symlink() and path.name not in need.builds:
            yield path, "build"


def clean(state: str, policy: Policy) -> list[Path]:
    """Remove what a state does not need. Returns what went. Raises NotRemoved.

    Nothing is built or published meanwhile; what a fetch receives again meanwhile is looked at
    once more before it goes. A lake that several machines share keeps no times of its files, so
    nothing of it is removed; its index names what is there, `shared_lake collect` removes the rest.
    """
    if shared_lake.is_configured():
        log.warning("%s: on a shared lake nothing is removed by age", state)
        return []
    gone, failed = [], []
    with lake.lock(f"build-{state}"), lake.lock(f"publish-{state}"):
        for path in unneeded(state, policy):
            if path.parent.name == "objects" and path.name in needed(state).objects:
                continue
            try:
                _remove(path)
                gone.append(path)
            except OSError as error:
                failed.append(f"{path}: {error.strerror or error}")
    if failed:
        raise NotRemoved(
            f"{state}: {len(failed)} of {len(gone) + len(failed)} things that nothing needs could "
            "not be removed:\n  " + "\n  ".join(failed)
        )
    return gone


def clean_logs(folder: Path, policy: Policy) -> int:
    """Remove log files that nobody wrote to for `logs` days. Returns how many."""
    before, count = time.time() - DAY * policy.logs, 0
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_symlink():
            continue
        if path.is_file() and path.lstat().st_mtime < before:
            path.unlink(missing_ok=True)
            count += 1
        elif path.is_dir() and path.lstat().st_mtime < before and not any(path.iterdir()):
            path.rmdir()
    return count


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def states() -> list[str]:
    """Every declared state that has anything here. Of one that is not declared nothing is known."""
    return [state for state in registry.states() if (lake.home() / "landed" / state).exists()]
