"""The one kind of expectation that the suites add to Great Expectations' own."""

from __future__ import annotations

import html
import re
from typing import Any, ClassVar

from great_expectations.compatibility import pydantic
from great_expectations.expectations import UnexpectedRowsExpectation

STRING = re.compile(r"'(?:[^']|'')*'")


class NoRows(UnexpectedRowsExpectation):
    """The query finds no row, or no more than `at_most`. Rows are counted and never fetched.

    Great Expectations' own class also fetches the first 200 rows, which costs a second scan and
    would carry values of persons into results and Data Docs.
    """

    at_most: int = 0

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.row_count",)
    success_keys: ClassVar[tuple[str, ...]] = ("unexpected_rows_query", "at_most")

    @pydantic.validator("unexpected_rows_query")
    def _validate_query(cls, query: str) -> str:
        """Queries of ours may read the tables beside the batch, so that `{batch}` is optional."""
        return query

    def _validate(
        self, metrics: dict, runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict:
        count = metrics["unexpected_rows_query.row_count"]
        return {"success": count <= self.at_most, "result": {"observed_value": count}}


def query(text: str) -> str:
    """SQL as Great Expectations wants it: `{batch}` kept, other braces and colons spelt out.

    It fills braces in, and SQLAlchemy takes a colon in a string for a bound parameter.
    """
    spelt = STRING.sub(
        lambda it: "(" + it[0].replace(":", "' || chr(58) || '") + ")" if ":" in it[0] else it[0],
        text,
    )
    return spelt.replace("{", "{{").replace("}", "}}").replace("{{batch}}", "{batch}")


def shown(text: str) -> str:
    """A description as Data Docs, which do not escape HTML, may show it."""
    return html.escape(text)


def literal(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
