"""What no single row of a record-level extract can show: rows that contradict each other."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from include import demo, lake, portals, quality

Row = dict[str, str]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    demo.generate(folder, demo.Plan(students=1500, districts=4, seed=5))
    return folder


@pytest.fixture
def check(drawn, home, extracts) -> Callable[..., tuple[Counter[str], list[str]]]:
    """Adds rows to a file of the demo and checks it. Returns why rows were set aside, and what
    promises were broken."""

    def run(extract: str, odd: Callable[[list[Row]], list[Row]]) -> tuple[Counter[str], list[str]]:
        rows = list(csv.DictReader((drawn / f"zz/2025/{extract}.csv").open(newline="")))
        file = extracts / f"zz/2025/{extract}.csv"
        file.parent.mkdir(parents=True)
        with file.open("w", newline="") as opened:
            writer = csv.DictWriter(opened, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows([*rows, *odd(rows)])
        stated = {"rows": len(rows) + len(odd(rows))}
        stated["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        file.with_suffix(".json").write_text(json.dumps(stated))
        sha256 = portals.fetch("zz", extract, 2025)
        quality.check("zz", extract, 2025, sha256)
        with duckdb.connect() as connection:
            aside = connection.execute(
                "select reason, count(*) from read_parquet(?) group by all",
                [str(lake.quarantined("zz", extract, 2025, sha256))],
            ).fetchall()
        promises = json.loads(lake.verdict("zz", extract, 2025, sha256).read_text())["promises"]
        broken = [told["promise"] for told in promises if told["outcome"] != "kept"]
        return Counter(dict(aside)), broken

    return run


def single(rows: list[Row]) -> Row:
    """Somebody who stays at one school for the whole year."""
    held = Counter(row["student_id"] for row in rows)
    return next(
        row
        for row in rows
        if held[row["student_id"]] == 1
        and row["count_date"] == "Y"
        and not row["exit_date"]
        and row["fte"] == "1.0"
    )


def elsewhere(rows: list[Row], row: Row) -> dict[str, str]:
    other = next(one for one in rows if one["school_id"] != row["school_id"])
    return {key: other[key] for key in ("lea_id", "school_id")}


TWICE = "the student is counted at two schools on the count date"
OVERLAP = "stays of the student overlap by more than one full-time equivalent"


def test_a_student_counted_at_two_schools_is_set_aside_at_both(check):
    def odd(rows: list[Row]) -> list[Row]:
        # Two halves: it is the count that contradicts itself, and not the time.
        base = single(rows) | {"student_id": "ODD1", "fte": "0.5"}
        return [base, base | elsewhere(rows, base)]

    aside, broken = check("student_enrollment", odd)

    assert aside == {TWICE: 2}
    assert any(TWICE in promise for promise in broken)


def test_two_whole_stays_at_a_time_are_set_aside_and_two_halves_are_not(check):
    def odd(rows: list[Row]) -> list[Row]:
        base = single(rows)
        there = elsewhere(rows, base) | {"count_date": "N", "entry_date": "2025-01-10"}
        left = {"exit_date": "2025-01-10", "exit_type": "TRANSFER"}
        return [
            # Full time at both, from January on.
            base | {"student_id": "ODD1"},
            base | {"student_id": "ODD1"} | there,
            # Halves; a change on one day; a change with days in between.
            base | {"student_id": "ODD2", "fte": "0.5"},
            base | {"student_id": "ODD2", "fte": "0.5"} | there,
            base | {"student_id": "ODD3"} | left,
            base | {"student_id": "ODD3"} | there,
            base | {"student_id": "ODD4"} | left | {"exit_date": "2024-12-10"},
            base | {"student_id": "ODD4"} | there,
        ]

    aside, _ = check("student_enrollment", odd)

    assert aside == {OVERLAP: 2}


def test_a_row_sent_twice_is_a_copy_and_contradicts_nothing(check):
    def odd(rows: list[Row]) -> list[Row]:
        base = single(rows) | {"student_id": "ODD1"}
        return [base, base]

    aside, _ = check("student_enrollment", odd)

    assert sum(aside.values()) == 1
    assert next(iter(aside)).startswith("exact duplicate of row")


def test_nobody_works_more_than_one_and_a_fifth_of_full_time(check):
    def odd(rows: list[Row]) -> list[Row]:
        teacher = next(row for row in rows if row["staff_class"] == "ELMTCH")
        there = elsewhere(rows, teacher)
        much, enough = {"staff_id": "ODD1", "fte": "0.7"}, {"staff_id": "ODD2", "fte": "0.6"}
        return [
            teacher | much,
            teacher | much | there,
            teacher | enough,
            teacher | enough | there,
            # The same row twice is one assignment.
            teacher | {"staff_id": "ODD3", "fte": "1.0"},
            teacher | {"staff_id": "ODD3", "fte": "1.0"},
        ]

    aside, _ = check("staff_assignment", odd)

    copies = [reason for reason in aside if reason.startswith("exact duplicate")]
    assert aside.pop(copies[0]) == 1
    assert aside == {"the full-time equivalents of one person sum to more than 1.2": 2}


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"credential_end": "2024-09-30"}, "the credential does not cover the count date"),
        ({"credential_start": "2024-10-02"}, "the credential does not cover the count date"),
        ({"credential_start": "2024-10-01", "credential_end": "2024-10-01"}, None),
        ({"credential_end": ""}, None),
    ],
)
def test_a_lapsed_credential_is_reported_and_its_holder_still_teaches(check, change, warning):
    def odd(rows: list[Row]) -> list[Row]:
        teacher = next(row for row in rows if row["staff_class"] == "ELMTCH")
        return [teacher | {"staff_id": "ODD1"} | change]

    aside, broken = check("staff_assignment", odd)

    assert not aside
    assert len(broken) == (warning is not None)
    assert all(warning in promise for promise in broken)


def test_a_second_principal_of_a_school_is_reported(check):
    def odd(rows: list[Row]) -> list[Row]:
        head = next(row for row in rows if row["is_principal"] == "Y")
        return [head | {"staff_id": "ODD1"}]

    aside, broken = check("staff_assignment", odd)

    assert not aside
    assert [promise for promise in broken if "two principals at a time" in promise] == broken != []
