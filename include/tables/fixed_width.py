"""Fixed width: columns by their positions, counted in characters."""

from __future__ import annotations

from pathlib import Path

from include.registry import Extract
from include.tables import headers, parquet, text
from include.tables.unreadable import unreadable


def read(extract: Extract, source: Path, part: Path) -> tuple[headers.Header, parquet.Written, str]:
    """The header, what was written to `part`, and the encoding. Raises Unreadable."""
    survey = text.survey(extract, source)
    positions = extract.layout.positions
    header = headers.Header(
        cells={name: i for i, name in enumerate(positions)},
        width=len(positions),
        title_lines=extract.layout.title_lines or 0,
        missing=tuple(
            name
            for name, column in extract.columns.items()
            if name not in positions and not column.optional
        ),
    )
    if not positions:
        raise unreadable(source, "layout.positions is empty", "a position per column", "add them")
    records = _fixed_records(extract, source, survey, header.title_lines)
    return (
        header,
        parquet.write(extract, header, parquet.batches(records, header.width), part),
        survey.encoding,
    )


def _fixed_records(
    extract: Extract, source: Path, survey: text.Survey, title_lines: int
) -> parquet.Records:
    positions = extract.layout.positions
    width = max(last for _, last in positions.values())
    # Editors trim blanks at the end of a line, and a name survives that. A number that ends early
    # has lost digits.
    numbers = [
        (first, last)
        for name, (first, last) in positions.items()
        if extract.columns[name].type in ("integer", "number")
    ]
    had_whole_lines = False
    with text.lines_of(source, survey.encoding) as lines:
        for number, line in enumerate(lines, start=1):
            kept = line.rstrip("\r\n\x1a")
            if number <= title_lines or not kept.strip():
                continue
            if len(kept) < width:
                is_cut = had_whole_lines and number == survey.lines and kept == line
                if is_cut or any(first <= len(kept) < last for first, last in numbers):
                    raise unreadable(
                        source,
                        f"row {number} has {len(kept)} characters",
                        f"{width}",
                        "fetch it again, or correct layout.positions",
                    )
            else:
                had_whole_lines = True
            yield number, [kept[first - 1 : last] for first, last in positions.values()]
