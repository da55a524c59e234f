"""`make questions`: the questions of docs/questions.md, asked of a state's release.

python -m ops.questions [--state zz] [--check]

The page holds each query and what it answered. For the demo state the answers are written into the
page, so that whoever clones the project can make them again; for any other state they are printed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from include import lake
from include.registry import states

PAGE = Path(__file__).parents[1] / "docs" / "questions.md"
DEMO = "zz"
# A heading, the query that answers it, and what it answered the last time.
QUESTION = re.compile(
    r"^#{2,3} (?P<title>[^\n]+)\n(?P<words>(?:(?!#{2,3} |```)[^\n]*\n)*)"
    r"```sql\n(?P<sql>.*?)```\n+```text\n(?P<answer>.*?)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Question:
    """A question of the page, its query, and the answer that the page holds."""

    title: str
    sql: str
    answer: str


def questions(page: str) -> list[Question]:
    """Every question of a page. Raises ValueError for a query without a place for its answer."""
    found = [Question(m["title"], m["sql"], m["answer"]) for m in QUESTION.finditer(page)]
    if len(found) != page.count("```sql\n"):
        raise ValueError(
            "docs/questions.md: every ```sql block needs a heading above it and a ```text block "
            f"below it; {page.count('```sql' + chr(10))} queries, {len(found)} of them have both"
        )
    return found


def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The rows of a query as a table of text; what has no value is a dash."""
    found = connection.execute(sql)
    header = [column[0] for column in found.description]
    rows = [[_cell(value) for value in row] for row in found.fetchall()]
    numeric = [all(_is_number(row[place]) for row in rows) for place in range(len(header))]
    widths = [max(len(row[place]) for row in [header, *rows]) for place in range(len(header))]
    lines = [_line(header, widths, numeric), "  ".join("-" * width for width in widths)]
    lines += [_line(row, widths, numeric) for row in rows]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        value += 0.0  # no minus before a zero
        return f"{value:,.10g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _is_number(text: str) -> bool:
    return text == "-" or bool(re.fullmatch(r"-?[\d,]+(\.\d+)?", text))


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    placed = zip(cells, widths, numeric, strict=True)
    return "  ".join(c.rjust(width) if right else c.ljust(width) for c, width, right in placed)


def answers(database: Path, schema: str, page: str) -> Iterator[tuple[Question, str]]:
    """Every question of the page with its answer from the tables of a schema."""
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute(f"set schema = '{schema}'")
        for question in questions(page):
            yield question, answer(connection, question.sql)


def answered(page: str, told: Sequence[tuple[Question, str]]) -> str:
    """The page with these answers in place of those it held."""
    new = iter(told)

    def put(match: re.Match[str]) -> str:
        _, text = next(new)
        start, end = match.span("answer")
        whole = match.group(0)
        return whole[: start - match.start()] + text + whole[end - match.start() :]

    return QUESTION.sub(put, page)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make questions", description=__doc__)
    parser.add_argument("--state", default=DEMO, choices=sorted(states()))
    parser.add_argument("--check", action="store_true", help="only say whether the page is true")
    asked = parser.parse_args(arguments)
    database = lake.published(asked.state) / "current" / "statewide.duckdb"
    if not database.exists():
        how = "make demo" if asked.state == DEMO else f"make refresh STATE={asked.state} ..."
        raise SystemExit(f"{asked.state} has no release at {database}: {how} makes one")
    page = PAGE.read_text()
    told = list(answers(database, "published", page))
    if asked.state != DEMO:
        for question, text in told:
            print(f"{question.title}\n\n{text}")
        return 0
    if differing := [question.title for question, text in told if text != question.answer]:
        if asked.check:
            print("docs/questions.md does not hold these answers:", *differing, sep="\n  ")
            return 1
        PAGE.write_text(answered(page, told))
    print(f"{len(told)} questions asked of {database}; {len(differing)} answers changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
