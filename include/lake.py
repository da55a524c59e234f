"""The layout of `landed/`, `quarantine/` and `lake/`, and the only place that knows it.

They are folders under STATEWIDE_HOME. Where STATEWIDE_LAKE names an object store, a step sees
there what it needs of them; see `shared_lake`.

    landed/<state>/objects/<sha256>                          the publisher's bytes, never edited
    landed/<state>/receipts/<extract>/<school_year>.json     the last receipt
    landed/<state>/receipts/<extract>/<school_year>.jsonl    all of them, oldest first
    landed/<state>/partial/                                  downloads under way, or cut
    landed/<state>/archives/<sha256>                         whole archives, with their receipts
    checked/<state>/<extract>/<school_year>/<sha256>.parquet rows that passed, not yet loaded
    quarantine/<state>/<extract>/<school_year>/<sha256>.parquet   rows that did not, with reasons
    quarantine/<state>/<extract>/<school_year>/<sha256>.json      verdict on the file
    lake/<state>/<extract>/<school_year>.parquet             accepted rows

A load replaces one Parquet file in one rename. What is known of the load (which bytes, how many
rows) travels inside that file, as Parquet metadata, so that rows and record cannot disagree.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from include import shared_lake

METADATA_KEY = "statewide_load"


class NothingLanded(LookupError):
    """An extract was asked for that has not been fetched."""


class RowsLost(RuntimeError):
    """Rows in are not rows accepted plus rows quarantined. Nothing was loaded."""


class Busy(RuntimeError):
    """Another process holds the lock."""


@dataclass(frozen=True)
class Load:
    """What is known of one accepted load. `spec`: fingerprint of how it was judged and loaded."""

    state: str
    extract: str
    school_year: int
    sha256: str
    spec: str
    rows_in: int
    accepted: int
    quarantined: int

    @property
    def path(self) -> Path:
        return partition(self.state, self.extract, self.school_year)


def home() -> Path:
    """Where the lake is: this machine's folder, or a step's own copy of a shared lake."""
    return shared_lake.folder() or machine()


def machine() -> Path:
    """Where this machine keeps its own: `STATEWIDE_HOME`, by default `var/` in the checkout.

    Beside a lake that it shares with nobody: locks, keys, caches, work under way.
    """
    return Path(os.environ.get("STATEWIDE_HOME") or Path(__file__).parents[1] / "var").resolve()


def landed_object(state: str, sha256: str) -> Path:
    return home() / "landed" / state / "objects" / sha256


def partials(state: str) -> Path:
    """Where downloads grow; in the file system of `landed_object`, so that landing is a rename."""
    return private(machine() / "landed" / state / "partial")


def archives(state: str) -> Path:
    """Where archives are kept of which extracts are members."""
    return private(machine() / "landed" / state / "archives")


def receipts(state: str, extract: str, school_year: int) -> Path:
    return home() / "landed" / state / "receipts" / extract / f"{school_year}.json"


def checked(state: str, extract: str, school_year: int, sha256: str) -> Path:
    return home() / "checked" / state / extract / str(school_year) / f"{sha256}.parquet"


def quarantined(state: str, extract: str, school_year: int, sha256: str) -> Path:
    return home() / "quarantine" / state / extract / str(school_year) / f"{sha256}.parquet"


def verdict(state: str, extract: str, school_year: int, sha256: str) -> Path:
    return quarantined(state, extract, school_year, sha256).with_suffix(".json")


def partition(state: str, extract: str, school_year: int) -> Path:
    return home() / "lake" / state / extract / f"{school_year}.parquet"


def warehouse(state: str) -> Path:
    return home() / "warehouse" / state


def building(state: str) -> Path:
    """Where the state's builds are made: one path for all, which keeps dbt's partial parsing."""
    return private(machine() / "warehouse" / state / "building")


def published(state: str) -> Path:
    return home() / "published" / state


def data_docs(state: str) -> Path:
    return home() / "docs" / state


def private(folder: Path) -> Path:
    """The folder, made so that only its owner can enter. Landed bytes may name people."""
    for parent in reversed([folder, *folder.parents]):
        # `mkdir(parents=True)` would give the mode to the last of them only.
        if not parent.exists():
            parent.mkdir(exist_ok=True, mode=0o700)
    return folder


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file in one rename."""
    private(path.parent)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    part.replace(path)


def receive(state: str, extract: str, school_year: int, part: Path, receipt: dict[str, Any]) -> str:
    """Put fetched bytes under their hash and write the receipt. Returns the hash.

    `part` is a finished download in the same file system; `receipt` holds source, sha256, bytes
    and the publisher's headers. The time of receipt is added here.
    """
    sha256 = receipt["sha256"]
    target = landed_object(state, sha256)
    private(target.parent)
    if target.exists():
        part.unlink()
    else:
        part.chmod(0o400)
        part.replace(target)
    return acknowledge(state, extract, school_year, receipt)


def acknowledge(state: str, extract: str, school_year: int, receipt: dict[str, Any]) -> str:
    """Write a receipt for bytes that are landed already. Returns their hash."""
    receipt = receipt | {"received_at": datetime.now(UTC).isoformat(timespec="seconds")}
    path = receipts(state, extract, school_year)
    write_json(path, receipt)
    with path.with_suffix(".jsonl").open("a") as history:
        history.write(json.dumps(receipt, sort_keys=True) + "\n")
    return receipt["sha256"]


def receipt(state: str, extract: str, school_year: int) -> dict[str, Any] | None:
    """The last receipt, if anything was ever received and its bytes are still there."""
    path = receipts(state, extract, school_year)
    if not path.exists():
        return None
    told = json.loads(path.read_text())
    shared_lake.bring(state, f"landed/{state}/objects/{told['sha256']}")
    return told if landed_object(state, told["sha256"]).exists() else None


def landed(state: str, sha256: str) -> Path:
    """The landed bytes. Raises NothingLanded."""
    shared_lake.bring(state, f"landed/{state}/objects/{sha256}")
    path = landed_object(state, sha256)
    if not path.exists():
        raise NothingLanded(f"{state}: nothing has landed under {sha256}; run fetch again")
    return path


def read_load(path: Path) -> Load | None:
    """The record inside a Parquet file that `stamp` wrote; None if there is no such file."""
    if not path.exists():
        return None
    with duckdb.connect() as connection:
        found = connection.execute(
            "select decode(value) from parquet_kv_metadata(?) where decode(key) = ?",
            [str(path), METADATA_KEY],
        ).fetchone()
    return Load(**json.loads(found[0])) if found else None


def stamp(load: Load) -> str:
    """The `kv_metadata` clause for DuckDB's `copy ... to ... (format parquet, ...)`."""
    told = json.dumps(asdict(load), sort_keys=True).replace("'", "''")
    return f"kv_metadata {{{METADATA_KEY}: '{told}'}}"


def accepted(state: str, extract: str, school_year: int) -> Load | None:
    """The last accepted load of one extract and year."""
    return read_load(partition(state, extract, school_year))


def loads(state: str) -> list[Load]:
    """Every accepted load of the state that is still declared, by extract and year.

    Taking a year or an extract out of the state's file retires its load; the rows stay.
    """
    return [load for path in _partitions(state) if (load := read_load(path))]


def _partitions(state: str) -> list[Path]:
    from include import registry

    declared = registry.states()[state].extracts
    return [
        path
        for path in sorted((home() / "lake" / state).glob("*/*.parquet"))
        if path.parent.name in declared
        and path.stem.isdigit()
        and int(path.stem) in declared[path.parent.name].school_years
    ]


@shared_lake.step(
    "checked/{state}/{extract}/{school_year}/{sha256}.parquet",
    "lake/{state}/{extract}/{school_year}.parquet",
    "lake/{state}/loads.jsonl",
)
def replace(state: str, extract: str, school_year: int, sha256: str) -> Load:
    """Make the checked rows the accepted load, in one rename.

    Raises NothingLanded if the file has not passed its checks, RowsLost if its rows do not add up.
    """
    candidate = checked(state, extract, school_year, sha256)
    load = read_load(candidate)
    if load is None:
        now = accepted(state, extract, school_year)
        if now and now.sha256 == sha256:
            return now
        raise NothingLanded(f"{state} {extract} {school_year}: {sha256} has not passed its checks")
    with duckdb.connect() as connection:
        (rows,) = connection.execute(
            "select count(*) from read_parquet(?)", [str(candidate)]
        ).fetchone()
    if rows != load.accepted or load.rows_in != load.accepted + load.quarantined:
        raise RowsLost(
            f"{state} {extract} {school_year}: {load.rows_in} rows came in, {rows} were accepted "
            f"and {load.quarantined} quarantined; nothing was loaded"
        )
    target = partition(state, extract, school_year)
    private(target.parent)
    candidate.replace(target)
    history = home() / "lake" / state / "loads.jsonl"
    told = asdict(load) | {"loaded_at": datetime.now(UTC).isoformat(timespec="seconds")}
    with history.open("a") as lines:
        lines.write(json.dumps(told, sort_keys=True) + "\n")
    return load


def snapshot(state: str, folder: Path) -> list[tuple[Load, Path]]:
    """The lake as it is now, as links that no later load changes: each load and its rows.

    A load replaces its file by a rename, so a link keeps the rows that it was made to.
    """
    kept = []
    for path in _partitions(state):
        link = folder / f"{path.parent.name}-{path.name}"
        link.hardlink_to(path)
        if load := read_load(link):
            kept.append((load, link))
    return kept


def inputs(found: list[Load]) -> dict[str, str]:
    """What a build of these loads is made from: `<extract>/<school_year>` to file hash and spec."""
    return {
        f"{load.extract}/{load.school_year}": f"{load.sha256}:{load.spec[:16]}" for load in found
    }


def warnings(load: Load) -> list[str]:
    """What the check of an accepted file warned of, for whoever reads its numbers."""
    path = verdict(load.state, load.extract, load.school_year, load.sha256)
    if not path.exists():
        return []
    told = json.loads(path.read_text())
    return [
        f"{promise['promise']}: {promise['observed']}"
        for promise in told["promises"]
        if promise["outcome"] == "warned"
    ]


def override(load: Load) -> dict[str, Any] | None:
    """The reason with which an accepted file was let pass, by whom, and what it was let pass.

    None where the file kept every promise that somebody could have overridden.
    """
    path = verdict(load.state, load.extract, load.school_year, load.sha256)
    if not path.exists():
        return None
    told = json.loads(path.read_text())
    promises = [it["promise"] for it in told["promises"] if it.get("overridden")]
    if not promises:
        return None
    return {
        "reason": told["override_reason"],
        "by": told.get("override_by"),
        "promises": promises,
    }


def digest(told: Any) -> str:
    """A hash of anything that JSON can say, the same for the same content."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """The hash of a file's bytes, read as a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock(name: str, *, wait: bool = True) -> Iterator[None]:
    """Hold `STATEWIDE_HOME/locks/<name>`: one process at a time, freed when the process ends.

    Airflow's pools do not bind the command line; this does. Raises Busy when not to wait.
    """
    path = private(machine() / "locks") / f"{name.replace('/', '.')}.lock"
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy(f"{name} is in use by another process") from None
        yield
