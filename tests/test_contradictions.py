"""Rows of an accepted file that other files contradict: no number is made of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from include import contradictions, demo, lake, quality, registry, warehouse
from tests import record_level

Row = dict[str, str]
Files = dict[str, list[Row]]
YEARS = (2024, 2025)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    demo.generate(folder, demo.Plan(students=600, districts=3, years=YEARS, seed=6))
    return folder


class Lake:
    """A lake of the demo's files, with rows added to those of 2025."""

    def __init__(self, drawn: Path, scratch: Path) -> None:
        self.drawn, self.scratch = drawn, scratch

    def rows(self, extract: str, school_year: int = 2025) -> list[Row]:
        file = self.drawn / f"zz/{school_year}/{extract}.csv"
        with file.open(newline="") as opened:
            return list(csv.DictReader(opened))

    def load(self, unsent: tuple[str, ...] = (), **added: list[Row]) -> None:
        for school_year in YEARS:
            for extract in registry.states()["zz"].extracts:
                if extract not in unsent:
                    self._load(extract, school_year, added.get(extract, []))

    def _load(self, extract: str, school_year: int, added: list[Row]) -> None:
        file = self.drawn / f"zz/{school_year}/{extract}.csv"
        if added and school_year == 2025:
            told = [*self.rows(extract), *added]
            file = self.scratch / f"{extract}.csv"
            with file.open("w", newline="") as opened:
                writer = csv.DictWriter(opened, fieldnames=list(told[0]))
                writer.writeheader()
                writer.writerows(told)
        record_level.load(extract, school_year, file)

    def judged(self, extract: str) -> tuple[list[tuple], int]:
        """What is found in the extract's files, and how many of its rows a build would read."""
        links = self.scratch / "links"
        links.mkdir()
        with duckdb.connect() as connection:
            warehouse.show_lake(connection, "zz", lake.snapshot("zz", links))
            found = connection.execute(
                "select school_year, reason, column_name, row_number, otherwise "
                "from contradictions.rows where extract = ? order by all",
                [extract],
            ).fetchall()
            (rows,) = connection.execute(
                f'select count(*) from lake."{extract}" where school_year = 2025'
            ).fetchone()
        return found, rows


@pytest.fixture
def files(drawn, home, tmp_path) -> Lake:
    return Lake(drawn, tmp_path)


def test_the_demo_contradicts_nothing(files):
    files.load()
    links = files.scratch / "links"
    links.mkdir()

    with duckdb.connect() as connection:
        warehouse.show_lake(connection, "zz", lake.snapshot("zz", links))
        found = contradictions.found(connection, "zz")
        judged = connection.sql("select count(*) from contradictions.loads").fetchone()

    assert judged == (2 * 8,)
    assert len(found) >= 15
    assert not any(it.observed for it in found)


def elementary(files: Lake) -> Row:
    """A pupil of a school that ends before grade 12."""
    ends = {row["org_id"]: row["grade_high"] for row in files.rows("directory")}
    return next(
        row
        for row in files.rows("student_enrollment")
        if ends[row["school_id"]] not in ("12", "UG") and row["grade"] not in ("PK", "KG")
    )


def teacher(files: Lake) -> Row:
    """A teacher of both years."""
    before = {
        row["staff_id"]
        for row in files.rows("staff_assignment", 2024)
        if row["staff_class"] == "ELMTCH" and int(row["prior_years"]) > 3
    }
    return next(
        row
        for row in files.rows("staff_assignment")
        if row["staff_class"] == "ELMTCH" and row["staff_id"] in before
    )


def spoilt(extract: str, of: Callable[[Lake], Row], **changes: str) -> Callable[[Lake], Files]:
    return lambda files: {extract: [of(files) | changes]}


def first(extract: str, **told: str) -> Callable[[Lake], Row]:
    return lambda files: next(
        row
        for row in files.rows(extract)
        if all(row[column] == value for column, value in told.items())
    )


UNKNOWN_SCHOOL = "the school is not in the directory, or not of this LEA"
UNKNOWN_CIP = "the CIP code does not exist"


@pytest.mark.parametrize(
    ("odd", "reason", "column"),
    [
        (
            spoilt("student_enrollment", elementary, student_id="ODD1", grade="12"),
            "the school does not offer the grade",
            "grade",
        ),
        (
            spoilt("student_enrollment", elementary, student_id="ODD1", school_id="NOWHERE"),
            UNKNOWN_SCHOOL,
            "school_id",
        ),
        (
            spoilt("staff_assignment", teacher, staff_id="ODD1", lea_id="NOWHERE"),
            UNKNOWN_SCHOOL,
            "school_id",
        ),
        (
            spoilt("cte_enrollment", first("cte_enrollment"), student_id="ODD1"),
            "the student is not enrolled in this year",
            "student_id",
        ),
        (
            spoilt("cte_enrollment", first("cte_enrollment"), program="ODD", cip="77.7777"),
            UNKNOWN_CIP,
            "cip",
        ),
        # The crosswalk's own code for occupations without a program.
        (
            spoilt("cte_outcome", first("cte_outcome"), program="ODD", cip="99.9999"),
            UNKNOWN_CIP,
            "cip",
        ),
        (
            spoilt("labor_market", first("labor_market"), soc="77-7777"),
            "the SOC code does not exist",
            "soc",
        ),
        *(
            (
                spoilt("work_ethic", first("work_ethic"), student_id="ODD1", **changes),
                "the standard, its step or its version is not in work_ethic_standards",
                "standard",
            )
            for changes in (
                {"standard": "KINDNESS", "step": "0"},
                {"standard": "DRUG_FREE", "step": "9"},
                {"version": "TN_99", "standard": "DRUG_FREE", "step": "1"},
            )
        ),
    ],
    ids=[
        "grade", "school of a pupil", "LEA of a teacher", "student", "program", "no program",
        "occupation", "standard", "step", "version",
    ],
)  # fmt: skip
def test_a_row_that_other_files_contradict_is_set_aside(files, odd, reason, column):
    added = odd(files)
    [extract] = added
    rows = len(files.rows(extract))
    files.load(**added)

    found, kept = files.judged(extract)

    # Row 1 is the header.
    assert found == [(2025, reason, column, rows + 2, "quarantine")]
    assert kept == rows


@pytest.mark.parametrize(
    "odd",
    [
        spoilt("student_enrollment", elementary, student_id="ODD1", grade="UG"),
        spoilt(
            "work_ethic", first("work_ethic"), student_id="ODD1", standard="DRUG_FREE", step="0"
        ),
        spoilt("staff_assignment", teacher, staff_id="ODD1", school_id="CENTRAL"),
    ],
    ids=["ungraded", "no step reached", "central office"],
)
def test_what_is_odd_and_allowed_stays(files, odd):
    added = odd(files)
    [extract] = added
    files.load(**added)

    found, kept = files.judged(extract)

    assert not found
    assert kept == len(files.rows(extract)) + 1


def test_a_year_without_the_other_extract_is_not_judged_by_it(files):
    odd = files.rows("cte_enrollment")[0] | {"student_id": "ODD1", "cip": "77.7777"}
    files.load(unsent=("student_enrollment", "cip_soc", "directory"), cte_enrollment=[odd])

    found, _ = files.judged("cte_enrollment")

    assert not found


def test_less_experience_than_the_year_before_is_reported_and_its_teacher_stays(files):
    known = teacher(files)
    fewer = known | {"prior_years": "0", "course_code": "ODD"}
    # Another profession counts its own years.
    other = known | {"prior_years": "0", "staff_class": "GUI", "is_out_of_field": "N"}
    rows = len(files.rows("staff_assignment"))
    files.load(staff_assignment=[fewer, other])

    found, kept = files.judged("staff_assignment")

    reason = "experience in the profession is less than the year before"
    assert found == [(2025, reason, "prior_years", rows + 2, "warn")]
    assert kept == rows + 2


def test_money_that_other_files_contradict_is_reported(files):
    line = first("finance_ledger", basis="actual", function="1000")(files)
    # A twentieth of the state's money, under a number that nobody is counted at.
    files.load(
        finance_ledger=[
            line | {"school_id": "EMPTY", "fund": "ODD", "amount": "2000000.00"},
            line | {"school_id": line["school_id"], "fund": "ODD", "amount": "9000000.00"},
        ]
    )

    found, kept = files.judged("finance_ledger")

    assert {(year, reason.split(" ")[0], how) for year, reason, _, _, how in found} == {
        (2025, "schools", "warn"),
        (2025, "money", "warn"),
        (2025, "the", "warn"),
    }
    assert kept == len(files.rows("finance_ledger")) + 2


def test_a_ledger_within_half_a_percent_of_its_control_total_is_not_reported(files):
    totals = {row["lea_id"]: float(row["control_total"]) for row in files.rows("lea_reference")}
    line = first("finance_ledger", basis="actual", school_id="CENTRAL")(files)
    near = f"{0.004 * totals[line['lea_id']]:.2f}"
    files.load(finance_ledger=[line | {"fund": "ODD", "amount": near}])

    found, _ = files.judged("finance_ledger")

    assert not found


def test_a_build_says_which_rows_no_number_is_made_of(files):
    """The whole way: a program of no CIP code and an unknown standard stop nothing."""
    course = files.rows("cte_enrollment")[0] | {"program": "ODD", "cip": "77.7777"}
    diploma = files.rows("work_ethic")[0] | {"student_id": "ODD1", "standard": "KINDNESS"}
    rows = len(files.rows("cte_enrollment"))
    files.load(cte_enrollment=[course], work_ethic=[diploma])

    build = warehouse.create("zz")
    quality.check_marts("zz", build)

    folder = lake.warehouse("zz")
    inputs = json.loads((folder / f"{build}.inputs.json").read_text())
    assert {
        it["extract"]: it["contradicted"]
        for it in inputs
        if it["contradicted"] and it["school_year"] == 2025
    } == {"cte_enrollment": 1, "work_ethic": 1}
    checks = {it["promise"]: it for it in json.loads((folder / f"{build}.checks.json").read_text())}
    told = checks[f"cte_enrollment: no row where {UNKNOWN_CIP} (set aside)"]
    assert told["outcome"] == "warned"
    assert f"row {rows + 2}, column cip" in told["observed"]
    assert "cte_enrollment 2025 (file " in told["observed"]
    assert "crosswalk" in told["expected"]
    assert "ask the LEA" in told["what_to_do"]
    with duckdb.connect(str(warehouse.path("zz", build)), read_only=True) as marts:
        (programs,) = marts.execute(
            "select count(*) from marts.fct_metric where group_value like '77%'"
        ).fetchone()
    assert programs == 0
