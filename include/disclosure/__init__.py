"""What may be told of a build: small cells hidden, by the state's disclosure policy.

    warehouse/<state>/<build>.protected.duckdb    schema `published`: every mart, protected
    warehouse/<state>/<build>.disclosure.json     the record: which files, which policy, how many
                                                  cells met each rule; never a value

`decide` says what may be told of the base metrics, and proves it. Everything else in the marts is
then made again by dbt, of the cells as they may be told: a gap, an index, a review is a function of
what is published and can tell no more. The protected file lies with the restricted ones
and is not itself for readers: a release is exported from it.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb

from include import dbt, lake, registry, shared_lake, warehouse
from include.disclosure import decide, model, report
from include.disclosure.audit import AuditFailed
from include.disclosure.model import Unprotected

__all__ = ["AuditFailed", "Unprotected", "protect", "protected", "record"]

log = logging.getLogger(__name__)


def protected(state: str, build: str) -> Path:
    """The protected file of a build, there or not."""
    return lake.warehouse(state) / f"{build}.protected.duckdb"


def record(state: str, build: str) -> Path:
    """The record of a build's protection, there or not."""
    return lake.warehouse(state) / f"{build}.disclosure.json"


@shared_lake.step("warehouse/{state}/{build}.*", "published/{state}/*/fct_metric.parquet")
def protect(state: str, build: str) -> str:
    """Write the protected tables of a build, in a file of their own. Returns the build's name.

    The file appears in one rename and the record after it, so a record always speaks of a whole
    file. Raises warehouse.NoSuchBuild, Unprotected if the marts hold something without a rule, and
    AuditFailed where the protection cannot be proven; then there is no new file.
    """
    exact = warehouse.path(state, build)
    policy = registry.states()[state].disclosure
    finished = protected(state, build)
    with lake.lock(f"protect-{state}"):
        for leftover in finished.parent.glob(f".{finished.name}.*"):
            leftover.unlink()
        part = finished.with_name(f".{finished.name}.{os.getpid()}.part")
        told = _write(state, exact, part, policy)
        part.chmod(0o400)
        told |= {
            "build": build,
            "build_sha256": lake.sha256(exact),
            "protected_sha256": lake.sha256(part),
            "policy": policy.model_dump(mode="json"),
        }
        part.replace(finished)
        lake.write_json(record(state, build), told)
    hidden = sum(told["rules"].get(rule, 0) for rule in decide.HIDING)
    log.info("%s: build %s protected, %d of %d cells hidden", state, build, hidden, told["cells"])
    if told["exposed_by_policy"]:
        log.warning(
            "%s: public figures tell, or narrow down, counts that are withheld in: %s",
            state,
            ", ".join(f"{m} ({n} rows)" for m, n in told["exposed_by_policy"].items()),
        )
    return build


def _write(state: str, exact: Path, part: Path, policy: registry.Disclosure) -> dict[str, Any]:
    work = lake.private(lake.machine() / "work")
    # Exact rows may be spilled to disk: into a closed folder, and gone afterwards.
    with tempfile.TemporaryDirectory(dir=work) as spill, duckdb.connect() as connection:
        connection.execute(f"set temp_directory = '{_literal(Path(spill))}'")
        connection.execute(f"set memory_limit = '{decide.ROOM}'")
        connection.execute(f"attach '{_literal(exact)}' as exact (read_only)")
        model.check(connection, "exact")
        kinds = model.kinds(connection, "exact")
        outcome = decide.decide(
            connection,
            "exact.intermediate",
            "exact.intermediate.int_organizations",
            policy,
            kinds,
            "protected",
            _earlier(connection, state),
        )
        # One path for every state's turn keeps what dbt has parsed.
        derived = lake.private(work / "derived" / state) / "statewide.duckdb"
        derived.unlink(missing_ok=True)
        try:
            _show(connection, derived)
            dbt.derive(state, derived)
            connection.execute(f"attach '{_literal(derived)}' as derived (read_only)")
            connection.execute(f"attach '{_literal(part)}' as part")
            tables = _publish(connection)
            told = _summary(connection, tables) | report.audits(outcome)
            connection.execute("checkpoint part")
            connection.execute("detach part")
            connection.execute("detach derived")
        finally:
            derived.unlink(missing_ok=True)
    return told


def _earlier(connection: duckdb.DuckDBPyConnection, state: str) -> list[str]:
    """The facts of every release of the state that is there, each as a table's name."""
    found: dict[str, str] = {}
    columns = ", ".join(model.FACT_COLUMNS)
    for path in sorted(lake.published(state).glob("*/fct_metric.parquet")):
        # A link is the current release, told a second time; a name with a dot is not one yet.
        if path.parent.is_symlink() or path.parent.name.startswith("."):
            continue
        name = f"earlier_{len(found)}"
        if found.setdefault(lake.sha256(path), name) == name:
            connection.execute(
                f"create or replace table memory.{name} as "
                f"select {columns} from read_parquet('{_literal(path)}') "
                "semi join exact.intermediate.int_base_metrics using (metric_id)"
            )
    return [f"memory.{name}" for name in found.values()]


def _show(connection: duckdb.DuckDBPyConnection, derived: Path) -> None:
    """Write the database that derived models read: facts as they may be told, what is public."""
    connection.execute(f"attach '{_literal(derived)}' as shown")
    for schema in ("intermediate", "seeds"):
        connection.execute(f"create schema shown.{schema}")
        for table in model.tables(connection, "exact", schema):
            if schema == "seeds" or table in model.PUBLIC:
                connection.execute(
                    f'create table shown.{schema}."{table}" as from exact.{schema}."{table}"'
                )
    connection.execute("create schema shown.marts")
    for table in model.tables(connection, "exact", "marts"):
        if table in model.REFERENCE:
            connection.execute(f'create table shown.marts."{table}" as from exact.marts."{table}"')
    connection.execute(
        f"create table shown.intermediate.{model.FACTS} as "
        "select * exclude (rule) from temp.protected"
    )
    connection.execute("checkpoint shown")
    connection.execute("detach shown")


def _publish(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Fill part.published with every mart, as made of the protected facts. Returns their names."""
    tables = model.tables(connection, "exact", "marts")
    made = set(model.tables(connection, "derived", "marts"))
    if unknown := sorted(set(tables) - model.REFERENCE - made):
        raise Unprotected(
            f"no rule of protection for marts.{', marts.'.join(unknown)}: it is not made of "
            f"{model.FACTS}; a table of definitions belongs in REFERENCE of "
            "include/disclosure/model.py"
        )
    connection.execute("create schema part.published")
    for table in tables:
        source = "exact" if table in model.REFERENCE else "derived"
        connection.execute(
            f'create table part.published."{table}" as '
            f'select * from {source}.marts."{table}" order by all'
        )
    # A hidden number leaves its row behind, also where others were made of it.
    key = "state, school_year, metric_id, org_level, org_id, group_category, group_value"
    (lost,) = connection.execute(
        f"select count(*) from (select {key} from exact.marts.fct_metric) "
        f"full join (select {key}, true as is_told from part.published.fct_metric) "
        f"using ({key}) where is_told is null"
    ).fetchone()
    facts, told = (
        connection.execute(f"select count(*) from {catalog}.fct_metric").fetchone()[0]
        for catalog in ("exact.marts", "part.published")
    )
    if lost or facts != told:
        raise Unprotected(f"fct_metric: {facts} rows came in and {told} were protected")
    return tables


def _summary(connection: duckdb.DuckDBPyConnection, tables: list[str]) -> dict[str, Any]:
    metrics: dict[str, dict[str, int]] = defaultdict(dict)
    rules: dict[str, int] = defaultdict(int)
    for metric, rule, cells in connection.execute(
        "select metric_id, rule, count(*) from temp.protected group by all order by all"
    ).fetchall():
        metrics[metric][rule] = cells
        rules[rule] += cells
    rows = {
        table: connection.execute(f'select count(*) from part.published."{table}"').fetchone()[0]
        for table in tables
    }
    (facts,) = connection.execute(
        f"select count(*) from exact.intermediate.{model.FACTS}"
    ).fetchone()
    if sum(rules.values()) != facts:
        raise Unprotected(
            f"{model.FACTS}: {facts} rows came in and {sum(rules.values())} were protected"
        )
    return {
        "tables": rows,
        "cells": facts,
        "rules": dict(sorted(rules.items())),
        "metrics": dict(sorted(metrics.items())),
    }


def _literal(path: Path) -> str:
    return str(path).replace("'", "''")
