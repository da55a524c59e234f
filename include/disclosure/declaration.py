"""What somebody declares of a set of tables, so that their sums can be worked out: typed, checked.

    policy:                     how much may be told
    dimensions:                 what numbers are broken down by, and what adds up to what
    tables:                     which columns of which table are what

docs/disclosure.md has an example. A misspelt key is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

# What to write where something is left out, by its place: * is a table's or a dimension's name.
MISSING = {
    "dimensions": "what numbers are broken down by, as in `dimensions: {school: {total: all}}`",
    "tables": "at least one table, as in `tables: {enrollment: {file: counts.csv, ...}}`",
    "tables.*.dimensions": "the column of each dimension, as in `dimensions: [school, race]`",
    "tables.*.count": "the column of counts of people, as in `count: students`",
}


class BadTables(ValueError):
    """A declaration or a table that cannot be protected as it is. Nothing was protected."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Policy(_Strict):
    """How much may be told, of all tables."""

    # Counts from 1 to minimum_n - 1 are hidden, and each hidden number keeps so wide a range.
    minimum_n: int = Field(default=10, ge=2, le=1000)
    zeros: Literal["shown", "withheld"] = "shown"
    # Which cells are hidden to protect others: those of few people, or few cells.
    cost: Literal["people", "cells"] = "people"
    # Money is told of at least so many persons, and not where one has such a share of it, or more.
    minimum_persons: int = Field(default=3, ge=1)
    dominance: float = Field(default=0.8, gt=0, le=1)
    # A hidden amount of money keeps a range of this share of itself.
    money: float = Field(default=0.1, gt=0, le=1)
    # A sum may miss its total by so much.
    tolerance: float = Field(default=0.5, ge=0)
    # Whether tables are protected at all if public numbers tell a hidden one.
    exposed: Literal["refused", "reported"] = "refused"


class ParentsFile(_Strict):
    """A table of two columns: each member and what it is part of."""

    file: str
    member: str
    parent: str


# A map with the keys of ParentsFile is one.
Tree = Annotated[ParentsFile | dict[str, str], Field(union_mode="left_to_right")]


class Dimension(_Strict):
    """What numbers are broken down by: schools, races, grades."""

    # The member that is everybody. A table without a column of this dimension speaks of it.
    total: str | None = None
    # What each member is part of; several maps if there are several ways up (district, region).
    # Without any, every member is part of the total.
    parents: Tree | list[Tree] = []
    # All members, where no others may be.
    members: list[str] = []
    # Members that are part of nothing: groups that overlap with others.
    apart: list[str] = []
    # Whether the members need not be all: what is left of their total is protected as well.
    rest: bool = False

    @property
    def trees(self) -> list[Tree]:
        """The ways up, as declared."""
        return self.parents if isinstance(self.parents, list) else [self.parents]


class Table(_Strict):
    """One table: a row for each combination of members, a column for each dimension."""

    file: str = ""
    # The column of each dimension; a list where they have the same names.
    dimensions: dict[str, str]
    # A column of counts of people, and what it counts: tables of one measure share cells.
    count: str
    measure: str = ""
    # Money, not people; `denominator` then counts the persons whose it is, and `largest` is a
    # column of what the one has who has most of it.
    is_money: bool = False
    largest: str = ""
    # A column of counts that `count` is a part of (a rate's), and what that counts.
    denominator: str = ""
    denominator_measure: str = ""
    # False where the denominator counts others (students per teacher).
    is_part: bool = True
    # Columns of numbers that stand on these counts: rates, means. Shown where both counts are.
    values: list[str] = []
    # Columns that name what a row's member is part of, by dimension.
    parents: dict[str, str] = {}
    # Published as it is: all of it, or rows with these members ({dimension: [members]}).
    public: bool | list[dict[str, list[str]]] = False

    @model_validator(mode="before")
    @classmethod
    def _named(cls, told: Any) -> Any:
        if isinstance(told, dict):
            told = dict(told)
            if isinstance(told.get("dimensions"), list | tuple):
                told["dimensions"] = {name: name for name in told["dimensions"]}
            told["measure"] = told.get("measure") or told.get("count", "")
            told["denominator_measure"] = told.get("denominator_measure") or told.get(
                "denominator", ""
            )
            # Money is no part of the people whose it is.
            if told.get("is_money"):
                told.setdefault("is_part", False)
        return told


class Declaration(_Strict):
    """All of it."""

    policy: Policy = Policy()
    dimensions: dict[str, Dimension]
    tables: dict[str, Table] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Declaration:
        for name, table in self.tables.items():
            rules = table.public if isinstance(table.public, list) else []
            for used in (table.dimensions, table.parents, *rules):
                if unknown := sorted(set(used) - set(self.dimensions)):
                    raise ValueError(
                        f"tables.{name}: dimension {', '.join(unknown)} is not declared; "
                        f"there are {', '.join(self.dimensions) or 'none'}"
                    )
            if table.largest and not table.is_money:
                raise ValueError(
                    f"tables.{name}: `largest` is about money; declare `is_money: true`, or leave "
                    "it out"
                )
            if table.denominator and table.denominator_measure == table.measure:
                raise ValueError(
                    f"tables.{name}: count and denominator have the measure {table.measure!r}; "
                    "a part and its whole are two measures"
                )
        of_money = {table.measure: table.is_money for table in self.tables.values()}
        for name, table in self.tables.items():
            told = [(table.measure, table.is_money), (table.denominator_measure, False)]
            for measure, is_money in told:
                if measure and of_money.get(measure, is_money) != is_money:
                    raise ValueError(
                        f"tables.{name}: {measure!r} is money in one table and a count of people "
                        "in another; give them two measures"
                    )
        for name, dimension in self.dimensions.items():
            for tree in dimension.trees:
                if isinstance(tree, dict):
                    check_tree(f"dimensions.{name}.parents", tree)
        return self


def check_tree(where: str, parents: Mapping[str, str]) -> None:
    """Look for a loop. Raises BadTables that names the members that go round."""
    sound: set[str] = set()
    for start in parents:
        path: list[str] = []
        member = start
        while member in parents and member not in sound:
            if member in path:
                circle = [*path[path.index(member) :], member]
                raise BadTables(
                    f"{where}: {' is part of '.join(circle)}: a hierarchy with a loop; expected "
                    "that everything ends in a total. Correct one of them"
                )
            path.append(member)
            member = parents[member]
        sound.update(path)


def read(path: Path) -> Declaration:
    """A declaration from its YAML file. Raises BadTables that says what is wrong with it."""
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadTables(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadTables(f"{path}: not a YAML file: {error}") from error
    return checked(told, str(path))


def checked(told: Declaration | Mapping[str, Any], where: str = "declaration") -> Declaration:
    """A declaration, of what somebody wrote. Raises BadTables."""
    if isinstance(told, Declaration):
        return told
    if not isinstance(told, Mapping):
        raise BadTables(f"{where}: expected the keys policy, dimensions and tables")
    try:
        return Declaration.model_validate(dict(told))
    except ValidationError as error:
        lines = [
            f"{where}: {'.'.join(map(str, it['loc'])) or 'it'}: {_message(it)}"
            for it in error.errors()
        ]
        raise BadTables("\n".join(dict.fromkeys(lines))) from error


def _message(error: Mapping[str, Any]) -> str:
    """What is wrong at one place of a declaration, and what to write there."""
    first, *others = error["loc"] or ("",)
    if first in ("dimensions", "tables") and others:
        others[0] = "*"
    place = ".".join(map(str, (first, *others)))
    if error["type"] == "missing" and place in MISSING:
        return f"is missing; expected {MISSING[place]}"
    keys_of = {"": Declaration, "policy": Policy, "dimensions.*": Dimension, "tables.*": Table}
    if error["type"] == "extra_forbidden" and (of := place.rpartition(".")[0]) in keys_of:
        return f"no such key; there are {', '.join(keys_of[of].model_fields)}"
    return error["msg"].removeprefix("Value error, ")
