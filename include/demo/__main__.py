"""`python -m include.demo --out FOLDER`: write the fictitious state's extracts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from include.demo import BadPlan, Plan, generate


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 2 where the plan cannot be drawn."""
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m include.demo", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="extracts go to OUT/zz/<year>/")
    parser.add_argument("--students", type=int, default=usual.students)
    parser.add_argument("--districts", type=int, default=usual.districts)
    parser.add_argument("--years", type=int, nargs="+", default=list(usual.years))
    parser.add_argument("--seed", type=int, default=usual.seed)
    told = parser.parse_args(arguments)
    try:
        plan = Plan(told.students, told.districts, tuple(told.years), told.seed)
    except BadPlan as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    for name, rows in sorted(generate(told.out, plan).items()):
        print(f"{rows:>10,}  zz/{name}.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
