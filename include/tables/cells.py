"""Cells: blank, wrapped against Excel's meddling, or just text."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from include.registry import Extract

_WRAPPED = r'^=("{1,2})([^"]*)"{1,2}$'


def unwrapped(cell: str) -> str:
    """One cell as `clean` leaves it, for the few that are looked at one by one."""
    cell = cell.strip()
    match = re.match(_WRAPPED, cell)
    return match[2].strip() if match else cell


def clean(cells: pa.Array) -> pa.Array:
    """Cells without the blanks around them, and without the `="..."` around those."""
    cells = pc.utf8_trim_whitespace(cells)
    if pc.any(pc.starts_with(cells, '="')).as_py():
        cells = pc.replace_substring_regex(cells, pattern=_WRAPPED, replacement=r"\2")
        cells = pc.utf8_trim_whitespace(cells)
    return cells


def padded(cells: list[str], width: int) -> list[str]:
    """Exactly so many cells; those that a row does not have are blank."""
    return cells[:width] + [""] * (width - len(cells))


def is_footer(extract: Extract, where: dict[str, int], cells: list[str]) -> bool:
    """Whether a short row is a declared footer, which need not have all cells.

    `where` has the index of each of our columns.
    """

    def cell(name: str) -> str | None:
        index = where.get(name)
        return unwrapped(cells[index]) if index is not None and index < len(cells) else None

    return any(
        footer and all(cell(name) == value for name, value in footer.items())
        for footer in extract.footers
    )
