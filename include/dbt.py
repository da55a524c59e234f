"""Runs dbt: one project, one state per build, one process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include import lake

PROJECT = Path(__file__).parents[1] / "dbt_project"


# Every mart with all that it is made of, and the seeds that people read.
EVERYTHING = ("build", "--select", "+path:models/marts", "path:seeds")
# All that is made of the metrics which disclosure control protects.
DERIVED = ("run", "--select", "int_base_metrics+", "--exclude", "int_base_metrics")


class BuildFailed(RuntimeError):
    """dbt could not build every mart, or a test of one failed. Nothing was published."""


def target(state: str) -> Path:
    """Where dbt keeps the state's parsed project; a folder a state keeps partial parsing."""
    return lake.machine() / "dbt" / state


def variables(state: str) -> dict[str, object]:
    """What dbt is told of the state: its staging folders, and the models that are in them.

    `record_level` names the folder that stages the standard extracts, or one that does not exist;
    record-level states do not name themselves in any file, so `state_name` does. `minimum_n` is
    public: it says how large a count can be that is withheld for being small.
    """
    from include import registry

    record_level = "standard" if registry.sends_records(state) else "none"
    folders = {"state": state, "record_level": record_level}
    staging = [PROJECT / "models/staging" / folder for folder in folders.values()]
    return {
        **folders,
        "state_name": registry.states()[state].name,
        "minimum_n": registry.states()[state].disclosure.greatest_n,
        "staged": sorted(file.stem for folder in staging for file in folder.glob("stg_*.sql")),
    }


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run(state: str, database: Path, *arguments: str, kept: str = "target") -> None:
    """Run one dbt command for a state against a DuckDB file.

    `kept` names the folder of the parsed project: one for each path that databases are built at.
    Raises BuildFailed with the name and message of every node that failed.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    folder = target(state)
    lake.private(folder)
    with _environment(
        STATEWIDE_BUILD=str(database),
        DBT_SEND_ANONYMOUS_USAGE_STATS="false",
        DO_NOT_TRACK="1",
    ):
        outcome = dbtRunner().invoke(
            [
                *arguments,
                "--project-dir", str(PROJECT),
                "--profiles-dir", str(PROJECT),
                "--target-path", str(folder / kept),
                "--log-path", str(folder / "logs"),
                "--vars", json.dumps(variables(state)),
                "--quiet",
                "--warn-error-options", '{"error": ["NoNodesForSelectionCriteria"]}',
            ]
        )  # fmt: skip
        # It would keep the file open, and write a next build of the same path into this one.
        DuckDBConnectionManager.close_all_connections()
    if outcome.success:
        return
    if outcome.exception:
        raise BuildFailed(f"{state}: dbt stopped: {outcome.exception}") from outcome.exception
    broken = [
        f"{result.node.name} ({result.status}): {(result.message or '').strip()}"
        for result in getattr(outcome.result, "results", [])
        if str(result.status) in ("error", "fail", "runtime error")
    ]
    raise BuildFailed(
        f"{state}: dbt {arguments[0]} stopped on {len(broken)} of its steps; the last build and "
        "release stay as they are.\n  " + "\n  ".join(broken)
    )


def build(state: str, database: Path) -> None:
    """Seeds, models and data tests of one state.

    Unit tests ask about the logic, not about this load: they run in the project's own tests.
    """
    run(state, database, *EVERYTHING, "--exclude-resource-type", "unit_test")


def derive(state: str, database: Path) -> None:
    """Make all that is made of `int_base_metrics` from the rows that the database holds of it.

    The database also holds the organizations and the seeds; a model that reads anything else of the
    build finds nothing there and fails, so nothing passes disclosure control by.
    """
    run(state, database, *DERIVED, kept="derived")


def unit_test(state: str, database: Path) -> None:
    """The project's unit tests, on a database whose schema `lake` shows the state's relations.

    Raises BuildFailed with the difference between what a test expected and what it got.
    """
    run(state, database, *EVERYTHING, "--exclude-resource-type", "unit_test", "test")
    run(state, database, "test", "--select", "test_type:unit")


def document(state: str, database: Path) -> Path:
    """Write dbt's documentation of the build, one page that needs no server. Returns its path."""
    run(state, database, "docs", "generate", "--static")
    page = lake.private(lake.data_docs(state)) / "dbt.html"
    part = page.with_name(f".{page.name}.part")
    part.write_bytes((target(state) / "target" / "static_index.html").read_bytes())
    part.replace(page)
    return page
