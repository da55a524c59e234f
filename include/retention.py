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

On a lake that several machines share, what goes is taken out of the index, in one replacement that
is refused if anything of the state changed while it was looked through; a step that has read, or
made again, what just went starts over or puts it back. Its bytes go with the cleaning after next,
or later: `shared_lake.collect` removes what no index names. Ages are those of the bytes in the
store, less the time by which a file may be younger than its bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from include import lake, registry, release, shared_lake, warehouse

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


class There(Protocol):
    """What lies in a lake: its files and folders, and their ages in seconds."""

    def glob(self, pattern: str) -> Iterator[Path]: ...
    def is_folder(self, path: Path) -> bool: ...
    def age(self, path: Path) -> float: ...


class _InFolder:
    """The lake as a folder of this machine."""

    def __init__(self) -> None:
        self._now = time.time()

    def glob(self, pattern: str) -> Iterator[Path]:
        return lake.home().glob(pattern)

    def is_folder(self, path: Path) -> bool:
        return path.is_dir() and not path.is_symlink()

    def age(self, path: Path) -> float:
        """Since anything in it changed; a link counts as itself."""
        try:
            times = [path.lstat().st_mtime]
            if self.is_folder(path):
                times += [it.lstat().st_mtime for it in path.rglob("*")]
        except FileNotFoundError:
            return 0
        return self._now - max(times)


class _InIndex:
    """The lake as the index of a shared one names it. Paths are names in it."""

    def __init__(self, written: dict[str, datetime | None]) -> None:
        self._now = time.time()
        self._written = {Path(name): at for name, at in written.items()}
        self._members: dict[Path, list[Path]] = {}
        for path in self._written:
            for folder in path.parents:
                self._members.setdefault(folder, []).append(path)

    def glob(self, pattern: str) -> Iterator[Path]:
        depth = len(Path(pattern).parts)
        for path in [*self._written, *self._members]:
            if len(path.parts) == depth and path.match(pattern):
                yield path

    def is_folder(self, path: Path) -> bool:
        return path in self._members

    def age(self, path: Path) -> float:
        """Since its bytes, or those of anything in it, were last written; 0 if that is not known.

        A file that was named again lately may have bytes that are older, by FRESH.
        """
        times = [self._written[it] for it in self.files(path)]
        known = [at.timestamp() for at in times if at]
        if not known:
            return 0
        return self._now - max(known) - shared_lake.FRESH.total_seconds()

    def files(self, path: Path) -> list[Path]:
        """The files that a path stands for: itself, or what is in it."""
        return self._members.get(path, [path])


def unneeded(state: str, policy: Policy, there: There | None = None) -> list[Path]:
    """What of a state may go, as files and folders. `there`: by default, what is in the folder."""
    there = there or _InFolder()
    need = needed(state)
    found = [*_of_files(state, need, there), *_of_builds(state, need, there)]
    return sorted(
        path
        for path, kind in found
        if there.age(path) > DAY * (policy.files if kind == "file" else policy.builds)
    )


def _of_files(state: str, need: Needed, there: There) -> Iterator[tuple[Path, str]]:
    for path in there.glob(f"landed/{state}/objects/*"):
        if path.name not in need.objects:
            yield path, "file"
    for path in there.glob(f"landed/{state}/archives/*"):
        if HASH.fullmatch(path.name) and path.name not in need.archives:
            yield path, "file"
    # Half a download goes on where it was cut, but not weeks later.
    for path in there.glob(f"landed/{state}/partial/*"):
        yield path, "build"
    for path in there.glob(f"checked/{state}/*/*/*.parquet"):
        if path.stem not in need.objects:
            yield path, "build"
    for path in there.glob(f"quarantine/{state}/*/*/*"):
        if path.name.partition(".")[0] not in need.objects:
            yield path, "file"
    short = {sha256[:12] for sha256 in need.objects}
    for path in there.glob(f"docs/{state}/*/*/*"):
        # One folder for each file of an extract and year; fonts and images are all pages'.
        of_file = path.parent.name.isdigit() and there.is_folder(path)
        if of_file and path.name not in short:
            yield path, "file"


def _of_builds(state: str, need: Needed, there: There) -> Iterator[tuple[Path, str]]:
    for path in there.glob(f"warehouse/{state}/*"):
        build, _, kind = path.name.partition(".")
        if kind in OF_A_BUILD and build != "current" and build not in need.builds:
            yield path, "build"
    for path in there.glob(f"docs/{state}/marts/*"):
        if there.is_folder(path) and path.name not in need.builds:
            yield path, "build"


# What says what a state needs.
EVIDENCE = (
    "published/{state}/*/manifest.json",
    "published/{state}/releases.jsonl",
    "published/{state}/current",
    "lake/{state}/*.parquet",
    "landed/{state}/receipts/*",
    "warehouse/{state}/*.approval.json",
    "warehouse/{state}/current.duckdb",
)


def clean(state: str, policy: Policy) -> list[Path]:
    """Remove what a state does not need. Returns what went. Raises NotRemoved.

    In a folder nothing is built or published meanwhile, and what a fetch receives again meanwhile
    is looked at once more before it goes. On a shared lake it may raise shared_lake.Overtaken:
    then nothing went, because others were at work all the time.
    """
    if shared_lake.is_configured():
        return _clean_shared(state, policy)
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


@shared_lake.step(*EVIDENCE)
def _clean_shared(state: str, policy: Policy) -> list[Path]:
    there = _InIndex(shared_lake.written(state))
    gone = unneeded(state, policy, there)
    shared_lake.forget(state, [str(file) for path in gone for file in there.files(path)])
    return gone


def collect(state: str) -> int:
    """Remove the bytes of a shared lake that no file has any more. Returns how many objects went.

    In a folder a file and its bytes are one, and there is nothing to do.
    """
    return shared_lake.collect(state) if shared_lake.is_configured() else 0


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
    if shared_lake.is_configured():
        return [state for state in registry.states() if shared_lake.has(state)]
    return [state for state in registry.states() if (lake.home() / "landed" / state).exists()]
