"""The data files of a release: Parquet, CSV and one DuckDB file, byte for byte the same each time.

They are written by a process of their own (`write` starts it), for two reasons. DuckDB pads its
blocks with whatever its memory held before: in a process that never saw the exact tables, and whose
allocator hands out zeroes, that is nothing of anybody's, and the same nothing each time. And one
thread in a fresh process puts rows into the same blocks.

CSV is for people and their spreadsheets: UTF-8 with a byte-order mark, without which Excel spoils
every accent, and no text cell that a spreadsheet would run as a formula.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from include.dictionary import Table

ROOT = Path(__file__).parents[1]
BOM = b"\xef\xbb\xbf"
# What makes a spreadsheet take a text for a formula (also behind blanks, and in full width), and
# the tab and line ends that some of them strip first.
FORMULA = r"^\s*[=+\-@\t\r\n＝＋－＠]"  # noqa: RUF001
DATABASE = "statewide.duckdb"


class ExportFailed(RuntimeError):
    """The files of a release could not be written. Nothing was published."""


def write(source: Path, into: Path, tables: Sequence[Table]) -> None:
    """Write every table of schema `published` in `source` to the folder `into`.

    `<table>.parquet`, `<table>.csv` and `statewide.duckdb`, rows in the order of all their columns.
    Raises ExportFailed with what the process said.
    """
    told = {
        "source": str(source),
        "into": str(into),
        "tables": {
            table.name: {
                "description": table.description,
                "columns": {c.name: [c.type, c.description] for c in table.columns},
            }
            for table in tables
        },
    }
    zeroes = {"DUCKDB_JE_MALLOC_CONF": "zero:true", "MALLOC_PERTURB_": "255"}
    done = subprocess.run(
        [sys.executable, "-m", "include.exports"],
        cwd=ROOT,
        env=os.environ | zeroes,
        input=json.dumps(told),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise ExportFailed(f"the tables could not be exported: {said[-1]}")


def neutral(text: str) -> str:
    """A text that no spreadsheet takes for a formula: such a one gets an apostrophe before it."""
    return f"'{text}" if re.match(FORMULA, text) else text


def csv_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A small table of texts as the CSV that people get."""
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([neutral(cell) for cell in row] for row in rows)
    return BOM + told.getvalue().encode()


def _write(told: dict) -> None:
    import duckdb

    into = Path(told["into"])
    with duckdb.connect(config={"threads": 1}) as connection:
        # Its symbol tables differ from run to run.
        connection.execute("set disabled_compression_methods = 'fsst,dict_fsst'")
        connection.execute(f"attach {_text(told['source'])} as source (read_only)")
        connection.execute(f"attach {_text(str(into / DATABASE))} as release")
        connection.execute("create schema release.published")
        for name, table in told["tables"].items():
            relation = f"release.published.{_name(name)}"
            connection.execute(
                f"create table {relation} as "
                f"select * from source.published.{_name(name)} order by all"
            )
            _describe(connection, relation, table)
            connection.execute(
                f"copy {relation} to {_text(str(into / f'{name}.parquet'))} "
                "(format parquet, compression zstd)"
            )
            _write_csv(connection, relation, table["columns"], into / f"{name}.csv")
        connection.execute("checkpoint release")
        connection.execute("detach release")


def _describe(connection, relation: str, table: dict) -> None:
    connection.execute(f"comment on table {relation} is {_text(table['description'])}")
    for column, (_, description) in table["columns"].items():
        connection.execute(f"comment on column {relation}.{_name(column)} is {_text(description)}")


def _write_csv(connection, relation: str, columns: dict, path: Path) -> None:
    cells = ", ".join(
        f"{_cell(name, type_)} as {_name(name)}" for name, (type_, _) in columns.items()
    )
    plain = path.with_suffix(".csv.part")
    connection.execute(f"copy (select {cells} from {relation}) to {_text(str(plain))} (header)")
    with plain.open("rb") as body, path.open("wb") as file:
        file.write(BOM)
        while chunk := body.read(2**20):
            file.write(chunk)
    plain.unlink()


def _cell(name: str, type_: str) -> str:
    """SQL: one cell of a CSV. A list is its elements with blanks between them."""
    cell = _name(name)
    if type_.endswith("[]"):
        cell, type_ = f"array_to_string({cell}, ' ')", "varchar"
    if type_ != "varchar":
        return cell
    return f"case when regexp_matches({cell}, {_text(FORMULA)}) then '''' || {cell} else {cell} end"


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


if __name__ == "__main__":
    _write(json.load(sys.stdin))
