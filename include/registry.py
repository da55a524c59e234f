"""Every extract the project has promised to load, read from `include/states/`.

A state's file is the one home of all that is known of its extracts: where they are, what their
headers mean, which codes they use, how many rows are believable, whose they are. A state that
sends the record-level standard extracts says `standard: true` and inherits the rest from
`include/standard/`; one that uses a nationwide file says `reference: true` and inherits from
`include/reference/`.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

METRICS = Path(__file__).parents[1] / "dbt_project" / "seeds" / "metrics.csv"
STATES = Path(__file__).parent / "states"
STANDARD = Path(__file__).parent / "standard"
REFERENCE = Path(__file__).parent / "reference"

# The task groups of an ingest DAG, in the order in which they are drawn.
Group = Literal["enrollment", "finance", "workforce", "reference"]


class BadDeclaration(ValueError):
    """A file under `include/states/`, `standard/` or `reference/` that cannot be understood."""


@cache
def _metrics_of(_written: int) -> frozenset[str]:
    with METRICS.open(newline="", encoding="utf-8") as file:
        return frozenset(row["metric_id"] for row in csv.DictReader(file))


class Strict(BaseModel):
    """A misspelt key in a state's file is an error, not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def dated(name: str, school_year: int) -> str:
    """A name with its year filled in: `{school_year}` is 2013, `{school_years}` 2012-13."""
    both = f"{school_year - 1}-{school_year % 100:02}"
    return name.format(school_year=school_year, school_years=both)


class Column(Strict):
    """One column of an extract: our name is its key in `columns`, the rest is what it must keep to.

    In YAML a plain list stands for `headers`.
    """

    headers: tuple[str, ...] = ()
    description: str = ""
    type: Literal["text", "integer", "number", "date", "flag"] = "text"
    # Null in an accepted row is allowed unless `required`.
    required: bool = False
    # The header may be missing from a file altogether; the column is then null.
    optional: bool = False
    # Accepted codes: a list, or the name of a code set in dbt_project/seeds/code_set.csv.
    codes: tuple[str, ...] | str | None = None
    # A full-match regular expression (RE2).
    pattern: str | None = None
    min: float | None = None
    max: float | None = None
    # Tokens by which the publisher withholds a value; they pass every check of type and range.
    masks: tuple[str, ...] = ()
    # Values damaged on their way here, and what they were; applied before any check.
    repairs: dict[str, str] = Field(default_factory=dict)
    # The publisher prints it on the first of its rows only: a blank cell means the one above it.
    fill_down: bool = False
    # Identifies a person: HMAC-SHA256 on the way into the lake, never shown anywhere.
    personal: bool = False
    # The row must be of the school year that the file is for.
    is_school_year: bool = False
    # `refuse`: the row is quarantined. `warn`: it is loaded, counted and reported.
    otherwise: Literal["quarantine", "warn"] = "quarantine"


class Layout(Strict):
    """How the bytes are laid out."""

    format: Literal["csv", "xlsx", "xls", "fixed"] = "csv"
    # Lines before the header. None: the header is the first line that holds the known headers.
    title_lines: int | None = None
    delimiter: str = ","
    # None: byte-order mark first, then UTF-8, then Windows-1252.
    encoding: str | None = None
    sheet: str | None = None
    # Fixed width: our column name to (first, last) position, counted from 1, both included.
    positions: dict[str, tuple[int, int]] = Field(default_factory=dict)


class AcrossRows(Strict):
    """A promise that rows of one file break together."""

    # SQL over `landed` (our columns as text, and `_row`) that gives the `_row` of each of them. The
    # copies of a row that is there twice say nothing new: such a query must not count them.
    rows: str
    reason: str
    otherwise: Literal["quarantine", "warn"] = "quarantine"


class BesideOthers(Strict):
    """A promise that a row keeps or breaks beside what else is loaded: other extracts, seeds, or
    the extract's own years before. Judged when a build is made (`include.contradictions`), since
    extracts are loaded in any order."""

    # What it is held against: standard and reference extracts by name, seeds by file name. Only
    # school years that all of those extracts have are judged.
    of: tuple[str, ...] = ()
    # SQL over `rows` (all that is loaded of this extract, every year) and the relations of `of`,
    # that gives the `school_year` and `_row` of each row that breaks it.
    rows: str
    column: str
    reason: str
    expected: str
    what_to_do: str
    otherwise: Literal["quarantine", "warn"] = "quarantine"


class Extract(Strict):
    """One file a year, and its promises."""

    group: Group
    description: str
    school_years: tuple[int, ...] = Field(min_length=1)
    # Relative to STATEWIDE_EXTRACTS, or absolute (https, s3, sftp). `{school_year}` is filled in
    # (2013), and so is `{school_years}` (2012-13); `archive.zip!member.csv` names a member of an
    # archive.
    source: str
    # A JSON file beside the extract: {rows, sha256, as_of, submission}.
    manifest: str | None = None
    # By when the file of a school year is promised: a date in which `{school_year}` and, for the
    # autumn in which that year begins, `{previous_year}` are filled in: "{previous_year}-11-15".
    # The day after, a file that is not loaded is late, which is told to whom it concerns.
    due: str | None = None
    layout: Layout = Layout()
    key: tuple[str, ...] = Field(min_length=1)
    rows: tuple[int, int]
    # Against the last accepted load: at most this share fewer rows.
    max_row_loss: float = Field(default=0.2, ge=0, le=1)
    # At most this share of rows may be quarantined.
    max_bad_rows: float = Field(default=0.05, ge=0, le=1)
    columns: dict[str, Column]
    # Headers the publisher sends and we do not load.
    ignored: tuple[str, ...] = ()
    # Cells that mean "nothing here", beside the empty cell.
    nulls: tuple[str, ...] = ()
    # Rows that are not data: our column to the value that gives them away.
    footers: tuple[dict[str, str], ...] = ()
    # SQL conditions over our (text) columns, each with the reason its violation is quarantined for.
    row_rules: dict[str, str] = Field(default_factory=dict)
    # What no single row can show.
    across_rows: tuple[AcrossRows, ...] = ()
    # What no single file can show.
    beside: tuple[BesideOthers, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_columns(cls, data: Any) -> Any:
        columns = data.get("columns")
        if isinstance(columns, dict):
            data = data | {"columns": {name: _column(name, it) for name, it in columns.items()}}
        return data

    @model_validator(mode="after")
    def _names_exist(self) -> Extract:
        named = [*self.key, *self.layout.positions, *(c for f in self.footers for c in f)]
        named += [rule.column for rule in self.beside]
        if unknown := sorted(set(named) - set(self.columns)):
            raise ValueError(f"{', '.join(unknown)} named, but not declared under columns")
        for year in self.school_years:
            self.promised(year)
        seen: dict[str, str] = {}
        for name, column in self.columns.items():
            for header in column.headers:
                if seen.setdefault(header, name) != name:
                    raise ValueError(f"header {header!r} stands for both {seen[header]} and {name}")
        return self

    def location(self, school_year: int) -> str:
        """Where the file of one school year is, relative or absolute."""
        return dated(self.source, school_year)

    def promised(self, school_year: int) -> date | None:
        """By when the file of one school year is promised, if anybody promised it."""
        if self.due is None:
            return None
        try:
            told = self.due.format(school_year=school_year, previous_year=school_year - 1)
            return date.fromisoformat(told)
        except (ValueError, KeyError, IndexError):
            raise ValueError(
                f"due: {self.due!r} is no date for school year {school_year}; write a date such as "
                "'{previous_year}-11-15' or '{school_year}-09-30'"
            ) from None

    @property
    def personal_columns(self) -> list[str]:
        return [name for name, column in self.columns.items() if column.personal]

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same bytes could load differently."""
        # What is judged beside others is judged by each build anew.
        untold = {"description", "group", "school_years", "source", "rows", "due", "beside"}
        told = self.model_dump(exclude=untold)
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class MetricRules(Strict):
    """What of a state's disclosure policy is otherwise for one metric; the rest is as for all."""

    minimum_n: int | None = Field(default=None, ge=3, le=30)
    zeros: Literal["shown", "withheld"] | None = None
    rate_coding: Literal["size_dependent", "edfacts", "none"] | None = None
    minimum_persons: int | None = Field(default=None, ge=1)
    dominance: float | None = Field(default=None, gt=0, le=1)


class Disclosure(Strict):
    """What may be published exactly, and what may not."""

    # Counts of people from 1 to minimum_n - 1 are withheld, and rates on fewer than minimum_n.
    minimum_n: int = Field(default=10, ge=3, le=30)
    zeros: Literal["shown", "withheld"] = "shown"
    # How rates near 0 and 1 are told: in ranges by number of people, in EDFacts', or exactly.
    rate_coding: Literal["size_dependent", "edfacts", "none"] = "size_dependent"
    # Whether more is hidden until subtraction gives nothing back, and proven; `off` hides small
    # counts only, and nothing is proven.
    complementary: Literal["on", "off"] = "on"
    # Money per person is told of at least so many persons.
    minimum_persons: int = Field(default=3, ge=1)
    # And not where one person has so much of it, or more.
    dominance: float = Field(default=0.8, gt=0, le=1)
    # Metrics that the state itself publishes exactly.
    public_metrics: tuple[str, ...] = ()
    # Metrics that have rules of their own, by their name.
    metrics: dict[str, MetricRules] = {}

    @model_validator(mode="after")
    def _known(self) -> Disclosure:
        named = {*self.public_metrics, *self.metrics}
        if unknown := sorted(named - _metrics_of(METRICS.stat().st_mtime_ns)):
            raise ValueError(
                f"there is no metric {', '.join(unknown)} in {METRICS.name}; a rule for none would "
                "protect nothing. Correct the name"
            )
        return self

    def of(self, metric: str) -> Disclosure:
        """The policy as it is for one metric."""
        own = self.metrics.get(metric)
        return self.model_copy(update=own.model_dump(exclude_none=True)) if own else self

    @property
    def greatest_n(self) -> int:
        """What every count is below that is withheld for being small."""
        return max([self.minimum_n, *self.other_n.values()])

    @property
    def other_n(self) -> dict[str, int]:
        """The minimum n of each metric that has another than the state's."""
        own = {metric: self.of(metric).minimum_n for metric in self.metrics}
        return {metric: n for metric, n in own.items() if n != self.minimum_n}

    def withheld(self) -> str:
        """The counts that are withheld for being small, in words: `1 to 9`."""
        others = [f"of {metric} 1 to {n - 1}" for metric, n in self.other_n.items()]
        return "; ".join([f"1 to {self.minimum_n - 1}", *others])


class State(Strict):
    """A tenant: its own DAGs, lake, warehouse and releases."""

    state: str = Field(pattern=r"^[a-z]{2}$")
    name: str
    agency: str
    owner: str
    schedule: str | None
    description: str = ""
    # Hosts that absolute sources may name; STATEWIDE_EXTRACTS, set by the operator, is trusted.
    hosts: tuple[str, ...] = ()
    disclosure: Disclosure = Disclosure()
    # The column of its extracts that says which organization a row is about. A total over rows of
    # which one was quarantined is no total; by this the builds know whose it would have been.
    organization: str | None = None
    extracts: dict[str, Extract] = Field(min_length=1)

    @property
    def school_years(self) -> list[int]:
        return sorted({year for extract in self.extracts.values() for year in extract.school_years})

    @property
    def latest_year(self) -> int:
        """The latest year that is published as a whole: half as many extracts as the fullest has.

        A single file that reaches further (a workbook of many years) is no year of its own.
        """
        due = {year: len(self.due(year)) for year in self.school_years}
        return max(year for year, extracts in due.items() if 2 * extracts >= max(due.values()))

    def due(self, school_year: int) -> dict[str, Extract]:
        """The extracts that this school year has."""
        return {n: e for n, e in self.extracts.items() if school_year in e.school_years}


def _load(file: Path) -> Any:
    # libyaml where it is there: every task reads its state's file.
    return yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _column(name: str, told: Any) -> Any:
    if told is None:
        told = {}
    if isinstance(told, list | str):
        told = {"headers": [told] if isinstance(told, str) else told}
    if isinstance(told, dict):
        headers = told.get("headers", [name])
        told = told | {"headers": [headers] if isinstance(headers, str) else headers}
    return told


@cache
def standard_extracts() -> dict[str, dict[str, Any]]:
    """The record-level standard extracts as declared, by name."""
    return {file.stem: _load(file) for file in sorted(STANDARD.glob("*.yml"))}


def _standard(name: str) -> dict[str, Any]:
    known = standard_extracts()
    if name not in known:
        raise BadDeclaration(f"there is no standard extract {name!r}; there are {', '.join(known)}")
    return known[name]


@cache
def reference_extracts() -> dict[str, dict[str, Any]]:
    """The nationwide reference files as declared, by name: the same file serves every state."""
    return {file.stem: _load(file) for file in sorted(REFERENCE.glob("*.yml"))}


def _reference(name: str) -> dict[str, Any]:
    known = reference_extracts()
    if name not in known:
        raise BadDeclaration(f"there is no reference file {name!r}; there are {', '.join(known)}")
    return known[name]


def is_reference(state: str, extract: str) -> bool:
    """Whether this extract of the state is one of the nationwide reference files."""
    return extract in _said_to_be("reference", state)


def sends_records(state: str) -> bool:
    """Whether the state sends any of the record-level standard extracts."""
    return bool(_said_to_be("standard", state))


def is_standard(state: str, extract: str) -> bool:
    """Whether this extract of the state is one of the record-level standard extracts."""
    return extract in _said_to_be("standard", state)


# Words of names that are read letter by letter.
_LETTERS = frozenset({"cip", "cte", "lea", "soc"})


def said(name: str) -> str:
    """A name as people say it: `cte_enrollment` is `CTE enrollment`."""
    words = name.replace("_", " ").split(" ")
    return " ".join(word.upper() if word in _LETTERS else word for word in words)


def _said_to_be(kind: str, state: str) -> frozenset[str]:
    file = STATES / f"{state}.yml"
    return _marked(kind, file, file.stat().st_mtime_ns)


@cache
def _marked(kind: str, file: Path, _written: int) -> frozenset[str]:
    told = _load(file)["extracts"]
    return frozenset(name for name, extract in told.items() if (extract or {}).get(kind))


def read(file: Path) -> State:
    """One state's file as a typed, frozen object.

    Raises BadDeclaration, which names the file, the key and what is wrong with it.
    """
    try:
        told = _load(file)
        for name, extract in told.get("extracts", {}).items():
            extract = extract or {}
            if extract.pop("standard", False):
                told["extracts"][name] = _standard(name) | extract
            if extract.pop("reference", False):
                told["extracts"][name] = _reference(name) | extract
        state = State(**told)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise BadDeclaration(f"{file.name}: {wrong}") from None
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        raise BadDeclaration(f"{file.name}: not a state's declaration: {error}") from error
    if state.state != file.stem:
        raise BadDeclaration(f"{file.name}: declares state {state.state!r}; name the file after it")
    return state


class States(Mapping[str, State]):
    """All states, by postal code; each file is read when its state is first asked for.

    And again when it was written to: Airflow's pages are served by a process that lives for months,
    while states are added and corrected.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._read: dict[str, tuple[int, State]] = {}

    def __getitem__(self, code: str) -> State:
        file = self._folder / f"{code}.yml"
        try:
            # A code may come out of an address: it names no file elsewhere.
            if file.parent != self._folder or file.stem != code:
                raise KeyError(code)
            written = file.stat().st_mtime_ns
        except (OSError, ValueError):
            raise KeyError(code) from None
        if code not in self._read or self._read[code][0] != written:
            self._read[code] = (written, read(file))
        return self._read[code][1]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(file.stem for file in self._folder.glob("*.yml")))

    def __len__(self) -> int:
        return len(list(iter(self)))


@cache
def states() -> Mapping[str, State]:
    """All states, by postal code."""
    return States(STATES)


def extract_of(state: str, extract: str) -> Extract:
    """One declared extract. Raises BadDeclaration naming what there is instead."""
    if state not in states():
        raise BadDeclaration(f"no state {state!r}; there are {', '.join(states())}")
    if extract not in states()[state].extracts:
        known = ", ".join(states()[state].extracts)
        raise BadDeclaration(f"{state} declares no extract {extract!r}; it has {known}")
    return states()[state].extracts[extract]
