"""A build's DuckDB file: fresh, closed, read-only, then current.

    warehouse/<state>/<build>.duckdb    schemas marts (exact, restricted), intermediate, seeds
    warehouse/<state>/<build>.inputs.json   the loads it was made from, and what was warned of them
    warehouse/<state>/<build>.dbt.json  what its tables and columns mean
    warehouse/<state>/current.duckdb    the last build whose marts kept their promises

A build is named by its inputs and by the code that made it, so the same of both is the same file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import duckdb

from include import contradictions, dbt, lake, registry, shared_lake

ROOT = Path(__file__).parents[1]
# What can change a number. DAGs and operations move bytes; they do not make them.
CODE = ["include", "expectations", "dbt_project", "requirements.txt"]
UNCODED = {".pyc", ".duckdb"}
# They look at what was made and tell of it; a word changed in a message makes no new release.
ONLOOKERS = ("status", "differences", "incidents", "watch", "retention")


class EvidenceLost(LookupError):
    """The quarantine of a load is gone. Nothing was built."""


class NoSuchBuild(LookupError):
    """A build was asked for that is not there."""


@cache
def code_version(state: str) -> str:
    """A hash of every file that can change one of the state's numbers.

    What belongs to other states alone, their declarations and staging, is none of them.
    """
    seen = hashlib.sha256()
    for path in sorted(found for name in CODE for found in _files(ROOT / name)):
        name = path.relative_to(ROOT)
        if path.suffix in UNCODED or "__pycache__" in path.parts or _is_of_others(name, state):
            continue
        seen.update(str(name).encode() + b"\0")
        seen.update(hashlib.sha256(path.read_bytes()).digest())
    return seen.hexdigest()


def _files(root: Path) -> list[Path]:
    return [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]


def _is_of_others(name: Path, state: str) -> bool:
    """Whether a file is of other states, or of nobody whose numbers we mean."""
    if name.parts[:2] == ("include", "states"):
        return name.stem != state
    if name.parts[:3] == ("dbt_project", "models", "staging"):
        return name.parts[3] not in (state, "standard")
    if name.parts[0] == "include" and name.stem in ONLOOKERS:
        return True
    return name.parts[:2] == ("include", "demo")


def commit() -> str | None:
    """The git commit of the checkout, if it is one; `code_version` says it exactly."""
    try:
        told = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()


def name(state: str, loads: list[lake.Load] | None = None) -> str:
    """The name of a build of these loads; without them, of the state's lake as it is now."""
    told = {
        "state": state,
        "inputs": lake.inputs(lake.loads(state) if loads is None else loads),
        "policy": registry.states()[state].disclosure.model_dump(),
        "code": code_version(state),
    }
    return lake.digest(told)[:12]


def path(state: str, build: str) -> Path:
    """The file of one build. Raises NoSuchBuild naming those that are there."""
    file = lake.warehouse(state) / f"{build}.duckdb"
    if not file.exists():
        known = sorted(p.stem for p in lake.warehouse(state).glob("*.duckdb") if "." not in p.stem)
        raise NoSuchBuild(f"{state} has no build {build}; there are {', '.join(known) or 'none'}")
    return file


def described(state: str, build: str) -> Path:
    """dbt's manifest of one build, which describes its tables and columns."""
    return lake.warehouse(state) / f"{build}.dbt.json"


def current(state: str) -> str | None:
    """The build that `current.duckdb` points at."""
    pointer = lake.warehouse(state) / "current.duckdb"
    return Path(os.readlink(pointer)).stem if pointer.is_symlink() else None


def changed(state: str) -> bool:
    """Whether a build of the lake, as it is now, would differ from the current one."""
    loads = lake.loads(state)
    return bool(loads) and current(state) != name(state, loads)


def show_lake(
    connection: duckdb.DuckDBPyConnection, state: str, loads: Sequence[tuple[lake.Load, Path]] = ()
) -> None:
    """Show every declared extract to dbt as a relation of schema `lake`, if need be empty."""
    connection.execute("create schema lake")
    # A record-level state may send only some of the standard extracts; the others are empty.
    standard = registry.standard_extracts() if registry.sends_records(state) else {}
    relations = {name: (name, list(declared["columns"])) for name, declared in standard.items()}
    for name, declared in registry.reference_extracts().items():
        relations[f"reference_{name}"] = (name, list(declared["columns"]))
    loaded: dict[str, list[tuple[lake.Load, Path]]] = {}
    for load, rows in loads:
        loaded.setdefault(load.extract, []).append((load, rows))
    for extract, declared in registry.states()[state].extracts.items():
        relations[_relation(state, extract)] = (extract, list(declared.columns))
    connection.execute("create schema loaded")
    for relation, (extract, declared_columns) in relations.items():
        # The year that a file is for, not the one that its rows name, is the school year.
        columns = [column for column in declared_columns if column != "school_year"]
        parts = [
            _select(columns, f"{load.school_year}::integer")
            + f" from read_parquet('{_quoted(rows)}')"
            for load, rows in loaded.get(extract, [])
        ]
        connection.execute(
            f'create view loaded."{relation}" as '
            + (" union all ".join(parts) or _select(columns, None))
        )
    shown = {extract: f'loaded."{relation}"' for relation, (extract, _) in relations.items()}
    contradictions.set_aside(connection, state, shown)
    for relation, (extract, _) in relations.items():
        kept = contradictions.without(state, extract, shown[extract])
        connection.execute(f'create view lake."{relation}" as {kept}')

    _show_rows_set_aside(connection, state, [load for load, _ in loads])


def _relation(state: str, extract: str) -> str:
    if registry.is_reference(state, extract):
        return f"reference_{extract}"
    return extract if registry.is_standard(state, extract) else f"{state}_{extract}"


def _show_rows_set_aside(
    connection: duckdb.DuckDBPyConnection, state: str, loads: list[lake.Load]
) -> None:
    """Show whose rows were quarantined, and in which file: `lake.set_aside`.

    Footers are no data, and of exact copies one was kept; neither is missing from a total.
    """
    parts = [
        f"select {load.school_year}::integer as school_year, organization as org_id, "
        f"file_sha256 as source_load from read_parquet('{_quoted(file)}') "
        "where not is_accounted_for"
        for load in loads
        if (file := _set_aside(state, load))
    ]
    if registry.states()[state].organization:
        parts.append(
            "select school_year, organization as org_id, source_load from contradictions.rows "
            "where otherwise = 'quarantine' and organization is not null"
        )
    nothing = (
        "select null::integer as school_year, null::varchar as org_id, "
        "null::varchar as source_load where false"
    )
    connection.execute("create view lake.set_aside as " + (" union ".join(parts) or nothing))


def _set_aside(state: str, load: lake.Load) -> Path | None:
    """The load's quarantine, if its rows are organizations' and not persons'.

    Raises EvidenceLost if it is gone: totals would be reported that lost a row.
    """
    organization = registry.states()[state].organization
    if not load.quarantined or organization not in registry.extract_of(state, load.extract).columns:
        return None
    file = lake.quarantined(state, load.extract, load.school_year, load.sha256)
    if not file.exists():
        raise EvidenceLost(
            f"{state} {load.extract} {load.school_year}: {load.quarantined} rows were set aside "
            f"and {file} is gone, so nobody knows whose totals miss them; run {state}_ingest for "
            "that year, which checks the file again"
        )
    return file


def _select(columns: list[str], school_year: str | None) -> str:
    """The lake's columns of one load, or of none: an empty relation of the same shape."""
    types = {"_row": "bigint"} | dict.fromkeys(columns, "varchar") | {"_file": "varchar"}
    if school_year is None:
        told = [f'null::{type_} as "{name}"' for name, type_ in types.items()]
        return f"select null::integer as school_year, {', '.join(told)} where false"
    told = [f'"{name}"::{type_} as "{name}"' for name, type_ in types.items()]
    return f"select {school_year} as school_year, {', '.join(told)}"


def _quoted(file: Path) -> str:
    return str(file).replace("'", "''")


@shared_lake.step("lake/{state}/*.parquet", "quarantine/{state}/*")
def create(state: str) -> str:
    """Build the state's warehouse from its lake, in a file of its own. Returns the build's name.

    Does nothing if that build is there already. A build that fails leaves nothing behind.
    Raises dbt.BuildFailed; lake.NothingLanded if the lake is empty.
    """
    with lake.lock(f"build-{state}"):
        folder = lake.private(lake.warehouse(state))
        # The lock keeps it ours.
        work = lake.building(state)
        # A build that was killed leaves its file, its links and the folder it spilled to.
        shutil.rmtree(work)
        lake.private(work)
        # Loads may go on while we build; the build is of one moment, and named by it.
        rows = lake.snapshot(state, work)
        loads = [load for load, _ in rows]
        if not loads:
            raise lake.NothingLanded(f"{state}: nothing is loaded yet; run {state}_ingest first")
        build = name(state, loads)
        shared_lake.bring(state, f"warehouse/{state}/{build}.*")
        finished = folder / f"{build}.duckdb"
        if finished.exists():
            return build
        part = work / "statewide.duckdb"
        with duckdb.connect(str(part)) as connection:
            show_lake(connection, state, rows)
        dbt.build(state, part)
        dbt.document(state, part)
        # What its tables mean is the build's: another one may be made before it is published.
        shutil.copyfile(dbt.target(state) / "target" / "manifest.json", described(state, build))
        with duckdb.connect(str(part)) as connection:
            connection.execute("drop schema if exists staging cascade")
            connection.execute("drop schema if exists lake cascade")
            connection.execute("drop schema if exists loaded cascade")
            aside = contradictions.counts(connection)
            connection.execute("checkpoint")
        lake.write_json(
            folder / f"{build}.inputs.json",
            [
                asdict(load)
                | {
                    "warnings": lake.warnings(load),
                    "override": lake.override(load),
                    # Of the rows that were accepted.
                    "contradicted": aside.get((load.extract, load.school_year), 0),
                }
                for load in loads
            ],
        )
        part.chmod(0o400)
        part.replace(finished)
        for link in work.iterdir():
            link.unlink()
    return build


@shared_lake.step(
    "warehouse/{state}/{build}.duckdb", "warehouse/{state}/current.duckdb", moves_pointer=True
)
def accept(state: str, build: str) -> None:
    """Point readers at a build whose marts kept their promises; they keep the file they opened."""
    target = path(state, build)
    pointer = target.with_name("current.duckdb")
    part = pointer.with_name(f".current.{os.getpid()}")
    part.unlink(missing_ok=True)
    part.symlink_to(target.name)
    part.replace(pointer)
