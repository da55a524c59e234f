"""Split rows become Parquet: cleaned, repaired, in the order of the declared columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.registry import Extract
from include.tables.cells import clean
from include.tables.headers import Header

# Rows split in Python are written in pieces of about this many cells.
PIECE_CELLS = 400_000
# A row group is closed once it has this many of either: readers like them large, memory small.
GROUP_ROWS = 120_000
GROUP_BYTES = 32 << 20

# The row of the file and its cells: one by one, or as arrays (a column each) of the same length.
Records = Iterator[tuple[int, list[str]]]
Batches = Iterator[tuple[pa.Array, list[pa.Array]]]


@dataclass
class Written:
    """What went into the file."""

    rows: int = 0
    repaired: dict[str, int] = field(default_factory=dict)
    # Columns of the sheet with cells but without a header, by index.
    nameless: set[int] = field(default_factory=set)


def batches(records: Records, width: int) -> Batches:
    """Records (row of the file, its cells, `width` of each) as arrays, some at a time."""
    size = max(1, PIECE_CELLS // width)
    while piece := list(islice(records, size)):
        rows = pa.array([row for row, _ in piece], pa.int64())
        columns = zip(*(cells for _, cells in piece), strict=True)
        yield rows, [pa.array(column, pa.string()) for column in columns]


def write(extract: Extract, header: Header, batches: Batches, part: Path) -> Written:
    """Cells, cleaned, into Parquet. Nothing in the file depends on when it was written."""
    written = Written(repaired={n: 0 for n, column in extract.columns.items() if column.repairs})
    schema = pa.schema(
        [pa.field("_row", pa.int64(), nullable=False)]
        + [pa.field(name, pa.string()) for name in extract.columns]
    )
    # The last label of each column that is filled down, from one batch to the next.
    labels: dict[str, pa.Scalar] = {}
    with pq.ParquetWriter(part, schema, compression="zstd", store_schema=False) as parquet:
        group: list[pa.RecordBatch] = []
        for rows, cells in batches:
            kept = {name: clean(cells[i]) for name, i in header.cells.items()}
            others = [i for i in range(header.width) if i not in header.cells.values()]
            is_blank = _all_blank(kept.values(), len(rows))
            if pc.any(is_blank).as_py():
                rest = _all_blank((clean(cells[i]) for i in others), len(rows))
                has_cells = pc.invert(pc.and_(is_blank, rest))
                rows = rows.filter(has_cells)
                kept = {name: column.filter(has_cells) for name, column in kept.items()}
            for i in header.blank:
                if i not in written.nameless and _has_cells(cells[i]):
                    written.nameless.add(i)
            if not len(rows):
                continue
            columns = [
                _repaired(extract, name, kept[name], written.repaired)
                if name in kept
                else pa.nulls(len(rows), pa.string())
                for name in extract.columns
            ]
            columns = [
                _filled_down(name, column, labels) if extract.columns[name].fill_down else column
                for name, column in zip(extract.columns, columns, strict=True)
            ]
            group.append(pa.record_batch([rows, *columns], schema=schema))
            written.rows += len(rows)
            if sum(it.num_rows for it in group) >= GROUP_ROWS or (
                sum(it.nbytes for it in group) >= GROUP_BYTES
            ):
                _write_group(parquet, group)
        _write_group(parquet, group)
    return written


def _write_group(parquet: pq.ParquetWriter, group: list[pa.RecordBatch]) -> None:
    if group:
        table = pa.Table.from_batches(group)
        parquet.write_table(table, row_group_size=table.num_rows)
    group.clear()


def _all_blank(columns: Iterable[pa.Array], rows: int) -> pa.Array:
    blank = pa.repeat(pa.scalar(True), rows)
    for column in columns:
        blank = pc.and_(blank, pc.equal(column, ""))
    return blank


def _has_cells(column: pa.Array) -> bool:
    return bool(pc.any(pc.not_equal(clean(column), "")).as_py())


def _repaired(extract: Extract, name: str, cells: pa.Array, count: dict[str, int]) -> pa.Array:
    result = cells
    for null in ("", *extract.nulls):
        result = _replace(result, pc.equal(cells, null), None)
    for damaged, right in extract.columns[name].repairs.items():
        found = pc.equal(cells, damaged)
        count[name] += pc.sum(found).as_py() or 0
        result = _replace(result, found, right or None)
    return result


def _filled_down(name: str, cells: pa.Array, labels: dict[str, pa.Scalar]) -> pa.Array:
    """Each blank cell as the one above it. A blank one under nothing stays blank."""
    above = pa.array([labels[name].as_py() if name in labels else None], pa.string())
    filled = pc.fill_null_forward(pa.concat_arrays([above, cells]))[1:]
    labels[name] = filled[-1]
    return filled


def _replace(cells: pa.Array, found: pa.Array, value: str | None) -> pa.Array:
    if not pc.any(found).as_py():
        return cells
    return pc.if_else(found, pa.scalar(value, pa.string()), cells)
