"""What changed between two sets of protected tables: two releases, or one and what would be next.

Both sides are what readers may see, so the differences may be seen by whoever sees the releases;
exact figures are never looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

GRAIN = (
    "state", "school_year", "metric_id", "org_level", "org_id", "group_category", "group_value",
)  # fmt: skip
# More would not be read; how many there are is always told.
MOST = 200


@dataclass(frozen=True)
class Total:
    """A state total of a year and metric, all pupils, that is not what it was. None: not there."""

    school_year: int
    metric_id: str
    before: float | None
    after: float | None

    @property
    def change(self) -> float | None:
        """By what share it moved; None where one of the two is missing or the earlier one is 0."""
        if self.before is None or self.after is None or not self.before:
            return None
        return (self.after - self.before) / abs(self.before)


@dataclass(frozen=True)
class Rows:
    """How many rows of a year of `fct_metric` came, went, and tell something else."""

    school_year: int
    added: int
    removed: int
    changed: int
    hidden: int
    shown: int


@dataclass(frozen=True)
class Differences:
    """`metrics_gone` and `metrics_new` are (school year, metric)."""

    tables: dict[str, tuple[int | None, int | None]]
    metrics_gone: list[tuple[int, str]]
    metrics_new: list[tuple[int, str]]
    totals: list[Total]
    totals_changed: int
    rows: list[Rows]

    @property
    def is_empty(self) -> bool:
        moved = any(row.added or row.removed or row.changed for row in self.rows)
        return not moved and all(before == after for before, after in self.tables.values())

    def told(self) -> dict[str, Any]:
        return asdict(self)


def between(before: Path, after: Path) -> Differences:
    """Compare schema `published` of two DuckDB files, the earlier one first."""
    with _attached(before, after) as connection:
        tables = {side: _counted(connection, side) for side in ("before", "after")}
        _compare(connection)
        metrics = connection.execute(_METRICS).fetchall()
        totals = [Total(*row) for row in connection.execute(_TOTALS).fetchall()]
        rows = [Rows(*row) for row in connection.execute(_ROWS).fetchall()]
    return Differences(
        tables={
            name: (tables["before"].get(name), tables["after"].get(name))
            for name in sorted({*tables["before"], *tables["after"]})
        },
        metrics_gone=[(year, metric) for year, metric, is_gone in metrics if is_gone],
        metrics_new=[(year, metric) for year, metric, is_gone in metrics if not is_gone],
        totals=totals[:MOST],
        totals_changed=len(totals),
        rows=rows,
    )


@contextmanager
def _attached(before: Path, after: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    # Whoever looks must not take the machine from those who build.
    with duckdb.connect(config={"threads": 1, "memory_limit": "1GB"}) as connection:
        for name, path in (("before", before), ("after", after)):
            told = str(path.resolve()).replace("'", "''")
            connection.execute(f"attach '{told}' as {name} (read_only)")
        yield connection


def _counted(connection: duckdb.DuckDBPyConnection, side: str) -> dict[str, int]:
    names = connection.execute(
        "select table_name from duckdb_tables() "
        "where database_name = ? and schema_name = 'published' order by all",
        [side],
    ).fetchall()
    return {
        name: connection.execute(f'select count(*) from {side}.published."{name}"').fetchone()[0]
        for (name,) in names
    }


def _compare(connection: duckdb.DuckDBPyConnection) -> None:
    """One row for each row of either `fct_metric`, with both sides of what it tells."""
    keys = ", ".join(GRAIN)
    connection.execute(
        f"""
        create table compared as
        select {keys},
            was.state_of is not null as was_there, now.state_of is not null as is_there,
            was.value as before, now.value as after,
            was.status as status_before, now.status as status_after
        from (select *, 1 as state_of from before.published.fct_metric) as was
        full outer join (select *, 1 as state_of from after.published.fct_metric) as now
            using ({keys})
        where was.state_of is null or now.state_of is null
            or was.value is distinct from now.value or was.status is distinct from now.status
        """
    )


_METRICS = """
select school_year, metric_id, was.is_gone is not null as is_gone
from (select distinct school_year, metric_id, true as is_gone from before.published.fct_metric)
    as was
full outer join (
    select distinct school_year, metric_id, true as is_new from after.published.fct_metric
) as now using (school_year, metric_id)
where was.is_gone is null or now.is_new is null
order by all
"""

_TOTALS = """
select school_year, metric_id, before, after
from compared
where org_level = 'SEA' and group_category = 'all' and before is distinct from after
order by school_year desc, abs((after - before) / nullif(before, 0)) desc nulls first, metric_id
"""

_ROWS = """
select
    school_year,
    count(*) filter (where not was_there) as added,
    count(*) filter (where not is_there) as removed,
    count(*) filter (where was_there and is_there) as changed,
    count(*) filter (where was_there and is_there and before is not null and after is null)
        as hidden,
    count(*) filter (where was_there and is_there and before is null and after is not null)
        as shown
from compared
group by school_year
order by school_year desc
"""
