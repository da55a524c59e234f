"""Builds as the warehouse makes them, small: a DuckDB file of base metrics and marts, checked.

Their marts are the base metrics themselves: `derive` stands in for dbt, which real builds are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from include import lake

COLUMNS = {
    "state": "varchar",
    "school_year": "integer",
    "metric_id": "varchar",
    "org_level": "varchar",
    "org_id": "varchar",
    "group_category": "varchar",
    "group_value": "varchar",
    "numerator": "double",
    "denominator": "double",
    "value": "double",
    "status": "varchar",
    "source_loads": "varchar[]",
    "value_lower": "double",
    "value_upper": "double",
}
ARROW = {
    "varchar": pa.string(),
    "integer": pa.int32(),
    "double": pa.float64(),
    "varchar[]": pa.list_(pa.string()),
}
SCHEMA = pa.schema([(name, ARROW[type_]) for name, type_ in COLUMNS.items()])
UNITS = {
    "membership": "students",
    "average_daily_membership": "students",
    "group_share": "fraction of students",
    "chronic_absence_rate": "fraction of students",
    "graduation_rate_4yr": "fraction of students",
    "ppe_total": "US dollars per pupil",
    "staff_fte": "full-time equivalents",
    "students_per_teacher": "students per teacher",
    "inexperienced_teacher_rate": "fraction of teachers",
    "inexperienced_principal_rate": "fraction of principals",
    "work_based_learning_hours": "hours per place",
}
LOAD = {
    "state": "zz",
    "extract": "student_enrollment",
    "school_year": 2025,
    "sha256": "a" * 64,
    "spec": "b" * 64,
    "rows_in": 1012,
    "accepted": 1010,
    "quarantined": 2,
}


def fact(metric_id: str, **told: Any) -> dict[str, Any]:
    """One row of fct_metric: all of school 001001 in 2025 unless told otherwise.

    Value and status follow from numerator and denominator unless told.
    """
    row = {
        "state": "zz",
        "school_year": 2025,
        "metric_id": metric_id,
        "org_level": "SCH",
        "org_id": "001001",
        "group_category": "all",
        "group_value": "all",
        "numerator": None,
        "denominator": None,
        "source_loads": ["f" * 64, "a" * 64],
        "value_lower": None,
        "value_upper": None,
    } | told
    if "value" not in row:
        over, under = row["numerator"], row["denominator"]
        row["value"] = over if under is None or over is None else over / under if under else None
    row.setdefault("status", "reported" if row["value"] is not None else "suppressed_primary")
    return {column: row[column] for column in COLUMNS}


def insert(
    connection: duckdb.DuckDBPyConnection,
    facts: Iterable[dict[str, Any]],
    largest: Mapping[str, float] | None = None,
) -> None:
    """Create intermediate.int_base_metrics and fill it.

    `largest` are the greatest amounts that one person has of a measure, of school 001001 in 2025.
    """
    shape = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
    connection.execute("create schema if not exists intermediate")
    connection.execute(f"create table intermediate.int_base_metrics ({shape})")
    rows = pa.Table.from_pylist(list(facts), SCHEMA)
    connection.register("given", rows)
    connection.execute("insert into intermediate.int_base_metrics from given")
    connection.unregister("given")
    connection.execute(
        "create table intermediate.int_measures (state varchar, school_year integer, "
        "org_level varchar, org_id varchar, measure varchar, group_category varchar, "
        "group_value varchar, amount double)"
    )
    for measure, amount in (largest or {}).items():
        connection.execute(
            "insert into intermediate.int_measures "
            "values ('zz', 2025, 'SCH', '001001', ?, 'all', 'all', ?)",
            [f"{measure}_largest", amount],
        )


def _derive(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create schema if not exists marts")
    connection.execute("create table marts.fct_metric as from intermediate.int_base_metrics")
    connection.execute("create table marts.dim_organization as from intermediate.int_organizations")


def derive(_state: str, database: Path) -> None:
    """What dbt makes of the base metrics, of a build as small as these."""
    with duckdb.connect(str(database)) as connection:
        _derive(connection)


def warehouse(
    state: str,
    build: str,
    facts: Iterable[dict[str, Any]],
    *,
    units: dict[str, str] = UNITS,
    names: Iterable[str] = ("First School",),
    sha256: str = LOAD["sha256"],
    extra: str = "",
) -> str:
    """Write `warehouse/<state>/<build>.duckdb`, closed and read-only, with the record of its inputs
    and of its checks. `extra` is SQL run before it is closed. Returns the build's name."""
    folder = lake.private(lake.warehouse(state))
    path = folder / f"{build}.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts; create schema seeds")
        insert(connection, facts)
        connection.execute(
            "create table marts.dim_metric (metric_id varchar, label varchar, definition varchar, "
            "formula varchar, unit varchar, polarity varchar, ceds_id varchar, "
            "edfacts_file varchar, citation varchar)"
        )
        for metric, unit in units.items():
            connection.execute(
                "insert into marts.dim_metric "
                "values (?, ?, ?, 'a / b', ?, 'neutral', null, null, 'ESEA')",
                [metric, metric.replace("_", " ").capitalize(), f"What {metric} is.", unit],
            )
        connection.execute(
            "create table intermediate.int_organizations (state varchar, school_year integer, "
            "org_level varchar, org_id varchar, name varchar, is_charter boolean)"
        )
        for number, name in enumerate(names, start=1):
            connection.execute(
                "insert into intermediate.int_organizations values (?, 2025, 'SCH', ?, ?, false)",
                [state, f"001{number:03}", name],
            )
        _derive(connection)
        if extra:
            connection.execute(extra)
    path.chmod(0o400)
    lake.write_json(folder / f"{build}.inputs.json", [LOAD | {"state": state, "sha256": sha256}])
    lake.write_json(
        folder / f"{build}.checks.json",
        [{"promise": "a count is not negative", "outcome": "kept", "severity": "critical",
          "expected": "0 or more", "observed": "0 rows", "first_rows": [4]}],
    )  # fmt: skip
    return build
