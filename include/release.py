"""A release: one immutable folder of protected tables, and the pointer that readers follow.

    published/<state>/<release>/        Parquet and CSV per table, statewide.duckdb, data dictionary
                                        (.md, .csv), disclosure report (.md, .json), manifest.json
                                        with every file's hash
    published/<state>/current           symlink to the release that readers see; moves last
    published/<state>/releases.jsonl    the ledger: every move of the pointer, oldest first

    s3://bucket/prefix/<state>/<release>/...     the same files, if STATEWIDE_PUBLISH says so
    s3://bucket/prefix/<state>/current.json      the pointer, moved by compare-and-swap

A release is named by its inputs and by the code that made it, and holds no clock time, so the same
of both is the same release, byte for byte. When it was published, and from which commit, stands in
the ledger, because neither is decided by what is in it.

**What happens when a run is killed.** A release is written in a hidden folder and appears in one
rename; the ledger is written before the pointers move (S3's, then the local one), each in one
step. Until then readers see the release before, whole; the next run removes what was left and goes
on. A release that was altered afterwards stops publishing: somebody has to look.

**Rolling back is remembered.** `rollback` writes to the ledger that every release newer than its
target is withdrawn. Publishing the same inputs by the same code again gives a withdrawn release,
and leaves the pointer where the person put it, saying so. Other inputs, or repaired code, give
another release, which is published as ever. To return to a withdrawn one on purpose, roll back to
it by name, or publish with `--force`.

    python -m include.release list     --state nc
    python -m include.release verify   --state nc [--to RELEASE]
    python -m include.release rollback --state nc [--to RELEASE] [--reason WHY]
    python -m include.release publish  --state nc --build BUILD [--force]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from include import (
    approvals,
    dbt,
    dictionary,
    disclosure,
    exports,
    lake,
    registry,
    shared_lake,
    warehouse,
)
from include.object_store import DifferentContent, ObjectStore, StoreFailed

log = logging.getLogger(__name__)

FORMAT = 1
MANIFEST = "manifest.json"
STAGING = ".staging-"
NAME = re.compile(r"[a-z]{2}-[0-9a-f]{12}")
# What is told of each load.
LOAD = ("extract", "school_year", "sha256", "rows_in", "accepted", "quarantined")

# What is told of its protection.
TOLD = ("policy", "cells", "rules", "metrics", "audit", "visible", "exposed_by_policy")


class NotReady(RuntimeError):
    """A build that may not be published: unchecked, unprotected, or not what was protected."""


class NoSuchRelease(LookupError):
    """A release was asked for that is not there."""


class Corrupted(RuntimeError):
    """A release on disk is not what its manifest says. The message names every such file."""


@dataclass(frozen=True)
class History:
    """What the ledger says: `line` leads to the release that readers should see, its last."""

    line: tuple[str, ...] = ()
    withdrawn: frozenset[str] = frozenset()
    entries: tuple[dict[str, Any], ...] = ()

    @property
    def wanted(self) -> str | None:
        return self.line[-1] if self.line else None


# What is known of releases, without their tables.
KNOWN = (
    "published/{state}/*/manifest.json",
    "published/{state}/releases.jsonl",
    "published/{state}/current",
)


@shared_lake.step(*KNOWN, "warehouse/{state}/{build}.*", moves_pointer=True)
def publish(
    state: str, build: str, *, force: bool = False, dbt_manifest: Path | None = None
) -> str | None:
    """Publish a protected build, locally and to STATEWIDE_PUBLISH. Returns the release's name, or
    None where readers already see it: then nothing is published, and what lags is repaired.

    None as well where that release was rolled back, unless forced. `dbt_manifest` describes tables
    and columns; by default it is the one beside the build.
    Raises NotReady, Corrupted, exports.ExportFailed, object_store.StoreFailed (and its LostRace):
    readers then still see the release before, and running again is safe.
    """
    with lake.lock(f"publish-{state}"):
        _sweep(state)
        manifest = _manifest(state, build)
        name = manifest["release"]
        history = _history(state)
        if name in history.withdrawn and not force:
            _point(state, history.wanted)
            log.warning(
                "%s: release %s was rolled back and stays withdrawn; readers see %s. Other inputs "
                "or repaired code are published as ever; to publish this one, use --force",
                state, name, history.wanted,
            )  # fmt: skip
            return None
        is_made = (lake.published(state) / name).exists()
        if is_made:
            verify(state, name)
        else:
            beside = warehouse.described(state, build)
            last = dbt.target(state) / "target" / "manifest.json"
            _write(state, build, manifest, dbt_manifest or (beside if beside.exists() else last))
        store = _store()
        seen = store.read(f"{state}/current.json") if store else None
        if store:
            _upload(store, state, name)
        is_new = current(state) != name
        if not is_made or history.wanted != name:
            approval = {"approval": manifest["approval"]} if manifest["approval"] else {}
            _remember(state, "publish", name, inputs=lake.digest(manifest["inputs"]), **approval)
        if store:
            _swap(store, state, name, seen)
        _move(state, name)
        if not is_new:
            log.info("%s: nothing new; readers already see release %s", state, name)
            return None
        log.info("%s: published %s", state, lake.published(state) / name)
        return name


@shared_lake.step(*KNOWN, moves_pointer=True)
def rollback(
    state: str, name: str | None = None, *, reason: str | None = None, by: str | None = None
) -> str:
    """Point readers at an earlier release, by default the one before. Returns its name.

    The ledger keeps the `reason`, and who gave it.

    The release is verified first. Every release published after it is withdrawn (see above).
    Raises NoSuchRelease, Corrupted, object_store.StoreFailed.
    """
    with lake.lock(f"publish-{state}"):
        _sweep(state)
        history = _history(state)
        name = name or _before(state, history)
        verify(state, name)
        store = _store()
        seen = store.read(f"{state}/current.json") if store else None
        if store:
            _upload(store, state, name)
        if history.wanted != name:
            why = {"reason": reason, "by": by} if reason else {}
            _remember(state, "rollback", name, withdrawn=_newer(history, name), **why)
        if store:
            _swap(store, state, name, seen)
        _move(state, name)
    log.info("%s: readers see release %s again", state, name)
    return name


@shared_lake.step(*KNOWN)
def verify(state: str, name: str | None = None) -> str:
    """Compare every file of a release, by default the current one, with its hash. Returns its name.

    Raises NoSuchRelease; Corrupted naming every file that is missing, changed or not of it.
    """
    name = name or current(state)
    shared_lake.bring(state, f"published/{state}/{name}/*")
    folder = lake.published(state) / (name or "")
    if not name or not NAME.fullmatch(name) or not folder.is_dir():
        known = ", ".join(releases(state)) or "none"
        raise NoSuchRelease(f"{state} has no release {name or 'yet'}; there are: {known}")
    wrong = []
    try:
        sealed = lake.sha256(folder / MANIFEST)
        files = json.loads((folder / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        sealed, files, wrong = None, {}, [f"{MANIFEST} cannot be read"]
    told = {entry["release"]: entry["manifest_sha256"] for entry in _history(state).entries}
    if sealed and told.get(name, sealed) != sealed:
        wrong.append(f"{MANIFEST} is not the one that was published")
    there = {str(p.relative_to(folder)): p for p in folder.rglob("*") if not p.is_dir()}
    wrong += [f"{file} is missing" for file in sorted(set(files) - set(there))]
    wrong += [f"{file} is not of it" for file in sorted(set(there) - set(files) - {MANIFEST})]
    wrong += [
        f"{file} was changed"
        for file in sorted(set(files) & set(there))
        if there[file].stat().st_size != files[file]["bytes"]
        or lake.sha256(there[file]) != files[file]["sha256"]
    ]
    if wrong:
        raise Corrupted(
            f"{state}: release {name} is not what was published: {'; '.join(wrong)}. Roll back "
            f"(python -m include.release rollback --state {state}), then move {folder} away and "
            "publish again"
        )
    return name


def current(state: str) -> str | None:
    """The release that readers see."""
    pointer = lake.published(state) / "current"
    return os.readlink(pointer) if pointer.is_symlink() else None


def is_settled(state: str, name: str) -> bool:
    """Whether nothing is left to do for a release: readers see it, here and where it is published
    to as well, or a person took it back."""
    history = _history(state)
    if name in history.withdrawn:
        return True
    if (history.wanted, current(state)) != (name, name):
        return False
    if (store := _store()) is None:
        return True
    pointer = store.read(f"{state}/current.json").content
    return pointer is not None and json.loads(pointer)["release"] == name


def releases(state: str) -> list[str]:
    """The names of the releases that are there, in the order in which they were first published."""
    told = [entry["release"] for entry in _history(state).entries]
    there = [
        path.parent.name
        for path in lake.published(state).glob(f"*/{MANIFEST}")
        if not path.parent.name.startswith(".") and not path.parent.is_symlink()
    ]
    return sorted(there, key=lambda name: (told.index(name) if name in told else len(told), name))


# ------------------------------------------------------------------ what a release is made from


def _manifest(state: str, build: str) -> dict[str, Any]:
    """All that is known of a release before it is written: its name, its origin, its checks.

    Raises NotReady where the build is not checked and protected as it stands.
    """
    exact = warehouse.path(state, build)
    told = _protection(state, build, exact)
    try:
        approval = approvals.require(state, build)
    except approvals.NotApproved as error:
        raise NotReady(str(error)) from None
    loads = _inputs(state, build)
    inputs = [{key: load[key] for key in LOAD} for load in loads]
    code = {"sha256": warehouse.code_version(state), "version": _version()}
    made_of = {"state": state, "inputs": inputs, "code": code, "policy": told["policy"]}
    return {
        "format": FORMAT,
        "state": state,
        "release": f"{state}-{lake.digest(made_of)[:12]}",
        # What was warned of a file, and with which reason it was let pass, does not name the
        # release; who reads its numbers wants it.
        "inputs": [
            told_of
            | {
                # Accepted rows that other files contradict, and that no number is made of.
                "contradicted": load.get("contradicted", 0),
                "warnings": load.get("warnings", []),
                "override": load.get("override"),
            }
            for told_of, load in zip(inputs, loads, strict=True)
        ],
        "code": code,
        "checks": _checks(state, build),
        # Who said yes to figures that moved, and why; null where nothing did.
        "approval": approval.told() if approval else None,
        "disclosure": {key: told[key] for key in TOLD},
    }


def _protection(state: str, build: str, exact: Path) -> dict[str, Any]:
    """The record of the build's protection, once it speaks of these very files."""
    again = f"run protect on {build} again"
    protected, record = disclosure.protected(state, build), disclosure.record(state, build)
    if not protected.exists() or not record.exists():
        raise NotReady(f"{state}: build {build} is not protected; run protect first")
    told = json.loads(record.read_text())
    if told["build_sha256"] != lake.sha256(exact):
        raise NotReady(f"{state}: {protected.name} was not made from {exact.name}; {again}")
    if told["protected_sha256"] != lake.sha256(protected):
        raise NotReady(f"{state}: {protected.name} changed since it was written; {again}")
    if told["policy"] != registry.states()[state].disclosure.model_dump(mode="json"):
        raise NotReady(f"{state}: the disclosure policy changed since; {again}")
    marts, published = _shapes(exact, "marts"), _shapes(protected, "published")
    if absent := sorted(set(marts) - set(published)):
        raise NotReady(f"{state}: {protected.name} has no table {', '.join(absent)}; {again}")
    if odd := sorted(table for table in published if published[table] != marts.get(table)):
        raise NotReady(
            f"{state}: {', '.join(odd)} of {protected.name} is not of the shape and length of the "
            f"mart; {again}"
        )
    return told


def _shapes(database: Path, schema: str) -> dict[str, tuple]:
    """Each table's columns, types and number of rows."""
    with duckdb.connect(str(database), read_only=True) as connection:
        columns = connection.execute(
            "select table_name, list((column_name, data_type) order by ordinal_position) "
            "from information_schema.columns where table_schema = ? group by all",
            [schema],
        ).fetchall()
        return {
            table: (
                shape,
                connection.execute(f'select count(*) from {schema}."{table}"').fetchone(),
            )
            for table, shape in columns
        }


def _inputs(state: str, build: str) -> list[dict[str, Any]]:
    """The loads that the build was made from, by extract and year.

    The warehouse writes them beside the build; without that, they are the lake's, as long as the
    lake has not moved on.
    """
    beside = lake.warehouse(state) / f"{build}.inputs.json"
    if beside.exists():
        found = json.loads(beside.read_text())
    elif warehouse.name(state) == build:
        found = [asdict(load) for load in lake.loads(state)]
    else:
        raise NotReady(
            f"{state}: the lake or the code changed since build {build}, and no inputs are written "
            "beside it; build again"
        )
    return sorted(found, key=lambda load: (load["extract"], load["school_year"]))


def _checks(state: str, build: str) -> list[dict[str, Any]]:
    """Every promise of the marts and how it came out, without what was observed: that is exact.

    Raises NotReady unless each was kept, or warned only.
    """
    path = lake.warehouse(state) / f"{build}.checks.json"
    if not path.exists():
        raise NotReady(f"{state}: build {build} is not checked; run check first")
    promises = json.loads(path.read_text())
    if broken := [p["promise"] for p in promises if p["outcome"] not in ("kept", "warned")]:
        raise NotReady(f"{state}: build {build} broke its promises: {'; '.join(broken)}")
    if not promises:
        raise NotReady(f"{state}: build {build} was checked against no promise at all")
    told = ("promise", "severity", "outcome", "expected")
    return [
        {key: promise[key] for key in told if key in promise}
        | {"is_overridden": bool(promise.get("overridden"))}
        for promise in promises
    ]


def _version() -> str | None:
    path = warehouse.ROOT / "VERSION"
    return path.read_text().strip() if path.exists() else None


# --------------------------------------------------------------------------------- writing it


def _write(state: str, build: str, manifest: dict[str, Any], described: Path) -> None:
    """Write the release in a hidden folder and let it appear in one rename."""
    published = lake.published(state)
    published.mkdir(parents=True, exist_ok=True)
    name = manifest["release"]
    staging = published / f"{STAGING}{name}-{os.getpid()}"
    staging.mkdir()
    protected = disclosure.protected(state, build)
    tables = dictionary.tables(protected, described)
    exports.write(protected, staging, tables)
    _write_dictionary(state, name, protected, tables, staging)
    _write_report(state, name, manifest["disclosure"], staging)
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    manifest |= {
        "tables": {
            table.name: {
                "description": table.description,
                "rows": table.rows,
                "columns": [asdict(column) for column in table.columns],
                "files": [f"{table.name}.{kind}" for kind in ("parquet", "csv")],
            }
            for table in tables
        },
        "files": {
            str(file.relative_to(staging)): {
                "sha256": lake.sha256(file),
                "bytes": file.stat().st_size,
            }
            for file in files
        },
    }
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (staging / MANIFEST).write_text(text)
    for file in [*files, staging / MANIFEST]:
        file.chmod(0o444)
        _sync(file)
    _sync(staging)
    os.rename(staging, published / name)
    _sync(published)


def _write_dictionary(
    state: str, name: str, protected: Path, tables: Sequence[dictionary.Table], into: Path
) -> None:
    declared = registry.states()[state]
    metrics = dictionary.metrics(protected)
    notes = [
        f"Release `{name}` of the {declared.agency}. {declared.description}".strip(),
        "Every table is there as Parquet, as CSV, and in schema `published` of "
        f"`{exports.DATABASE}`; `{MANIFEST}` names inputs, checks and the hash of every file.",
        "CSV files are UTF-8 with a byte-order mark. Identifiers are text with leading zeros: "
        "import them as text, a double click makes numbers of them. A text that a spreadsheet "
        "would run as a formula stands behind an apostrophe there; Parquet and the database have "
        "it as it is. Lists stand with blanks between their elements.",
        f"Counts of people from {declared.disclosure.withheld()}, and what would give them "
        "away, are withheld: null, never zero, and the row says so in `status`. Published exactly: "
        f"{', '.join(declared.disclosure.public_metrics) or 'none'}.",
    ]
    page = dictionary.markdown(f"{declared.name}: data dictionary", notes, tables, metrics)
    (into / "data_dictionary.md").write_text(page)
    (into / "data_dictionary.csv").write_bytes(
        exports.csv_of(dictionary.HEADER, dictionary.rows(tables, metrics))
    )


def _write_report(state: str, name: str, told: dict[str, Any], into: Path) -> None:
    """What was hidden and how it was proven, for machines and for people."""
    text = json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (into / "disclosure.json").write_text(text)
    declared = registry.states()[state]
    title = f"{declared.name}: disclosure control of release {name}"
    (into / "disclosure.md").write_text(disclosure.report.page(title, told, declared.disclosure))


def _sweep(state: str) -> None:
    """Remove what a killed run has left. Only under the lock: nobody else is writing."""
    for left in lake.published(state).glob(f"{STAGING}*"):
        # The process that writes may outlive a killed parent for a moment; the next run is enough.
        shutil.rmtree(left, ignore_errors=True)
    for left in lake.published(state).glob(".current-*"):
        left.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ------------------------------------------------------------------------ the pointer and its past


def _history(state: str) -> History:
    """The ledger, read from its beginning. A last line that was cut off never happened."""
    path = lake.published(state) / "releases.jsonl"
    if not path.exists():
        return History()
    lines = path.read_text().splitlines(keepends=True)
    entries = [json.loads(line) for line in lines if line.endswith("\n") and line.strip()]
    line: list[str] = []
    withdrawn: set[str] = set()
    for entry in entries:
        name = entry["release"]
        withdrawn |= set(entry.get("withdrawn", ()))
        withdrawn.discard(name)
        if entry["action"] == "rollback" and name in line:
            del line[line.index(name) + 1 :]
        elif not line or line[-1] != name:
            line.append(name)
    return History(tuple(line), frozenset(withdrawn), tuple(entries))


def _remember(state: str, action: str, name: str, **more: Any) -> None:
    """Add a line to the ledger, before the pointer moves: what it says last is what is wanted."""
    folder = lake.published(state)
    path = folder / "releases.jsonl"
    entry = more | {
        "action": action,
        "release": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": current(state),
        "manifest_sha256": lake.sha256(folder / name / MANIFEST),
        "commit": warehouse.commit(),
    }
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    with os.fdopen(handle, "r+b") as ledger:
        # Whoever was killed while writing leaves half a line, which never happened.
        whole = ledger.read()
        ledger.truncate(whole.rfind(b"\n") + 1)
        ledger.seek(0, os.SEEK_END)
        ledger.write(json.dumps(entry, sort_keys=True).encode() + b"\n")
        ledger.flush()
        os.fsync(ledger.fileno())
    _sync(folder)
    # On a shared lake nobody knows of the ledger's line, or the release, before this.
    shared_lake.save()


def _move(state: str, name: str) -> None:
    """Let `current` point at a release, in one rename."""
    if current(state) == name:
        return
    folder = lake.published(state)
    part = folder / f".current-{os.getpid()}"
    part.symlink_to(name, target_is_directory=True)
    os.replace(part, folder / "current")
    _sync(folder)


def _point(state: str, name: str | None) -> None:
    """Finish what the ledger says last, if whoever wrote it was killed before pointers moved."""
    if name is None:
        return
    store = _store()
    seen = store.read(f"{state}/current.json") if store else None
    if current(state) != name:
        verify(state, name)
    if store:
        _upload(store, state, name)
        _swap(store, state, name, seen)
    _move(state, name)


def _before(state: str, history: History) -> str:
    """The release that readers saw before the one that they see.

    A rollback that was cut short is finished first: asking again does not go back twice.
    """
    now, line = current(state), history.line
    if history.entries and history.entries[-1]["action"] == "rollback" and now != line[-1]:
        return line[-1]
    seen = line.index(now) if now in line else len(line) - 1
    earlier = [name for name in line[: max(seen, 0)] if (lake.published(state) / name).is_dir()]
    if not earlier:
        raise NoSuchRelease(
            f"{state}: there is no release before {now or 'the first'} to roll back to; "
            f"there are: {', '.join(releases(state)) or 'none'}"
        )
    return earlier[-1]


def _newer(history: History, name: str) -> list[str]:
    """The releases published since this one last was, oldest first."""
    order = [entry["release"] for entry in history.entries if entry["action"] == "publish"]
    if name not in order:
        return sorted(set(order))
    since = order[len(order) - order[::-1].index(name) :]
    return sorted(set(since) - {name})


# ----------------------------------------------------------------------------------------- S3


def _store() -> ObjectStore | None:
    destination = os.environ.get("STATEWIDE_PUBLISH")
    return ObjectStore(destination) if destination else None


def _upload(store: ObjectStore, state: str, name: str) -> None:
    """Create the objects of a release that are absent; the manifest vouches for them, so last."""
    shared_lake.bring(state, f"published/{state}/{name}/*")
    folder = lake.published(state) / name
    files = json.loads((folder / MANIFEST).read_text())["files"]
    sent = [
        store.create(f"{state}/{name}/{file}", folder / file, told["sha256"])
        for file, told in sorted(files.items())
    ]
    manifest = folder / MANIFEST
    try:
        sent.append(store.create(f"{state}/{name}/{MANIFEST}", manifest, lake.sha256(manifest)))
    except DifferentContent:
        if not _same_but_for_checks(store, state, name, manifest):
            raise
    log.info("%s: %d of %d objects uploaded to %s", state, sum(sent), len(files) + 1, store)


def _same_but_for_checks(store: ObjectStore, state: str, name: str, manifest: Path) -> bool:
    """Whether the store's manifest tells of the same release, made when another was current.

    Some promises compare with the release that readers had, or with the load before, so a release
    that was lost here and is made again may have warned of other things, and been approved or
    overridden or not. All its other files are the same, byte for byte.
    """

    def lasting(told: dict[str, Any]) -> dict[str, Any]:
        inputs = [
            {key: it[key] for key in it if key not in ("warnings", "override")}
            for it in told.get("inputs", [])
        ]
        return told | {"checks": None, "approval": None, "inputs": inputs}

    theirs = json.loads(store.read(f"{state}/{name}/{MANIFEST}").content or b"{}")
    ours = json.loads(manifest.read_text())
    return lasting(theirs) == lasting(ours)


def _swap(store: ObjectStore, state: str, name: str, seen: Any) -> bool:
    """Move the pointer object from where it was `seen` to a release."""
    told = {
        "release": name,
        "manifest": f"{name}/{MANIFEST}",
        "manifest_sha256": store.sha256(f"{state}/{name}/{MANIFEST}"),
    }
    content = json.dumps(told, indent=2, sort_keys=True).encode() + b"\n"
    return store.swap(f"{state}/current.json", seen, content)


# -------------------------------------------------------------------------------- command line


@shared_lake.step(*KNOWN)
def _list(state: str) -> str:
    """The releases of a state as a table for people, the newest last."""
    history, now = _history(state), current(state)
    if not (names := releases(state)):
        return f"{state}: nothing is published yet"
    lines = [f"  {'release':<18}{'last pointed at':<28}{'rows':>12}  "]
    for name in names:
        entry = next((e for e in reversed(history.entries) if e["release"] == name), {})
        manifest = json.loads((lake.published(state) / name / MANIFEST).read_text())
        rows = sum(table["rows"] for table in manifest["tables"].values())
        mark = "*" if name == now else " "
        note = "withdrawn" if name in history.withdrawn else ""
        lines.append(f"{mark} {name:<18}{entry.get('at', 'never'):<28}{rows:>12,}  {note}".rstrip())
    return "\n".join([*lines, "", "* is the one that readers see"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what went wrong is said in a line, and is exit code 1."""
    parser = argparse.ArgumentParser(
        prog="python -m include.release", description="Releases of a state."
    )
    parser.add_argument("command", choices=("list", "rollback", "verify", "publish"))
    parser.add_argument("--state", required=True, choices=sorted(registry.states()))
    parser.add_argument("--to", metavar="RELEASE", help="the release that is meant")
    parser.add_argument("--reason", help="why it is rolled back; the ledger keeps it")
    parser.add_argument("--build", help="the protected build to publish")
    parser.add_argument("--force", action="store_true", help="publish even what was rolled back")
    told = parser.parse_args(arguments)
    if (told.command == "publish") != bool(told.build):
        parser.error("--build is for publish, and publish needs it")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        print(_run(told))
    except (
        NotReady, NoSuchRelease, Corrupted, StoreFailed, exports.ExportFailed,
        warehouse.NoSuchBuild, ValueError,
    ) as error:  # fmt: skip
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(told: argparse.Namespace) -> str:
    if told.command == "list":
        return _list(told.state)
    if told.command == "verify":
        name = verify(told.state, told.to)
        return f"{told.state}: release {name} is whole, every file is as it was published"
    if told.command == "rollback":
        name = rollback(told.state, told.to, reason=told.reason or None)
        return f"{told.state}: readers see release {name}; newer ones are withdrawn"
    name = publish(told.state, told.build, force=told.force)
    return f"{told.state}: published {name}" if name else f"{told.state}: nothing new to publish"


if __name__ == "__main__":
    sys.exit(main())
