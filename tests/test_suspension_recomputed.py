"""How much likelier a group is to be suspended is what the raw files say."""

from __future__ import annotations

import duckdb
import pytest

from tests.recomputation import gaps
from tests.recomputation.standard import Cell


def test_a_risk_ratio_of_suspension_is_what_the_raw_files_say(built):
    expected = gaps.suspension_risk_ratios(built.expected)
    with duckdb.connect(str(built.database), read_only=True) as connection:
        rows = connection.sql(
            "select school_year, org_level, org_id, 'suspension_rate', group_category, "
            "group_value, value, status from marts.fct_metric "
            "where metric_id = 'suspension_risk_ratio' and group_category <> 'all'"
        ).fetchall()
    found = {Cell(*row[:6]): row[6:] for row in rows}

    assert expected
    assert set(expected) <= set(found)
    for cell, ratio in expected.items():
        value, status = found[cell]
        if ratio is None:
            assert (value, status) == (None, "not_applicable"), cell
        else:
            assert status == "reported", cell
            assert value == pytest.approx(float(ratio), rel=1e-12), cell
    # Of nobody there is no rate, and no ratio.
    assert {found[cell] for cell in set(found) - set(expected)} <= {(None, "not_applicable")}
