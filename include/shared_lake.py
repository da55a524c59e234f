"""The lake of several machines: in an object store, worked on in copies that nobody else sees.

`STATEWIDE_LAKE=s3://bucket/prefix` says where. Without it the lake is the folder STATEWIDE_HOME,
and nothing here does anything.

    <prefix>/<state>/index.json       which file of the state's lake has which bytes
    <prefix>/<state>/blobs/<sha256>   the bytes, written once
    <prefix>/key-check.json           which HMAC key the lake was made with; not the key

    <home>/steps/<random>/            a step's working copy: what it needs, linked from the cache
    <home>/cache/<state>/<sha256>     bytes that this machine has had already

A step (fetch, check, load, build ...) reads the index, gets the files that it needs into a working
copy of its own, checked against their hashes, and works there exactly as it would in the folder.
Then it uploads what it made under its hash, and last it replaces the index by compare-and-swap. So
a step is seen whole or not at all, whichever machine it ran on and however it ended.

**Nobody holds a lock.** Whoever replaces the index names, for each file that the step changed, what
that file was when the step began. Where another step changed the same file meanwhile, the later one
is refused: it starts over from the new index, or, where it moves a pointer that people follow, it
fails. A worker that was given up and wakes again can therefore overwrite nothing.

    python -m include.shared_lake view    [--state nc] [--every SECONDS]
    python -m include.shared_lake adopt   --state nc
    python -m include.shared_lake copy    --state nc --to FOLDER
    python -m include.shared_lake verify  [--state nc]
    python -m include.shared_lake collect [--state nc] [--days 30]
"""

from __future__ import annotations

import argparse
import fcntl
import functools
import inspect
import json
import logging
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from include.object_store import BadDestination, LostRace, ObjectStore, Pointer, StoreFailed

log = logging.getLogger(__name__)

VARIABLE = "STATEWIDE_LAKE"
FORMAT = 1
# What of STATEWIDE_HOME is the lake: folders with a folder for each state.
FOLDERS = ("landed", "checked", "quarantine", "lake", "warehouse", "published", "docs")
# What in them is one machine's own work under way.
OWN = {"partial", "archives", "building"}
# Lines that are only ever added, and that nothing depends on: two writers' lines are both kept.
LOGS = ("*/loads.jsonl", "landed/*/receipts/*.jsonl")
# Up to this size a file is copied out of the cache, above it linked: nothing that is changed in
# place is larger.
COPIED = 256 * 2**10
TRIES = 4
TRANSFERS = 8
CACHE_BYTES = 20 * 2**30


class Overtaken(StoreFailed):
    """Another step changed the same files meanwhile. Nothing of this one's was kept."""


class WrongKey(RuntimeError):
    """This machine hashes identifiers with another key than the lake was made with, or has none."""


class NotEmpty(RuntimeError):
    """A folder holds a lake of its own, which a copy of the shared one would overwrite."""


@dataclass
class _Step:
    """One step under way: its state, its folder, the index that it began with, what it brought."""

    state: str
    folder: Path
    store: ObjectStore
    base: dict[str, dict[str, Any]]
    brought: dict[str, tuple[int, ...]] = field(default_factory=dict)
    linked: set[str] = field(default_factory=set)


_current: ContextVar[_Step | None] = ContextVar("step", default=None)


def is_configured() -> bool:
    """Whether this machine works on a shared lake."""
    return bool(os.environ.get(VARIABLE))


def folder() -> Path | None:
    """The working copy of the step that is under way, if one is."""
    step_now = _current.get()
    return step_now.folder if step_now else None


def step(*needs: str, moves_pointer: bool = False) -> Callable[[Callable], Callable]:
    """Decorates a function that works on one state's lake, so that it also works on a shared one.

    `needs` are patterns of the files that it reads (`lake/{state}/*`), with its own arguments in
    braces; what it only comes to know later it asks for with `bring`. It has to be safe to run
    again: it is, when another step changed the same files meanwhile. Not so if it `moves_pointer`:
    then somebody has decided otherwise, and it raises Overtaken.
    """

    def decorate(function: Callable) -> Callable:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def stepped(*arguments: Any, **named: Any) -> Any:
            if not is_configured():
                return function(*arguments, **named)
            told = signature.bind(*arguments, **named)
            told.apply_defaults()
            patterns = [pattern.format(**told.arguments) for pattern in needs]
            state = told.arguments["state"]
            for tries_left in reversed(range(1 if moves_pointer else TRIES)):
                try:
                    with working_copy(state, *patterns):
                        return function(*arguments, **named)
                except Overtaken:
                    if not tries_left or _current.get():
                        raise
                    log.info("%s: another step was quicker; starting over", function.__name__)
            raise AssertionError("unreachable")

        return stepped

    return decorate


@contextmanager
def working_copy(state: str, *needs: str) -> Iterator[None]:
    """Work on a copy of the state's lake inside the block, and keep what was made of it.

    Within another step of the same state, that one's copy is worked on, and kept by that one. What
    a failed block leaves is kept as well, as it is in a folder: verdicts and quarantine tell why it
    failed. Raises StoreFailed (and its Overtaken), WrongKey.
    """
    if not is_configured():
        yield
        return
    if (outer := _current.get()) and outer.state == state:
        bring(state, *needs)
        yield
        return
    store = _store()
    _require_key(store)
    with _step_folder() as made:
        base, _ = _index(store, state)
        token = _current.set(_Step(state, made, store, base))
        try:
            bring(state, *needs)
            try:
                yield
            except StoreFailed:
                raise
            except Exception as error:
                # The copy goes; what it says of its files is true of the folder that `view` shows.
                error.args = tuple(_at_home(told, made) for told in error.args)
                save()
                raise
            save()
        finally:
            _current.reset(token)
    _trim_cache()


def bring(state: str, *patterns: str) -> None:
    """Get files of the state's lake into the working copy of the step under way.

    Does nothing without one. Raises StoreFailed: Absent and Damaged name the file's bytes.
    """
    step_now = _current.get()
    if step_now is None or step_now.state != state:
        return
    wanted = [
        name
        for name in step_now.base
        if name not in step_now.brought and any(fnmatchcase(name, it) for it in patterns)
    ]
    _place(step_now.store, state, step_now.base, wanted, step_now.folder, step_now)


def written(state: str) -> dict[str, datetime | None]:
    """Every file of the step's lake, by name, with when the store got its bytes; None for a link.

    A file may be younger in the lake than its bytes in the store, by at most FRESH.
    """
    step_now = _step_of(state)
    when = {name.rpartition("/")[2]: at for name, at in step_now.store.listed(f"{state}/blobs")}
    return {name: when.get(entry.get("sha256", "")) for name, entry in step_now.base.items()}


def forget(state: str, names: Iterable[str]) -> None:
    """Take files out of the state's lake, all at once; `collect` removes their bytes.

    Only if nothing of the lake has changed since the step under way began: else something may need
    them by now. Raises Overtaken, and then nothing is gone.
    """
    step_now = _step_of(state)
    gone = set(names)
    theirs, seen = _index(step_now.store, state)
    left = {name: entry for name, entry in theirs.items() if name not in gone}
    try:
        if theirs != step_now.base:
            raise LostRace("the index was replaced")
        if gone:
            _swap(step_now.store, state, seen, left)
    except LostRace as error:
        raise Overtaken(
            f"{state}: {step_now.store} changed while it was looked through; nothing was removed. "
            "Run it again"
        ) from error
    step_now.base = left
    for name in gone & step_now.brought.keys():
        (step_now.folder / name).unlink()
        del step_now.brought[name]


def _step_of(state: str) -> _Step:
    step_now = _current.get()
    if step_now is None or step_now.state != state:
        raise RuntimeError(f"this is for a step of {state}, and none is under way")
    return step_now


def save() -> None:
    """Keep what the step under way has made so far: all of it at once, or, if it raises, nothing.

    Does nothing without a step. Raises Overtaken, StoreFailed.
    """
    step_now = _current.get()
    if step_now is None:
        return
    changes = _changes(step_now)
    if not changes:
        return
    blobs = {
        new["sha256"]: step_now.folder / name
        for name, (_, new) in changes.items()
        if new and "sha256" in new
    }
    _upload(step_now.store, step_now.state, blobs)
    _commit(step_now, changes)


# ------------------------------------------------------------------------------------- the index


def _store() -> ObjectStore:
    return ObjectStore(os.environ[VARIABLE], VARIABLE)


def _index(store: ObjectStore, state: str) -> tuple[dict[str, dict[str, Any]], Pointer]:
    seen = store.read(f"{state}/index.json")
    if seen.content is None:
        return {}, seen
    told = json.loads(seen.content)
    if told["format"] != FORMAT:
        raise StoreFailed(
            f"{store}/{state}/index.json is of format {told['format']}, this code reads {FORMAT}: "
            "every machine has to run the same version"
        )
    return told["files"], seen


def _commit(step_now: _Step, changes: dict[str, tuple[dict | None, dict | None]]) -> None:
    """Replace the index by one with these changes: each from what it was to what it is."""
    store, state = step_now.store, step_now.state
    for _ in range(100):
        theirs, seen = _index(store, state)
        merged = _merged(step_now, theirs, changes)
        if merged == theirs:
            break
        try:
            _swap(store, state, seen, merged)
            break
        except LostRace:
            # Many steps of a state end at about the same time, each with files of its own.
            time.sleep(secrets.randbelow(200) / 1000)
    else:
        raise Overtaken(f"{store}/{state}/index.json never stood still; run again")
    for name, (_, new) in changes.items():
        if new is None:
            step_now.base.pop(name, None)
            step_now.brought.pop(name, None)
        else:
            step_now.base[name] = new
            step_now.brought[name] = _stat(step_now.folder / name)


def _merged(
    step_now: _Step, theirs: dict[str, dict], changes: dict[str, tuple[dict | None, dict | None]]
) -> dict[str, dict]:
    merged = dict(theirs)
    # What this step has read has to be there still: retention may have found that nothing needs it.
    lost = [name for name in step_now.brought if name not in theirs and name not in changes]
    for name, (old, new) in list(changes.items()):
        now = theirs.get(name)
        if now == new:
            continue
        if old == new:
            # Made again as it was. If it was removed meanwhile, this step is what needs it.
            if now is None:
                merged[name] = new
            continue
        if now != old:
            if new and now and any(fnmatchcase(name, it) for it in LOGS):
                new = _both(step_now, name, old, now)
                changes[name] = (now, new)
            else:
                lost.append(name)
        if new is None:
            merged.pop(name, None)
        else:
            merged[name] = new
    if lost:
        raise Overtaken(
            f"{step_now.state}: another step changed or removed {', '.join(sorted(lost)[:3])}"
            f"{' ...' if len(lost) > 3 else ''} in {step_now.store} while this one was at work; "
            "nothing of this one's was kept. Run it again"
        )
    return merged


def _both(step_now: _Step, name: str, old: dict | None, now: dict) -> dict[str, Any]:
    """A log that two steps added lines to, with the lines of both."""
    ours = step_now.folder / name
    added = ours.read_bytes()[old["bytes"] if old else 0 :]
    theirs = _cached(step_now.store, step_now.state, now)
    ours.write_bytes(theirs.read_bytes() + added)
    entry = _entry(ours)
    _upload(step_now.store, step_now.state, {entry["sha256"]: ours})
    return entry


def _swap(store: ObjectStore, state: str, seen: Pointer, files: dict[str, dict]) -> None:
    told = {"format": FORMAT, "files": files}
    content = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    store.swap(f"{state}/index.json", seen, content)


# --------------------------------------------------------------------------------- working copies


@contextmanager
def _step_folder() -> Iterator[Path]:
    """A folder for one step, owner only; what killed steps left is removed."""
    from include import lake

    steps = lake.private(lake.machine() / "steps")
    for left in steps.iterdir():
        # The kernel frees a lock however its process ended.
        with (left.with_suffix(".lock") if left.is_dir() else left).open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            elif not left.with_suffix("").exists():
                left.unlink(missing_ok=True)
    made = steps / secrets.token_hex(6)
    lock = made.with_suffix(".lock")
    while True:
        with lock.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Another step may have cleaned up between the two lines above.
            if not lock.exists() or os.fstat(handle.fileno()).st_ino != lock.stat().st_ino:
                continue
            made.mkdir(mode=0o700)
            try:
                yield made
            finally:
                shutil.rmtree(made, ignore_errors=True)
                lock.unlink(missing_ok=True)
            return


def _place(
    store: ObjectStore,
    state: str,
    index: dict[str, dict],
    wanted: Iterable[str],
    into: Path,
    step_now: _Step | None = None,
) -> None:
    """Put files of the index into a folder, from the cache or from the store."""
    from include import lake

    # Two names of one file cannot be renamed onto each other, so bytes are linked to once.
    linked = step_now.linked if step_now else set()
    twice = set(linked)
    alone = {}
    for name in sorted(wanted):
        sha256 = index[name].get("sha256")
        alone[name] = sha256 not in twice
        twice.add(sha256)
        lake.private((into / _safe(name)).parent)

    def one(name: str) -> None:
        target = into / name
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        if "link" in index[name]:
            part.symlink_to(index[name]["link"])
        else:
            while not _taken(_cached(store, state, index[name]), part, alone[name]):
                pass
        part.replace(target)

    with ThreadPoolExecutor(TRANSFERS) as pool:
        list(pool.map(one, alone))
    linked |= twice
    if step_now:
        step_now.brought |= {name: _stat(into / name) for name in alone}


def _taken(blob: Path, part: Path, may_link: bool) -> bool:
    """Copy bytes out of the cache, or link to them. False if they were just forgotten there."""
    try:
        if may_link and blob.stat().st_size > COPIED:
            part.hardlink_to(blob)
        else:
            shutil.copyfile(blob, part)
            part.chmod(0o600)
    except FileNotFoundError:
        return False
    return True


def _changes(step_now: _Step) -> dict[str, tuple[dict | None, dict | None]]:
    """What the step made or removed in its copy: name to (what it was, what it is).

    With what it made again as it was, which has to be in the lake when the step ends.
    """
    there = _files(step_now.folder, step_now.state)
    changes: dict[str, tuple[dict | None, dict | None]] = {}
    for name, path in there.items():
        if name in step_now.brought and step_now.brought[name] == _stat(path):
            continue
        changes[name] = (step_now.base.get(name), _entry(path))
    for name in step_now.brought:
        if name not in there:
            changes[name] = (step_now.base.get(name), None)
    return changes


def _files(root: Path, state: str) -> dict[str, Path]:
    """The files of one state's lake in a folder, by their names in the index."""
    found = {}
    for kind in FOLDERS:
        for path in (root / kind / state).rglob("*"):
            name = path.relative_to(root)
            if path.is_dir() and not path.is_symlink():
                continue
            if any(part.startswith(".") or part in OWN for part in name.parts):
                continue
            found[str(name)] = path
    return found


def _entry(path: Path) -> dict[str, Any]:
    from include import lake

    if path.is_symlink():
        return {"link": os.readlink(path)}
    return {"sha256": lake.sha256(path), "bytes": path.stat().st_size}


def _stat(path: Path) -> tuple[int, ...]:
    told = path.lstat()
    return (told.st_ino, told.st_size, told.st_mtime_ns)


def _safe(name: str) -> str:
    """A name of the index as a path that stays in its folder."""
    parts = Path(name).parts
    if not parts or parts[0] not in FOLDERS or ".." in parts:
        raise StoreFailed(f"the index names {name!r}, which is no file of a lake")
    return name


def _at_home(told: Any, made: Path) -> Any:
    from include import lake

    return told.replace(str(made), str(lake.machine())) if isinstance(told, str) else told


# --------------------------------------------------------------------------- bytes, here and there


def _cache(state: str) -> Path:
    from include import lake

    return lake.private(lake.machine() / "cache" / state)


def _cached(store: ObjectStore, state: str, entry: dict[str, Any]) -> Path:
    """Bytes of the store on this machine: those that are here already are looked at again."""
    from include import lake

    sha256 = entry["sha256"]
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise StoreFailed(f"the index of {state} names {sha256!r}, which is no hash")
    blob = _cache(state) / sha256
    try:
        is_whole = blob.stat().st_size == entry["bytes"] and lake.sha256(blob) == sha256
    except FileNotFoundError:
        is_whole = False
    if not is_whole:
        part = blob.with_name(f".{sha256}.{secrets.token_hex(4)}")
        store.fetch(f"{state}/blobs/{sha256}", part, sha256)
        part.chmod(0o400)
        part.replace(blob)
    return blob


def _upload(store: ObjectStore, state: str, blobs: dict[str, Path], *, keep: bool = True) -> None:
    """Have bytes in the store, under their hashes, and in the cache as well if they are to `keep`.

    What is there is not compared: whoever gets it compares it with its hash.
    """

    def one(item: tuple[str, Path]) -> None:
        sha256, path = item
        name = f"{state}/blobs/{sha256}"
        written = store.written(name)
        if written is None:
            store.create(name, path, sha256)
        elif written < datetime.now(UTC) - FRESH:
            # `collect` takes what nobody names and what is old: make it new before it is named.
            store.touch(name, path, sha256)
        if keep:
            _keep(state, sha256, path)

    with ThreadPoolExecutor(TRANSFERS) as pool:
        list(pool.map(one, blobs.items()))


def _keep(state: str, sha256: str, path: Path) -> None:
    """Keep bytes that a step made, so that the next one on this machine need not fetch them."""
    blob = _cache(state) / sha256
    if blob.exists():
        return
    part = blob.with_name(f".{sha256}.{secrets.token_hex(4)}")
    if path.stat().st_size > COPIED:
        part.hardlink_to(path)
    else:
        shutil.copyfile(path, part)
    part.chmod(0o400)
    part.replace(blob)


def _trim_cache() -> None:
    """Forget what was used longest ago, where the cache outgrew STATEWIDE_CACHE_BYTES."""
    from include import lake

    limit = int(os.environ.get("STATEWIDE_CACHE_BYTES") or CACHE_BYTES)
    blobs = []
    for path in (lake.machine() / "cache").glob("*/*"):
        try:
            blobs.append((path.stat().st_atime, path.stat().st_size, path))
        except FileNotFoundError:
            continue
    total = sum(size for _, size, _ in blobs)
    for _, size, path in sorted(blobs):
        if total <= limit:
            return
        path.unlink(missing_ok=True)
        total -= size


def _key_check() -> bytes:
    from include import identifiers

    return json.dumps({"key": identifiers.key_check()}).encode()


def change_key() -> None:
    """From now on the lake's key is this machine's; machines that have another are refused.

    Files that name people have to be loaded again: `ops.rekey` does both. Raises LostRace.
    """
    store = _store()
    store.swap("key-check.json", store.read("key-check.json"), _key_check())


def _require_key(store: ObjectStore) -> None:
    """One person has one name in the whole lake, so every machine has to have the same key."""
    from include import identifiers

    told = _key_check()
    seen = store.read("key-check.json")
    if seen.content is None:
        try:
            store.swap("key-check.json", seen, told)
            return
        except LostRace:
            seen = store.read("key-check.json")
    if seen.content != told:
        raise WrongKey(
            f"{identifiers.VARIABLE} of this machine is not the key that {store} was made with; "
            "every machine needs the same one. To change it, see docs/runbook.md, rotate keys"
        )


# ------------------------------------------------------------------------------ looking after it

# Younger than this is never collected, and what is half as old is made new before it is used.
GRACE = timedelta(days=30)
FRESH = GRACE / 2


_viewed: dict[str, str | None] = {}


def view(state: str) -> int:
    """Show the state's lake in STATEWIDE_HOME, for pages and people to read. Returns how many files
    it has. Nothing is worked on there. Raises NotEmpty if the folder has a lake of its own.
    """
    from include import lake

    store, home = _store(), lake.machine()
    with lake.lock(f"view-{state}"):
        _claim(home, store, state)
        index, seen = _index(store, state)
        if _viewed.get(f"{home} {store} {state}") == (seen.etag or ""):
            return len(index)
        there = _files(home, state)
        fine = {name for name, path in there.items() if _is(path, index.get(name), _cache(state))}
        # What points comes after what it points to.
        late = {name for name in index if name.endswith(("/current", "/current.duckdb"))}
        _place(store, state, index, index.keys() - fine - late, home)
        _place(store, state, index, late - fine, home)
        for name in there.keys() - index.keys():
            there[name].unlink()
        _viewed[f"{home} {store} {state}"] = seen.etag or ""
    return len(index)


def _is(path: Path, entry: dict[str, Any] | None, cache: Path | None = None) -> bool:
    """Whether a file is what the index says. One that is the cache's own is taken for it."""
    if entry is None or path.is_symlink() != ("link" in entry):
        return False
    if path.is_symlink():
        return os.readlink(path) == entry["link"]
    blob = cache / entry["sha256"] if cache else None
    if blob and blob.exists() and blob.samefile(path):
        return True
    return path.stat().st_size == entry["bytes"] and _entry(path) == entry


def _claim(home: Path, store: ObjectStore, state: str) -> None:
    """Make sure that what lies in the folder is a view of this lake, and may be replaced."""
    from include import lake

    marker = home / "shared-lake.json"
    told = json.loads(marker.read_text()) if marker.exists() else {}
    if told.get(state) == str(store):
        return
    if found := _files(home, state):
        raise NotEmpty(
            f"{home} has {len(found)} files of {state} that are not of {store}; bring them in with "
            f"`python -m include.shared_lake adopt --state {state}`, or name an empty "
            "STATEWIDE_HOME"
        )
    lake.write_json(marker, told | {state: str(store)})


def adopt(state: str) -> int:
    """Bring the lake in STATEWIDE_HOME into the store: to move it there, or back from a backup.

    Returns how many files it has. The store may not have one of this state. Raises NotEmpty.
    """
    from include import lake

    store, home = _store(), lake.machine()
    _require_key(store)
    index, seen = _index(store, state)
    if index:
        raise NotEmpty(
            f"{store} has {len(index)} files of {state} already; to put a backup in their place, "
            f"move {store}/{state}/index.json away first"
        )
    found = _files(home, state)
    entries = {name: _entry(path) for name, path in found.items()}
    blobs = {it["sha256"]: found[name] for name, it in entries.items() if "sha256" in it}
    _upload(store, state, blobs, keep=False)
    _swap(store, state, seen, entries)
    marker = home / "shared-lake.json"
    told = json.loads(marker.read_text()) if marker.exists() else {}
    lake.write_json(marker, told | {state: str(store)})
    return len(entries)


def copy(state: str, to: Path) -> int:
    """Write the state's whole lake as a STATEWIDE_HOME of its own, for a backup or a look.

    Files that are there already, with the same bytes, are kept. Returns how many files it has.
    """
    store = _store()
    index, _ = _index(store, state)
    there = _files(to, state)
    same = {name for name, path in there.items() if _is(path, index.get(name))}
    _place(store, state, index, set(index) - same, to)
    for name in set(there) - set(index):
        there[name].unlink()
    return len(index)


def has(state: str) -> bool:
    """Whether the store has a lake of this state."""
    return bool(_index(_store(), state)[0])


def verify(state: str) -> list[str]:
    """Names of the state's files whose bytes the store does not have, or has otherwise."""
    store = _store()
    index, _ = _index(store, state)

    def is_broken(entry: dict[str, Any]) -> bool:
        name = f"{state}/blobs/{entry['sha256']}"
        return store.written(name) is None or store.sha256(name) != entry["sha256"]

    needed = {it["sha256"]: it for it in index.values() if "sha256" in it}
    with ThreadPoolExecutor(TRANSFERS) as pool:
        broken = dict(zip(needed, pool.map(is_broken, needed.values()), strict=True))
    return sorted(name for name, it in index.items() if broken.get(it.get("sha256", ""), False))


def collect(state: str, days: float = GRACE.days) -> int:
    """Remove bytes that no file has any more and that were written long ago. Returns how many.

    A step under way uploads before it names: what it finds there and is not new, it makes new.
    """
    store = _store()
    before = datetime.now(UTC) - timedelta(days=days)
    old = [name for name, written in store.listed(f"{state}/blobs") if written < before]
    index, _ = _index(store, state)
    named = {it["sha256"] for it in index.values() if "sha256" in it}
    gone = [name for name in old if name.rpartition("/")[2] not in named]
    for name in gone:
        store.remove(name)
    return len(gone)


# ------------------------------------------------------------------------------------ command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what went wrong is said in a line, and is exit code 1."""
    from include import lake, registry

    parser = argparse.ArgumentParser(
        prog="python -m include.shared_lake", description="The lake of several machines."
    )
    parser.add_argument("command", choices=("view", "adopt", "copy", "verify", "collect"))
    parser.add_argument("--state", choices=sorted(registry.states()), help="default: all")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="view again and again")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where to copy to")
    parser.add_argument("--days", type=float, default=GRACE.days, help="how old is old enough")
    told = parser.parse_args(arguments)
    if told.command in ("adopt", "copy") and not told.state:
        parser.error(f"{told.command} is for one --state")
    if (told.command == "copy") != bool(told.to):
        parser.error("--to is for copy, and copy needs it")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if not is_configured():
        print(f"{VARIABLE} is not set: the lake is the folder {lake.home()}", file=sys.stderr)
        return 1
    while True:
        code = 0
        for state in [told.state] if told.state else registry.states():
            try:
                line, is_fine = _run(told, state)
                if not told.every:
                    print(line)
                code |= not is_fine
            except (StoreFailed, NotEmpty, WrongKey, BadDestination, OSError) as error:
                print(error, file=sys.stderr, flush=True)
                code = 1
        if not told.every:
            return int(code)
        # Says that somebody looks, also when there was nothing new.
        (lake.private(lake.machine()) / "viewed").touch()
        time.sleep(told.every)


def _run(told: argparse.Namespace, state: str) -> tuple[str, bool]:
    from include import incidents

    if told.command == "view":
        incidents.show()
        return f"{state}: {view(state):,} files", True
    if told.command == "adopt":
        adopted = adopt(state)
        incidents.adopt()
        return f"{state}: {adopted:,} files are in {_store()}", True
    if told.command == "copy":
        copied = copy(state, told.to.resolve())
        # What is wrong, and who knows of it, is of all states.
        incidents.show(told.to.resolve())
        return f"{state}: {copied:,} files are in {told.to}", True
    if told.command == "collect":
        return f"{state}: {collect(state, told.days):,} objects removed", True
    broken = verify(state)
    told_of = "\n".join([f"{state}: {len(broken)} files are not whole", *broken])
    return told_of if broken else f"{state}: every file is whole", not broken


if __name__ == "__main__":
    sys.exit(main())
