"""Writes the extracts: CSV in the declared order of columns, hashed on the way, with a manifest.

A file is complete or not there: it is written beside its name and renamed when it is closed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv

from include import registry

# Rows turned into text at a time.
SLICE = 65_536
STATE = "zz"


def coded(labels: Sequence[str | None], codes: np.ndarray) -> pa.Array:
    """Text by position: the label of each code; a None label is an empty cell."""
    return pa.array(labels, pa.string()).take(pa.array(codes))


def flag(values: np.ndarray) -> pa.Array:
    """Y where true, N where not."""
    return coded(("N", "Y"), values.astype(np.int8))


def dates(days: np.ndarray) -> pa.Array:
    """ISO dates of `datetime64[D]`; NaT is an empty cell."""
    return pa.array(days.astype("datetime64[D]"))


def numbered(values: np.ndarray, width: int) -> pa.Array:
    """Whole numbers as text of one width, with leading zeros."""
    return compute.utf8_lpad(pa.array(values).cast(pa.string()), width, "0")


def dollars(cents: np.ndarray) -> pa.Array:
    """Cents as dollars with two decimals, exactly."""
    whole = np.abs(cents)
    text = np.char.mod("%d", whole // 100)
    sign = np.where(cents < 0, "-", "")
    return pa.array(np.char.add(np.char.add(sign, text), np.char.mod(".%02d", whole % 100)))


def whole(values: np.ndarray) -> pa.Array:
    """Whole numbers as they are."""
    return pa.array(values)


def constant(value: object, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), rows)


class _Hashed:
    """A file that knows the hash of what was written to it."""

    def __init__(self, path: Path) -> None:
        self.sha256 = hashlib.sha256()
        self.file = path.open("wb")
        self.closed = False

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()
        self.closed = True


class Writer:
    """One extract of one school year, written chunk by chunk.

    Columns that a chunk leaves out are empty; a column that is not declared raises KeyError.
    """

    def __init__(self, folder: Path, name: str, school_year: int, as_of: str) -> None:
        self.columns = list(registry.extract_of(STATE, name).columns)
        self.path = folder / STATE / str(school_year) / f"{name}.csv"
        self.as_of = as_of
        self.rows = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._part = self.path.with_suffix(".part")
        self._file = _Hashed(self._part)
        self._file.write((",".join(self.columns) + "\n").encode())
        self._csv = csv.CSVWriter(
            pa.PythonFile(self._file, mode="w"),
            pa.schema([(column, pa.string()) for column in self.columns]),
            write_options=csv.WriteOptions(
                include_header=False, quoting_style="none", batch_size=SLICE
            ),
        )

    def write(self, columns: Mapping[str, pa.Array]) -> None:
        """Append rows; all columns have the same length."""
        if unknown := sorted(set(columns) - set(self.columns)):
            raise KeyError(f"{self.path.name} declares no column {', '.join(unknown)}")
        rows = len(next(iter(columns.values())))
        for start in range(0, rows, SLICE):
            length = min(SLICE, rows - start)
            self._csv.write_batch(
                pa.record_batch(
                    [
                        columns[name].slice(start, length).cast(pa.string())
                        if name in columns
                        else pa.nulls(length, pa.string())
                        for name in self.columns
                    ],
                    names=self.columns,
                )
            )
        self.rows += rows

    def close(self) -> None:
        """Put the file under its name and write the manifest beside it."""
        self._csv.close()
        if not self._file.closed:
            self._file.close()
        self._part.replace(self.path)
        told = {
            "as_of": self.as_of,
            "rows": self.rows,
            "sha256": self._file.sha256.hexdigest(),
            "submission": 1,
        }
        self.path.with_suffix(".json").write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")


# When each extract of a school year is handed in: year after the one it ends in, month and day.
_DUE = {
    "directory": (-1, "10-15"),
    "staff_assignment": (-1, "10-15"),
    "lea_reference": (-1, "12-31"),
    "labor_market": (-1, "09-01"),
    "cip_soc": (-1, "09-01"),
    "student_enrollment": (0, "06-30"),
    "cte_enrollment": (0, "06-30"),
    "work_based_learning": (0, "06-30"),
    "work_ethic": (0, "06-30"),
    "graduation_cohort": (0, "09-30"),
    "identification": (0, "10-31"),
    "finance_ledger": (0, "12-31"),
    "cte_outcome": (1, "02-15"),
}


class Writers:
    """All extracts of all years, open at once. `writers[year, name]` is one of them."""

    def __init__(self, folder: Path, years: Sequence[int]) -> None:
        self._open = {
            (year, name): Writer(folder, name, year, f"{year + due[0]}-{due[1]}")
            for year in years
            for name, due in _DUE.items()
        }

    def __getitem__(self, key: tuple[int, str]) -> Writer:
        return self._open[key]

    def __enter__(self) -> Writers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            for writer in self._open.values():
                writer.close()

    @property
    def rows(self) -> dict[str, int]:
        """Rows written, by `<year>/<extract>`."""
        return {f"{year}/{name}": writer.rows for (year, name), writer in self._open.items()}
