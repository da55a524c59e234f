"""Holds landed files and built marts to their promises; sets bad rows aside, refuses bad files.

Great Expectations judges, as SQL in DuckDB, where the rows are. Two answers are kept apart,
because they call for different people: *we looked and it is wrong* (`BrokenPromises`) and *we
could not look* (`CheckErrored`). Either way nothing is loaded and the last good load stays.

Great Expectations takes seconds to import, so it is imported where it is used.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from include import identifiers, lake, registry, shared_lake
from include.registry import Extract

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
CODE_SETS = ROOT / "dbt_project" / "seeds" / "code_set.csv"

# What decides, beside the declaration, how the same bytes load: a change in it checks files again.
CHECKING_CODE = (
    "expectations/landed.py",
    "expectations/promise.py",
    "include/identifiers.py",
    "include/quality.py",
    "include/tables/*.py",
)

# Row numbers named in a message; the quarantine has all of them.
NAMED_ROWS = 5


class Stopped(RuntimeError):
    """A check stopped what was being checked. `promises` holds those that stopped it."""

    def __init__(self, message: str, promises: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.promises = promises


class BrokenPromises(Stopped):
    """We looked, and it is wrong. The message names every broken promise and what to do."""


class CheckErrored(Stopped):
    """We could not look. The message names the promise that could not be evaluated, and why."""


@dataclass(frozen=True)
class _File:
    """One landed file under judgement."""

    state: str
    name: str
    extract: Extract
    school_year: int
    sha256: str
    previous: lake.Load | None
    receipt: Mapping[str, Any]

    @property
    def is_loaded(self) -> bool:
        """Whether these bytes are the accepted load already, judged anew under another spec."""
        return self.previous is not None and self.previous.sha256 == self.sha256

    def __str__(self) -> str:
        return f"{self.state} {self.name} {self.school_year}"

    @property
    def source(self) -> str:
        return str(self.receipt.get("source") or self.extract.location(self.school_year))

    @property
    def docs(self) -> Path:
        folder = lake.data_docs(self.state) / self.name / str(self.school_year)
        return folder / self.sha256[:12]

    def place(self, where: Any) -> Path:
        return where(self.state, self.name, self.school_year, self.sha256)

    def evidence(self, where: Any) -> Path:
        """Where the quarantine and the verdict are written: never over those of a load that stays.

        `keep` gives them their place once the file is accepted.
        """
        path = self.place(where)
        return path.with_name(f"{path.stem}.again{path.suffix}") if self.is_loaded else path

    def keep(self) -> None:
        for where in (lake.quarantined, lake.verdict):
            if self.evidence(where) != self.place(where) and self.evidence(where).exists():
                self.evidence(where).replace(self.place(where))


def spec(state: str, extract: str) -> str:
    """Changes whenever the same bytes could be judged or loaded differently.

    It is made of the declaration, the code sets it names, the checking code and, where there are
    persons, which key they are hashed with.
    """
    declared = registry.extract_of(state, extract)
    return lake.digest(
        {
            "declared": declared.fingerprint,
            "codes": {name: sorted(codes) for name, codes in _codes(state, declared).items()},
            "code": {
                str(file.relative_to(ROOT)): hashlib.sha256(file.read_bytes()).hexdigest()
                for pattern in CHECKING_CODE
                for file in sorted(ROOT.glob(pattern))
            },
            "key": identifiers.key_check() if declared.personal_columns else None,
        }
    )


@shared_lake.step(
    "landed/{state}/receipts/{extract}/{school_year}.json",
    "lake/{state}/{extract}/{school_year}.parquet",
    "checked/{state}/{extract}/{school_year}/*",
    "quarantine/{state}/{extract}/{school_year}/*",
    "docs/{state}/{extract}/{school_year}/*",
)
def check(
    state: str,
    extract: str,
    school_year: int,
    sha256: str,
    override_reason: str | None = None,
    override_by: str | None = None,
) -> str:
    """Hold one landed file to its promises; write its good rows to `lake.checked`.

    Bad rows go to `lake.quarantined` with their reasons, what was found to `lake.verdict`, Data
    Docs to `lake.data_docs`. A file that is the accepted load already, under the same spec, is
    not checked again. With an `override_reason`, which is kept in the verdict with the name of who
    gave it, a change in volume or too many bad rows warns instead of refusing.

    Raises BrokenPromises where the file is refused, CheckErrored where a promise could not be
    evaluated, tables.Unreadable where the bytes are no table, lake.NothingLanded where there are
    none.
    """
    _reasoned(override_reason)
    declared = registry.extract_of(state, extract)
    kept = spec(state, extract)
    with lake.lock(f"check/{state}/{extract}/{school_year}"):
        now = lake.accepted(state, extract, school_year)
        if now and (now.sha256, now.spec) == (sha256, kept) and _is_documented(now):
            log.info("%s %s %s: unchanged, not checked again", state, extract, school_year)
            return sha256
        receipt = lake.receipt(state, extract, school_year) or {}
        if receipt.get("sha256") != sha256:
            receipt = {}
        file = _File(state, extract, declared, school_year, sha256, now, receipt)
        with _workplace() as work:
            _check(file, kept, work, override_reason, override_by)
    return sha256


def _is_documented(load: lake.Load) -> bool:
    """Whether what was set aside of a load is still there: a build has to know whose it was."""
    aside = lake.quarantined(load.state, load.extract, load.school_year, load.sha256)
    return not load.quarantined or aside.exists()


@shared_lake.step(
    "warehouse/{state}/{build}.*",
    "lake/{state}/*.parquet",
    "docs/{state}/marts/{build}/*",
    "published/{state}/current",
)
def check_marts(state: str, build: str, override_reason: str | None = None) -> str:
    """Hold the marts of one build to their promises. Returns the build's name.

    Every promise's outcome goes to `warehouse/<state>/<build>.checks.json`, Data Docs to
    `lake.data_docs`. Raises BrokenPromises and CheckErrored like `check`. With an
    `override_reason`, a metric or a school year that vanished warns instead of refusing.
    """
    from include import contradictions, warehouse

    _reasoned(override_reason)
    from expectations import marts

    docs = lake.data_docs(state) / "marts" / build
    with _workplace() as work, _database(work) as (connection, url):
        connection.execute(f"attach {_text(warehouse.path(state, build))} as build (read_only)")
        release = lake.published(state) / "current" / "statewide.duckdb"
        if release.parent.is_symlink():
            seen = os.readlink(release.parent)
            shared_lake.bring(state, f"published/{state}/{seen}/statewide.duckdb")
        if release.exists():
            connection.execute(f"attach {_text(release.resolve())} as release (read_only)")
        loaded = sorted(
            {
                load.school_year
                for load in lake.loads(state)
                if registry.extract_of(state, load.extract).group == "enrollment"
            }
        )
        marts.prepare(connection, loaded)
        beside = contradictions.found(connection, state)
        shares = {name: it.max_bad_rows for name, it in registry.states()[state].extracts.items()}
        suite = marts.suite(override_reason, beside, shares)
        promises = _hold(state, url, "fct_metric", suite, docs, build, names_people=False)
    for promise in promises:
        if promise["outcome"] == "failed":
            promise["outcome"] = "warned" if promise["severity"] == "warning" else "broken"
        if promise["outcome"] == "warned" and promise.get("can_override") and override_reason:
            promise["overridden"] = override_reason
    _log_warnings(f"{state} build {build}", promises)
    told = [_published(promise) for promise in promises]
    lake.write_json(lake.warehouse(state) / f"{build}.checks.json", told)
    stays = "The last release stays as it is."
    _stop(f"{state} build {build}", promises, [f"Data Docs: {docs / 'index.html'}", stays])
    return build


def _check(
    file: _File, kept: str, work: Path, override_reason: str | None, override_by: str | None
) -> None:
    from expectations import landed
    from include import tables

    raw = work / "rows.parquet"
    try:
        table = tables.read(file.extract, lake.landed(file.state, file.sha256), raw)
    except tables.Unreadable as error:
        raise _unreadable(file, error) from None
    missing = _columns_of(file.extract, table.missing_headers)
    with _database(work) as (connection, url):
        _show(connection, file.extract, raw, table.unknown_headers, missing)
        rows_in, rows = _count(connection, "raw"), _count(connection, "landed")
        suite = landed.suite(
            file.extract,
            file.school_year,
            file.previous,
            rows=rows,
            codes=_codes(file.state, file.extract),
            unknown_headers=table.unknown_headers,
            missing_columns=missing,
            manifest=file.receipt.get("manifest"),
            sha256=file.sha256,
            override_reason=override_reason,
        )
        promises = _hold(
            file.state,
            url,
            "landed",
            suite,
            file.docs,
            f"{file.name}-{file.school_year}-{file.sha256[:12]}",
            names_people=bool(file.extract.personal_columns),
        )
        errored = any(promise["outcome"] == "errored" for promise in promises)
        quarantined = 0 if errored else _quarantine(connection, file, promises)
        refused = errored or _refuses(promises)
        _settle(connection, promises, refused=refused, override_reason=override_reason)
        load = lake.Load(
            state=file.state,
            extract=file.name,
            school_year=file.school_year,
            sha256=file.sha256,
            spec=kept,
            rows_in=rows_in,
            accepted=rows_in - quarantined,
            quarantined=quarantined,
        )
        if refused:
            file.place(lake.checked).unlink(missing_ok=True)
        else:
            _accept(connection, file, load)
    told = asdict(load) | {
        "source": file.source,
        "verdict": "errored" if errored else "refused" if refused else "accepted",
        "override_reason": override_reason,
        "override_by": override_by if override_reason else None,
        "footers": rows_in - rows,
        "repaired": table.repaired,
        "promises": [_published(promise) for promise in promises],
    }
    lake.write_json(file.evidence(lake.verdict), told)
    if not refused:
        file.keep()
    _log_warnings(str(file), promises)
    last = file.previous
    _stop(
        f"{file}: {file.source} (sha256 {file.sha256[:12]})",
        promises,
        [
            f"What was found: {file.evidence(lake.verdict)}",
            *([] if errored else [f"Rows set aside: {file.evidence(lake.quarantined)}"]),
            *([f"Data Docs: {file.docs / 'index.html'}"] if file.docs.exists() else []),
            f"The last good load stays: {last.accepted:,} rows of {last.sha256[:12]}."
            if last
            else "Nothing was loaded; there is no earlier load of this extract and year.",
        ],
    )


def _unreadable(file: _File, error: Exception) -> Exception:
    """The same error, of the file as an operator knows it; what was found goes to the verdict."""
    _, _, found = str(error).partition(": ")
    last = file.previous
    stays = (
        f"The last good load stays: {last.accepted:,} rows of {last.sha256[:12]}."
        if last
        else "Nothing was loaded; there is no earlier load of this extract and year."
    )
    told = {
        "state": file.state,
        "extract": file.name,
        "school_year": file.school_year,
        "sha256": file.sha256,
        "source": file.source,
        "verdict": "unreadable",
        "found": found,
        "promises": [],
    }
    lake.write_json(file.evidence(lake.verdict), told)
    return type(error)(
        f"{file}: {file.source} (sha256 {file.sha256[:12]}) cannot be read: {found}\n"
        f"What was found: {file.evidence(lake.verdict)}\n{stays}"
    )


def _show(
    connection: Any, extract: Extract, raw: Path, unknown: Iterable[str], missing: Iterable[str]
) -> None:
    """The file as the relations that its promises are about; see `expectations.landed`."""
    from expectations import landed

    connection.execute(
        f"create view raw as select *, {landed.footers(extract)} as _is_footer "
        f"from read_parquet({_text(raw)})"
    )
    connection.execute(
        "create view landed as select * exclude (_is_footer) from raw where not _is_footer"
    )
    connection.execute(f"create table repeats as {landed.repeats(extract)}")
    connection.execute("create table file_headers (header varchar, meaning varchar)")
    for header, meaning in [*((h, "unknown") for h in unknown), *((h, "missing") for h in missing)]:
        connection.execute("insert into file_headers values (?, ?)", [header, meaning])


@contextmanager
def _workplace() -> Iterator[Path]:
    """A folder for rows that may name persons: closed to others, and gone afterwards."""
    place = lake.private(lake.machine() / "work")
    for left in place.iterdir():
        # A check that was killed could not clean up; a day is longer than any check.
        if left.stat().st_mtime < time.time() - 86_400:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@contextmanager
def _database(work: Path) -> Iterator[tuple[Any, str]]:
    """An empty DuckDB in memory, shared with Great Expectations by its URL."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    url = f"duckdb:///:memory:{uuid4().hex}"
    # DuckDB shares a database between connections of one configuration only, and duckdb-engine
    # has its own: so ours is opened through it as well.
    engine = create_engine(url, poolclass=StaticPool)
    pooled = engine.raw_connection()
    try:
        connection = pooled.driver_connection
        connection.execute(f"set temp_directory = {_text(work / 'spill')}")
        yield connection, url
    finally:
        pooled.close()
        engine.dispose()


def _hold(
    state: str, url: str, table: str, suite: Any, docs: Path, run: str, *, names_people: bool
) -> list[dict[str, Any]]:
    """Let Great Expectations judge one relation. Returns each promise with its outcome.

    Outcomes are `kept`, `failed` and `errored`; what a failure means is for the caller to say.
    """
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral", project_config=_project_config())
    source = context.data_sources.add_sql("statewide", connection_string=url)
    # Within a transaction, the first promise that errs would make all later ones err as well.
    dialect = source.get_execution_engine().engine.dialect
    dialect.do_begin = dialect.do_commit = dialect.do_rollback = lambda connection: None
    try:
        batch = source.add_table_asset(table, table_name=table).add_batch_definition_whole_table(
            "all"
        )
        order = [expectation.meta["promise"] for expectation in suite.expectations]
        judged = gx.ValidationDefinition(
            name=suite.name, data=batch, suite=context.suites.add(suite)
        )
        checkpoint = context.checkpoints.add(
            gx.Checkpoint(
                name=suite.name,
                validation_definitions=[context.validation_definitions.add(judged)],
                result_format="SUMMARY",
            )
        )
        found = checkpoint.run(run_id=gx.RunIdentifier(run_name=run))
        [results] = found.run_results.values()
        promises = sorted(
            (_judged(result, names_people=names_people) for result in results.results),
            key=lambda promise: order.index(promise["promise"]),
        )
        # The text of an exception can hold the value that caused it, and Data Docs show it.
        if not (names_people and any(p["outcome"] == "errored" for p in promises)):
            _write_docs(gx, context, found, docs, state)
        return promises
    finally:
        # Each of the two holds connections, and the last one keeps the database in memory.
        source.get_execution_engine().close()
        source.get_engine().dispose()


def _great_expectations() -> Any:
    """Great Expectations, without telemetry, able to keep a DuckDB connection open."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.execution_engine import sqlalchemy_execution_engine as engine

    # Out of the box it closes the connection before it fetches, which then reads like failed data.
    if not any(str(name) == "duckdb" for name in engine._PERSISTED_CONNECTION_DIALECTS):
        engine._PERSISTED_CONNECTION_DIALECTS += (_DuckDB("duckdb"),)
    gx.RunIdentifier = RunIdentifier
    # It tells at length what it does not do, and each warning twice.
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return gx


def _project_config() -> Any:
    """A context that keeps everything in memory and tells nobody."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        analytics_enabled=False,
        data_docs_sites={},
    )


class _DuckDB(str):
    """The name of a dialect, in the shape of Great Expectations' own enumeration of them."""

    __slots__ = ()

    @property
    def value(self) -> str:
        return str(self)


def _write_docs(gx: Any, context: Any, found: Any, docs: Path, state: str) -> None:
    """Write one run's pages. A site each, since a site drops the pages of runs it does not know."""
    shutil.rmtree(docs, ignore_errors=True)
    lake.private(docs)
    context.add_data_docs_site(
        "docs",
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            # The promises stand on the page of their results already.
            "site_section_builders": {"expectations": "None", "profiling": "None"},
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(docs),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["docs"]).run(found)
    _share(docs / "static", lake.data_docs(state) / "static")


def _share(folder: Path, shared: Path) -> None:
    """Keep the pages' fonts and images, four megabytes a site, once for all sites of a state."""
    try:
        folder.rename(shared)
    except OSError:
        shutil.rmtree(folder)
    folder.symlink_to(os.path.relpath(shared, folder.parent), target_is_directory=True)


def _judged(result: Any, *, names_people: bool) -> dict[str, Any]:
    config = result.expectation_config
    promise = dict(config.meta) | {
        "severity": str(getattr(config.severity, "value", config.severity))
    }
    if errors := _exceptions(result.exception_info):
        known = "; ".join(sorted({_in_short(error, names_people) for error in errors}))
        return promise | {"outcome": "errored", "observed": known}
    count = result.result.get("observed_value")
    if not promise.get("observed"):
        promise["observed"] = f"{count:,} row{'' if count == 1 else 's'}"
    return promise | {"count": count, "outcome": "kept" if result.success else "failed"}


def _exceptions(told: Any) -> list[str]:
    """The messages of what was raised. One expectation may stand on several metrics."""
    if not isinstance(told, Mapping):
        return []
    if told.get("raised_exception") is True:
        return [str(told.get("exception_message"))]
    return [message for nested in told.values() for message in _exceptions(nested)]


def _in_short(error: str, names_people: bool) -> str:
    kind = re.search(r"\(_?duckdb\.(\w+)\)", error)
    if names_people:
        return kind.group(1) if kind else "an exception (not shown: the extract names persons)"
    return error.split("\n[SQL")[0].split("\n\nLINE")[0].strip()


def _sets_aside(promise: Mapping[str, Any]) -> bool:
    failed = promise["outcome"] == "failed" and promise["about"] == "rows"
    return failed and promise["otherwise"] == "quarantine"


def _refuses(promises: list[dict[str, Any]]) -> bool:
    return any(p["outcome"] == "failed" and p["severity"] == "critical" for p in promises)


def _quarantine(connection: Any, file: _File, promises: list[dict[str, Any]]) -> int:
    """Write every row that broke a promise, once for each reason. Returns how many rows there are.

    Columns: file_sha256, row_number, organization, column, value_class, reason, value,
    is_accounted_for. `value` is null throughout where the extract names persons. A row is accounted
    for if no total misses it: a footer is no data, and of exact copies one was kept.
    """
    columns = file.extract.columns
    named = registry.states()[file.state].organization
    organization = _name(named) if named in columns else "null"
    parts = [
        f"select _row, {organization} as organization, null as column_name, null as value_class, "
        "'declared footer' as reason, null as value, true as is_accounted_for "
        "from raw where _is_footer"
    ]
    for promise in filter(_sets_aside, promises):
        name = promise["column"]
        one = name in columns
        value = _name(name) if one else "null"
        reason = _text(promise["reason"])
        if promise["kind"] == "duplicate":
            reason += " || (select first_row from repeats where repeats._row = landed._row)"
        parts.append(
            f"select _row, {organization}, {_text(name) if name else 'null'}, "
            f"{_value_class(value, promise, columns[name]) if one else 'null'}, "
            f"{reason}, {value}, {promise['kind'] == 'duplicate'} "
            f"from landed where {promise['where']}"
        )
    shown = "null" if file.extract.personal_columns else "value"
    target = file.evidence(lake.quarantined)
    with _replaced(target) as part:
        connection.execute(
            f"copy (select {_text(file.sha256)} as file_sha256, _row as row_number, "
            f"organization::varchar as organization, "
            f'column_name::varchar as "column", value_class::varchar as value_class, reason, '
            f"({shown})::varchar as value, is_accounted_for from ({' union all '.join(parts)}) "
            f"order by _row, reason) "
            f"to {_text(part)} (format parquet, compression zstd)"
        )
    connection.execute(
        f"create table set_aside as select distinct row_number as _row "
        f"from read_parquet({_text(target)})"
    )
    return _count(connection, "set_aside")


def _value_class(value: str, promise: Mapping[str, Any], column: registry.Column) -> str:
    """SQL for what kind of value it is: enough to find the fault, too little to find the person."""
    size = f"length({value})"
    ranged = ""
    if promise["kind"] == "range":
        number = f"try_cast(replace({value}, ',', '') as double)"
        if column.max is not None:
            ranged += f" when {number} > {column.max!r} then 'too large'"
        if column.min is not None:
            ranged += f" when {number} < {column.min!r} then 'too small'"
    return (
        f"case when {value} is null then 'empty'{ranged}"
        f" when regexp_full_match({value}, '[0-9]+') then 'digits(' || {size} || ')'"
        f" when regexp_full_match({value}, '[-+0-9.,]+') then 'number(' || {size} || ')'"
        f" when regexp_full_match({value}, '[\\pL ]+') then 'letters(' || {size} || ')'"
        f" else 'mixed(' || {size} || ')' end"
    )


def _settle(
    connection: Any,
    promises: list[dict[str, Any]],
    *,
    refused: bool,
    override_reason: str | None,
) -> None:
    """Say what each failure means for the file, and where its first rows are."""
    for promise in promises:
        if promise["outcome"] != "failed":
            continue
        if promise["about"] == "rows":
            (promise["first_rows"],) = connection.execute(
                f"select min(_row, {NAMED_ROWS}) from landed where {promise['where']}"
            ).fetchone()
        stops = promise["severity"] == "critical" or (refused and _sets_aside(promise))
        promise["outcome"] = "broken" if stops else "warned"
        if not stops and promise.get("can_override") and override_reason:
            promise["overridden"] = override_reason


def _accept(connection: Any, file: _File, load: lake.Load) -> None:
    """Write the rows that were not set aside, persons replaced, with the record of the load."""
    personal = set(file.extract.personal_columns)
    columns = ", ".join(
        f"{identifiers.sql(_name(name))} as {_name(name)}" if name in personal else _name(name)
        for name in file.extract.columns
    )
    # A join does not keep the order of rows, and the same file must give the same bytes.
    kept = " anti join set_aside using (_row) order by _row" if load.quarantined else ""
    if personal:
        identifiers.install(connection)
    with _replaced(file.place(lake.checked)) as part:
        connection.execute(
            f"copy (select _row, {columns}, {_text(file.sha256)} as _file from raw{kept}) "
            f"to {_text(part)} (format parquet, compression zstd, {lake.stamp(load)})"
        )
        accepted = _count(connection, f"read_parquet({_text(part)})")
        if load.rows_in != accepted + load.quarantined:
            raise lake.RowsLost(
                f"{file}: {load.rows_in} rows came in, {accepted} were accepted and "
                f"{load.quarantined} quarantined; nothing was loaded"
            )
    if personal:
        identifiers.remove(connection)


def _stop(what: str, promises: list[dict[str, Any]], closing: list[str]) -> None:
    """Raise for what errored, else for what is broken. The message is for the one who must act."""
    for outcome, error, verb in (
        ("errored", CheckErrored, "could not be checked"),
        ("broken", BrokenPromises, "was refused"),
    ):
        if found := [promise for promise in promises if promise["outcome"] == outcome]:
            count = f"{len(found)} promise{'s' if len(found) > 1 else ''} {outcome}"
            lines = [f"{what} {verb}: {count}.", *(line for p in found for line in _lines(p))]
            raise error("\n".join([*lines, *closing]), [_published(p) for p in found])


def _lines(promise: Mapping[str, Any]) -> Iterator[str]:
    yield f"- {promise['promise']}"
    yield f"  expected {promise['expected']}; observed {promise['observed']}"
    if first := promise.get("first_rows"):
        more = " ..." if (promise.get("count") or 0) > len(first) else ""
        where = f", column {promise['column']}" if promise.get("column") else ""
        yield f"  row {', '.join(map(str, first))}{more}{where}"
    yield f"  to do: {promise['what_to_do']}"


def _log_warnings(what: str, promises: list[dict[str, Any]]) -> None:
    for promise in promises:
        if promise["outcome"] == "warned":
            log.warning("%s: %s: %s", what, promise["promise"], promise["observed"])


def _published(promise: Mapping[str, Any]) -> dict[str, Any]:
    """A promise as verdicts and manifests tell it."""
    told = (
        "promise",
        "outcome",
        "severity",
        "about",
        "column",
        "expected",
        "observed",
        "first_rows",
        "overridden",
        "needs_approval",
        "what_to_do",
    )
    return {name: promise[name] for name in told if promise.get(name) is not None}


def _codes(state: str, extract: Extract) -> dict[str, tuple[str, ...]]:
    """The accepted codes of each coded column. Raises BadDeclaration for an unknown code set."""
    codes: dict[str, tuple[str, ...]] = {}
    for name, column in extract.columns.items():
        if isinstance(column.codes, str):
            sets = _code_sets(state)
            if column.codes not in sets:
                raise registry.BadDeclaration(
                    f"{state}: column {name} names the code set {column.codes!r}, which is not in "
                    f"{CODE_SETS.name}; there are {', '.join(sorted(sets)) or 'none'}"
                )
            codes[name] = sets[column.codes]
        elif column.codes is not None:
            codes[name] = column.codes
    return codes


def _code_sets(state: str) -> dict[str, tuple[str, ...]]:
    """The code sets of one state, those of all states (`*`) included."""
    sets: dict[str, list[str]] = {}
    if CODE_SETS.exists():
        with CODE_SETS.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["state"] in (state, "*"):
                    sets.setdefault(row["code_set"], []).append(row["code"])
    return {name: tuple(codes) for name, codes in sets.items()}


def _columns_of(extract: Extract, reported: Iterable[str]) -> dict[str, str]:
    """Our columns for the headers that a table reports as missing, each with those headers."""
    headers = {name: " or ".join(it.headers or (name,)) for name, it in extract.columns.items()}
    return {name: told for name, told in headers.items() if told in set(reported)}


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """A path to write to, which takes the target's place when all went well."""
    lake.private(target.parent)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _reasoned(override_reason: str | None) -> None:
    if override_reason and not override_reason.strip():
        raise ValueError("an override needs a reason, which is kept with the verdict")


def _count(connection: Any, relation: str) -> int:
    (count,) = connection.execute(f"select count(*) from {relation}").fetchone()
    return count


def _text(value: Any) -> str:
    """A text, or a path, as an SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"


def _name(value: str) -> str:
    """A name as an SQL identifier."""
    return '"' + value.replace('"', '""') + '"'
