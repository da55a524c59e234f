"""Shows that a wrong number would be noticed: `make mutations`.

Makes each mistake of tests/mutations.yml in a copy of the project, one at a time, and runs the
tests of the numbers on it. Prints which mistake was caught by which test, writes the same to
docs/mutations.md, and fails if one was not caught.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
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
        for test in tests:
            ran = subprocess.run(
                [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", test],
                cwd=copy,
                env=os.environ | {"PYTHONPATH": str(copy), "STATEWIDE_TEST_DATA": data},
                capture_output=True,
                text=True,
            )
            if ran.returncode not in (0, 5):
                if failed := FAILED.search(ran.stdout):
                    return failed[1]
                raise RuntimeError(f"{test} did not run:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return None


def main() -> int:
    """Make the mistakes that are named, or all; returns how many nobody noticed."""
    parser = argparse.ArgumentParser(prog="make mutations", description=__doc__)
    parser.add_argument("--only", default="", help="make only mistakes whose text has this in it")
    only = parser.parse_args().only
    chosen = [one for one in mistakes() if only in f"{one.because} {one.file}"]
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = list(pool.map(caught_by, chosen))
    rows = []
    for one, test in zip(chosen, found, strict=True):
        rows.append(f"| {one.because} | `{one.file}` | {f'`{test}`' if test else '**nobody**'} |")
        print(rows[-1])
    caught = sum(test is not None for test in found)
    told = f"{caught} of {len(chosen)} mistakes are noticed."
    print(told)
    if not only:
        PAGE.write_text(
            "# Would a wrong number be noticed?\n\n"
            "Made by `make mutations`, which makes each of these mistakes in a copy of the project "
            f"and runs the tests of the numbers on it. {told}\n\n"
            "| mistake | in | first noticed by |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
        )
    return len(chosen) - caught


if __name__ == "__main__":
    sys.exit(main())
