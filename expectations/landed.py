"""What a landed file must keep to before its rows enter the lake.

Nothing here knows a state. The suite is drawn from the extract's declaration, so that a new
extract needs no new expectation. Two kinds of promises are kept apart by where they are broken: a
*row* that breaks one is set aside (`rows`), a *file* that breaks one is refused (`file`).

Each expectation carries in `meta` what the quarantine and the verdict need: `about`, `column`,
the condition that finds the rows (`where`), the reason that they are set aside for, `expected`
and `what_to_do`.

The relation `landed` holds the file's rows without its footers, all columns text; `repeats` the
rows whose key is there more than once (see `repeats`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor
from typing import Any

from great_expectations import ExpectationSuite
from great_expectations import expectations as gxe

from expectations.promise import NoRows, identifier, literal, query, shown
from include.lake import Load
from include.registry import Column, Extract

WHOLE = r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.0*)?"
DECIMAL = r"[+-]?(?:(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?"
US_DATE = r"\d{1,2}/\d{1,2}/\d{4}"
FLAGS = ("Y", "N", "T", "F", "1", "0")

TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "date": "a date (2018-09-01 or 9/1/2018)",
    "flag": "a flag (Y, N, T, F, 1 or 0)",
}


def suite(
    extract: Extract,
    school_year: int,
    previous: Load | None = None,
    *,
    rows: int,
    codes: Mapping[str, Sequence[str]] | None = None,
    unknown_headers: Sequence[str] = (),
    missing_columns: Mapping[str, str] | None = None,
    manifest: Mapping[str, Any] | None = None,
    sha256: str = "",
    override_reason: str | None = None,
) -> ExpectationSuite:
    """The promises of one file.

    `rows` counts its rows without footers, `codes` holds the accepted codes by column, `previous`
    is the last accepted load of the same extract and year, `manifest` what the sender says of the
    file. With an `override_reason`, a change in volume or too many bad rows is a warning.
    """
    on_rows = [
        *_columns(extract, school_year, codes or {}, frozenset(missing_columns or ())),
        *_rules(extract),
        *_across(extract),
        *_repeats(extract),
    ]
    return ExpectationSuite(
        name="landed",
        expectations=[
            *_headers(unknown_headers, missing_columns or {}),
            *_volume(extract, previous, manifest, sha256, override_reason),
            _bad_rows(extract, rows, on_rows, override_reason),
            *_odd_rows(extract, rows, on_rows, override_reason),
            *on_rows,
        ],
    )


def repeats(extract: Extract) -> str:
    """SQL for the rows whose key is there more than once, as `_row, first_row, is_exact`.

    `is_exact` is a row that says the same as an earlier one (`first_row`) in every column and
    whose key is not used for anything else. Other rows of a repeated key contradict each other:
    nobody can say which is right. A whole number is the same key however it is written.
    """
    key = ", ".join(
        f"coalesce(cast({_whole(identifier(name))} as varchar), {identifier(name)})"
        if extract.columns[name].type == "integer"
        else identifier(name)
        for name in extract.key
    )
    columns = ", ".join(identifier(name) for name in extract.columns)
    return f"""
        with keyed as (select *, [{key}] as _key from landed),
        repeated as (select _key from keyed group by _key having count(*) > 1),
        rows as (select * from keyed where _key in (from repeated)),
        same as (
            select _row, _key, min(_row) over (partition by {columns}) as first_row from rows
        ),
        judged as (
            select *, count(distinct first_row) over (partition by _key) > 1 as is_contradicted
            from same
        )
        select _row, first_row, not is_contradicted as is_exact from judged
        where is_contradicted or _row <> first_row
    """


def footers(extract: Extract) -> str:
    """An SQL condition for the rows that the declaration says are not data."""
    if not extract.footers:
        return "false"
    rows = (
        " and ".join(f"{identifier(name)} = {literal(value)}" for name, value in footer.items())
        for footer in extract.footers
    )
    return "coalesce(" + " or ".join(f"({row})" for row in rows) + ", false)"


def _headers(unknown: Sequence[str], missing: Mapping[str, str]) -> Iterator[Any]:
    named = ", ".join(repr(header) for header in unknown)
    yield _file(
        "every header is declared" + (f" (unknown: {named})" if unknown else ""),
        "select header from file_headers where meaning = 'unknown'",
        expected="only headers under columns or ignored",
        observed=named or None,
        what_to_do="add the header to its column in the state's file, or to ignored",
    )
    wanted = ", ".join(f"{name} (header {headers})" for name, headers in missing.items())
    yield _file(
        "every declared column is there" + (f" (missing: {wanted})" if missing else ""),
        "select header from file_headers where meaning = 'missing'",
        expected="a header for every column that is not optional",
        observed=wanted or None,
        what_to_do="ask the publisher, or add the new header to the column in the state's file",
    )


def _volume(
    extract: Extract,
    previous: Load | None,
    manifest: Mapping[str, Any] | None,
    sha256: str,
    override_reason: str | None,
) -> Iterator[Any]:
    low, high = extract.rows
    yield gxe.ExpectTableRowCountToBeBetween(
        min_value=low,
        max_value=high,
        **_told(
            f"the file has {low:,} to {high:,} rows",
            expected=f"{low:,} to {high:,} rows",
            what_to_do="fetch the file again; if it is whole, correct rows in the state's file",
        ),
    )
    if previous:
        least = ceil(previous.rows_in * (1 - extract.max_row_loss))
        yield gxe.ExpectTableRowCountToBeBetween(
            min_value=least,
            **_told(
                f"at most {extract.max_row_loss:.0%} fewer rows than the last good load",
                expected=f"at least {least:,} rows; the last good load had {previous.rows_in:,}",
                what_to_do="fetch the file again; if the change is real, check it with a reason",
                severity="warning" if override_reason else "critical",
                can_override=True,
            ),
        )
    if manifest and manifest.get("rows") is not None:
        stated = int(manifest["rows"])
        yield gxe.ExpectTableRowCountToEqual(
            value=stated,
            **_told(
                "the file has the rows that its manifest states",
                expected=f"{stated:,} rows",
                what_to_do="ask for the file, or for its manifest, again",
            ),
        )
    if manifest and manifest.get("sha256"):
        stated = str(manifest["sha256"]).lower()
        yield _file(
            "the file is the one that its manifest names",
            f"select 1 as differs where {literal(stated)} <> {literal(sha256)}",
            expected=f"sha256 {stated}",
            observed=f"sha256 {sha256}",
            what_to_do="ask for the file, or for its manifest, again",
        )


def _bad_rows(
    extract: Extract, rows: int, on_rows: Sequence[Any], override_reason: str | None
) -> Any:
    allowed = floor(extract.max_bad_rows * rows)
    told = [e.meta for e in on_rows if e.meta["otherwise"] == "quarantine"]
    bad = " or ".join(f"({meta['where']})" for meta in told)
    return NoRows(
        unexpected_rows_query=query(f"select _row from {{batch}} where {bad}"),
        at_most=allowed,
        **_told(
            f"at most {extract.max_bad_rows:.0%} of the rows are bad",
            expected=f"at most {allowed:,} of {rows:,} rows",
            what_to_do="read the quarantine; if the file is right, correct the declaration",
            severity="warning" if override_reason else "critical",
            can_override=True,
        ),
    )


def _odd_rows(
    extract: Extract, rows: int, on_rows: Sequence[Any], override_reason: str | None
) -> Iterator[Any]:
    """What is odd in a row and no reason to refuse it is one in a file that is full of it."""
    told = [e.meta for e in on_rows if e.meta["otherwise"] == "warn"]
    if not told:
        return
    allowed = floor(extract.max_bad_rows * rows)
    odd = " or ".join(f"({meta['where']})" for meta in told)
    yield NoRows(
        unexpected_rows_query=query(f"select _row from {{batch}} where {odd}"),
        at_most=allowed,
        **_told(
            f"at most {extract.max_bad_rows:.0%} of the rows are odd (not "
            f"{'; not '.join(meta['promise'] for meta in told)})",
            expected=f"at most {allowed:,} of {rows:,} rows",
            what_to_do="see that this is the file of this school year; if it is, correct the "
            "declaration",
            severity="warning" if override_reason else "critical",
            can_override=True,
        ),
    )


def _columns(
    extract: Extract,
    school_year: int,
    codes: Mapping[str, Sequence[str]],
    missing: frozenset[str],
) -> Iterator[Any]:
    for name, column in extract.columns.items():
        # One promise is broken by a column that is not there, not one for each of its rows.
        if name not in missing:
            yield from _column(name, column, school_year, codes.get(name))


def _column(
    name: str, column: Column, school_year: int, codes: Sequence[str] | None
) -> Iterator[Any]:
    value = identifier(name)
    said = value
    if column.masks:
        said = f"(case when {value} not in ({_list(column.masks)}) then {value} end)"

    def promise(kind: str, where: str, reason: str, expected: str) -> Any:
        return _row(
            f"{name}: {expected}",
            where,
            column=name,
            kind=kind,
            reason=reason,
            expected=expected,
            otherwise=column.otherwise,
        )

    if column.required:
        yield promise("required", f"{value} is null", "empty, but required", "never empty")
    if column.type != "text":
        wanted = TYPES[column.type]
        not_read = f"{said} is not null and not coalesce({_is(column.type, said)}, false)"
        yield promise("type", not_read, f"not {wanted}", wanted)
    if codes is not None:
        few = ", ".join(codes[:12]) + (f" and {len(codes) - 12} more" if len(codes) > 12 else "")
        # No code at all is a declaration that nothing can keep to, not one that everything does.
        # A whole number is the same code however it is written: 2, 2.0.
        code = f"cast({_whole(said)} as varchar)" if column.type == "integer" else said
        outside = f"{code} not in ({_list(codes)})" if codes else f"{said} is not null"
        yield promise("codes", outside, "not an accepted code", f"one of {few}")
    if column.pattern:
        yield promise(
            "pattern",
            f"not regexp_full_match({said}, {literal(column.pattern)})",
            "not of the declared form",
            f"of the form {column.pattern}",
        )
    if column.min is not None or column.max is not None:
        yield promise("range", *_range(column, said))
    if column.is_school_year:
        year = f"(({_whole(said)}) is distinct from {school_year})"
        yield promise(
            "school year",
            f"{said} is not null and {year}",
            f"not of school year {school_year}",
            f"of school year {school_year}",
        )


def _range(column: Column, said: str) -> tuple[str, str, str]:
    number = f"try_cast(replace({said}, ',', '') as double)"
    outside, bounds = [], []
    if column.min is not None:
        outside.append(f"{number} < {column.min!r}")
        bounds.append(f"at least {column.min:g}")
    if column.max is not None:
        outside.append(f"{number} > {column.max!r}")
        bounds.append(f"at most {column.max:g}")
    return f"({' or '.join(outside)})", "out of range", " and ".join(bounds)


def _rules(extract: Extract) -> Iterator[Any]:
    for rule, reason in extract.row_rules.items():
        # A rule over an empty cell says nothing, as in an SQL check constraint; a rule that
        # cannot be worked out for a row (a date that is none) is broken by that row and not by
        # the whole file.
        yield _row(
            reason,
            f"try(({rule}) is not false) is distinct from true",
            column=None,
            kind="rule",
            reason=reason,
            expected=rule,
        )


def _across(extract: Extract) -> Iterator[Any]:
    for rule in extract.across_rows:
        yield _row(
            f"no rows together: {rule.reason}",
            f"_row in (select _row from ({rule.rows}))",
            column=None,
            kind="rule",
            reason=rule.reason,
            expected=f"no row of: {rule.rows}",
            otherwise=rule.otherwise,
        )


def _repeats(extract: Extract) -> Iterator[Any]:
    key = ", ".join(extract.key)
    yield _row(
        f"a key ({key}) says one thing only",
        "_row in (select _row from repeats where not is_exact)",
        column=key,
        kind="key",
        reason="key is there more than once with different values",
        expected=f"one row for each {key}",
    )
    yield _row(
        "no row is there twice",
        "_row in (select _row from repeats where is_exact)",
        column=key,
        kind="duplicate",
        reason="exact duplicate of row ",
        expected="every row once; the first one is kept",
    )


def _is(kind: str, value: str) -> str:
    """An SQL condition: the text reads as that type."""
    if kind == "integer":
        return f"(({_whole(value)}) is not null)"
    if kind == "number":
        number = f"try_cast(replace({value}, ',', '') as double)"
        return f"(regexp_full_match({value}, '{DECIMAL}') and isfinite({number}))"
    if kind == "date":
        return (
            f"(case when regexp_full_match({value}, '{ISO_DATE}')"
            f" then try_cast({value} as timestamp) is not null"
            f" when regexp_full_match({value}, '{US_DATE}')"
            f" then try_strptime({value}, '%m/%d/%Y') is not null"
            " end)"
        )
    return f"(upper({value}) in ({_list(FLAGS)}))"


def _whole(value: str) -> str:
    """The whole number that a text says, or null."""
    # A cast alone would round 1.5 and read 1e3.
    number = f"try_cast(replace({value}, ',', '') as bigint)"
    return f"case when regexp_full_match({value}, '{WHOLE}') then {number} end"


def _list(values: Sequence[str]) -> str:
    return ", ".join(literal(value) for value in values)


def _told(
    description: str, *, expected: str, what_to_do: str, severity: str = "critical", **more: Any
) -> dict[str, Any]:
    return {
        "description": shown(description),
        "severity": severity,
        "meta": {
            "promise": description,
            "about": "file",
            "expected": expected,
            "what_to_do": what_to_do,
            **more,
        },
    }


def _file(description: str, sql: str, **told: Any) -> NoRows:
    return NoRows(unexpected_rows_query=query(sql), **_told(description, **told))


def _row(
    description: str,
    where: str,
    *,
    column: str | None,
    kind: str,
    reason: str,
    expected: str,
    otherwise: str = "quarantine",
) -> NoRows:
    """A promise that each row keeps or breaks on its own: broken, it is that row that goes."""
    return NoRows(
        unexpected_rows_query=query(f"select _row from {{batch}} where {where}"),
        **_told(
            description,
            expected=expected,
            what_to_do=(
                "the rows were loaded; ask the publisher about them"
                if otherwise == "warn"
                else "the rows are in the quarantine; ask the publisher, or correct the declaration"
            ),
            severity="warning",
            about="rows",
            column=column,
            kind=kind,
            where=where,
            reason=reason,
            otherwise=otherwise,
        ),
    )
