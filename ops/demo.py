"""`make demo`: from nothing to a published release of the fictitious state, through the DAGs.

python -m ops.demo [--students N] [--districts N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import duckdb

from include import lake, origins
from include.registry import states
from ops import configuration, instance
from ops.refresh import Progress, Request, guarded, ingest, refresh

STATE = "zz"

# One row for each district: the metrics that the reviews of design.md lean on, beside its poverty.
RESULTS = """
with metric as (
    select org_id, metric_id, value, status
    from published.fct_metric
    where org_level = 'LEA' and school_year = $year
        and group_category = 'all' and group_value = 'all'
),
wide as (
    select
        org_id,
        max(value) filter (where metric_id = 'membership') as students,
        max(value) filter (where metric_id = 'ppe_total') as per_pupil,
        max(value) filter (where metric_id = 'chronic_absence_rate') as absent,
        max(value) filter (where metric_id = 'inexperienced_teacher_rate') as inexperienced
    from metric
    group by org_id
)
select
    district.name,
    district.poverty_quartile,
    wide.students,
    wide.per_pupil,
    wide.absent,
    wide.inexperienced
from wide
inner join published.dim_organization as district
    on district.org_id = wide.org_id
    and district.org_level = 'LEA' and district.school_year = $year
order by district.poverty_quartile, district.name
"""

WITHHELD = """
select
    organization.name,
    fact.group_category || ' ' || fact.group_value,
    fact.metric_id,
    fact.status
from published.fct_metric as fact
inner join published.dim_organization as organization
    using (state, school_year, org_level, org_id)
where fact.school_year = $year and fact.status = 'suppressed_primary'
    and fact.metric_id = 'membership' and fact.org_level = 'SCH'
order by fact.org_id, fact.group_category, fact.group_value
limit 3
"""


def generate(students: int | None, districts: int | None) -> None:
    """Write the fictitious state's extracts. Raises SystemExit with the generator's own words."""
    told = [sys.executable, "-m", "include.demo", "--out", str(lake.home() / "demo")]
    told += ["--students", str(students)] if students else []
    told += ["--districts", str(districts)] if districts else []
    done = subprocess.run(told, cwd=configuration.ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    print(done.stdout, end="", flush=True)


def show(year: int) -> None:
    """A few of the published numbers, and how to open the rest."""
    database = lake.published(STATE) / "current" / "statewide.duckdb"
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute(RESULTS, {"year": year}).fetchall()
        withheld = connection.execute(WITHHELD, {"year": year}).fetchall()
    print(
        f"\nDistricts of {states()[STATE].name}, {year - 1}-{year % 100}, "
        "by poverty quartile (4: the poorest)"
    )
    print(
        f"  {'district':<28}{'quartile':>9}{'students':>10}"
        f"{'per pupil':>11}{'absent':>9}{'new teachers':>14}"
    )
    for name, quartile, *values in found if len(found) <= 8 else [*found[:4], *found[-4:]]:
        cells = [
            "withheld".rjust(width) if value is None else format(value, told).rjust(width)
            for value, told, width in zip(
                values, (",.0f", ",.0f", ".1%", ".1%"), (10, 11, 9, 14), strict=True
            )
        ]
        print(f"  {name:<28}{quartile or '':>9}{''.join(cells)}")
    if withheld:
        print("\nWhat could point at a person is withheld, never zero:")
        for name, group, metric, status in withheld:
            print(f"  {name:<34}{group:<18}{metric:<14}null  {status}")
    folder = database.parent
    print(f"""
Open it
  DuckDB       duckdb {database}       then: select * from published.fct_metric limit 9;
  pandas       pandas.read_parquet("{folder / "fct_metric.parquet"}")
  spreadsheet  {folder / "fct_metric.csv"}
  meaning      {folder / "data_dictionary.md"}
The same with Airflow's own pages: make up""")


def demo(students: int | None, districts: int | None) -> int:
    """Generate, ingest every year, publish once, show. Returns the exit code."""
    years = states()[STATE].school_years
    print("1  a fictitious state: its extracts are drawn, nobody is in them", flush=True)
    generate(students, districts)
    root = origins.allow(str(lake.home() / "demo"))

    def say(told: str) -> None:
        print(told, flush=True)

    print("\n2  fetch, check, load, build, protect, export: starting Airflow ...", flush=True)
    with instance.using() as client:
        for year in years[:-1]:  # the last one publishes them all
            say(f"{STATE} {year}: {client.url}/dags/{STATE}_ingest")
            request = Request(STATE, year, root, announce=False)
            if ingest(client, request, Progress(say))[0] == "failed":
                return 1
        if code := refresh(Request(STATE, years[-1], root), say):
            return code
    show(years[-1])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--students", type=int)
    parser.add_argument("--districts", type=int)
    told = parser.parse_args()
    return guarded(lambda: demo(told.students, told.districts))


if __name__ == "__main__":
    sys.exit(main())
