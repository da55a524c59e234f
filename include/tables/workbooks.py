"""Workbooks, `.xlsx` and `.xls`: one sheet, as a person would see it."""

from __future__ import annotations

import math
import os
import zipfile
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

import openpyxl
import xlrd

from include.registry import Extract
from include.tables import headers, parquet
from include.tables.cells import padded, unwrapped
from include.tables.unreadable import Unreadable, unreadable

# A workbook inflates on the way into memory; the caps stop one that was made to.
MEMBERS = 10_000
BYTES = 2 << 30
HELD_BYTES = 512 << 20
RATIO = 200
CELLS = 50_000_000


def read(
    extract: Extract, source: Path, part: Path
) -> tuple[headers.Header, parquet.Written, None]:
    """The header, and what was written to `part`. Raises Unreadable."""
    rows = (_xlsx_rows if extract.layout.format == "xlsx" else _xls_rows)(extract, source)
    rows = _sound(source, rows)
    head_rows = (extract.layout.title_lines or 0) + headers.HEAD_LINES
    head = list(islice(rows, head_rows))
    header = headers.find(extract, source, [(row, row, cells) for row, cells in head])
    nameless: set[int] = set()

    def records() -> parquet.Records:
        for row, cells in chain(head, rows):
            if row > header.last_line:
                # A sheet has no width of its own: what stands beside it has no header.
                beyond = range(header.width, len(cells))
                nameless.update(i for i in beyond if unwrapped(cells[i]))
                yield row, padded(cells, header.width)

    written = parquet.write(extract, header, parquet.batches(records(), header.width), part)
    written.nameless |= nameless
    return header, written, None


def _sound(source: Path, rows: parquet.Records) -> parquet.Records:
    """The rows, with whatever a damaged workbook makes its reader raise told as Unreadable."""
    while True:
        damage = None
        try:
            row = next(rows)
        except StopIteration:
            return
        except Unreadable:
            raise
        except Exception as error:
            # Readers of workbooks raise whatever they stumble over: KeyError, struct.error,
            # zlib.error, ParseError, AssertionError...
            damage = type(error).__name__
        if damage:
            raise unreadable(
                source, f"is damaged or cut short ({damage})", "a whole workbook", "fetch it again"
            )
        yield row


def _xlsx_rows(extract: Extract, source: Path) -> parquet.Records:
    _refuse_bombs(source)
    # As an open file: of a path it would want a suffix, and landed files have none.
    file = source.open("rb")
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        names = [sheet.title for sheet in book.worksheets]
        sheet = book[_sheet(extract, source, names)]
        # What a workbook says about its own extent is often wrong, and cuts rows off.
        sheet.reset_dimensions()
        seen = 0
        for number, row in enumerate(sheet.iter_rows(), start=1):
            seen += len(row)
            if seen > CELLS:
                raise _too_large(source, f"more than {CELLS:,} cells")
            yield (
                number,
                [
                    "" if (value := cell.value) is None else _text(value, cell.number_format)
                    for cell in row
                ],
            )
    finally:
        file.close()


def _xls_rows(extract: Extract, source: Path) -> parquet.Records:
    with open(os.devnull, "w") as silence:
        book = xlrd.open_workbook(
            source, logfile=silence, on_demand=True, formatting_info=True, ragged_rows=True
        )
        try:
            sheet = book.sheet_by_name(_sheet(extract, source, book.sheet_names()))
            for index in range(sheet.nrows):
                yield index + 1, [_xls_text(book, cell) for cell in sheet.row(index)]
        finally:
            book.release_resources()


def _xls_text(book: Any, cell: Any) -> str:
    if cell.ctype == xlrd.XL_CELL_NUMBER:
        shape = book.format_map.get(book.xf_list[cell.xf_index].format_key)
        return _text(cell.value, shape.format_str if shape else "")
    if cell.ctype == xlrd.XL_CELL_DATE:
        if cell.value < 1:
            return _text((datetime.min + timedelta(days=cell.value)).time())
        return _text(xlrd.xldate_as_datetime(cell.value, book.datemode))
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return _text(bool(cell.value))
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "#ERROR")
    return str(cell.value)


def _text(value: Any, shape: str = "") -> str:
    """A cell of a workbook as text: 2018.0 is `2018`, dates are ISO.

    A whole number in a format of zeros (`000`) is an identifier, and shown with them.
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        digits = str(int(value))
        is_padded = shape.startswith("00") and not shape.strip("0")
        return digits.zfill(len(shape)) if is_padded else digits
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _sheet(extract: Extract, source: Path, names: list[str]) -> str:
    wanted = extract.layout.sheet
    if not names:
        raise unreadable(source, "has no sheet of cells", "one", "fetch it again")
    if wanted is not None and wanted not in names:
        told = ", ".join(map(repr, names))
        raise unreadable(source, f"has the sheets {told}", repr(wanted), "correct layout.sheet")
    return names[0] if wanted is None else wanted


def _refuse_bombs(source: Path) -> None:
    members, damage = [], False
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        damage = True
    if damage:
        raise unreadable(
            source, "is a zip archive cut short or damaged", "an .xlsx workbook", "fetch it again"
        )
    if "xl/workbook.xml" not in {member.filename for member in members}:
        raise unreadable(
            source,
            "is a zip archive without a workbook in it",
            "an .xlsx workbook",
            "name the member in `source` (archive.zip!member), or correct layout.format",
        )
    inflated = sum(member.file_size for member in members)
    if len(members) > MEMBERS:
        raise _too_large(source, f"{len(members):,} members")
    if inflated > BYTES:
        raise _too_large(source, f"{inflated:,} bytes when unpacked")
    if inflated > 64 << 20 and inflated > RATIO * source.stat().st_size:
        raise _too_large(source, f"{inflated:,} bytes out of {source.stat().st_size:,}")
    # Sheets are streamed; strings and styles are held in memory.
    held = [it for it in members if not it.filename.startswith("xl/worksheets/")]
    if any(member.file_size > HELD_BYTES for member in held):
        raise _too_large(source, f"more than {HELD_BYTES:,} bytes in one member beside the sheets")


def _too_large(source: Path, found: str) -> Unreadable:
    return unreadable(
        source,
        f"would take {found}",
        "a workbook that a person can open",
        "refused for safety; ask the publisher for CSV",
    )
