"""What disclosure control knows of the marts: which tables there are, and what their numbers count.

Everything here fails closed. A table, a column, a unit or a status that is not named here stops the
release until somebody has thought about what it tells of a person.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import duckdb

from include.registry import METRICS

# The one table of numbers about people, and its columns in published order. All other numbers of
# the marts are made of its rows, and are made a second time of what may be told of them.
FACTS = "int_base_metrics"
# What the facts are made of.
MEASURES = "int_measures"
FACT_COLUMNS = (
    "state",
    "school_year",
    "metric_id",
    "org_level",
    "org_id",
    "group_category",
    "group_value",
    "numerator",
    "denominator",
    "value",
    "status",
    "source_loads",
    "value_lower",
    "value_upper",
)
# What the derived models may read beside the facts, none of which speaks of persons: relations of
# schema `intermediate`, and every seed.
PUBLIC = frozenset(
    {
        "int_child_poverty_metrics",
        "int_organizations",
        "int_identification",
        "int_identified_schools",
        "int_labor",
        "int_reference",
        "int_occupations",
        "int_program_occupations",
    }
)
# Marts that speak of definitions only, or of jobs as others publish them: published as they are.
REFERENCE = frozenset({"dim_metric", "dim_state_definition", "fct_labor_market"})


class Unprotected(ValueError):
    """The marts hold something for which no rule of protection exists. Nothing was protected."""


class Kind(StrEnum):
    """What a metric's value is, which decides the rules it is under."""

    PEOPLE = "people"  # a count of people, whole or in full-time equivalents
    RATE = "rate"  # a part of a count of people
    MONEY = "money"  # dollars (hours, points) over a count of people
    RATIO = "ratio"  # one count of people over another of other people


# The kind of a metric follows from its unit (`dim_metric.unit`).
KINDS = {
    "students": Kind.PEOPLE,
    "full-time equivalents": Kind.PEOPLE,
    "fraction of students": Kind.RATE,
    "fraction of teachers": Kind.RATE,
    "fraction of principals": Kind.RATE,
    "US dollars per pupil": Kind.MONEY,
    "students per teacher": Kind.RATIO,
    "fraction of places": Kind.RATE,
    "hours per place": Kind.MONEY,
    "employers": Kind.PEOPLE,
    "points per student": Kind.MONEY,
    "students suspended (or suspensions) per student": Kind.RATE,
    "fraction of teacher full-time equivalents": Kind.RATE,
    "prekindergarten students per kindergarten student": Kind.RATIO,
    "students per counselor": Kind.RATIO,
    "students per school psychologist": Kind.RATIO,
    "students per school social worker": Kind.RATIO,
    "students per school nurse": Kind.RATIO,
    "students per class": Kind.RATIO,
}


class Status(StrEnum):
    """Why a published cell reads as it does."""

    REPORTED = "reported"
    PRIMARY = "suppressed_primary"
    COMPLEMENTARY = "suppressed_complementary"
    RANGE = "range_coded"
    NOT_APPLICABLE = "not_applicable"
    NOT_COLLECTED = "not_collected"
    MISSING = "missing"


# A number is there, and it is not shown, or not exactly.
WITHHELD = (Status.PRIMARY, Status.COMPLEMENTARY, Status.RANGE)


class Measures(NamedTuple):
    """The counts that a metric's rows tell, as `seeds/metrics.csv` has them."""

    numerator: str
    denominator: str
    # Whose denominator: the same group's, everyone's, or one group's (category=value).
    denominator_of: str
    dimension: str


# Categories of which only some members are exclusive, and together everyone.
PARTS = {
    "disability": ("IDEA", "NIDEA"),
    # Programs and clusters overlap: they make no sum.
    "program": (),
    "career_cluster": (),
    "staff_class": (
        "PKTCH", "KGTCH", "ELMTCH", "SECTCH", "UGTCH", "PARA", "CORSUP", "GUI", "SCHPSYCH",
        "LIBSPE", "LIBSUP", "LEAADM", "LEASUP", "SCHADM", "SCHSUP", "STUSUP", "OTHSUP",
    ),
}  # fmt: skip
# Together they are the teachers of all classes, TCH.
TEACHERS = ("PKTCH", "KGTCH", "ELMTCH", "SECTCH", "UGTCH")
# Categories of two: whoever is not the one is the other.
BINARY = (
    ("economic", "ECODIS", "NECODIS"),
    ("english_learner", "EL", "NEL"),
    ("disability", "IDEA", "NIDEA"),
    ("homeless", "Y", "N"),
    ("foster", "Y", "N"),
    ("military", "Y", "N"),
    ("migrant", "Y", "N"),
    ("gifted", "Y", "N"),
)
SEX = ("sex", "F", "M")
# Nearly the same people: 10.02 pupils on average are nine or ten on the count date.
SAME = (
    ("membership", "average_daily_membership"),
    ("membership", "attendance_eligible"),
    ("membership", "finance_pupils"),
    ("average_daily_membership", "finance_pupils"),
    ("membership_9_12", "grade_9_12_students"),
)
# Measures that add up to another one: (name of the sum, the whole, a part).
SUMS = (
    ("source", "expenditure", "expenditure_federal"),
    ("source", "expenditure", "expenditure_state"),
    ("source", "expenditure", "expenditure_local"),
    ("object", "expenditure", "expenditure_personnel"),
    ("object", "expenditure", "expenditure_nonpersonnel"),
    ("retention", "teachers", "teacher_stayers"),
    ("retention", "teachers", "teacher_movers"),
    ("retention", "teachers", "teacher_leavers"),
    ("state_local", "expenditure_state_local", "expenditure_state"),
    ("state_local", "expenditure_state_local", "expenditure_local"),
)
# Pupils: who is divided by them, or near enough, for a rate that comes without its counts.
PUPILS = ("membership", "average_daily_membership", "attendance_eligible", "finance_pupils")


def measures(metrics: Iterable[str]) -> dict[str, Measures]:
    """What each metric is made of; one that the seed does not have is made of counts of its own."""
    with METRICS.open(newline="", encoding="utf-8") as file:
        told = {
            row["metric_id"]: Measures(
                row["numerator"] or row["metric_id"],
                row["denominator"],
                row["denominator_of"],
                row["dimension"],
            )
            for row in csv.DictReader(file)
        }
    return {
        metric: told.get(metric) or Measures(metric, f"{metric}, of", "same", "")
        for metric in metrics
    }


def kinds(connection: duckdb.DuckDBPyConnection, catalog: str) -> dict[str, Kind]:
    """The kind of every metric of the facts, by its unit in marts.dim_metric.

    Raises Unprotected for a metric that is not described, and for a unit not in KINDS.
    """
    used = connection.execute(
        f"select distinct metric_id, unit from {catalog}.intermediate.{FACTS} "
        f"left join {catalog}.marts.dim_metric using (metric_id) order by metric_id"
    ).fetchall()
    if unknown := [str(metric) for metric, unit in used if unit is None]:
        raise Unprotected(f"{FACTS}: {', '.join(unknown)} is not described in dim_metric")
    if unknown := [f"{metric} ({unit})" for metric, unit in used if unit not in KINDS]:
        raise Unprotected(
            f"dim_metric: no rule of protection for the unit of {', '.join(unknown)}; add the unit "
            "to KINDS in include/disclosure/model.py, or correct it in the metrics seed"
        )
    return {metric: KINDS[unit] for metric, unit in used}


def tables(connection: duckdb.DuckDBPyConnection, catalog: str, schema: str) -> list[str]:
    """The names of a schema's tables, sorted."""
    found = connection.execute(
        "select table_name from information_schema.tables "
        "where table_catalog = ? and table_schema = ? order by table_name",
        [catalog, schema],
    ).fetchall()
    return [name for (name,) in found]


def check(connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
    """Look whether the facts of a build are what the rules of protection were written for.

    Raises Unprotected naming every table, column or status without a rule, and what of the facts
    cannot be protected as it is (inputs.py).
    """
    # It reads the definitions of this module.
    from include.disclosure import inputs

    for schema, needed in (
        ("intermediate", {FACTS, MEASURES, "int_organizations"}),
        ("marts", {"fct_metric", "dim_metric", "dim_organization"}),
    ):
        if absent := sorted(needed - set(tables(connection, catalog, schema))):
            raise Unprotected(f"the build has no table {', '.join(absent)} in schema {schema}")
    columns = tuple(
        name
        for (name,) in connection.execute(
            "select column_name from information_schema.columns where table_catalog = ? "
            "and table_schema = 'intermediate' and table_name = ? order by ordinal_position",
            [catalog, FACTS],
        ).fetchall()
    )
    if columns != FACT_COLUMNS:
        raise Unprotected(
            f"{FACTS}: the columns are {', '.join(columns)}; the rules of protection are written "
            f"for {', '.join(FACT_COLUMNS)}"
        )
    known = ", ".join(f"'{status}'" for status in Status)
    odd = connection.execute(
        f"select distinct coalesce(status, 'null') from {catalog}.intermediate.{FACTS} "
        f"where status is null or status not in ({known}) order by 1"
    ).fetchall()
    if odd:
        raise Unprotected(f"{FACTS}: unknown status {', '.join(status for (status,) in odd)}")
    schema = f"{catalog}.intermediate"
    inputs.check(connection, schema, f"{schema}.int_organizations", kinds(connection, catalog))
