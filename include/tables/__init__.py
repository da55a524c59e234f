"""Landed bytes become one table of text, with our column names and the row each line came from.

A publisher's file is CSV, a workbook or fixed width, in whatever encoding and under however many
title lines. Here it becomes Parquet: `_row` (the line of the file, or the row of the sheet, as a
person sees it) and then every declared column, all text, in the order of their declaration. What
a cell means is left to staging; what it must keep to is left to quality. This package only refuses
what cannot be read without guessing.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from include import lake
from include.registry import Extract
from include.tables import delimited, fixed_width, workbooks
from include.tables.headers import folded
from include.tables.unreadable import Unreadable, unreadable

__all__ = ["Table", "Unreadable", "read"]


@dataclass(frozen=True)
class Table:
    """What was read. `path` is Parquet: `_row` bigint, then the declared columns as text.

    Headers are reported, not judged. `repaired` counts repaired cells by column. `encoding` is
    None for workbooks. `title_lines` is the number of lines found before the header.
    """

    path: Path
    rows: int
    unknown_headers: tuple[str, ...]
    missing_headers: tuple[str, ...]
    repaired: dict[str, int]
    encoding: str | None
    title_lines: int


def read(extract: Extract, source: Path, to: Path) -> Table:
    """Read one landed file into a Parquet file, one row for each record of the file.

    Headers are matched to `Column.headers` exactly, after trimming and folding white space. Cells
    are trimmed, `="010"` is unwrapped, blank cells and `extract.nulls` become null, `repairs` are
    applied (before nulls: they know the column). Rows without any cell are left out; footers stay.
    A column that is to `fill_down` takes the place of its blank cells from the row above, here and
    not in staging: afterwards a row may be set aside, and the next would get a stranger's label.
    A missing column is null throughout and named in `missing_headers`; an undeclared one is named
    in `unknown_headers`. `to` appears in one rename, with the same bytes for the same input.

    Raises Unreadable for anything that cannot be split into rows and cells without guessing.
    """
    _refuse_other_formats(extract, source)
    readers = {
        "csv": delimited.read,
        "fixed": fixed_width.read,
        "xlsx": workbooks.read,
        "xls": workbooks.read,
    }
    lake.private(to.parent)
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        header, written, encoding = readers[extract.layout.format](extract, source, part)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    ignored = {folded(name) for name in extract.ignored}
    nameless = [
        name for i in sorted(written.nameless) if (name := f"column_{i + 1}") not in ignored
    ]
    return Table(
        path=to,
        rows=written.rows,
        unknown_headers=(*header.unknown, *nameless),
        missing_headers=header.missing,
        repaired=written.repaired,
        encoding=encoding,
        title_lines=header.title_lines,
    )


def _refuse_other_formats(extract: Extract, source: Path) -> None:
    with source.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise unreadable(source, "is empty (0 bytes)", "a file with a header", "fetch it again")
    found = _signature(head)
    wanted = extract.layout.format
    accepted = {"csv": None, "fixed": None, "xlsx": "a zip archive", "xls": "an .xls workbook"}
    if found != accepted[wanted]:
        if wanted in ("csv", "fixed"):
            expected = "CSV text" if wanted == "csv" else "fixed-width text"
        else:
            expected = f"an .{wanted} workbook"
        if found == "a zip archive":
            found = "a zip archive or an .xlsx workbook"
        if found == "an .xls workbook":
            found = "an .xls workbook, or an encrypted one"
        if found and "HTML" in found:
            remedy = "open the source in a browser: the publisher answers with a page"
        else:
            remedy = "correct layout.format if the publisher has changed it, or fetch it again"
        raise unreadable(source, f"is {found or 'text or unknown bytes'}", expected, remedy)


def _signature(head: bytes) -> str | None:
    """What the first bytes give away; None for text, and for what they do not."""
    signatures = {
        b"PK\x03\x04": "a zip archive",
        b"PK\x05\x06": "an empty zip archive",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an .xls workbook",
        b"\x09\x08": "an .xls workbook",
        b"%PDF": "a PDF",
        b"\x1f\x8b": "a gzip archive",
        b"PAR1": "a Parquet file",
    }
    for signature, name in signatures.items():
        if head.startswith(signature):
            return name
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    if re.match(rb"<(!doctype|!--|html|head|body|table|script|\?xml|error)", text):
        return "an HTML or XML page"
    return None
