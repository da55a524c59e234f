"""What became of every extract and release, for people to see: the facts of the Statewide page.

Read from receipts, verdicts, loads and ledgers as they lie there; nothing is written and nothing
keeps state of its own. A file is read again only when it has changed, so that fifty states with
five years of history are a matter of looking at times of files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from include import differences, incidents, lake, registry

# Rows of the quarantine that are shown; how many there are is always told.
MOST_ROWS = 100


class Unknown(LookupError):
    """What was asked for is not there."""


@dataclass(frozen=True)
class Verdict:
    """What was found of one file, in short. Times are ISO 8601, UTC."""

    verdict: str
    sha256: str
    checked_at: str
    rows_in: int | None
    accepted: int | None
    quarantined: int | None
    kept: int
    warned: int
    stopped: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True)
class Line:
    """One extract of one school year. `load` is what readers' numbers are made of."""

    state: str
    extract: str
    school_year: int
    load: lake.Load | None
    loaded_at: str
    received_at: str
    received: str
    source: str
    verdict: Verdict | None
    due: date | None
    today: date

    @property
    def is_late(self) -> bool:
        return self.load is None and self.due is not None and self.today > self.due

    @property
    def is_refused(self) -> bool:
        """The last file that came is not the one that is loaded, and a check said why."""
        return self.verdict is not None and self.verdict.verdict != "accepted"

    @property
    def condition(self) -> str:
        """One of: loaded, refused, late, due, waiting (nobody promised when)."""
        if self.is_refused:
            return "refused"
        if self.load:
            return "loaded"
        if self.is_late:
            return "late"
        return "due" if self.due else "waiting"

    @property
    def freshness(self) -> str:
        """How the load stands against its promise, in words."""
        if self.due is None:
            return "no date promised"
        if self.load and self.loaded_at:
            days = (date.fromisoformat(self.loaded_at[:10]) - self.due).days
            return f"{days} days late" if days > 0 else "on time"
        if self.is_late:
            return f"late since {self.due.isoformat()} ({(self.today - self.due).days} days)"
        return f"due {self.due.isoformat()}"


@dataclass(frozen=True)
class StateLine:
    """One state, in one line."""

    state: str
    name: str
    owner: str
    extracts: int
    conditions: Mapping[str, int]
    quarantined: int
    last_load: str
    release: str | None
    released_at: str
    is_behind: bool
    incidents: int


def today() -> date:
    return datetime.now(UTC).date()


def overview(states: list[str] | None = None) -> list[StateLine]:
    """Every state, or these of them, in one line each."""
    wrong = Counter(incident.state for incident in incidents.open_incidents().values())
    return [_in_short(code, wrong[code]) for code in (states or sorted(registry.states()))]


def _in_short(code: str, wrong: int) -> StateLine:
    state = _declared(code)
    found = lines(code)
    ledger = _ledger(code)
    name = _current(code)
    released = [entry["at"] for entry in ledger if entry["release"] == name]
    return StateLine(
        state=code,
        name=state.name,
        owner=state.owner,
        extracts=len(found),
        conditions=Counter(line.condition for line in found),
        quarantined=sum(line.load.quarantined for line in found if line.load),
        last_load=max((line.loaded_at for line in found), default=""),
        release=name,
        released_at=released[-1] if released else "",
        is_behind=behind(code),
        incidents=wrong,
    )


def lines(state: str) -> list[Line]:
    """Every extract and school year of a state, as declared, the latest year first."""
    declared, now = _declared(state), today()
    loads = _loads(state)
    times = _loaded_at(state)
    return [
        _line(state, name, extract, year, loads, times, now)
        for name, extract in declared.extracts.items()
        for year in sorted(extract.school_years, reverse=True)
    ]


def line(state: str, extract: str, school_year: int) -> Line:
    """One extract of one school year. Raises Unknown."""
    for found in lines(state):
        if (found.extract, found.school_year) == (extract, school_year):
            return found
    raise Unknown(f"{state} declares no {extract} of {school_year}")


def _line(
    state: str,
    name: str,
    extract: registry.Extract,
    year: int,
    loads: Mapping[tuple[str, int], lake.Load],
    times: Mapping[tuple[str, int], tuple[str, str]],
    now: date,
) -> Line:
    load = loads.get((name, year))
    loaded_at = ""
    if load:
        sha256, loaded_at = times.get((name, year), ("", ""))
        if sha256 != load.sha256 or not loaded_at:
            loaded_at = _changed_at(load.path)
    receipt = _read(lake.receipts(state, name, year), _receipt) or {}
    sha256 = receipt.get("sha256") or (load.sha256 if load else "")
    return Line(
        state=state,
        extract=name,
        school_year=year,
        load=load,
        loaded_at=loaded_at,
        received_at=receipt.get("received_at", ""),
        received=receipt.get("sha256", ""),
        source=receipt.get("source", ""),
        verdict=_verdict(state, name, year, sha256) if sha256 else None,
        due=extract.promised(year),
        today=now,
    )


def _declared(state: str) -> registry.State:
    if state not in registry.states():
        raise Unknown(f"there is no state {state}")
    return registry.states()[state]


# ---- one file -----------------------------------------------------------------------------------


def _verdict_paths(state: str, extract: str, year: int, sha256: str) -> list[Path]:
    """The file's verdict, and the one of judging it again under other promises: latest last."""
    path = lake.verdict(state, extract, year, sha256)
    again = path.with_name(f"{path.stem}.again{path.suffix}")
    return sorted((p for p in (path, again) if p.exists()), key=lambda p: p.stat().st_mtime_ns)


def _verdict(state: str, extract: str, year: int, sha256: str) -> Verdict | None:
    found = _verdict_paths(state, extract, year, sha256)
    if not found:
        return None
    path = found[-1]
    return _cached(path, lambda: _summary(json.loads(path.read_text()), _changed_at(path)))


def promises(state: str, extract: str, school_year: int) -> dict[str, Any]:
    """The whole verdict on the last file of an extract and year; empty if there is none."""
    found = line(state, extract, school_year)
    sha256 = found.received or (found.load.sha256 if found.load else "")
    paths = _verdict_paths(state, extract, school_year, sha256) if sha256 else []
    return json.loads(paths[-1].read_text()) if paths else {}


def receipts(state: str, extract: str, school_year: int, most: int = 20) -> list[dict[str, Any]]:
    """The last receipts of an extract and year, the latest first."""
    line(state, extract, school_year)
    path = lake.receipts(state, extract, school_year).with_suffix(".jsonl")
    return [_receipt(json.loads(it)) for it in reversed(_tail(path, most))]


@dataclass(frozen=True)
class Quarantine:
    """Rows that were set aside of one file: reasons with counts, and the first rows.

    A row is (row number, organization, column, kind of value, reason). Values are not read: they
    lie in the quarantine, for who may open it.
    """

    rows: int
    reasons: list[tuple[str, str, str, int]]
    first: list[tuple[int, str, str, str, str]]
    names_people: bool


def quarantine(state: str, extract: str, school_year: int) -> Quarantine:
    """What was set aside of the last file of an extract and year."""
    found = line(state, extract, school_year)
    names_people = bool(registry.extract_of(state, extract).personal_columns)
    sha256 = found.received or (found.load.sha256 if found.load else "")
    path = lake.quarantined(state, extract, school_year, sha256) if sha256 else None
    again = path.with_name(f"{path.stem}.again{path.suffix}") if path else None
    there = [it for it in (path, again) if it and it.exists()]
    if not there:
        return Quarantine(0, [], [], names_people)
    last = max(there, key=lambda it: it.stat().st_mtime_ns)

    import duckdb

    # A copy names the row that it repeats; the reason is the same one.
    reason = "regexp_replace(reason, '[0-9]+$', '...')"
    organization = "null" if names_people else "organization"
    with duckdb.connect(config={"threads": 1}) as connection:
        told = str(last).replace("'", "''")
        connection.execute(f"create view aside as from read_parquet('{told}')")
        (rows,) = connection.execute("select count(distinct row_number) from aside").fetchone()
        reasons = connection.execute(
            f"""
            select {reason}, coalesce("column", ''), coalesce(value_class, ''), count(*)
            from aside group by all order by count(*) desc, 1, 2, 3
            """
        ).fetchall()
        first = connection.execute(
            f"""
            select row_number, coalesce({organization}::varchar, ''), coalesce("column", ''),
                coalesce(value_class, ''), reason
            from aside order by row_number, reason limit {MOST_ROWS}
            """
        ).fetchall()
    return Quarantine(rows, reasons, first, names_people)


# ---- releases -----------------------------------------------------------------------------------


def releases(state: str) -> list[dict[str, Any]]:
    """Every release that is there, the latest first: when, by which commit, how many rows.

    `words` says who let it out, took it back or gave it to readers again, and why.
    """
    from include import release

    _declared(state)
    ledger, now = _ledger(state), _current(state)
    withdrawn = release._history(state).withdrawn
    found = []
    for name in reversed(release.releases(state)):
        entries = [entry for entry in ledger if entry["release"] == name]
        told = manifest(state, name)
        found.append(
            {
                "release": name,
                "is_current": name == now,
                "is_withdrawn": name in withdrawn,
                "at": entries[-1]["at"] if entries else "",
                "commit": (entries[-1].get("commit") or "") if entries else "",
                "rows": sum(table["rows"] for table in told["tables"].values()),
                "inputs": len(told["inputs"]),
                "warned": sum(check["outcome"] == "warned" for check in told["checks"]),
                "words": _words(name, told, ledger),
            }
        )
    return found


def _words(name: str, told: dict[str, Any], ledger: list[dict[str, Any]]) -> list[dict[str, Any]]:
    words = [{"what": "approved", **told["approval"]}] if told.get("approval") else []
    for entry in ledger:
        if entry["action"] == "rollback" and entry["release"] == name:
            words.append({"what": "given to readers again", **entry})
        elif name in entry.get("withdrawn", ()):
            words.append({"what": "withdrawn", **entry})
    return words


def manifest(state: str, name: str) -> dict[str, Any]:
    """What a release says of itself. Raises Unknown."""
    from include import release

    _declared(state)
    if name not in release.releases(state):
        raise Unknown(f"{state} has no release {name}")
    path = lake.published(state) / name / release.MANIFEST
    return _read(path, dict) or {}


def compared(state: str, before: str, after: str) -> differences.Differences:
    """What changed from one release to another. Raises Unknown."""
    for name in (before, after):
        manifest(state, name)
    folder = lake.published(state)
    files = [folder / name / "statewide.duckdb" for name in (before, after)]
    return _compared(*files, *(file.stat().st_mtime_ns for file in files))


@lru_cache(maxsize=64)
def _compared(before: Path, after: Path, *_: int) -> differences.Differences:
    return differences.between(before, after)


def behind(state: str) -> bool:
    """Whether the lake holds other files than the release that readers see."""
    loads, name = _loads(state), _current(state)
    if not loads or name is None:
        return bool(loads)
    made_of = _files(manifest(state, name)["inputs"])
    return made_of != {(it.extract, it.school_year, it.sha256) for it in loads.values()}


def behind_since(state: str) -> datetime | None:
    """When the first file was loaded that readers have not been given; None if they have all.

    None as well where a person decided that they shall not have them: rolled back, or refused.
    """
    from include import approvals, release

    name, loads = _current(state), _loads(state)
    given = _files(manifest(state, name)["inputs"]) if name else set()
    now = {(it.extract, it.school_year, it.sha256) for it in loads.values()}
    if now <= given:
        return None
    withdrawn = release._history(state).withdrawn & set(release.releases(state))
    decided = [manifest(state, it)["inputs"] for it in withdrawn]
    if now in map(_files, [*decided, *approvals.refused_inputs(state)]):
        return None
    missing = [loads[extract, year] for extract, year, _ in now - given]
    lines_of = {(line.extract, line.school_year): line for line in lines(state)}
    return min(
        datetime.fromisoformat(lines_of[it.extract, it.school_year].loaded_at) for it in missing
    )


def _files(inputs: list[dict[str, Any]]) -> set[tuple[str, int, str]]:
    return {(it["extract"], it["school_year"], it["sha256"]) for it in inputs}


def checks_of_marts(state: str) -> list[dict[str, Any]]:
    """Every promise of the last build that was checked, and how it came out."""
    found = sorted(lake.warehouse(state).glob("*.checks.json"), key=lambda p: p.stat().st_mtime_ns)
    return json.loads(found[-1].read_text()) if found else []


# ---- pages that others wrote --------------------------------------------------------------------


def page(state: str, name: str) -> Path:
    """A file of the state's Data Docs, or `dbt.html`.

    Raises Unknown for what is not there, and for what lies elsewhere, however its name gets there.
    """
    _declared(state)
    root = lake.data_docs(state).resolve()
    try:
        path = (root / name).resolve(strict=True)
    except (OSError, ValueError):
        raise Unknown(f"{state} has no page {name}") from None
    if path.is_dir():
        path = path / "index.html"
    if not path.is_relative_to(root) or not path.is_file():
        raise Unknown(f"{state} has no page {name}")
    return path


def data_docs(state: str, extract: str, school_year: int, sha256: str) -> str | None:
    """The page of one check, as `page` takes it, if there is one."""
    folder = lake.data_docs(state) / extract / str(school_year) / sha256[:12]
    return _page_of_check(state, folder) if sha256 else None


def docs_of_marts(state: str) -> str | None:
    """The page of the last check of the marts."""
    found = [path for path in (lake.data_docs(state) / "marts").glob("*") if path.is_dir()]
    last = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
    return _page_of_check(state, last) if last else None


def _page_of_check(state: str, site: Path) -> str | None:
    # Its index lists pages by a script; what it lists is one page.
    found = sorted(site.glob("validations/**/*.html"))
    return str(found[-1].relative_to(lake.data_docs(state))) if found else None


# ---- files, read when they changed --------------------------------------------------------------

_seen: dict[Path, tuple[tuple[int, int], Any]] = {}


def _read(path: Path, understood: Callable[[dict[str, Any]], Any]) -> Any:
    """A JSON file as `understood`, or None if it is not there (or half written)."""
    return _cached(path, lambda: understood(json.loads(path.read_text())))


def _cached(path: Path, read: Callable[[], Any]) -> Any:
    try:
        told = path.stat()
        stamp = (told.st_mtime_ns, told.st_size)
        if path in _seen and _seen[path][0] == stamp:
            return _seen[path][1]
        _seen[path] = (stamp, read())
    except (FileNotFoundError, json.JSONDecodeError):
        _seen.pop(path, None)
        return None
    return _seen[path][1]


def _receipt(told: dict[str, Any]) -> dict[str, Any]:
    return {key: told.get(key, "") for key in ("sha256", "received_at", "source", "bytes")}


def _summary(told: dict[str, Any], checked_at: str) -> Verdict:
    outcomes = Counter(promise["outcome"] for promise in told["promises"])
    return Verdict(
        verdict=told["verdict"],
        sha256=told["sha256"],
        checked_at=checked_at,
        rows_in=told.get("rows_in"),
        accepted=told.get("accepted"),
        quarantined=told.get("quarantined"),
        kept=outcomes["kept"],
        warned=outcomes["warned"],
        stopped=tuple(
            promise["promise"]
            for promise in told["promises"]
            if promise["outcome"] in ("broken", "errored")
        ),
        reason=told.get("override_reason"),
    )


def _changed_at(path: Path) -> str:
    moment = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return moment.isoformat(timespec="seconds")


def _loads(state: str) -> dict[tuple[str, int], lake.Load]:
    """Every accepted load that is still declared. The record is read out of changed files only."""
    found = {}
    for path in lake._partitions(state):
        load = _cached(path, lambda path=path: _record(path))
        if load:
            found[load.extract, load.school_year] = load
    return found


def _record(path: Path) -> lake.Load | None:
    # The same record as `lake.read_load` gives, without a database for each of 2,500 files.
    import pyarrow.parquet

    told = pyarrow.parquet.read_metadata(path).metadata or {}
    record = told.get(lake.METADATA_KEY.encode())
    return lake.Load(**json.loads(record)) if record else None


def _loaded_at(state: str) -> dict[tuple[str, int], tuple[str, str]]:
    """When each extract and year was last loaded, and which file."""
    path = lake.home() / "lake" / state / "loads.jsonl"
    return _cached(path, lambda: _last_loads(path)) or {}


def _last_loads(path: Path) -> dict[tuple[str, int], tuple[str, str]]:
    found = {}
    for text in path.read_text().splitlines():
        told = json.loads(text)
        found[told["extract"], told["school_year"]] = (told["sha256"], told["loaded_at"])
    return found


def _ledger(state: str) -> list[dict[str, Any]]:
    path = lake.published(state) / "releases.jsonl"
    return _cached(path, lambda: [json.loads(it) for it in _tail(path, 10_000)]) or []


def _current(state: str) -> str | None:
    from include import release

    return release.current(state)


def _tail(path: Path, most: int) -> list[str]:
    """The last whole lines of a file, none if there is no such file."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [text for text in lines if text.endswith("\n") and text.strip()][-most:]
