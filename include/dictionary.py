"""The data dictionary of a release: its tables, columns, metrics and vocabulary, for people.

What a table and a column mean is written once, beside the dbt model; it is read here from the
manifest that dbt leaves behind. Metrics describe themselves in `dim_metric`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

log = logging.getLogger(__name__)

STATUSES = {
    "reported": "the value is exact",
    "suppressed_primary": "withheld by us or by the publisher, because it would tell of few people",
    "suppressed_complementary": "withheld so that another withheld value cannot be worked out",
    "range_coded": "given as a range: see value_lower and value_upper",
    "not_applicable": "the question makes no sense here (no such grade, nobody to divide by)",
    "not_collected": "the state's extracts do not have it",
    "missing": "the state's extracts should have it, and do not",
}
ORG_LEVELS = {
    "SEA": "the state",
    "LEA": "a district or another local agency",
    "SCH": "a school",
    "REG": "a region",
}


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """A published table. Its description ends with its grain: one row for each ..."""

    name: str
    rows: int
    description: str
    columns: tuple[Column, ...]


def tables(database: Path, manifest: Path | None) -> list[Table]:
    """The tables of schema `published`, described by dbt's manifest as far as there is one."""
    described = _descriptions(manifest)
    with duckdb.connect(str(database), read_only=True) as connection:
        columns = connection.execute(
            "select table_name, column_name, lower(data_type) from information_schema.columns "
            "where table_schema = 'published' order by table_name, ordinal_position"
        ).fetchall()
        names = sorted({table for table, _, _ in columns})
        rows = {
            name: connection.execute(f'select count(*) from published."{name}"').fetchone()[0]
            for name in names
        }
    return [
        Table(
            name,
            rows[name],
            described.get(name, ("", {}))[0],
            tuple(
                Column(column, type_, described.get(name, ("", {}))[1].get(column, ""))
                for table, column, type_ in columns
                if table == name
            ),
        )
        for name in names
    ]


def _descriptions(manifest: Path | None) -> dict[str, tuple[str, dict[str, str]]]:
    """Of every mart: what it is, and what its columns are."""
    if manifest is None or not manifest.exists():
        log.warning(
            "no dbt manifest at %s: tables and columns are published without descriptions", manifest
        )
        return {}
    nodes = json.loads(manifest.read_text())["nodes"].values()
    return {
        node["name"]: (
            _one_line(node["description"]),
            {name: _one_line(told["description"]) for name, told in node["columns"].items()},
        )
        for node in nodes
        if node["resource_type"] == "model" and node["schema"] == "marts"
    }


def metrics(database: Path) -> list[dict[str, str]]:
    """Every row of dim_metric, in its own order of columns; nulls as empty text."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute("select * from published.dim_metric order by metric_id")
        names = [column[0] for column in found.description]
        return [
            {
                name: "" if value is None else str(value)
                for name, value in zip(names, row, strict=True)
            }
            for row in found.fetchall()
        ]


def markdown(title: str, notes: Sequence[str], found: Sequence[Table], told: Sequence[dict]) -> str:
    """The dictionary as a page. `notes` are paragraphs, `told` the rows of `metrics`."""
    return "\n".join([f"# {title}", "", *_paragraphs(notes), *_page(found, told)]) + "\n"


def _paragraphs(notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield from (note, "")


def _page(found: Sequence[Table], told: Sequence[dict]) -> Iterator[str]:
    yield from ("## Tables", "")
    for table in found:
        yield from (f"### {table.name}", "")
        yield from (f"{table.description or 'Not described.'} {table.rows:,} rows.", "")
        yield from _table(
            ("column", "type", "description"),
            [(f"`{c.name}`", c.type, c.description) for c in table.columns],
        )
    yield from ("## Metrics", "")
    for metric in told:
        yield from (f"### {metric['metric_id']}: {_cell(metric['label'])}", "")
        yield from (_one_line(metric["definition"]), "")
        rest = [(k, v) for k, v in metric.items() if k not in ("metric_id", "label", "definition")]
        yield from _table(("property", "value"), [(name, value) for name, value in rest if value])
    yield from ("## Status of a value", "")
    yield from _table(("status", "meaning"), [(f"`{s}`", text) for s, text in STATUSES.items()])
    yield from ("## Levels of organizations", "")
    yield from _table(("org_level", "meaning"), [(f"`{s}`", t) for s, t in ORG_LEVELS.items()])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""


def rows(found: Sequence[Table], told: Sequence[dict]) -> Iterator[tuple[str, ...]]:
    """The dictionary as a table: HEADER, then one row for each thing that is described."""
    for table in found:
        yield ("table", table.name, "", "", "", table.description, "", "", "")
        for column in table.columns:
            yield ("column", table.name, column.name, column.type, "", column.description) + (
                ("",) * 3
            )
    for metric in told:
        yield (
            "metric", "dim_metric", metric["metric_id"], "", metric["unit"], metric["definition"],
            metric["formula"], metric["polarity"], metric["citation"],
        )  # fmt: skip
    for status, text in STATUSES.items():
        yield ("status", "fct_metric", status, "", "", text, "", "", "")
    for level, text in ORG_LEVELS.items():
        yield ("org_level", "dim_organization", level, "", "", text, "", "", "")


HEADER = (
    "kind", "table", "name", "type", "unit", "description", "formula", "polarity", "citation",
)  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    """A text that neither ends a Markdown cell nor starts HTML."""
    return _one_line(text).replace("|", "\\|").replace("<", "&lt;")
