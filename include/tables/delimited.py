"""CSV, with any one-character delimiter.

A CSV has two ways through. PyArrow splits the plain ones, fast and in bounded memory; Python's
`csv` splits the rest (lone carriage returns, cells too many or too few) and words every refusal.
They follow the same rules of quoting, and everything after the splitting is shared, so the way
that a file took does not show in its table.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from include.registry import Extract
from include.tables import headers, parquet, text
from include.tables.cells import is_footer, padded, unwrapped
from include.tables.unreadable import Unreadable, unreadable

# Stands after the last line while splitting: an open quote swallows it. No text holds a NUL byte,
# since a file with one is refused before.
END = "\0"


class _NotPlain(Exception):
    """PyArrow could not split the file; Python's csv has to, or to say why not."""


def read(extract: Extract, source: Path, part: Path) -> tuple[headers.Header, parquet.Written, str]:
    """The header, what was written to `part`, and the encoding. Raises Unreadable."""
    if len(extract.layout.delimiter) != 1:
        raise unreadable(
            source,
            f"layout.delimiter is {extract.layout.delimiter!r}",
            "one character",
            "correct it",
        )
    survey = text.survey(extract, source)
    header = _header(extract, source, survey)
    for split in (_plain, _exact):
        try:
            written = parquet.write(extract, header, split(extract, source, survey, header), part)
            break
        except _NotPlain:
            continue
    return header, written, survey.encoding


def _header(extract: Extract, source: Path, survey: text.Survey) -> headers.Header:
    head_lines = (extract.layout.title_lines or 0) + headers.HEAD_LINES
    head = []
    for line, last_line, cells in _records(extract, source, survey):
        if line > head_lines:
            break
        head.append((line, last_line, cells))
    return headers.find(extract, source, head)


def _records(
    extract: Extract, source: Path, survey: text.Survey
) -> Iterator[tuple[int, int, list[str]]]:
    """First line, last line and cells of every record, split by Python's csv."""
    # The limit is the process's own, so it is never lowered here for others.
    csv.field_size_limit(max(text.LONGEST_LINE, csv.field_size_limit()))
    with text.lines_of(source, survey.encoding) as lines:
        reader = csv.reader(chain(lines, [END]), delimiter=extract.layout.delimiter)
        last_line, is_open = 0, False
        while not is_open:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                is_open = True
                break
            if cells == [END]:
                return
            is_open = reader.line_num > survey.lines and any(END in cell for cell in cells)
            if not is_open:
                yield last_line + 1, reader.line_num, cells
                last_line = reader.line_num
    raise unreadable(
        source,
        f"a quote opened in row {last_line + 1} is not closed by the end of the file",
        "a closing quote",
        "the file was probably cut short: fetch it again",
    )


def _exact(
    extract: Extract, source: Path, survey: text.Survey, header: headers.Header
) -> parquet.Batches:
    """Cells split by Python's csv: slower, and right about every file."""

    needed, width = header.named_width, header.width

    def records() -> parquet.Records:
        for line, last_line, cells in _records(extract, source, survey):
            if line <= header.last_line:
                continue
            count = len(cells)
            if count > width:
                cells = _rejoined(cells, extract.layout.delimiter)
                if any(map(unwrapped, cells[width:])):
                    raise ragged(line, last_line, count)
            elif (
                count < needed
                and any(map(unwrapped, cells))
                and not is_footer(extract, header.cells, cells)
            ):
                raise ragged(line, last_line, count)
            yield line, cells if count == width else padded(cells, width)

    def ragged(line: int, last_line: int, count: int) -> Unreadable:
        if last_line == survey.lines:
            remedy = "it is the last one, so the file was probably cut short: fetch it again"
        else:
            remedy = "look there for a stray delimiter or line break, or a second table"
        cells = "cell" if count == 1 else "cells"
        return unreadable(source, f"row {line} has {count} {cells}", str(needed), remedy)

    return parquet.batches(records(), header.width)


def _rejoined(cells: list[str], delimiter: str) -> list[str]:
    """A row with too many cells, where `="Smith, Jones"` counts as one of them.

    Spreadsheets' formulas are not quoted, so a delimiter inside of one splits it.
    """
    joined: list[str] = []
    is_inside = False
    for cell in cells:
        if is_inside:
            joined[-1] += delimiter + cell
            is_inside = not cell.rstrip().endswith('"')
        else:
            joined.append(cell)
            start = cell.strip()
            is_inside = start.startswith('="') and (start == '="' or not start.endswith('"'))
    return cells if is_inside else joined


def _plain(
    extract: Extract, source: Path, survey: text.Survey, header: headers.Header
) -> parquet.Batches:
    """Cells split by PyArrow. Raises _NotPlain, at any point, for what it does not split alike."""
    delimiter = extract.layout.delimiter
    if survey.has_lone_returns or not delimiter.isascii() or survey.lines <= header.last_line:
        raise _NotPlain
    names = [f"c{i}" for i in range(header.width)]
    end = f"\n{END}{delimiter * (header.width - 1)}\n".encode()
    stream = text.bytes_of(chain(text.pieces(source, survey.encoding), [end]))
    for _ in range(header.last_line):
        stream.readline()
    line, has_ended, failed = header.last_line + 1, False, False
    try:
        batches = pa.csv.open_csv(
            stream,
            read_options=pa.csv.ReadOptions(
                column_names=names, block_size=text.PIECE_BYTES, use_threads=False
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if survey.has_quotes else False,
                newlines_in_values=survey.has_quotes,
                # A blank line is a row, so that those after it keep their numbers.
                ignore_empty_lines=False,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
        while (batch := next(batches, None)) is not None:
            cells = batch.columns
            if not batch.num_rows:
                continue
            # Breaks inside of quotes are lines of the file too.
            heights = _heights(cells, survey.has_quotes)
            after = pc.cumulative_sum(heights, start=line)
            lines = pc.subtract(after, heights)
            line = after[-1].as_py()
            found = pc.index(cells[0], END).as_py()
            if found >= 0:
                has_ended = lines[found].as_py() - survey.lines in (1, 2)
                failed = not has_ended
                lines, cells = lines[:found], [column[:found] for column in cells]
            yield lines, cells
    except pa.ArrowException:
        # Its message quotes the row, so it is neither kept nor chained.
        failed = True
    if failed or not has_ended:
        raise _NotPlain


def _heights(cells: list[pa.Array], has_quotes: bool) -> pa.Array:
    """How many lines of the file each row takes."""
    heights = pa.repeat(pa.scalar(1, pa.int64()), len(cells[0]))
    if has_quotes:
        for column in cells:
            heights = pc.add(heights, pc.count_substring(column, "\n").cast(pa.int64()))
    return heights
