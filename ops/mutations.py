"""Shows that a wrong number would be noticed: `make mutations`.

Makes each mistake of tests/mutations.yml in a copy of the project, one at a time, and runs the
tests of the numbers on it. Prints which mistake was caught by which test, writes the same to
docs/mutations.md, and fails if one was not caught. With `ONLY=...` the page keeps what it says of
the others.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
MISTAKES = ROOT / "tests" / "mutations.yml"
PAGE = ROOT / "docs" / "mutations.md"
# The tests of the numbers, the quick ones first. Those of real files skip where there are none.
TESTS = ("tests/test_dbt_units.py", "tests/test_*recomputed.py", "tests/test_north_carolina.py",
         "tests/test_connecticut.py", "tests/test_bad_files.py")  # fmt: skip
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Stale(ValueError):
    """A mistake that can no longer be made, because the text it is made in has changed."""


@dataclass(frozen=True)
class Mistake:
    """One change of one file below dbt_project, and what somebody would have meant by it."""

    because: str
    file: str
    find: str
    put: str

    def make(self, root: Path) -> None:
        """Make the mistake in the copy of the project at `root`. Raises Stale."""
        file = root / "dbt_project" / self.file
        text = file.read_text() if file.is_file() else ""
        if (times := text.count(self.find)) != 1:
            raise Stale(
                f"tests/mutations.yml, {self.because!r}: {self.find!r} stands {times} times in "
                f"dbt_project/{self.file}, and must stand there once; bring it up to date"
            )
        file.write_text(text.replace(self.find, self.put))


def mistakes() -> list[Mistake]:
    """Every mistake, in the order of the file."""
    return [Mistake(**told) for told in yaml.safe_load(MISTAKES.read_text())]


def caught_by(mistake: Mistake) -> str | None:
    """The first test that notices the mistake, or None."""
    files = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "project" / "main"
        for name in files:
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, copy / name)
        mistake.make(copy)
        data = os.environ.get("STATEWIDE_TEST_DATA", str(ROOT.parent / "shared" / "data"))
        tests = [str(file.relative_to(copy)) for glob in TESTS for file in sorted(copy.glob(glob))]
        # One run, so that the states which several modules judge are built once.
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy), "STATEWIDE_TEST_DATA": data},
            capture_output=True,
            text=True,
        )
    if ran.returncode in (0, 5):
        return None
    if failed := FAILED.search(ran.stdout):
        return failed[1]
    raise RuntimeError(f"the tests did not run:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")


def rows_of(page: str) -> dict[str, str]:
    """The rows of an earlier page, by what the mistake is."""
    return {
        line.split(" | ")[0].removeprefix("| "): line
        for line in page.splitlines()
        if line.startswith("| ") and line.count(" | ") == 2
    }


def page_of(made: Mapping[str, str], every: Iterable[Mistake]) -> str:
    """The page: a row for each mistake that was made, in the order of the file."""
    chosen = [one.because for one in every]
    rows = [made[because] for because in chosen if because in made]
    caught = sum("**nobody**" not in row for row in rows)
    left = len(chosen) - len(rows)
    return (
        "# Would a wrong number be noticed?\n\n"
        "Made by `make mutations`, which makes each of these mistakes in a copy of the project "
        f"and runs the tests of the numbers on it. {caught} of {len(rows)} mistakes are noticed"
        + (f"; {left} of tests/mutations.yml were not made yet" if left else "")
        + ".\n\n| mistake | in | first noticed by |\n| --- | --- | --- |\n"
        + "".join(f"{row}\n" for row in rows)
    )


def main() -> int:
    """Make the mistakes that are named, or all; returns how many nobody noticed."""
    parser = argparse.ArgumentParser(prog="make mutations", description=__doc__)
    parser.add_argument("--only", default="", help="make only mistakes whose text has this in it")
    only = parser.parse_args().only
    chosen = [one for one in mistakes() if only in f"{one.because} {one.file}"]
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = list(pool.map(caught_by, chosen))
    made = rows_of(PAGE.read_text()) if only and PAGE.exists() else {}
    for one, test in zip(chosen, found, strict=True):
        told = f"`{test}`" if test else "**nobody**"
        made[one.because] = f"| {one.because} | `{one.file}` | {told} |"
        print(made[one.because])
    caught = sum(test is not None for test in found)
    print(f"{caught} of {len(chosen)} mistakes are noticed.")
    PAGE.write_text(page_of(made, mistakes()))
    return len(chosen) - caught


if __name__ == "__main__":
    sys.exit(main())
