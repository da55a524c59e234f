"""Any set of tables, protected: declare what their columns are, get the same rows back.

    protected = protect_tables({"enrollment": frame}, {"dimensions": ..., "tables": ...})
    protected.tables["enrollment"], protected.report, protected.page()

The sums that readers know are worked out from the declaration (include/disclosure/declaration.py):
the members of a dimension make their total, level by level; a crossing makes its margins; a part
and the rest make their whole; and the same measure of the same members is one number, whichever
tables show it. Nothing here knows of states, builds or releases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from include.disclosure import audit, complementary, parts
from include.disclosure.audit import AuditFailed
from include.disclosure.declaration import BadTables, Declaration, Table, check_tree, checked
from include.disclosure.model import Status
from include.disclosure.report import RULES
from include.disclosure.system import System

# Two statements of one number, and a part and its whole, may differ by so much.
SAME = 1e-6
# So many errors are told at once.
TOLD = 10
# Systems of at most so many cells are thinned: each trial is an audit.
THINNED = 600
# Who knows which hidden numbers are below n is left a range so wide: three whole numbers or more.
LEFT = 2.0
ADDED = ("status", "rule")


class Exposed(ValueError):
    """Numbers that the declaration makes public tell numbers that it wants hidden."""


@dataclass(frozen=True)
class Protected:
    """The same tables, hidden counts and what stands on them null; and what was decided."""

    tables: dict[str, pd.DataFrame]
    # Counts of cells and names of groups, never a value.
    report: dict[str, Any]

    def page(self) -> str:
        """The report as Markdown, for whoever answers for the tables."""
        return _page(self.report)


def protect_tables(
    tables: Mapping[str, Any],
    declaration: Declaration | Mapping[str, Any],
    *,
    names: Mapping[str, str] | None = None,
) -> Protected:
    """Hide what may not be told of some tables, prove it, and return the same rows.

    `tables` are pandas DataFrames, or relations (DuckDB, Arrow), by the names that the declaration
    gives them. Each comes back with its rows in their order, its columns, and two more: `status` as
    in fct_metric, and `rule`. A count that is hidden is null, and so are the columns of `values`
    where either count of the row is. `names` are what errors call the tables.

    Deterministic, and the same whatever the order of rows and of tables. Raises BadTables naming
    table, row and group; Exposed; and AuditFailed, naming cells and the sums that give them away.
    """
    declared = checked(declaration)
    if missing := sorted(set(declared.tables) - set(tables)):
        raise BadTables(f"tables: {', '.join(missing)} is declared and was not given")
    if unknown := sorted(set(tables) - set(declared.tables)):
        raise BadTables(f"tables: {', '.join(unknown)} was given and is not declared")
    frames = {name: _frame(tables[name]) for name in declared.tables}
    called = {name: (names or {}).get(name, name) for name in declared.tables}
    cells = _Cells(declared, frames, called)
    choice, told = _protected(cells)
    report = _audited(cells, choice, told)
    shown = {name: cells.shown(name, choice) for name in declared.tables}
    return Protected(shown, report | _counted(cells, choice, shown))


def _protected(cells: _Cells) -> tuple[complementary.Choice, complementary.Choice]:
    """What is hidden, for readers of the numbers, and for those who read the rules beside them.

    What the ones ask to be hidden the others are asked about, until it is enough for both.
    """
    hidden = cells.hidden
    with parts.Workers() as workers:
        how = {"is_thinned": False, "workers": workers}
        while True:
            choice = complementary.protect(cells.system, hidden, **how)
            told = complementary.protect(cells.as_told(choice), choice.hidden, **how)
            if (told.hidden == choice.hidden).all():
                break
            hidden = told.hidden
    if cells.system.cells <= THINNED and not (choice.exposed | told.exposed).any():
        choice.hidden = told.hidden = _thinned(cells, choice)
    return choice, told


def _thinned(cells: _Cells, choice: complementary.Choice) -> np.ndarray:
    """What is hidden, less what neither reader needs to have hidden: the dearest first."""
    system, knowing, hidden = cells.system, cells.as_told(choice), choice.hidden
    first = system.spread(cells.hidden & (~system.fixed | system.virtual))
    extra = np.flatnonzero(hidden & ~first & ~system.virtual)
    for cell in extra[np.argsort(-system.cost[extra], kind="stable")]:
        trial = hidden & ~system.virtual | first
        trial[cell] = False
        trial = system.spread(trial)
        asked, also = trial & (system.need > 0), trial & (knowing.need > 0)
        if (audit.recoverable(system, trial) & asked).any():
            continue
        if audit.narrow(knowing, trial, also).any():
            continue
        if not audit.narrow(system, trial, asked).any():
            hidden = trial
    return hidden


def _frame(table: Any) -> pd.DataFrame:
    for method in ("df", "to_pandas"):
        if not isinstance(table, pd.DataFrame) and hasattr(table, method):
            table = getattr(table, method)()
    if not isinstance(table, pd.DataFrame):
        raise BadTables(f"expected a DataFrame or a relation, not {type(table).__name__}")
    return table.reset_index(drop=True)


# ----------------------------------------------------------------------------- tables, as declared


class _Cells:
    """The tables of a declaration as a system of cells, and which row shows which of them."""

    def __init__(
        self, declared: Declaration, frames: dict[str, pd.DataFrame], called: dict[str, str]
    ):
        self.declared, self.frames, self.called = declared, frames, called
        self.errors: list[str] = []
        self.names = list(declared.dimensions)
        self.numbers: dict[tuple[str, str], np.ndarray] = {}
        self._columns()
        self.trees = self._trees()
        self._read()
        self._number()
        self._sums()
        self._assemble()

    def _wrong(self, text: str) -> None:
        self.errors.append(text)

    def _stop(self) -> None:
        if self.errors:
            more = len(self.errors) - TOLD
            lines = self.errors[:TOLD] + ([f"and {more:,} more like these"] if more > 0 else [])
            raise BadTables("\n".join(lines))

    def _where(self, name: str, row: int) -> str:
        table, frame = self.declared.tables[name], self.frames[name]
        group = ", ".join(
            f"{dimension} {frame[column].iat[row]}"
            for dimension, column in table.dimensions.items()
        )
        return f"{self.called[name]}, row {row + 1} ({group})"

    # ----------------------------------------------------------------- what the columns hold

    def _columns(self) -> None:
        for name, table in self.declared.tables.items():
            used = [
                *table.dimensions.values(), table.count, table.denominator, table.largest,
                *table.values, *table.parents.values(),
            ]  # fmt: skip
            there = list(self.frames[name].columns)
            for column in dict.fromkeys(used):
                if column and column not in there:
                    self._wrong(
                        f"{self.called[name]}: no column {column!r}; it has "
                        f"{', '.join(map(str, there))}. Correct the table or its declaration"
                    )
            for column in ADDED:
                if column in there:
                    self._wrong(
                        f"{self.called[name]}: has a column {column!r}, which protection adds; "
                        "rename it"
                    )
            if repeated := sorted({str(it) for it in there if there.count(it) > 1}):
                self._wrong(f"{self.called[name]}: column {', '.join(repeated)} is there twice")
            for dimension in self.names:
                if dimension not in table.dimensions and self._total(dimension) is None:
                    self._wrong(
                        f"{self.called[name]}: no column for dimension {dimension!r}, and that has "
                        "no total which the table could speak of; give it the column, or the "
                        "dimension a `total`"
                    )
        self._stop()

    def _total(self, dimension: str) -> str | None:
        told = self.declared.dimensions[dimension]
        if told.total is not None:
            return told.total
        tops = {
            parent
            for tree in told.trees
            if isinstance(tree, dict)
            for parent in tree.values()
            if parent not in tree
        }
        return tops.pop() if len(tops) == 1 else None

    def _trees(self) -> dict[str, list[dict[str, str]]]:
        """The ways up in each dimension, by member; a dimension without any has only its total."""
        found = {}
        for dimension, told in self.declared.dimensions.items():
            trees = []
            for tree in told.trees:
                if not isinstance(tree, dict):
                    raise BadTables(
                        f"dimensions.{dimension}.parents: a file is read by the command only; give "
                        "the function a map"
                    )
                if tree:
                    trees.append(dict(tree))
            if columns := self._tree_of_columns(dimension):
                trees.append(columns)
            for tree in trees:
                for top in sorted(set(tree.values()) - set(tree)):
                    if told.total is not None and top != told.total:
                        tree[top] = told.total
                for member in told.apart:
                    tree.pop(member, None)
            found[dimension] = trees
        self._stop()
        return found

    def _tree_of_columns(self, dimension: str) -> dict[str, str]:
        tree: dict[str, str] = {}
        for name, table in self.declared.tables.items():
            if dimension not in table.parents or dimension not in table.dimensions:
                continue
            frame = self.frames[name]
            member, parent = frame[table.dimensions[dimension]], frame[table.parents[dimension]]
            told = parent.notna() & (parent.astype(str) != "")
            pairs = pd.DataFrame({"member": member[told].astype(str), "parent": parent[told]})
            for one, other in pairs.astype(str).drop_duplicates().itertuples(index=False):
                if tree.setdefault(one, other) != other:
                    self._wrong(
                        f"{self.called[name]}: {dimension} {one} is part of {tree[one]} and of "
                        f"{other}; expected one column to name one. Correct it, or name the other "
                        "way up in the dimension's `parents`"
                    )
        check_tree(f"dimension {dimension}, as the tables' columns have it", tree)
        return tree

    def _read(self) -> None:
        """Every count as a number, every row's members, or what is wrong with them."""
        for name, table in self.declared.tables.items():
            frame = self.frames[name]
            for dimension, column in table.dimensions.items():
                empty = frame[column].isna() | (frame[column].astype(str).str.strip() == "")
                for row in np.flatnonzero(empty):
                    self._wrong(
                        f"{self._where(name, row)}: no {dimension} in column {column!r}; expected "
                        "a member, or the dimension's total"
                    )
            for column in filter(None, (table.count, table.denominator, table.largest)):
                self.numbers[name, column] = self._numbers(name, column)
            if table.largest:
                amount, largest = (
                    self.numbers[name, column] for column in (table.count, table.largest)
                )
                for row in np.flatnonzero(largest > amount + SAME):
                    self._wrong(
                        f"{self._where(name, row)}: {table.largest} is more than {table.count}; "
                        "expected what one person has of it. Correct it"
                    )
            if table.denominator and table.is_part:
                part, whole = (
                    self.numbers[name, column] for column in (table.count, table.denominator)
                )
                for row in np.flatnonzero(part > whole + SAME):
                    self._wrong(
                        f"{self._where(name, row)}: {table.count} is more than "
                        f"{table.denominator}; expected a part of it. Correct it, or declare "
                        "`is_part: false`"
                    )
            keys = frame[list(table.dimensions.values())].astype(str)
            again = keys.duplicated().to_numpy()
            for row in np.flatnonzero(again):
                self._wrong(
                    f"{self._where(name, row)}: an earlier row has the same key; expected one row "
                    f"for each {' and '.join(table.dimensions) or 'table'}"
                )
            self._members(name, table, keys)
        self._stop()

    def _numbers(self, name: str, column: str) -> np.ndarray:
        table, told = self.declared.tables[name], self.frames[name][column]
        is_amount = table.is_money and column != table.denominator
        what = "an amount of money" if is_amount else "a number of people"
        found = pd.to_numeric(told, errors="coerce").to_numpy(float, na_value=np.nan)
        for row in np.flatnonzero(~np.isfinite(found)):
            raw = told.iat[row]
            is_empty = pd.isna(raw) or str(raw).strip() == ""
            self._wrong(
                f"{self._where(name, row)}: {column} is {'empty' if is_empty else repr(raw)}; "
                f"expected {what}, 0 or more. What is not known cannot be protected: "
                "give the number, or leave the row out of every table"
            )
        for row in np.flatnonzero(found < 0):
            self._wrong(
                f"{self._where(name, row)}: {column} is negative; expected {what}, 0 or more"
            )
        return found

    def _members(self, name: str, table: Table, keys: pd.DataFrame) -> None:
        for dimension, column in table.dimensions.items():
            told = self.declared.dimensions[dimension]
            declared = any(told.trees) or told.members
            if not declared:
                continue
            known = {told.total, *told.members, *told.apart}
            for tree in self.trees[dimension]:
                known |= set(tree) | set(tree.values())
            seen = keys[column]
            for row in np.flatnonzero(~seen.isin(known)):
                self._wrong(
                    f"{self._where(name, row)}: {dimension} {seen.iat[row]!r} is not declared; "
                    f"expected one of {_some(sorted(it for it in known if it is not None))}. "
                    f"Correct it, or add it under dimensions.{dimension}"
                )

    # ------------------------------------------------------------------- cells and their sums

    def _number(self) -> None:
        """One number for each cell, in the order of measure and members."""
        parts = []
        for name, table in self.declared.tables.items():
            frame = self.frames[name]
            place = {
                dimension: frame[table.dimensions[dimension]].astype(str)
                if dimension in table.dimensions
                else pd.Series(self._total(dimension), index=frame.index)
                for dimension in self.names
            }
            public = np.zeros(len(frame), bool)
            for rule in [{}] if table.public is True else table.public or []:
                met = np.ones(len(frame), bool)
                for dimension, members in rule.items():
                    met &= place[dimension].isin(members).to_numpy()
                public |= met
            roles = [("part", table.measure, table.count)]
            if table.denominator:
                roles.append(("base", table.denominator_measure, table.denominator))
            for role, measure, column in roles:
                parts.append(
                    pd.DataFrame({f"d{i}": place[it] for i, it in enumerate(self.names)}).assign(
                        measure=measure, table=name, row=np.arange(len(frame)), role=role,
                        amount=self.numbers[name, column], is_public=public,
                    )
                )  # fmt: skip
        told = pd.concat(parts, ignore_index=True)
        self.key = ["measure", *(f"d{i}" for i in range(len(self.names)))]
        told["cell"] = told.groupby(self.key, sort=True).ngroup()
        by_cell = told.groupby("cell")
        amounts = by_cell["amount"]
        apart = (amounts.max() - amounts.min()).to_numpy() > SAME
        for cell in np.flatnonzero(apart):
            rows = told[told["cell"] == cell]
            ends = [rows.loc[at] for at in (rows["amount"].idxmin(), rows["amount"].idxmax())]
            places = " and ".join(self._where(it["table"], it["row"]) for it in ends)
            self._wrong(
                f"{places}: two different numbers of {ends[0]['measure']}; expected one, since "
                "tables of one measure share cells. Correct one, or declare another `measure`"
            )
        self._stop()
        first = told.drop_duplicates("cell").sort_values("cell")
        self.label = first[self.key].reset_index(drop=True)
        self.value = amounts.max().to_numpy(float)
        self.fixed = by_cell["is_public"].any().to_numpy()
        amounts_of = {it.measure for it in self.declared.tables.values() if it.is_money}
        self.is_money = self.label["measure"].isin(amounts_of).to_numpy()
        self.shows = {
            (name, role): rows.sort_values("row")["cell"].to_numpy()
            for (name, role), rows in told.groupby(["table", "role"])
        }
        self.public_rows = {
            name: rows.sort_values("row")["is_public"].to_numpy()
            for name, rows in told[told["role"] == "part"].groupby("table")
        }

    def named(self, cell: int) -> str:
        """A cell as people call it: its measure and its members; never its value."""
        if cell >= len(self.label):
            return self.rest_names[cell - len(self.label)]
        row = self.label.iloc[cell]
        members = ", ".join(f"{name} {row[f'd{i}']}" for i, name in enumerate(self.names))
        return f"{row['measure']} ({members})"

    def _sums(self) -> None:
        """Every sum of the declared dimensions: family, total and part, by cell."""
        index = pd.MultiIndex.from_frame(self.label[self.key])
        self.families = ["rest"]
        self.lines: list[pd.DataFrame] = []
        # What is left of a total whose declared members need not be all: total and parts.
        self.left: list[tuple[int, np.ndarray]] = []
        for i, dimension in enumerate(self.names):
            told = self.declared.dimensions[dimension]
            column = f"d{i}"
            trees = self.trees[dimension]
            if not trees and told.total is not None:
                members = set(self.label[column]) - {told.total, *told.apart}
                trees = [{member: told.total for member in members}]
            for number, tree in enumerate(trees):
                self.families.append(dimension if len(trees) == 1 else f"{dimension} {number + 1}")
                self._sums_of(index, dimension, column, tree)
        self._stop()

    def _sums_of(self, index, dimension: str, column: str, tree: dict[str, str]) -> None:
        told = self.declared.dimensions[dimension]
        above = self.label[column].map(tree)
        part = np.flatnonzero(above.notna().to_numpy())
        if not len(part):
            return
        whole = self.label.iloc[part].assign(**{column: above.iloc[part]})
        total = index.get_indexer(pd.MultiIndex.from_frame(whole[self.key]))
        # A total that no table shows makes no sum, unless one further up is shown: then the sum
        # goes on without the level between, and what stands there cannot be worked out.
        upper, lost = whole, total < 0
        while lost.any():
            upper = upper.assign(**{column: upper[column].map(tree)})
            some = lost & upper[column].notna().to_numpy()
            if not some.any():
                break
            at = np.flatnonzero(some)
            higher = index.get_indexer(pd.MultiIndex.from_frame(upper.iloc[at][self.key]))
            for position in at[higher >= 0]:
                level = whole.iloc[position]
                group = ", ".join(f"{it} {level[f'd{k}']}" for k, it in enumerate(self.names))
                self._wrong(
                    f"{level['measure']}: a level is missing: no row for {group}, which is between "
                    f"{self.label[column].iat[part[position]]} and {upper[column].iat[position]}; "
                    f"expected a row in {self._tables_of(level['measure'])}. Add it, or take "
                    f"{level[column]} out of dimensions.{dimension}"
                )
            lost = lost & some
            lost[at[higher >= 0]] = False
        self.errors = list(dict.fromkeys(self.errors))
        kept = total >= 0
        part, total = part[kept], total[kept]
        order = np.lexsort((part, total))
        part, total = part[order], total[order]
        made = np.bincount(total, self.value[part], len(self.value))
        parts = np.bincount(total, minlength=len(self.value))
        miss = self.value - made
        far = (parts > 0) & (np.abs(miss) > self.declared.policy.tolerance)
        drop = np.zeros(len(self.value), bool)
        for cell in np.flatnonzero(far):
            here = part[total == cell]
            if told.rest and miss[cell] > 0:
                self.left.append((int(cell), here))
                drop[cell] = True
                continue
            there = set(self.label[column].iloc[here])
            absent = sorted(
                member
                for member, parent in tree.items()
                if parent == self.label[column].iat[cell] and member not in there
            )
            self._wrong(
                f"{self._tables_of(self.label['measure'].iat[cell])}: {self.named(cell)}: the sum "
                f"over {dimension} ({_some(sorted(there))}) "
                f"{'is less than' if miss[cell] > 0 else 'is more than'} the total, by more than "
                f"the tolerance of {self.declared.policy.tolerance:g}; expected the same"
                + (f"; there is no row for {_some(absent)}" if absent else "")
                + ". Correct the numbers, or declare "
                + (
                    f"`rest: true` for {dimension}"
                    if miss[cell] > 0
                    else "overlapping groups `apart`"
                )
            )
        kept = ~drop[total]
        self.lines.append(
            pd.DataFrame(
                {"family": len(self.families) - 1, "total": total[kept], "part": part[kept]}
            )
        )

    def _tables_of(self, measure: str) -> str:
        return ", ".join(
            self.called[name]
            for name, table in self.declared.tables.items()
            if measure in (table.measure, table.denominator_measure)
        )

    def _small(self, count: np.ndarray) -> np.ndarray:
        policy = self.declared.policy
        least = -SAME if policy.zeros == "withheld" else SAME
        return (count > least) & (count < policy.minimum_n - SAME)

    def _assemble(self) -> None:
        policy, count = self.declared.policy, len(self.value)
        pairs = [
            np.column_stack([self.shows[name, "part"], self.shows[name, "base"]])
            for name, table in self.declared.tables.items()
            if table.denominator and table.is_part
        ]
        pairs = np.unique(np.concatenate(pairs), axis=0) if pairs else np.zeros((0, 2), int)
        self.left.sort(key=lambda it: (it[0], it[1].tolist()))
        rests = [(int(base), np.array([part])) for part, base in pairs] + self.left
        self.rest_of = {(int(part), int(base)): count + i for i, (part, base) in enumerate(pairs)}
        self.rest_names = [
            f"what is left of {self.named(base)} beside {_some([self.named(it) for it in beside])}"
            for base, beside in rests
        ]
        lines = pd.concat(self.lines, ignore_index=True) if self.lines else None
        row, column, weight, family = [], [], [], [np.zeros(len(rests), int)]
        for i, (base, beside) in enumerate(rests):
            row.append(np.full(len(beside) + 2, i))
            column.append(np.concatenate([beside, [count + i, base]]))
            weight.append(np.concatenate([np.ones(len(beside) + 1, int), [-1]]))
        many = 0
        if lines is not None and len(lines):
            number = lines.groupby(["family", "total"], sort=True).ngroup().to_numpy()
            totals = lines.drop_duplicates(["family", "total"]).sort_values(["family", "total"])
            many = len(totals)
            row += [len(rests) + number, len(rests) + np.arange(many)]
            column += [lines["part"].to_numpy(), totals["total"].to_numpy()]
            weight += [np.ones(len(number), int), -np.ones(many, int)]
            family.append(totals["family"].to_numpy())
        left = [self.value[base] - self.value[parts].sum() for base, parts in rests]
        value = np.concatenate([self.value, np.array(left, float)])
        shape = (len(rests) + many, len(value))
        joined = [np.concatenate(it) if it else np.zeros(0, int) for it in (weight, row, column)]
        matrix = sparse.csr_array((joined[0], (joined[1], joined[2])), shape)

        virtual = np.arange(len(value)) >= count
        public_rest = [self.fixed[base] and self.fixed[parts].all() for base, parts in rests]
        fixed = np.concatenate([self.fixed, np.zeros(len(rests), bool)])
        protected = ~np.concatenate([self.fixed, np.array(public_rest, bool)])
        is_money = np.concatenate([self.is_money, np.zeros(len(rests), bool)])
        self.small = self._small(value) & ~is_money
        hidden = self.small & protected
        for name in self.declared.tables:
            for rule in self._money(name):
                at = self.shows[name, "part"][rule]
                hidden[at[~fixed[at]]] = True
        # What is counted among too few people is not told, whatever it is.
        for part, base in pairs:
            hidden[part] |= hidden[base] and not fixed[part]
        of_money = np.maximum(policy.money * value, 0.01)
        need = np.where(is_money, of_money, float(policy.minimum_n))
        need[virtual & ~hidden] = 0.0
        if policy.zeros == "shown":
            # Hidden with what they stand on, and no secret by themselves.
            need[np.abs(value) < SAME] = 0.0
        people = np.where(is_money, 1.0, value + policy.minimum_n)
        cost = people if policy.cost == "people" else np.ones(len(value))
        self.hidden = hidden
        self.system = System(
            value=value,
            lower=np.zeros(len(value)),
            upper=np.full(len(value), np.inf),
            need=need,
            cost=cost,
            fixed=fixed,
            virtual=virtual,
            matrix=matrix,
            gap=matrix @ value,
            family=np.concatenate(family),
            families=tuple(self.families),
        )

    def _money(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which rows of a table are money of too few persons, of a small count of them, of one."""
        table, policy = self.declared.tables[name], self.declared.policy
        amount = self.numbers[name, table.count]
        none = np.zeros(len(amount), bool)
        if not table.is_money:
            return none, none, none
        persons = self.numbers.get((name, table.denominator), np.full(len(amount), np.inf))
        largest = self.numbers.get((name, table.largest), np.full(len(amount), -np.inf))
        return (
            (persons > 0) & (persons < policy.minimum_persons),
            self._small(persons),
            (amount > 0) & (largest >= policy.dominance * amount),
        )

    def as_told(self, choice: complementary.Choice) -> System:
        """The system of a reader to whom the rules say which hidden numbers are below n.

        Of two schools of nine that are all that is hidden, the sum of 18 tells both. A range as
        wide as n cannot be left to this reader, but more than one number must be.
        """
        system, n = self.system, float(self.declared.policy.minimum_n)
        is_small, is_none = self.small, system.value < SAME
        need = np.where(is_small, min(LEFT, n - 2), LEFT)
        need[(choice.need == 0) | (system.virtual & ~is_small)] = 0.0
        is_money = np.append(self.is_money, np.zeros(system.cells - len(self.is_money), bool))
        # What is said of money says nothing of how much it is.
        need = np.where(is_money & (need > 0), system.need, need)
        least = np.where(is_none | is_money, 0, n)
        lower = np.where(is_small, np.minimum(1, system.value), least)
        return replace(
            system,
            lower=np.minimum(lower, system.value),
            upper=np.where(is_small, np.maximum(n - 1, system.value), np.inf),
            need=need,
        )

    # ----------------------------------------------------------------------- what is published

    def shown(self, name: str, choice: complementary.Choice) -> pd.DataFrame:
        """A table as readers may see it."""
        table, frame = self.declared.tables[name], self.frames[name].copy()
        part = self.shows[name, "part"]
        base = self.shows.get((name, "base"))
        no_part = choice.hidden[part]
        no_base = choice.hidden[base] if base is not None else np.zeros(len(part), bool)
        few = self.small[base] & no_base if base is not None else no_base
        rest = np.zeros(len(part), bool)
        if base is not None and table.is_part:
            at = [self.rest_of[pair] for pair in zip(part.tolist(), base.tolist(), strict=True)]
            rest = self.small[np.array(at, int)]
        any_ = no_part | no_base
        of_few, of_small, of_one = (it & no_part for it in self._money(name))
        rules = {
            "public": self.public_rows[name],
            "shown": ~any_,
            "few_persons": of_few,
            "dominated": of_one,
            "small_count": self.small[part] & no_part,
            "small_denominator": few | of_small,
            "small_complement": rest,
        }
        rule = np.select(list(rules.values()), list(rules), "complementary")
        frame[table.count] = _without(frame[table.count], no_part)
        if base is not None:
            frame[table.denominator] = _without(frame[table.denominator], no_base)
        for column in table.values:
            frame[column] = _without(frame[column], any_)
        if table.largest:
            # It was given to judge by; what one person has is told to nobody.
            frame[table.largest] = _without(frame[table.largest], np.ones(len(frame), bool))
        frame["status"] = np.select(
            [~any_, rule == "complementary"],
            [Status.REPORTED.value, Status.COMPLEMENTARY.value],
            Status.PRIMARY.value,
        )
        frame["rule"] = rule
        return frame


def _without(column: pd.Series, gone: np.ndarray) -> pd.Series:
    """A column as it was, null where it is told to be."""
    if pd.api.types.is_integer_dtype(column.dtype):
        # Of the plain integers none is null.
        column = column.astype("Int64")
    return column.mask(gone)


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - 8} more" if len(texts) > 8 else ""
    return ", ".join(texts[:8]) + more


# ------------------------------------------------------------------------------- proof and report


def _audited(
    cells: _Cells, choice: complementary.Choice, told: complementary.Choice
) -> dict[str, Any]:
    """Both audits once more, of all that is hidden, for both readers.

    Raises Exposed and AuditFailed.
    """
    system, hidden = cells.system, choice.hidden | cells.system.fixed
    is_exposed = (choice.exposed & (system.need > 0)) | told.exposed
    exposed = np.flatnonzero(hidden & is_exposed)
    if len(exposed) and cells.declared.policy.exposed == "refused":
        raise Exposed(
            f"public numbers tell {len(exposed)} hidden ones, or too nearly: "
            f"{_some([cells.named(cell) for cell in exposed])}. Make fewer numbers public, or "
            "accept it with `exposed: reported` in the policy; nothing was protected"
        )
    unknown = choice.hidden & ~choice.known
    asked = unknown & (choice.need > 0)
    out = audit.recoverable(system, unknown, seed=1) & asked
    tight = audit.narrow(replace(system, need=choice.need), unknown, asked & ~out)
    knowing = cells.as_told(choice)
    also = unknown & ~told.known & (told.need > 0)
    tight_told = audit.narrow(replace(knowing, need=told.need), unknown & ~told.known, also & ~out)
    failed = np.flatnonzero(out | tight | tight_told)
    if len(failed):
        lines = [
            f"{cells.named(cell)}: {'can be worked out' if out[cell] else 'known too closely'} by "
            f"{_some(list(_given_away_by(cells, unknown, cell)))}"
            for cell in failed[:TOLD]
        ]
        raise AuditFailed(
            f"{len(failed)} hidden numbers fail the audits; nothing was protected\n"
            + "\n".join(lines)
        )
    return {
        "audit": {
            "cells": system.cells,
            "equations": system.matrix.shape[0],
            "hidden": int(choice.hidden[: len(cells.value)].sum()),
            "audited": int(asked.sum()),
            "rounds": choice.rounds + told.rounds,
            "recoverable": int(out.sum()),
            "too_narrow": int((tight | tight_told).sum()),
            "found_on_the_way": choice.found + told.found,
        },
        "exposed": [cells.named(cell) for cell in exposed],
    }


def _given_away_by(cells: _Cells, unknown: np.ndarray, cell: int) -> Iterable[str]:
    """The sums that a cell stands in, by what is hidden in each."""
    system = cells.system
    for equation in system.equations_of(np.array([cell])):
        _, of, _ = system.entries(np.array([equation]))
        others = [cells.named(it) for it in of if unknown[it] and it != cell]
        family = system.families[system.family[equation]]
        yield f"the sum over {family} with {_some(others) if others else 'nothing else'} hidden"


def _counted(
    cells: _Cells, choice: complementary.Choice, shown: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    protected = ~cells.fixed
    visible = protected & ~choice.hidden[: len(protected)]

    def share(what: np.ndarray) -> float | None:
        whole = what[protected].sum()
        return round(float(what[visible].sum() / whole), 4) if whole else None

    rules = pd.concat([frame["rule"] for frame in shown.values()]).value_counts()
    return {
        "policy": cells.declared.policy.model_dump(mode="json"),
        "rules": {str(rule): int(rows) for rule, rows in sorted(rules.items())},
        "tables": {
            name: {
                str(rule): int(rows) for rule, rows in sorted(frame["rule"].value_counts().items())
            }
            for name, frame in shown.items()
        },
        "visible": {
            "counts": share(np.ones(len(protected))),
            "people": share(np.where(cells.is_money, 0, cells.value)),
        },
    }


def _page(report: Mapping[str, Any]) -> str:
    audited, visible = report["audit"], report["visible"]
    minimum_n = report["policy"]["minimum_n"]

    def percent(share: float | None) -> str:
        return "none to show" if share is None else f"{100 * share:.1f} %"

    lines = [
        "# What was hidden",
        "",
        f"Counts of 1 to {minimum_n - 1} are not told, nor what gives them back.",
        "",
        f"- {audited['cells']:,} numbers, with {audited['equations']:,} sums between them that "
        "readers know.",
        f"- Of the protected counts, {percent(visible['counts'])} are visible; they hold "
        f"{percent(visible['people'])} of all that is counted.",
        f"- {audited['hidden']:,} numbers are hidden. {audited['audited']:,} of them, and of the "
        f"remainders that would tell them, were audited: {audited['recoverable']} can be worked "
        f"out, {audited['too_narrow']} are known to within fewer than {minimum_n}.",
    ]
    if report["exposed"]:
        lines.append(
            f"- **Public numbers tell on hidden ones**: {_some(report['exposed'])}. Only the "
            "policy can change this."
        )
    lines += ["", "| table | rule | rows | |", "| --- | --- | ---: | --- |"]
    for table, rules in report["tables"].items():
        lines += [
            f"| {table} | {rule} | {rows:,} | {RULES.get(rule, '')} |"
            for rule, rows in rules.items()
        ]
    return "\n".join(lines) + "\n"
