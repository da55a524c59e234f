"""The state that protection is timed on is a state: its sums hold, and it is the same each time."""

from __future__ import annotations

import duckdb
import pytest

from include.disclosure import model
from ops import large_state


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn") / "state.duckdb"
    large_state.create(path, schools=12, years=2)
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


def missing(connection: duckdb.DuckDBPyConnection, whole: str, parts: str, on: str) -> list[tuple]:
    """Totals of membership that their parts do not make."""
    return connection.execute(f"""
        with fact as (
            from intermediate.int_base_metrics
            left join intermediate.int_organizations using (state, school_year, org_level, org_id)
            where metric_id = 'membership'
        )
        select whole.school_year, whole.org_id, whole.group_value, whole.value, sum(parts.value)
        from fact as whole inner join fact as parts
            on whole.school_year = parts.school_year and {on}
        where {whole} and {parts}
        group by all having whole.value <> sum(parts.value)
    """).fetchall()


def test_groups_crossings_and_organizations_add_up(drawn):
    same = "whole.org_level = parts.org_level and whole.org_id = parts.org_id"
    above = (
        "whole.group_category = parts.group_category and whole.group_value = parts.group_value "
        "and whole.org_id = parts.parent_org_id"
    )
    everyone, single = "whole.group_category = 'all'", "parts.group_category"

    for category in large_state.SINGLE:
        assert missing(drawn, everyone, f"{single} = '{category}'", same) == []
    for category in large_state.CROSSED["membership"]:
        margin = category.split("*")[0]
        first = f"{same} and whole.group_value = split_part(parts.group_value, '*', 1)"
        crossed = f"{single} = '{category}'"
        assert missing(drawn, f"whole.group_category = '{margin}'", crossed, first) == []
    assert missing(drawn, "true", "parts.org_level = 'SCH'", above) == []
    assert missing(drawn, "true", "parts.org_level = 'LEA'", above) == []


def test_it_has_what_disclosure_control_knows(drawn):
    columns = [row[0] for row in drawn.execute("describe intermediate.int_base_metrics").fetchall()]
    facts = "select distinct metric_id from intermediate.int_base_metrics"
    metrics = {metric for (metric,) in drawn.execute(facts).fetchall()}
    catalog = drawn.execute("select current_database()").fetchone()[0]

    assert tuple(columns) == model.FACT_COLUMNS
    assert metrics == set(model.kinds(drawn, catalog))


def test_the_same_numbers_make_the_same_state(drawn, tmp_path):
    again = tmp_path / "again.duckdb"
    large_state.create(again, schools=12, years=2)

    rows = "from intermediate.int_base_metrics order by all"
    with duckdb.connect(str(again), read_only=True) as connection:
        assert connection.execute(rows).fetchall() == drawn.execute(rows).fetchall()
    with pytest.raises(FileExistsError):
        large_state.create(again, schools=12, years=2)
