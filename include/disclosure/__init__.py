"""What may be told of a build: small cells hidden, by the state's disclosure policy.

    warehouse/<state>/<build>.protected.duckdb    schema `published`: every mart, protected
    warehouse/<state>/<build>.disclosure.json     the record: which files, which policy, how many
                                                  cells met each rule; never a value

`model` says what the marts' numbers count, `primary` judges each cell. The protected file lies with
the restricted ones and is not itself for readers: a release is exported from it.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb

from include import lake, registry, shared_lake, warehouse
from include.disclosure import model, primary
from include.disclosure.model import FACTS, Unprotected

__all__ = ["Unprotected", "protect", "protected", "record"]

log = logging.getLogger(__name__)


def protected(state: str, build: str) -> Path:
    """The protected file of a build, there or not."""
    return lake.warehouse(state) / f"{build}.protected.duckdb"


def record(state: str, build: str) -> Path:
    """The record of a build's protection, there or not."""
    return lake.warehouse(state) / f"{build}.disclosure.json"


@shared_lake.step("warehouse/{state}/{build}.*")
def protect(state: str, build: str) -> str:
    """Write the protected tables of a build, in a file of their own. Returns the build's name.

    The file appears in one rename and the record after it, so a record always speaks of a whole
    file. Raises warehouse.NoSuchBuild, and Unprotected if the marts hold something without a rule.
    """
    exact = warehouse.path(state, build)
    policy = registry.states()[state].disclosure
    finished = protected(state, build)
    with lake.lock(f"protect-{state}"):
        for leftover in finished.parent.glob(f".{finished.name}.*"):
            leftover.unlink()
        part = finished.with_name(f".{finished.name}.{os.getpid()}.part")
        told = _write(exact, part, policy)
        part.chmod(0o400)
        told |= {
            "build": build,
            "build_sha256": lake.sha256(exact),
            "protected_sha256": lake.sha256(part),
            "policy": policy.model_dump(mode="json"),
        }
        part.replace(finished)
        lake.write_json(record(state, build), told)
    hidden = sum(told["rules"].get(rule, 0) for rule in primary.HIDING)
    log.info("%s: build %s protected, %d of %d cells hidden", state, build, hidden, told["cells"])
    if told["exposed_by_policy"]:
        log.warning(
            "%s: public metrics show a count that is withheld in its own metric: %s",
            state,
            ", ".join(f"{m} ({n} rows)" for m, n in told["exposed_by_policy"].items()),
        )
    return build


def _write(exact: Path, part: Path, policy: registry.Disclosure) -> dict[str, Any]:
    work = lake.private(lake.machine() / "work")
    # Exact rows may be spilled to disk: into a closed folder, and gone afterwards.
    with tempfile.TemporaryDirectory(dir=work) as spill, duckdb.connect() as connection:
        connection.execute(f"set temp_directory = '{_literal(Path(spill))}'")
        connection.execute(f"attach '{_literal(exact)}' as exact (read_only)")
        connection.execute(f"attach '{_literal(part)}' as part")
        tables = model.check(connection, "exact")
        kinds = model.kinds(connection, "exact.marts")
        connection.execute("create schema part.published")
        for table in tables:
            if table != FACTS:
                connection.execute(
                    f'create table part.published."{table}" as '
                    f'select * from exact.marts."{table}" order by all'
                )
        primary.suppress(connection, "exact.marts", "protected", policy, kinds)
        connection.execute(
            f"create table part.published.{FACTS} as select * exclude (rule) from temp.protected"
        )
        connection.execute(f"update part.published.dim_organization as it {_QUARTILES}")
        told = _summary(connection, tables)
        connection.execute("checkpoint part")
        connection.execute("detach part")
    return told


# A quartile is a range of a share: it is told of those only whose share and membership are.
_QUARTILES = """
set poverty_quartile = null
where
    it.poverty_quartile is not null
    and (
        select count(distinct metric_id) from part.published.fct_metric as shown
        where
            shown.status in ('reported', 'range_coded')
            and shown.state = it.state
            and shown.school_year = it.school_year
            and shown.org_level = it.org_level
            and shown.org_id = it.org_id
            and (
                (metric_id = 'membership' and group_category = 'all')
                or (metric_id = 'group_share' and group_value = 'ECODIS')
            )
    ) < 2
"""


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
    (facts,) = connection.execute(f"select count(*) from exact.marts.{FACTS}").fetchone()
    if rows[FACTS] != facts:
        raise Unprotected(f"{FACTS}: {facts} rows came in and {rows[FACTS]} were protected")
    # A policy may contradict itself: a public row that tells a count its own metric withholds.
    exposed = connection.execute(
        f"""
        select shown.metric_id, count(distinct shown.cell)
        from (select *, rowid as cell from temp.decided) as shown
        inner join temp.decided as withheld using (state, school_year, org_level, org_id)
        where
            shown.rule = 'public'
            and withheld.rule = 'small_count'
            and withheld.part > 0
            and withheld.group_category in (shown.group_category, 'all')
            and withheld.group_value in (shown.group_value, 'all')
            and (
                (shown.numerator_metric = withheld.metric_id and shown.numerator = withheld.part)
                or (
                    shown.denominator_metric = withheld.metric_id
                    and shown.denominator = withheld.part
                )
                or (
                    shown.kind = '{model.Kind.MONEY}'
                    and withheld.metric_id in {model.PUPILS}
                    and shown.denominator = withheld.part
                )
            )
        group by all
        order by all
        """
    ).fetchall()
    return {
        "tables": rows,
        "cells": facts,
        "rules": dict(sorted(rules.items())),
        "metrics": dict(sorted(metrics.items())),
        "exposed_by_policy": dict(exposed),
    }


def _literal(path: Path) -> str:
    return str(path).replace("'", "''")
