"""Each rule of the models has a unit test in the project; here they all run."""

import duckdb
import pytest

from include import dbt, registry, warehouse


@pytest.mark.parametrize("state", sorted(registry.states()))
def test_the_unit_tests_of_the_dbt_project_hold(state, home, tmp_path):
    database = tmp_path / "statewide.duckdb"
    with duckdb.connect(str(database)) as connection:
        warehouse.show_lake(connection, state)

    dbt.unit_test(state, database)
