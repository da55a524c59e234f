"""Local needs assessments are what the raw files say, with the gap and margin of every group."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import duckdb
import pytest

from tests.recomputation.standard import Cell

SEED = Path(__file__).parents[1] / "dbt_project" / "seeds" / "clna_measure.csv"
PARTS = (
    "student_performance",
    "program_quality",
    "labor_alignment",
    "programs_of_study",
    "educators",
    "equal_access",
)
# Which groups are weighed against all others.
COMPARED = ("race", "sex", "migrant", "special_population", "career_cluster")
# Counts that are a measure under another name.
COUNTED_AS = {
    "cte_completers": "concentrators_graduating",
    "cte_concentrators_contradicted": "discrepancy_contradicted",
    "cte_concentrators_unverified": "discrepancy_unverified",
}


@pytest.fixture(params=PARTS)
def part(request) -> str:
    return request.param


def lines(built, part: str) -> list[dict]:
    with duckdb.connect(str(built.database), read_only=True) as connection:
        return connection.execute(f"select * from marts.clna_{part}").df().to_dict("records")


def told(value) -> float | None:
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value


def rate(built, cell: Cell) -> float | None:
    if cell.measure in COUNTED_AS:
        people = built.amounts.get(cell._replace(measure=COUNTED_AS[cell.measure]))
        return None if people is None else float(people)
    found = built.expected.get(cell)
    if found is None:
        return None
    over = float(found.numerator)
    return over if found.denominator is None else over / float(found.denominator)


def test_every_recipient_is_asked_everything(built, part):
    with SEED.open(newline="") as opened:
        asked = {row["measure"] for row in csv.DictReader(opened) if row["part"] == part}
    found = lines(built, part)
    by_recipient: dict[tuple, set[str]] = {}
    for line in found:
        by_recipient.setdefault((line["school_year"], line["org_id"]), set()).add(line["measure"])

    assert by_recipient
    assert all(measures == asked for measures in by_recipient.values())


def test_every_number_is_what_the_raw_files_say(built, part):
    made_of_metrics = {"cte_aligned_share"} | {
        line["metric_id"]
        for line in lines(built, part)
        if str(line["metric_id"]).startswith("labor_")
    }
    for line in lines(built, part):
        if line["metric_id"] is None or line["metric_id"] in made_of_metrics:
            continue
        cell = Cell(
            line["school_year"], "LEA", line["org_id"], line["metric_id"],
            line["group_category"], line["group_value"],
        )  # fmt: skip
        expected = rate(built, cell)
        before = rate(built, cell._replace(school_year=line["school_year"] - 1))
        of_state = rate(built, cell._replace(org_level="SEA", org_id="zz"))

        assert (told(line["value"]) or None) == (expected or None), cell
        assert (told(line["state_value"]) or None) == (of_state or None), cell
        if told(line["change"]) is not None:
            assert line["change"] == pytest.approx((expected or 0) - (before or 0), abs=1e-12), cell
        elif expected and before:
            raise AssertionError(f"{cell} has no change")


def test_every_gap_has_its_n_and_its_margin(built, part):
    compared = 0
    for line in lines(built, part):
        gap = told(line["gap"])
        cell = Cell(
            line["school_year"], "LEA", line["org_id"], line["metric_id"],
            line["group_category"], line["group_value"],
        )  # fmt: skip
        if gap is None:
            assert told(line["gap_margin"]) is None, cell
            assert line["gap_status"] != "reported", cell
            continue
        compared += 1
        group = built.expected[cell]
        whole = built.expected[cell._replace(group_category="all", group_value="all")]
        others = whole.denominator - group.denominator
        of_others = float(whole.numerator - group.numerator) / float(others)
        margin = 100 * 1.96 * math.sqrt(0.25 / float(group.denominator))

        assert line["group_category"] in COMPARED
        assert line["gap_n"] == float(group.denominator), cell
        assert gap == pytest.approx(100 * (rate(built, cell) - of_others), abs=1e-9), cell
        assert line["gap_margin"] == pytest.approx(margin), cell
        assert line["is_beyond_margin"] == (abs(gap) > line["gap_margin"]), cell
    is_compared = part in ("student_performance", "program_quality", "equal_access")
    assert (compared > 0) == (is_compared and ("cte_enrollment", 2025) in built.loads)
