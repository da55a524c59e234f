"""Lands small files of a state that exists for one test only."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from include import lake, quality, registry

STATE, EXTRACT, YEAR = "qq", "enrollment", 2019

DECLARED: dict[str, Any] = {
    "group": "enrollment",
    "description": "Students by school and grade.",
    "school_years": [2018, 2019],
    "source": "enrollment-{school_year}.csv",
    "key": ["school_id", "grade"],
    "rows": [1, 100],
    "max_bad_rows": 0.5,
    "columns": {
        "school_year": {"headers": ["Year"], "type": "integer", "is_school_year": True},
        "school_id": {"headers": ["School"], "required": True, "pattern": "(?:[0-9A-Z]{4})"},
        "grade": {"headers": ["Grade"], "codes": ["PK", "KG", "01"]},
        "students": {
            "headers": ["Students"], "type": "integer", "min": 0, "max": 500, "masks": ["*"],
        },
        "opened": {"headers": ["Opened"], "type": "date", "optional": True},
    },
}  # fmt: skip
HEADER = ["Year", "School", "Grade", "Students", "Opened"]


class Landing:
    """A state with one extract, whose declaration a test changes and whose files it writes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setattr(registry, "STATES", folder)
        self.declare()

    def declare(self, **changes: Any) -> registry.Extract:
        """Declare the extract anew; `columns` are added to, everything else is replaced."""
        columns = DECLARED["columns"] | changes.pop("columns", {})
        told = DECLARED | changes | {"columns": {n: c for n, c in columns.items() if c is not None}}
        state = {
            "state": STATE,
            "name": "Quivira",
            "agency": "Department of Education",
            "owner": "data",
            "schedule": None,
            "extracts": {EXTRACT: told},
        }
        (self.folder / f"{STATE}.yml").write_text(yaml.safe_dump(state, sort_keys=False))
        registry.states.cache_clear()
        return registry.extract_of(STATE, EXTRACT)

    def land(
        self, rows: Sequence[Sequence[Any]], header: Sequence[str] = HEADER, **receipt: Any
    ) -> str:
        """Write rows as CSV and receive them. The first row is row 2 of the file."""
        text = io.StringIO()
        csv.writer(text).writerows([header, *rows])
        content = text.getvalue().encode()
        sha256 = hashlib.sha256(content).hexdigest()
        part = lake.private(lake.home()) / "download.part"
        part.write_bytes(content)
        told = {"source": "enrollment.csv", "sha256": sha256, "bytes": len(content), "headers": {}}
        return lake.receive(STATE, EXTRACT, YEAR, part, told | receipt)

    def check(self, rows: Sequence[Sequence[Any]], **told: Any) -> dict[str, Any]:
        """Land and check rows. Returns the verdict; raises what the check raises."""
        given = {name: told.pop(name, None) for name in ("override_reason", "override_by")}
        sha256 = self.land(rows, **told)
        quality.check(STATE, EXTRACT, YEAR, sha256, **given)
        return self.verdict(sha256)

    def refuse(self, rows: Sequence[Sequence[Any]], **told: Any) -> quality.Stopped:
        """Land and check rows that must be refused."""
        with pytest.raises(quality.BrokenPromises) as refused:
            self.check(rows, **told)
        return refused.value

    def load(self, rows: Sequence[Sequence[Any]], **told: Any) -> lake.Load:
        """Land, check and load rows."""
        return lake.replace(STATE, EXTRACT, YEAR, self.check(rows, **told)["sha256"])

    @property
    def sha256(self) -> str:
        return lake.receipt(STATE, EXTRACT, YEAR)["sha256"]

    def verdict(self, sha256: str | None = None) -> dict[str, Any]:
        return json.loads(lake.verdict(STATE, EXTRACT, YEAR, sha256 or self.sha256).read_text())

    def quarantine(self) -> list[tuple[Any, ...]]:
        """Row number, column, value class, reason and value of every row set aside."""
        return _rows(
            lake.quarantined(STATE, EXTRACT, YEAR, self.sha256),
            'row_number, "column", value_class, reason, value',
        )

    @property
    def checked(self) -> Path:
        return lake.checked(STATE, EXTRACT, YEAR, self.sha256)

    def accepted(self, columns: str = "* exclude (_file)") -> list[tuple[Any, ...]]:
        return _rows(self.checked, columns)


def _rows(path: Path, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(f"select {columns} from read_parquet(?)", [str(path)]).fetchall()
