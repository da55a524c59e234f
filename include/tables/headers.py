"""The header of a file: which line it is, and which of our columns each of its cells means."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from include.registry import Extract
from include.tables.cells import unwrapped
from include.tables.unreadable import unreadable

# A header that is not declared to be on a certain line is looked for in these many.
HEAD_LINES = 30


@dataclass(frozen=True)
class Header:
    """Where the columns are: our name to the index of its cell."""

    cells: dict[str, int]
    width: int
    title_lines: int = 0
    last_line: int = 0
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    # Indexes of cells that the header leaves blank. They count if anything stands under them.
    blank: tuple[int, ...] = ()

    @property
    def named_width(self) -> int:
        """How many cells a row needs, up to the last one that has a name."""
        return max((i + 1 for i in range(self.width) if i not in self.blank), default=0)


def find(extract: Extract, source: Path, head: list[tuple[int, int, list[str]]]) -> Header:
    """The header among the first records (first line, last line, cells), understood."""
    title_lines = extract.layout.title_lines
    lines = [it for it in head if it[0] > (title_lines or 0) and any(map(unwrapped, it[2]))]
    if not lines:
        raise unreadable(
            source,
            "holds only blank lines where its header should be",
            "a header",
            "fetch it again",
        )
    known = _known_headers(extract)
    ignored = {folded(name) for name in extract.ignored}
    required = {name for name, column in extract.columns.items() if not column.optional}

    def declared(cells: list[str]) -> set[str]:
        return {known[name] for cell in cells if (name := folded(cell)) in known}

    def is_recognised(cells: list[str]) -> bool:
        return 2 * len(declared(cells) & required) >= len(required)

    def score(cells: list[str]) -> int:
        return len(declared(cells)) + len(ignored & {folded(cell) for cell in cells} - {""})

    found = lines[0]
    if title_lines is None:
        candidates = [it for it in lines if declared(it[2]) and is_recognised(it[2])]
        found = max(candidates, key=lambda it: score(it[2]), default=found)
    line, last_line, cells = found

    where: dict[str, int] = {}
    unknown: list[str] = []
    blank: list[int] = []
    # Without a header in it, the first line of a file about people is a person.
    may_be_data = bool(extract.personal_columns) and not is_recognised(cells)
    times = Counter(map(folded, cells))
    for index, cell in enumerate(cells):
        name, place = folded(cell), f"column_{index + 1}"
        # A blank header, or one of several of the same name, may be declared by its place.
        if not name or (times[name] > 1 and (place in known or place in ignored)):
            name = place
        if name in known:
            column = known[name]
            if column in where:
                both = f"{folded(cells[where[column]])!r} and {name!r}"
                raise unreadable(
                    source,
                    f"the headers {both} in row {line} both stand for {column}",
                    "one column for each name",
                    f"ask the publisher which holds, and ignore the other (by its place: {place})",
                )
            where[column] = index
        elif not folded(cell):
            blank.append(index)
        elif name not in ignored:
            unknown.append(f"column_{index + 1}" if may_be_data else name)
    missing = [
        " or ".join(column.headers or (name,))
        for name, column in extract.columns.items()
        if name not in where and not column.optional
    ]
    return Header(
        cells=where,
        width=len(cells),
        title_lines=line - 1,
        last_line=last_line,
        unknown=tuple(dict.fromkeys(unknown)),
        missing=tuple(missing),
        blank=tuple(blank),
    )


def _known_headers(extract: Extract) -> dict[str, str]:
    return {
        folded(header): name
        for name, column in extract.columns.items()
        for header in column.headers or (name,)
    }


def folded(header: str) -> str:
    """A header as it is compared: trimmed, unwrapped, with single blanks. Case counts."""
    return " ".join(unwrapped(header).split())
