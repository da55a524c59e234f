"""`python -m include.disclosure tables.yml --out protected`: tables in files, protected.

The declaration names the files (CSV or Parquet), by paths from where it stands itself. The folder
gets a file of the same name for each, `report.json` and `report.md`; it appears whole or not at
all, and an earlier one is replaced whole. docs/disclosure.md has an example.

Exit codes: 0 written; 1 the audits failed, or public numbers tell hidden ones; 2 the declaration or
a table is wrong, or a file cannot be read or written. But for 0, nothing was written.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

import pandas as pd

from include.disclosure import declaration, tables
from include.disclosure.audit import AuditFailed
from include.disclosure.declaration import BadTables, Declaration, ParentsFile

REPORT = "report.json"


def protect_files(told: Path, out: Path | None) -> tables.Protected:
    """Protect the tables that a declaration names, and write them to the folder `out`, if any.

    Raises BadTables, tables.Exposed, AuditFailed and OSError; then `out` is what it was.
    """
    declared = declaration.read(told)
    places: dict[str, Path] = {}
    for name, table in declared.tables.items():
        if not table.file:
            raise BadTables(f"{told}: tables.{name}: no `file`; the command reads it from there")
        places[name] = told.parent / table.file
    for name, path in places.items():
        same = [other for other, it in places.items() if it.name == path.name]
        if len(same) > 1 or path.name in (REPORT, "report.md"):
            raise BadTables(
                f"{told}: tables.{name}: the name of {path.name} is taken in the folder that is "
                "written; rename the file"
            )
    if out is not None:
        _look(out, places)
    frames = {name: _read(path) for name, path in places.items()}
    protected = tables.protect_tables(
        frames,
        _with_parents(declared, told.parent),
        names={name: declared.tables[name].file for name in places},
    )
    if out is not None:
        _write(protected, places, out)
    return protected


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        if path.suffix == ".csv":
            # As text: identifiers keep their leading zeros, and what is no number is found out.
            return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadTables(f"{path}: cannot be read: {reason}") from error
    raise BadTables(f"{path}: expected a file .csv or .parquet")


def _with_parents(declared: Declaration, folder: Path) -> Declaration:
    """The declaration with its files of members and parents as maps."""
    dimensions = {}
    for name, dimension in declared.dimensions.items():
        trees = []
        for tree in dimension.trees:
            if isinstance(tree, ParentsFile):
                tree = _parents(f"dimensions.{name}.parents", tree, folder)
            trees.append(tree)
        dimensions[name] = dimension.model_copy(update={"parents": trees})
    return declared.model_copy(update={"dimensions": dimensions})


def _parents(where: str, told: ParentsFile, folder: Path) -> dict[str, str]:
    frame = _read(folder / told.file)
    for column in (told.member, told.parent):
        if column not in frame:
            raise BadTables(
                f"{told.file}: no column {column!r}, which {where} names; it has "
                f"{', '.join(map(str, frame.columns))}"
            )
    tree: dict[str, str] = {}
    for row, (member, parent) in enumerate(
        zip(frame[told.member], frame[told.parent], strict=True), start=1
    ):
        if pd.isna(member) or str(member) == "":
            raise BadTables(f"{told.file}, row {row}: no {told.member}; expected a member")
        if pd.isna(parent) or str(parent) == "":
            continue
        if tree.setdefault(str(member), str(parent)) != str(parent):
            raise BadTables(
                f"{told.file}, row {row}: {member} is part of {tree[str(member)]} and of {parent}; "
                "expected one. Name the other way up in a second file"
            )
    declaration.check_tree(told.file, tree)
    return tree


def _previous(out: Path) -> Path:
    return out.with_name(f".{out.name}.previous")


def _look(out: Path, places: dict[str, Path]) -> None:
    """Refuse a folder that is somebody else's; put back what a killed run had moved away."""
    if _previous(out).exists() and not out.exists():
        _previous(out).rename(out)
    if any(path.resolve().parent == out.resolve() for path in places.values()):
        raise BadTables(f"{out}: holds the tables that are read; name another folder")
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / REPORT).exists())):
        raise BadTables(
            f"{out}: is there, and was not written by this command; name another folder"
        )


def _write(protected: tables.Protected, places: dict[str, Path], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        part.mkdir()
        for name, frame in protected.tables.items():
            path = part / places[name].name
            if path.suffix == ".parquet":
                frame.to_parquet(path, index=False)
            else:
                frame.to_csv(path, index=False, lineterminator="\n")
        (part / "report.md").write_text(protected.page(), encoding="utf-8")
        (part / REPORT).write_text(json.dumps(protected.report, indent=2) + "\n", encoding="utf-8")
        if out.exists():
            shutil.rmtree(_previous(out), ignore_errors=True)
            out.rename(_previous(out))
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if not out.exists() and _previous(out).exists():
            _previous(out).rename(out)
    shutil.rmtree(_previous(out), ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m include.disclosure",
        description="Hide small counts in tables, and what would give them back; prove it.",
        epilog=__doc__.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("declaration", type=Path, help="a YAML file: policy, dimensions, tables")
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--out", type=Path, help="the folder to write")
    goal.add_argument("--check", action="store_true", help="write nothing; print the report only")
    told = parser.parse_args(arguments)
    try:
        protected = protect_files(told.declaration, None if told.check else told.out)
    except (AuditFailed, tables.Exposed) as error:
        print(f"not protected: {error}", file=sys.stderr)
        return 1
    except (BadTables, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(protected.page(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
