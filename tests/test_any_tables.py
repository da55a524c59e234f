"""Any set of tables: what comes back is safe whoever solves for it, and the same each time."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from include.disclosure import __main__ as command
from include.disclosure.declaration import BadTables
from include.disclosure.tables import Exposed, Protected, protect_tables
from tests.solver import Solver, sums_of

N = 10
RACES = ("AM7", "AS7", "BL7", "HI7", "WH7")
GOLDEN = ((4, 22, 61, 75, 138), (12, 15, 40, 55, 78), (17, 31, 29, 60, 113))


def golden() -> pd.DataFrame:
    """The golden table of the domain, with all its margins."""
    inner = pd.DataFrame(GOLDEN, index=["S1", "S2", "S3"], columns=RACES)
    inner.loc["all"] = inner.sum()
    inner["all"] = inner.sum(axis=1)
    long = inner.rename_axis("school").reset_index()
    return long.melt("school", var_name="race", value_name="students")


DECLARED = {
    "dimensions": {"school": {"total": "all"}, "race": {"total": "all"}},
    "tables": {"enrollment": {"dimensions": ["school", "race"], "count": "students"}},
}


def hidden_of(frame: pd.DataFrame, column: str = "students") -> set[tuple[str, ...]]:
    gone = frame[frame[column].isna()]
    return set(gone[["school", "race"]].itertuples(index=False, name=None))


# -------------------------------------------------------------------------------------- by example


def test_the_golden_table_loses_the_cheapest_box():
    protected = protect_tables({"enrollment": golden()}, DECLARED)
    frame = protected.tables["enrollment"]

    assert hidden_of(frame) == {("S1", "AM7"), ("S1", "AS7"), ("S2", "AM7"), ("S2", "AS7")}
    by_key = frame.set_index(["school", "race"])
    assert by_key.loc[("S1", "AM7"), ["status", "rule"]].tolist() == [
        "suppressed_primary",
        "small_count",
    ]
    assert by_key.loc[("S2", "AS7"), ["status", "rule"]].tolist() == [
        "suppressed_complementary",
        "complementary",
    ]
    shown = frame["students"].notna()
    assert (frame["students"][shown] == golden()["students"][shown]).all()
    assert protected.report["audit"]["recoverable"] == protected.report["audit"]["too_narrow"] == 0
    assert protected.report["rules"] == {"complementary": 3, "shown": 20, "small_count": 1}


SALARIES = {
    "dimensions": {"school": {"total": "all"}, "role": {"total": "all"}},
    "tables": {
        "salaries": {
            "dimensions": ["school", "role"],
            "count": "dollars",
            "is_money": True,
            "denominator": "persons",
            "largest": "most",
            "values": ["mean"],
        }
    },
}


def salaries() -> pd.DataFrame:
    """Salaries by school and role: one role of two people, and one that is nearly all one's."""
    persons = pd.DataFrame(
        {"TCH": (60, 80, 90, 70), "PARA": (30, 40, 35, 45), "PSYCH": (12, 25, 40, 73)},
        index=["S1", "S2", "S3", "S4"],
    )
    dollars = persons * [50_000, 25_000, 70_000]
    most = persons * 0 + [90_000, 40_000, 100_000]
    # Eleven volunteers with next to nothing, and one who is paid.
    dollars.loc["S1", "PSYCH"], most.loc["S1", "PSYCH"] = 100_000, 80_000
    persons.loc["S2", "PSYCH"], dollars.loc["S2", "PSYCH"] = 2, 150_000
    for table, how in ((persons, "sum"), (dollars, "sum"), (most, "max")):
        table.loc["all"] = getattr(table, how)()
        table["all"] = getattr(table, how)(axis=1)
    names = {"persons": persons, "dollars": dollars, "most": most}
    long = {name: table.stack() for name, table in names.items()}
    frame = pd.DataFrame(long).rename_axis(["school", "role"]).reset_index()
    return frame.assign(mean=frame["dollars"] / frame["persons"])


def test_money_of_few_or_of_one_is_hidden_and_cannot_be_had_by_subtraction():
    exact = salaries()
    protected = protect_tables({"salaries": exact}, SALARIES)
    frame = protected.tables["salaries"].set_index(["school", "role"])
    rule = frame["rule"]

    assert rule["S1", "PSYCH"] == "dominated"
    assert rule["S2", "PSYCH"] == "few_persons"
    assert frame.loc[("S1", "PSYCH"), ["dollars", "mean"]].isna().all()
    assert pd.isna(frame.loc[("S2", "PSYCH"), "persons"])
    for column, needed in (("dollars", 0.1), ("persons", N)):
        true = exact.set_index(["school", "role"])[column]
        places = ["all", "S1", "S2", "S3", "S4"], ["all", "TCH", "PARA", "PSYCH"]
        trees = [dict.fromkeys(them[1:], "all") for them in places]
        told = {
            (column, *cell): None if pd.isna(number) else number
            for cell, number in frame[column].items()
        }
        solver = Solver(told, sums_of(places, trees, column))
        few = [("S2", "PSYCH"), *([("S1", "PSYCH")] if column == "dollars" else [])]
        widths = solver.widths([(column, *cell) for cell in few], dict.fromkeys(told, (0, 1e8)))
        for cell in few:
            least = needed * true[cell] if column == "dollars" else needed
            assert widths[(column, *cell)] >= least - 1e-3
    # What one person has was there to judge by.
    assert frame["most"].isna().all()


def test_a_policy_can_call_a_smaller_share_the_most():
    exact = salaries()
    declared = SALARIES | {"policy": {"dominance": 0.85}}
    frame = protect_tables({"salaries": exact}, declared).tables["salaries"]
    rule = frame.set_index(["school", "role"])["rule"]

    assert rule["S1", "PSYCH"] != "dominated"


def test_relations_are_tables_too():
    exact = golden()
    with duckdb.connect() as connection:
        relation = connection.from_df(exact)
        frame = protect_tables({"enrollment": relation}, DECLARED).tables["enrollment"]

    assert len(hidden_of(frame)) == 4


def test_a_cell_that_two_tables_show_is_hidden_in_both():
    by_sex = pd.DataFrame(
        {"school": ["S1", "S1", "S1"], "sex": ["F", "M", "all"], "students": [150, 150, 300]}
    )
    again = golden().query("race == 'AS7'").rename(columns={"students": "learners"})
    declared = {
        "dimensions": DECLARED["dimensions"] | {"sex": {"total": "all"}},
        "tables": DECLARED["tables"]
        | {
            "by_sex": {"dimensions": ["school", "sex"], "count": "students"},
            "asian": {"dimensions": ["school", "race"], "count": "learners",
                      "measure": "students"},
        },
    }  # fmt: skip
    protected = protect_tables({"enrollment": golden(), "by_sex": by_sex, "asian": again}, declared)

    hidden = hidden_of(protected.tables["enrollment"])
    assert {cell for cell in hidden if cell[1] == "AS7"} == hidden_of(
        protected.tables["asian"], "learners"
    )
    # 24 cells of the one, 2 more of the second, none of the third.
    assert protected.report["audit"]["cells"] == 26


def test_a_hierarchy_of_levels_hides_up_to_where_it_must():
    parents = {"S1": "D1", "S2": "D1", "S3": "D2", "S4": "D2", "D1": "all", "D2": "all"}
    counts = {"S1": 4, "S2": 50, "S3": 30, "S4": 40}
    counts |= {"D1": 54, "D2": 70, "all": 124}
    frame = pd.DataFrame({"school": list(counts), "students": list(counts.values())})
    declared = {
        "dimensions": {"school": {"parents": parents}},
        "tables": {"t": {"dimensions": ["school"], "count": "students"}},
    }
    [shown] = protect_tables({"t": frame}, declared).tables.values()
    by_column = protect_tables(
        {"t": frame.assign(district=frame["school"].map(parents))},
        {
            "dimensions": {"school": {"total": "all"}},
            "tables": {
                "t": {"dimensions": ["school"], "count": "students",
                      "parents": {"school": "district"}}
            },
        },
    )  # fmt: skip

    assert set(shown[shown["students"].isna()]["school"]) == {"S1", "S2"}
    assert by_column.tables["t"].drop(columns="district").equals(shown)


def test_two_small_counts_do_not_tell_each_other_by_their_sum():
    frame = pd.DataFrame(
        {"school": ["S1", "S2", "S3", "S4", "all"], "students": [9, 9, 40, 50, 108]}
    )
    declared = {
        "dimensions": {"school": {"total": "all"}},
        "tables": {"t": {"dimensions": ["school"], "count": "students"}},
    }

    shown = protect_tables({"t": frame}, declared).tables["t"]

    # The sum of 18 and "below 10" would be twice nine.
    assert set(shown[shown["students"].isna()]["school"]) == {"S1", "S2", "S3"}


def rates(rows: list[tuple[str, int, int]]) -> tuple[pd.DataFrame, dict]:
    frame = pd.DataFrame(rows, columns=["school", "absent", "students"])
    frame["rate"] = frame["absent"] / frame["students"]
    table = {
        "dimensions": ["school"], "count": "absent", "denominator": "students", "values": ["rate"]
    }  # fmt: skip
    return frame, {"dimensions": {"school": {"total": "all"}}, "tables": {"t": table}}


@pytest.mark.parametrize(
    ("absent", "students", "rule", "seen"),
    [
        (4, 40, "small_count", (False, True)),
        (36, 40, "small_complement", (False, True)),
        (3, 8, "small_count", (False, False)),
        (0, 8, "small_denominator", (False, False)),
        (40, 40, "shown", (True, True)),
        (20, 40, "shown", (True, True)),
    ],
)
def test_a_rate_goes_with_its_counts(absent, students, rule, seen):
    frame, declared = rates([("S1", absent, students)])

    shown = protect_tables({"t": frame}, declared).tables["t"].iloc[0]

    assert shown["rule"] == rule
    assert (pd.notna(shown["absent"]), pd.notna(shown["students"])) == seen
    assert pd.notna(shown["rate"]) == all(seen)


def test_zeros_are_withheld_where_the_policy_says_so():
    frame = pd.DataFrame({"school": ["S1", "S2", "S3", "all"], "students": [0, 30, 40, 70]})
    declared = DECLARED | {
        "tables": {"t": {"dimensions": ["school"], "count": "students"}},
        "dimensions": {"school": {"total": "all"}},
    }

    shown = protect_tables({"t": frame}, declared).tables["t"]
    withheld = protect_tables({"t": frame}, declared | {"policy": {"zeros": "withheld"}})

    assert shown["students"].notna().all()
    assert withheld.tables["t"]["students"].isna().sum() == 2


def test_what_is_public_stays_and_what_it_tells_is_refused():
    frame = golden()
    everything = {"school": ["S1", "S2", "S3", "all"]}
    margins = [{"race": ["all"]}, {"school": ["all"]}]
    declared = DECLARED | {"tables": {"enrollment": DECLARED["tables"]["enrollment"]}}

    def told(public) -> dict:
        table = declared["tables"]["enrollment"] | {"public": public}
        return declared | {"tables": {"enrollment": table}}

    shown = protect_tables({"enrollment": frame}, told(margins)).tables["enrollment"]
    is_margin = (frame["race"] == "all") | (frame["school"] == "all")
    assert (shown["rule"][is_margin] == "public").all()
    assert shown["students"][is_margin].notna().all()
    assert len(hidden_of(shown)) == 4
    all_but_one = [{"school": ["S2", "S3", "all"]}, {"race": [*RACES[1:], "all"]}]
    with pytest.raises(Exposed, match="students \\(school S1, race AM7\\)"):
        protect_tables({"enrollment": frame}, told(all_but_one))
    reported = told(all_but_one) | {"policy": {"exposed": "reported"}}
    protected = protect_tables({"enrollment": frame}, reported)
    assert protected.report["exposed"] == ["students (school S1, race AM7)"]
    assert "Public numbers tell on hidden ones" in protected.page()
    assert protect_tables({"enrollment": frame}, told([everything])).report["rules"] == {
        "public": 24
    }


def test_what_is_left_of_a_total_is_protected_where_members_are_not_all():
    frame = pd.DataFrame({"group": ["all", "EL"], "students": [60, 55]})
    declared = {
        "dimensions": {"group": {"total": "all", "rest": True}},
        "tables": {"t": {"dimensions": ["group"], "count": "students"}},
    }

    shown = protect_tables({"t": frame}, declared).tables["t"]

    assert shown["students"].isna().sum() == 1


# ---------------------------------------------------------------------------------- by all means


@dataclass
class Drawn:
    """Tables that somebody could publish, how they are declared, and what a reader knows."""

    frames: dict[str, pd.DataFrame]
    declared: dict
    sums: list

    def told(self, shown: dict[str, pd.DataFrame]) -> dict:
        """Numbers by cell, as some tables show them."""
        found = {}
        for name, table in self.declared["tables"].items():
            pairs = [("count", table["measure"])]
            if "denominator" in table:
                pairs.append(("denominator", table["denominator_measure"]))
            for row in shown[name].to_dict("records"):
                place = [row.get(it, "all") for it in self.declared["dimensions"]]
                for column, measure in pairs:
                    number = row[table[column]]
                    found[measure, *place] = None if pd.isna(number) else float(number)
        return found

    def exact(self) -> dict:
        return self.told(self.frames)


def tree_of(random: np.random.Generator, depth: int, name: str) -> dict[str, str]:
    """A hierarchy of some depth, each member with one to four parts."""
    parents: dict[str, str] = {}
    level = ["all"]
    for step in range(depth):
        below = []
        for above in level:
            for number in range(int(random.integers(1 if step else 2, 5))):
                member = f"{name}{step}.{number}" + ("" if above == "all" else f"<{above}")
                parents[member] = above
                below.append(member)
        level = below
    return parents


@st.composite
def shapes(draw) -> Drawn:
    """Counts over one to three dimensions of one or two levels, and perhaps a table of rates."""
    depths = draw(st.lists(st.integers(1, 2), min_size=1, max_size=3))
    has_rate = draw(st.booleans())
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    trees: dict[str, dict[str, str]] = {}
    for i, depth in enumerate(depths):
        # What is broken down three ways has few members, or a reader takes long.
        tree = tree_of(random, depth if len(depths) < 3 else 1, f"m{i}.")
        trees[f"d{i}"] = dict(list(tree.items())[:3]) if len(depths) == 3 else tree
    leaves = [[m for m in tree if m not in tree.values()] for tree in trees.values()]
    shape = [len(it) for it in leaves]
    counts = np.rint(random.lognormal(random.uniform(1.5, 3.5), 1.2, shape))
    counts[random.random(shape) < 0.1] = 0
    parts = random.binomial(counts.astype(int), random.uniform(0.05, 0.95)).astype(float)
    members = [["all", *tree] for tree in trees.values()]
    rows = []
    for place in product(*members):
        inside = np.ix_(
            *[
                [within(tree, leaf, member) for leaf in leaf_names]
                for tree, leaf_names, member in zip(trees.values(), leaves, place, strict=True)
            ]
        )
        rows.append((*place, counts[inside].sum(), parts[inside].sum()))
    names = list(trees)
    full = pd.DataFrame(rows, columns=[*names, "students", "absent"])
    dimensions = {name: {"parents": tree} for name, tree in trees.items()}
    counted = {"dimensions": names, "count": "students", "measure": "students"}
    frames = {"counts": full[[*names, "students"]]}
    tables = {"counts": counted}
    parents = list(trees.values())
    sums = sums_of(members, parents, "students")
    if has_rate:
        # Only of the margins of the last dimension: tables that share some of their cells.
        kept = names[:-1] or names
        margin = full if kept == names else full[full[names[-1]] == "all"]
        frames["rates"] = margin[[*kept, "absent", "students"]].reset_index(drop=True)
        tables["rates"] = {
            "dimensions": kept, "count": "absent", "measure": "absent",
            "denominator": "students", "denominator_measure": "students",
        }  # fmt: skip
        of = [it if name in kept else ["all"] for name, it in zip(names, members, strict=True)]
        sums += sums_of(of, parents, "absent") + [
            (("students", *place), [("absent", *place), ("others", *place)])
            for place in product(*of)
        ]
    return Drawn(frames, {"dimensions": dimensions, "tables": tables}, sums)


def within(tree: dict[str, str], leaf: str, member: str) -> bool:
    while leaf != member and leaf in tree:
        leaf = tree[leaf]
    return leaf == member


def small(exact: dict, sums: list) -> set:
    """The cells that are too small to tell, also those that no table shows."""
    known = dict(exact)
    for total, parts in sums:
        for cell in parts:
            if cell not in known:
                known[cell] = exact[total] - sum(exact[it] for it in parts if it != cell)
    return {cell for cell, number in known.items() if 0 < number < N}


many = settings(max_examples=24, deadline=None, derandomize=True)
some = settings(max_examples=8, deadline=None, derandomize=True)


@many
@given(drawn=shapes())
def test_a_solver_recovers_nothing_and_knows_nothing_too_closely(drawn):
    protected = protect_tables(drawn.frames, drawn.declared)
    solver = Solver(drawn.told(protected.tables), drawn.sums)
    exact = drawn.exact()

    secret = {
        cell
        for cell in solver.hidden
        if exact.get(cell, 1) > 0 and (cell[0] != "others" or cell in small(exact, drawn.sums))
    }
    assert small(exact, drawn.sums) <= set(solver.hidden)
    assert solver.recovered() & secret == set()
    asked = sorted(secret)[:12]
    assert min(solver.widths(asked).values(), default=N) >= N - 1e-3
    # A reader of the rules knows which are below n, and still not what they are.
    known = small(exact, drawn.sums)
    limits = {
        cell: (1, N - 1) if cell in known else (N, 1e4)
        for cell in solver.hidden
        if cell in known or exact.get(cell, 0) > 0
    }
    assert min(solver.widths(asked, limits).values(), default=2) >= 2 - 1e-3
    assert_same_but_hidden(drawn.frames, protected)


def assert_same_but_hidden(frames: dict[str, pd.DataFrame], protected: Protected) -> None:
    for name, frame in frames.items():
        shown = protected.tables[name]
        assert list(shown.columns) == [*frame.columns, "status", "rule"]
        for column in frame.columns:
            there = shown[column].notna()
            assert (shown[column][there] == frame[column][there]).all()
        is_told = shown[list(frame.columns)].notna().all(axis=1)
        assert ((shown["status"] == "reported") == is_told).all()


def test_the_same_solver_finds_the_holes_of_small_counts_hidden_alone():
    broken = []

    @many
    @given(drawn=shapes())
    def solve(drawn):
        exact = drawn.exact()
        alone = small(exact, drawn.sums)
        shown = {cell: None if cell in alone else number for cell, number in exact.items()}
        broken.append(bool(Solver(shown, drawn.sums).recovered() & alone))

    solve()

    assert np.mean(broken) > 1 / 3


@some
@given(drawn=shapes(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_and_tables_is_nothing_to_it(drawn, seed):
    random = np.random.default_rng(seed)
    order = {name: random.permutation(len(frame)) for name, frame in drawn.frames.items()}
    turned = {name: drawn.frames[name].iloc[order[name]] for name in reversed(drawn.frames)}
    tables = dict(reversed(drawn.declared["tables"].items()))

    one = protect_tables(drawn.frames, drawn.declared)
    other = protect_tables(turned, drawn.declared | {"tables": tables})

    for name, frame in one.tables.items():
        again = frame.iloc[order[name]].reset_index(drop=True)
        pd.testing.assert_frame_equal(other.tables[name], again)


@some
@given(drawn=shapes())
def test_a_rerun_is_identical(drawn):
    one, other = (protect_tables(drawn.frames, drawn.declared) for _ in range(2))

    for name in one.tables:
        pd.testing.assert_frame_equal(one.tables[name], other.tables[name])
    assert one.report == other.report


@some
@given(drawn=shapes())
def test_a_public_table_more_uncovers_nothing(drawn):
    """The totals of each dimension, published exactly beside the tables that hold them."""
    names = list(drawn.declared["dimensions"])
    base = protect_tables(drawn.frames, drawn.declared)
    frames, tables = dict(drawn.frames), dict(drawn.declared["tables"])
    for name in names:
        full = drawn.frames["counts"]
        at_total = (full[[it for it in names if it != name]] == "all").all(axis=1)
        frames[f"public_{name}"] = full[at_total][[name, "students"]].reset_index(drop=True)
        tables[f"public_{name}"] = {
            "dimensions": [name], "count": "students", "measure": "students", "public": True
        }  # fmt: skip
    both = drawn.declared | {"tables": tables, "policy": {"exposed": "reported"}}

    protected = protect_tables(frames, both)

    public = Drawn(frames, both, drawn.sums)
    exact, told = drawn.exact(), public.told(protected.tables)
    solver = Solver(told, drawn.sums)
    given_away = {("students", *place) for place in _public_places(names, frames)}
    was_small = {
        cell
        for cell, number in drawn.told(base.tables).items()
        if number is None and cell in small(exact, drawn.sums)
    }
    assert was_small - given_away <= set(solver.hidden)
    recovered = {named(cell, names) for cell in solver.recovered() & was_small}
    assert recovered <= set(protected.report["exposed"])


def _public_places(names: list[str], frames: dict[str, pd.DataFrame]) -> set[tuple[str, ...]]:
    return {
        tuple(member if it == name else "all" for it in names)
        for name in names
        for member in frames[f"public_{name}"][name]
    }


def named(cell: tuple[str, ...], names: list[str]) -> str:
    places = ", ".join(f"{name} {it}" for name, it in zip(names, cell[1:], strict=True))
    return f"{cell[0]} ({places})"


# ----------------------------------------------------------------------------------- bad input

SCHOOLS = {"S1": "D1", "S2": "D1", "D1": "all"}


def sheet(**changed) -> pd.DataFrame:
    """Two schools, their district, the state, as text: a table as a file has it."""
    rows = {"S1": "20", "S2": "30", "D1": "50", "all": "50"} | changed
    return pd.DataFrame({"school": [*rows], "students": [it for it in rows.values()]}, dtype=str)


def declared(parents=SCHOOLS, **table) -> dict:
    return {
        "dimensions": {"school": {"parents": parents}},
        "tables": {
            "enrollment": {"dimensions": ["school"], "count": "students", "file": "counts.csv"}
            | table
        },
    }


BAD = {
    "sums that do not add": (
        sheet(S2="31"),
        declared(),
        "counts.csv: students (school D1): the sum over school (S1, S2) is more than the total",
    ),
    "a part without a row": (
        sheet().query("school != 'S2'"),
        declared(),
        "counts.csv: students (school D1): the sum over school (S1) is less than the total, by "
        "more than the tolerance of 0.5; expected the same; there is no row for S2",
    ),
    "a missing level": (
        sheet().query("school != 'D1'"),
        declared(),
        "students: a level is missing: no row for school D1, which is between S1 and all; expected "
        "a row in counts.csv",
    ),
    "a negative count": (
        sheet(S1="-20"),
        declared(),
        "counts.csv, row 1 (school S1): students is negative; expected a number of people",
    ),
    "no number": (
        sheet(S2="*"),
        declared(),
        "counts.csv, row 2 (school S2): students is '*'; expected a number of people",
    ),
    "an empty count": (
        sheet(S2=""),
        declared(),
        "counts.csv, row 2 (school S2): students is empty; expected a number of people",
    ),
    "an endless count": (
        sheet(S2="inf"),
        declared(),
        "counts.csv, row 2 (school S2): students is 'inf'; expected a number of people",
    ),
    "a loop": (
        sheet(),
        declared(parents={"S1": "D1", "D1": "R1", "R1": "D1"}),
        "D1 is part of R1 is part of D1: a hierarchy with a loop",
    ),
    "a key twice": (
        pd.concat([sheet(), sheet().tail(1)]),
        declared(),
        "counts.csv, row 5 (school all): an earlier row has the same key",
    ),
    "an unknown member": (
        pd.concat([sheet(), pd.DataFrame({"school": ["S9"], "students": ["5"]})]),
        declared(),
        "counts.csv, row 5 (school S9): school 'S9' is not declared; expected one of D1, S1, S2",
    ),
    "no member": (
        pd.concat([sheet(), pd.DataFrame({"school": [""], "students": ["5"]})]),
        declared(),
        "counts.csv, row 5 (school ): no school in column 'school'; expected a member",
    ),
    "a missing column": (
        sheet().rename(columns={"students": "pupils"}),
        declared(),
        "counts.csv: no column 'students'; it has school, pupils",
    ),
    "a part larger than its whole": (
        sheet().assign(absent=["21", "3", "24", "24"]),
        declared(count="absent", denominator="students"),
        "counts.csv, row 1 (school S1): absent is more than students; expected a part of it",
    ),
    "a column that is added": (
        sheet().assign(status="fine"),
        declared(),
        "counts.csv: has a column 'status', which protection adds",
    ),
    "a dimension that is not declared": (
        sheet(),
        declared(dimensions={"school": "school", "race": "race"}),
        "tables.enrollment: dimension race is not declared; there are school",
    ),
    "a misspelt key": (
        sheet(),
        declared() | {"polcy": {"minimum_n": 5}},
        "polcy: no such key; there are policy, dimensions, tables",
    ),
    "a misspelt key of a table": (
        sheet(),
        declared(counts="students"),
        "tables.enrollment.counts: no such key; there are file, dimensions, count,",
    ),
    "no dimensions": (
        sheet(),
        {"tables": declared()["tables"]},
        "dimensions: is missing; expected what numbers are broken down by, as in "
        "`dimensions: {school: {total: all}}`",
    ),
    "a table without its columns": (
        sheet(),
        declared() | {"tables": {"enrollment": {"file": "counts.csv"}}},
        "tables.enrollment.count: is missing; expected the column of counts of people",
    ),
    "a minimum of nothing": (
        sheet(),
        declared() | {"policy": {"minimum_n": 0}},
        "policy.minimum_n: Input should be greater than or equal to 2",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_tables_are_told_to_the_function(what):
    frame, told, message = BAD[what]

    with pytest.raises(BadTables) as raised:
        protect_tables({"enrollment": frame}, told, names={"enrollment": "counts.csv"})

    assert message in str(raised.value)


def files(folder: Path, frame: pd.DataFrame, told: dict) -> Path:
    frame.to_csv(folder / "counts.csv", index=False)
    path = folder / "tables.yml"
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    return path


@pytest.mark.parametrize("what", BAD)
def test_bad_tables_are_told_by_the_command_and_what_was_written_stays(what, tmp_path, capsys):
    out = tmp_path / "protected"
    assert command.main([str(files(tmp_path, sheet(), declared())), "--out", str(out)]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    frame, told, message = BAD[what]
    path = files(tmp_path, frame, told)

    assert command.main([str(path), "--out", str(out)]) == 2
    assert command.main([str(path), "--out", str(tmp_path / "new")]) == 2

    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(it.name for it in tmp_path.iterdir()) == ["counts.csv", "protected", "tables.yml"]


def test_two_tables_that_contradict_each_other_are_told():
    told = declared()
    told["tables"]["again"] = {"dimensions": ["school"], "count": "students"}

    with pytest.raises(BadTables, match="two different numbers of students; expected one"):
        protect_tables({"enrollment": sheet(), "again": sheet(S1="21", S2="29")}, told)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(BadTables) as raised:
        protect_tables({"enrollment": sheet(S1="-1", S2="x")}, declared())

    assert "row 1" in str(raised.value) and "row 2" in str(raised.value)


# -------------------------------------------------------------------------------- the command


def golden_files(folder: Path, suffix: str = ".csv") -> Path:
    frame = golden()
    if suffix == ".csv":
        frame.to_csv(folder / "enrollment.csv", index=False)
    else:
        frame.to_parquet(folder / f"enrollment{suffix}", index=False)
    told = {
        "dimensions": DECLARED["dimensions"],
        "tables": {
            "enrollment": DECLARED["tables"]["enrollment"] | {"file": f"enrollment{suffix}"}
        },
    }
    path = folder / "tables.yml"
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_command_writes_what_the_function_returns(suffix, tmp_path, capsys):
    out = tmp_path / "out"

    assert command.main([str(golden_files(tmp_path, suffix)), "--out", str(out)]) == 0

    path = out / f"enrollment{suffix}"
    shown = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    expected = protect_tables({"enrollment": golden()}, DECLARED)
    pd.testing.assert_frame_equal(shown, expected.tables["enrollment"], check_dtype=False)
    assert json.loads((out / "report.json").read_text()) == expected.report
    assert (out / "report.md").read_text() == expected.page() == capsys.readouterr().out
    assert not [it for it in tmp_path.iterdir() if it.name.startswith(".")]


def test_written_again_it_is_the_same_to_the_byte(tmp_path):
    out, path = tmp_path / "out", golden_files(tmp_path)

    def written() -> dict[str, bytes]:
        assert command.main([str(path), "--out", str(out)]) == 0
        return {it.name: it.read_bytes() for it in out.iterdir()}

    assert written() == written()


def test_a_check_writes_nothing(tmp_path, capsys):
    assert command.main([str(golden_files(tmp_path)), "--check"]) == 0

    assert "4 numbers are hidden" in capsys.readouterr().out
    assert sorted(it.name for it in tmp_path.iterdir()) == ["enrollment.csv", "tables.yml"]


def test_what_is_public_and_tells_is_not_written(tmp_path, capsys):
    path = golden_files(tmp_path)
    told = yaml.safe_load(path.read_text())
    told["tables"]["enrollment"]["public"] = [
        {"school": ["S2", "S3", "all"]},
        {"race": [*RACES[1:], "all"]},
    ]
    path.write_text(yaml.safe_dump(told, sort_keys=False))

    assert command.main([str(path), "--out", str(tmp_path / "out")]) == 1

    assert "students (school S1, race AM7)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_somebody_else_stays_as_it_is(tmp_path, capsys):
    path, other = golden_files(tmp_path), tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")

    assert command.main([str(path), "--out", str(other)]) == 2
    assert command.main([str(path), "--out", str(tmp_path)]) == 2

    assert [it.name for it in other.iterdir()] == ["notes.txt"]


def test_a_disk_that_fails_leaves_the_last_folder(tmp_path, monkeypatch, capsys):
    out, path = tmp_path / "out", golden_files(tmp_path)
    assert command.main([str(path), "--out", str(out)]) == 0
    before = {it.name: it.read_bytes() for it in out.iterdir()}

    def full(self, *_args, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    assert command.main([str(path), "--out", str(out)]) == 2

    assert "No space left" in capsys.readouterr().err
    assert {it.name: it.read_bytes() for it in out.iterdir()} == before
    assert sorted(os.listdir(tmp_path)) == ["enrollment.csv", "out", "tables.yml"]


def test_a_run_that_was_killed_between_two_renames_is_made_good(tmp_path):
    out, path = tmp_path / "out", golden_files(tmp_path)
    assert command.main([str(path), "--out", str(out)]) == 0
    out.rename(tmp_path / ".out.previous")
    (tmp_path / "enrollment.csv").write_text("school,race,students\n")
    (tmp_path / "tables.yml").write_text("tables: {}")

    assert command.main([str(path), "--check"]) == 2
    assert command.main([str(golden_files(tmp_path)), "--out", str(out)]) == 0
    assert sorted(os.listdir(tmp_path)) == ["enrollment.csv", "out", "tables.yml"]


def test_parents_can_come_from_a_file(tmp_path, capsys):
    (tmp_path / "places.csv").write_text("id,part_of\nS1,D1\nS2,D1\nD1,all\n")
    parents = {"file": "places.csv", "member": "id", "parent": "part_of"}
    path = files(tmp_path, sheet(S1="4", D1="34", all="34"), declared(parents=parents) | {
        "dimensions": {"school": {"total": "all", "parents": parents}}
    })  # fmt: skip
    out = tmp_path / "out"

    assert command.main([str(path), "--out", str(out)]) == 0
    shown = pd.read_csv(out / "counts.csv")
    assert set(shown[shown["students"].isna()]["school"]) == {"S1", "S2"}

    (tmp_path / "places.csv").write_text("id,part_of\nS1,D1\nS2,D1\nD1,S1\n")
    assert command.main([str(path), "--out", str(out)]) == 2
    assert "places.csv: S1 is part of D1 is part of S1" in capsys.readouterr().err
