"""The fictitious state's extracts of 2025, drawn small, and what happens to a publisher's files."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
Rows = list[list[str]]


@dataclass(frozen=True)
class Publisher:
    """A publisher's folder: an extract a file, and beside it a manifest that says what is in it."""

    files: Path

    @classmethod
    def drawn(cls, files: Path) -> Publisher:
        """The fictitious state with 2,000 students in three districts."""
        told = ["-m", "include.demo", "--out", files, "--students", 2000, "--districts", 3]
        subprocess.run([sys.executable, *map(str, told)], cwd=ROOT, check=True, capture_output=True)
        return cls(files)

    def path(self, name: str) -> Path:
        return self.files / f"zz/2025/{name}.csv"

    def read(self, name: str) -> tuple[list[str], Rows]:
        """Headers and rows of an extract."""
        with self.path(name).open(newline="") as file:
            headers, *rows = csv.reader(file)
        return headers, rows

    def rewrite(
        self, name: str, change: Callable[[Rows], Rows], header: tuple[str, str] = ("", "")
    ) -> None:
        """Change a file's rows, or one of its headers, and its manifest with them."""
        path = self.path(name)
        headers, rows = self.read(name)
        headers = [header[1] if it == header[0] else it for it in headers]
        changed = change(rows)
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([headers, *changed])
        manifest = path.with_suffix(".json")
        told = json.loads(manifest.read_text())
        told |= {"rows": len(changed), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        manifest.write_text(json.dumps(told))

    def correct_spending(self) -> None:
        """Every amount is 7 of 100 more, and so are the totals that LEAs give beside them.

        More than goes unasked, less than is refused; and nobody is counted anew, so nothing is
        withheld that was not.
        """
        for name, column in (("finance_ledger", "amount"), ("lea_reference", "control_total")):
            place = self.read(name)[0].index(column)

            def more(row: list[str], place: int = place) -> list[str]:
                amount = f"{float(row[place]) * 1.07:.2f}" if row[place] else ""
                return [*row[:place], amount, *row[place + 1 :]]

            self.rewrite(name, lambda rows, more=more: [more(row) for row in rows])

    def lose_pupils(self) -> None:
        """Every eleventh pupil of those that no other file names is gone.

        About 6 of 100: more than goes unasked, less than is refused. A pupil that other files go on
        naming would be a contradiction, which is refused for a reason of its own.
        """
        headers, _ = self.read("student_enrollment")
        named = {
            row[others.index("student_id")]
            for it in self.path("").parent.glob("*.csv")
            if it.stem != "student_enrollment"
            for others, rows in [self.read(it.stem)]
            if "student_id" in others
            for row in rows
        }
        place, seen = headers.index("student_id"), 0

        def stays(row: list[str]) -> bool:
            nonlocal seen
            seen += row[place] not in named
            return row[place] in named or seen % 11 > 0

        self.rewrite("student_enrollment", lambda rows: [row for row in rows if stays(row)])
