"""What a reader can work out of a release: attacked from outside, by who has a solver.

    python -m ops.attack nc

The build that was protected last is read as readers get it, and the exact one to know what they
look for. Sums between counts are found anew, from the columns of fct_metric, and nothing of the
engine is used. Readers are taken to know by how much each sum misses, which metrics are public, and
all that those tell. Where a sum falls short because parts of it have no row, what these count is
looked for like any other number.

Three ways to protect the same numbers are attacked: as published; **by hand**, where the next
smallest number of every row and column with one hidden number, or with fewer than n people hidden,
is hidden until there is none; and **small counts alone**.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import lsmr

from include import disclosure, lake, registry

# Small counts whose range is measured; all of them would be a program or two for each.
MEASURED = 1_000
# Cells around one within which a program may find room; where it finds none, everything is asked.
AROUND = 400
# A part of a random direction that is less than this is none.
NOTHING = 1e-6
# So many are asked: one may happen to have next to nothing of a number that sums leave open.
DIRECTIONS = 2
# Fewer units is close enough: values come from divisions.
CLOSE = 1e-3
# A sum that is short of so much lacks somebody.
SOMEBODY = 0.5
PEOPLE = ("students", "full-time equivalents", "employers")
MONEY = ("US dollars per pupil", "hours per place", "points per student")
# Groups that overlap make no sum; of these, some do not.
OVERLAPPING = ("program", "career_cluster", "special_population")
# Nearly the same people.
SAME = (
    ("membership", "average_daily_membership"),
    ("membership", "attendance_eligible"),
    ("membership", "finance_pupils"),
    ("membership_9_12", "grade_9_12_students"),
)


@dataclass
class Numbers:
    """Every count and sum of money of a build, and the sums between them.

    Cells 0 .. n-1; `matrix @ exact = gap`. A cell is also what parts without a row count together,
    and what is left of a rate's denominator.
    """

    names: pd.DataFrame
    exact: np.ndarray
    matrix: sparse.csr_array
    family: np.ndarray
    is_money: np.ndarray
    # No row shows it: it is known where both of its rate are.
    is_rest: np.ndarray
    # No row shows it: it is what is left of a sum.
    is_absent: np.ndarray
    # What public metrics tell.
    is_public: np.ndarray
    # Counts that nobody may know: few people, in some row that is not public.
    is_small: np.ndarray
    minimum_n: int


@dataclass
class Release:
    """Which of the numbers a release tells, and between which limits it tells the others."""

    told: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass
class Findings:
    """What the attack on one release found, of small counts."""

    hidden: int
    told: np.ndarray
    recovered: np.ndarray
    measured: int
    narrow: np.ndarray


# ------------------------------------------------------------------------------------ what is said

_COUNTS = """
    with rows as (
        select
            fact.* replace (
                case
                    when org_level = 'SCH' and place.parent_org_id = org_id then 'LEA'
                    else org_level
                end as org_level
            ),
            metric.unit, metrics.numerator as part_of, metrics.denominator as base_of,
            metric_id in ({public}) as is_public,
            metric.unit in {people} as is_people,
            metric.unit in {money} as is_money,
            starts_with(metric.unit, 'fraction') or metric.unit like '%per student'
                and metric.unit not in {money} as is_rate,
            coalesce(metrics.denominator_of, '') as denominator_of,
            coalesce(metrics.dimension, '') as dimension
        from {fact} as fact
        inner join exact.seeds.metrics as metrics using (metric_id)
        inner join exact.marts.dim_metric as metric using (metric_id)
        left join exact.marts.dim_organization as place
            using (state, school_year, org_level, org_id)
        where metrics.numerator is not null
    ),
    of_whom as (
        select
            *,
            case
                when denominator_of = 'all'
                    or list_contains(string_split(dimension, ' '), group_category) then 'all|all'
                when contains(denominator_of, '=') then replace(denominator_of, '=', '|')
                when starts_with(group_category, dimension || '*')
                    then substr(group_category, length(dimension) + 2) || '|'
                        || split_part(group_value, '*', 2)
                else group_category || '|' || group_value
            end as base_group
        from rows
    )
    select
        metric_id, school_year, org_level, org_id, is_public, is_rate, is_people, status,
        part_of as measure, group_category || '|' || group_value as member, is_money,
        case when is_people then coalesce(value, numerator)
            else coalesce(numerator, value * denominator) end as amount,
        value, value_lower, value_upper, base_of, base_group,
        case when not is_people then coalesce(denominator, numerator / nullif(value, 0)) end as base
    from of_whom
"""
KEY = ["measure", "school_year", "org_level", "org_id", "member"]


def _counts(connection: duckdb.DuckDBPyConnection, fact: str, public: tuple[str, ...]):
    listed = ", ".join(f"'{metric}'" for metric in public) or "''"
    query = _COUNTS.format(fact=fact, public=listed, people=PEOPLE, money=MONEY)
    return connection.execute(query + " order by all").df()


def _number(rows: pd.DataFrame, names: pd.MultiIndex) -> tuple[np.ndarray, np.ndarray]:
    """The cells of each row's part and base; -1 for none."""
    part = names.get_indexer(pd.MultiIndex.from_frame(rows[KEY]))
    base = names.get_indexer(pd.MultiIndex.from_frame(_bases(rows).fillna("")))
    return part, np.where(rows["is_people"], -1, base)


def _bases(rows: pd.DataFrame) -> pd.DataFrame:
    """The keys of what the rows' numbers are of."""
    others = rows.drop(columns=["measure", "member"])
    return others.rename(columns={"base_of": "measure", "base_group": "member"})[KEY]


def read(state: str, build: str) -> tuple[Numbers, Release, Release]:
    """The numbers of a build, its release, and the same with what hides for others' sake shown."""
    policy = registry.states()[state].disclosure
    with duckdb.connect() as connection:
        for name, path in (
            ("exact", lake.warehouse(state) / f"{build}.duckdb"),
            ("told", disclosure.protected(state, build)),
        ):
            literal = str(path).replace("'", "''")
            connection.execute(f"attach '{literal}' as {name} (read_only)")
        exact = _counts(connection, "exact.marts.fct_metric", policy.public_metrics)
        told = _counts(connection, "told.published.fct_metric", policy.public_metrics)
        places = connection.execute(
            "select distinct school_year, org_level, org_id, parent_org_id "
            "from exact.marts.dim_organization order by all"
        ).df()
    base = _bases(exact[~exact["is_people"] & exact["base_of"].notna()])
    keys = pd.concat([exact[KEY], base]).drop_duplicates().sort_values(KEY)
    index = pd.MultiIndex.from_frame(keys)
    numbers = _numbers(exact, keys.reset_index(drop=True), index, places, policy.minimum_n)
    release, first = _release(told, index, numbers)
    return numbers, release, first


def _numbers(exact, names, index, places, minimum_n) -> Numbers:
    cells = len(names)
    part, base = _number(exact, index)
    value = np.full(cells, np.nan)
    spread = [np.full(cells, np.inf), np.full(cells, -np.inf)]
    for at, amount in ((part, exact["amount"]), (base, exact["base"])):
        amount = amount.to_numpy(float, na_value=np.nan)
        ok = (at >= 0) & np.isfinite(amount)
        value[at[ok]] = amount[ok]
        np.minimum.at(spread[0], at[ok], amount[ok])
        np.maximum.at(spread[1], at[ok], amount[ok])
    # Told as two numbers: neither stands in a sum.
    value[spread[1] - spread[0] > CLOSE] = np.nan
    is_money = np.zeros(cells, bool)
    is_money[part[exact["is_money"]]] = True
    public, is_protected = np.zeros(cells, bool), np.zeros(cells, bool)
    open_ = exact["is_public"].to_numpy()
    for at, amount in ((part, exact["amount"]), (base, exact["base"])):
        ok = (at >= 0) & amount.notna().to_numpy()
        public[at[ok & open_]] = True
        is_protected[at[ok & ~open_]] = True
    rows, family, left = _sums(names, index, places, value, is_money, minimum_n)
    is_rate = exact["is_rate"].to_numpy() & (part >= 0) & (base >= 0) & (part != base)
    is_rate &= value[part] <= value[base] + CLOSE
    pairs = pd.DataFrame({"part": part, "base": base, "open": open_})[is_rate]
    pairs = pairs.groupby(["part", "base"], as_index=False)["open"].all()
    rest = cells + len(left) + np.arange(len(pairs))
    total = np.concatenate([value, left, value[pairs["base"]] - value[pairs["part"]]])
    many = len(family)
    entries = [
        np.concatenate([rows["equation"], many + np.tile(np.arange(len(pairs)), 3)]),
        np.concatenate([rows["cell"], pairs["part"], rest, pairs["base"]]),
        np.concatenate([rows["weight"], np.repeat([1.0, 1.0, -1.0], len(pairs))]),
    ]
    matrix = sparse.csr_array(
        (entries[2], (entries[0].astype(int), entries[1].astype(int))),
        (many + len(pairs), len(total)),
    )
    is_rest = np.arange(len(total)) >= cells + len(left)
    is_absent = (np.arange(len(total)) >= cells) & ~is_rest
    # As much a secret as the parts that have a row.
    of = rows[rows["cell"] >= cells].merge(rows[rows["cell"] < cells], on="equation")
    missing = np.zeros(len(left), bool)
    np.logical_or.at(missing, of["cell_x"] - cells, is_protected[of["cell_y"]])
    none = np.zeros(len(left), bool)
    public = np.concatenate([public, none, public[pairs["part"]] & public[pairs["base"]]])
    protected = np.concatenate([is_protected, missing, ~pairs["open"].to_numpy()])
    money = np.concatenate([is_money, none, np.zeros(len(pairs), bool)])
    few = (total > CLOSE) & (total < minimum_n - CLOSE)
    return Numbers(
        names, total, matrix, np.concatenate([family, np.full(len(pairs), "rest")]), money,
        is_rest, is_absent, public, few & ~money & protected & ~public, minimum_n,
    )  # fmt: skip


def _sums(
    names, index, places, value, is_money, minimum_n
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The sums that hold, miss by fewer than n people, or lack parts that have no row.

    Entries, the family of each sum, and what the absent parts count, numbered after the cells.
    """
    names = names.assign(cell=np.arange(len(names)))
    names[["category", "value"]] = names["member"].str.split("|", n=1, expand=True)
    found = []

    def add(family: str, parts: pd.DataFrame, could=None, **total) -> None:
        whole = index.get_indexer(pd.MultiIndex.from_frame(parts.assign(**total)[KEY].fillna("")))
        kept = whole >= 0
        found.append(pd.DataFrame({
            "family": family, "kind": parts["category"][kept].to_numpy(),
            "total": whole[kept], "cell": parts["cell"].to_numpy()[kept],
            "could": 0 if could is None else could.to_numpy()[kept],
        }))  # fmt: skip

    def many(parts: pd.DataFrame, within: list[str], what: str) -> pd.Series:
        """How many parts such a sum could have."""
        return parts.groupby(["measure", "school_year", *within])[what].transform("nunique")

    crossed = names["category"].str.contains("*", regex=False)
    plain = names[~crossed & (names["category"] != "all")]
    plain = plain[~plain["category"].isin(OVERLAPPING)]
    here = ["org_level", "category"]
    # Whoever is not in a category's only group is outside of it.
    add("category", plain, many(plain, here, "member").clip(lower=2), member="all|all")
    both = names[crossed].copy()
    both["sides"] = [
        [f"{one}|{two}" for one, two in zip(category.split("*"), member.split("*"), strict=True)]
        for category, member in zip(both["category"], both["value"], strict=True)
    ]
    for side in (0, 1):
        both["other"] = both["sides"].str[1 - side]
        could = many(both, here, "other")
        add(f"crossing {side}", both, could, member=both["sides"].str[side])
    above = names.merge(places, on=["school_year", "org_level", "org_id"], how="left")
    schools = above[(above["org_level"] == "SCH") & (above["parent_org_id"] != above["org_id"])]
    could = many(schools, ["parent_org_id"], "org_id")
    add("schools", schools, could, org_level="LEA", org_id=schools["parent_org_id"])
    states = places[places["org_level"] == "SEA"].drop_duplicates("school_year")
    leas = names[names["org_level"] == "LEA"]
    of_state = leas["school_year"].map(states.set_index("school_year")["org_id"])
    add("districts", leas, many(leas, [], "org_id"), org_level="SEA", org_id=of_state)
    for one, other in SAME:
        add(f"same as {other}", names[names["measure"] == other], measure=one)
    sums = pd.concat(found, ignore_index=True)
    sums["equation"] = sums.groupby(["family", "kind", "total"]).ngroup()
    wholes = sums.drop_duplicates("equation").sort_values("equation")
    made = np.bincount(sums["equation"], value[sums["cell"]], len(wholes))
    short = value[wholes["total"]] - made
    money = is_money[wholes["total"]]
    parts = np.bincount(sums["equation"], minlength=len(wholes))
    lacks = ~money & (short >= SOMEBODY) & (parts < wholes["could"].to_numpy())
    holds = np.abs(short) < np.where(money, 1 + 1e-4 * np.abs(made), minimum_n - CLOSE)
    holds |= lacks
    number = np.cumsum(holds) - 1
    kept = holds[sums["equation"]]
    rows = pd.concat([
        pd.DataFrame({"equation": number[sums["equation"][kept]], "cell": sums["cell"][kept],
                      "weight": 1.0}),
        pd.DataFrame({"equation": number[lacks], "cell": len(value) + np.arange(lacks.sum()),
                      "weight": 1.0}),
        pd.DataFrame({"equation": number[holds], "cell": wholes["total"].to_numpy()[holds],
                      "weight": -1.0}),
    ], ignore_index=True)  # fmt: skip
    return rows, wholes["family"].to_numpy()[holds], short[lacks]


def _release(told: pd.DataFrame, index, numbers: Numbers) -> tuple[Release, Release]:
    cells = len(numbers.exact)
    part, base = _number(told, index)
    amount = told["amount"].to_numpy(float, na_value=np.nan)
    under = told["base"].to_numpy(float, na_value=np.nan)
    value = told["value"].to_numpy(float, na_value=np.nan)
    known = np.zeros(cells, bool)
    number = np.full(cells, np.nan)
    for _ in range(3):
        for at, amounts in ((part, amount), (base, under)):
            ok = (at >= 0) & np.isfinite(amounts)
            known[at[ok]] = True
            number[at[ok]] = amounts[ok]
        # A rate, and how many people it is of, from whatever row tells that.
        shown = np.isfinite(value) & (base >= 0) & (part >= 0)
        amount = np.where(shown & np.isnan(amount) & known[base], value * number[base], amount)
        with np.errstate(divide="ignore", invalid="ignore"):
            of = np.where(value != 0, number[part] / value, np.nan)
        under = np.where(shown & np.isnan(under) & known[part], of, under)
    off = known & np.isfinite(number) & np.isfinite(numbers.exact)
    wrong = np.abs(number - numbers.exact)[off] > CLOSE * np.maximum(1, np.abs(number[off]))
    if wrong.any():
        raise SystemExit(f"{wrong.sum()} published numbers are not those of the build")
    known |= numbers.is_public
    lower, upper = _unbounded(numbers)
    unit = np.where(told["is_people"], 1.0, np.where(base >= 0, number[base], np.nan))
    for column, bound, tighter in (
        ("value_lower", lower, np.maximum), ("value_upper", upper, np.minimum),
    ):  # fmt: skip
        end = told[column].to_numpy(float, na_value=np.nan) * unit
        ok = (part >= 0) & np.isfinite(end)
        tighter.at(bound, part[ok], end[ok])
    why = np.zeros(cells, bool)
    first = told["status"].isin(["suppressed_primary", "range_coded"]).to_numpy()
    why[part[first]] = True
    release = Release(_with_rests(numbers, known), lower, upper)
    alone = known | ~(why | numbers.is_small | numbers.is_absent)
    return release, Release(_with_rests(numbers, alone), lower, upper)


def _unbounded(numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """What everybody knows of numbers that are not told: no count is below zero."""
    size = len(numbers.exact)
    return np.where(numbers.is_money, -np.inf, 0.0), np.full(size, np.inf)


def _with_rests(numbers: Numbers, told: np.ndarray) -> np.ndarray:
    """What is told, and what is left of a rate's denominator where both are."""
    told = told.copy()
    rest = np.flatnonzero(numbers.is_rest)
    if len(rest):
        rows = numbers.matrix[numbers.matrix.shape[0] - len(rest) :]
        others = rows.indices.reshape(-1, 3)
        of = others[others != rest[:, None]].reshape(-1, 2)
        told[rest] = told[of].all(axis=1)
    return told


# -------------------------------------------------------------------------------- other protections


def small_alone(numbers: Numbers) -> Release:
    """Every small count hidden, and the numerator where all the others are few; nothing more."""
    hidden = numbers.is_small.copy()
    rest = np.flatnonzero(numbers.is_rest)
    rows = numbers.matrix[numbers.matrix.shape[0] - len(rest) :].tocoo()
    of = np.full(len(rest), -1)
    is_part = (rows.data > 0) & ~numbers.is_rest[rows.col]
    of[rows.row[is_part]] = rows.col[is_part]
    hidden[of[numbers.is_small[rest]]] = True
    told = (~hidden | numbers.is_public) & ~numbers.is_absent
    return Release(_with_rests(numbers, told & ~numbers.is_rest), *_unbounded(numbers))


def by_hand(numbers: Numbers, first: Release) -> Release:
    """The next smallest number of every sum that gives one away, until there is none."""
    hidden = ~first.told & ~numbers.is_rest
    matrix, value = numbers.matrix, np.nan_to_num(numbers.exact)
    free = ~numbers.is_public & ~numbers.is_rest & ~numbers.is_absent & (value > CLOSE)
    while True:
        before = hidden.sum()
        for family in sorted(set(numbers.family) - {"rest"}):
            rows = np.flatnonzero(numbers.family == family)
            part = sparse.csr_array(matrix[rows])
            row = np.repeat(np.arange(len(rows)), np.diff(part.indptr))
            cell = part.indices
            gone = hidden[cell]
            many = np.bincount(row, gone, len(rows))
            people = np.bincount(row, np.where(gone, value[cell], 0), len(rows))
            open_ = (many > 0) & ((many == 1) | (people < numbers.minimum_n))
            next_ = np.flatnonzero(open_[row] & ~gone & free[cell])
            order = next_[np.lexsort((cell[next_], value[cell[next_]], row[next_]))]
            _, at = np.unique(row[order], return_index=True)
            hidden[cell[order[at]]] = True
        if hidden.sum() == before:
            break
    return Release(_with_rests(numbers, ~hidden & ~numbers.is_rest), first.lower, first.upper)


# --------------------------------------------------------------------------------------- the attack


class Attack:
    """One release, put to the solver."""

    def __init__(self, numbers: Numbers, release: Release) -> None:
        self.numbers, self.release = numbers, release
        known = release.told | ~np.isfinite(numbers.exact)
        self.at = np.flatnonzero(~known)
        place = np.full(len(known), -1)
        place[self.at] = np.arange(len(self.at))
        # A sum in which a number that we do not know either stands is none to us.
        unsound = abs(numbers.matrix) @ ~np.isfinite(numbers.exact) > 0
        matrix = sparse.csr_array(numbers.matrix[np.flatnonzero(~unsound)].tocsc()[:, self.at])
        self.matrix = matrix[np.flatnonzero(np.diff(matrix.indptr))]
        self.columns = self.matrix.tocsc()
        self.value = numbers.exact[self.at]
        self.lower = np.minimum(release.lower[self.at], self.value)
        self.upper = np.maximum(release.upper[self.at], self.value)
        rows, _ = self.matrix.shape
        both = sparse.block_array([[None, abs(self.matrix)], [abs(self.columns.T), None]])
        self.group = connected_components(both, directed=False)[1][rows:]

    def recovered(self) -> np.ndarray:
        """The numbers that sums determine: of random directions, what sums cannot see is none."""
        known = np.zeros(len(self.at), bool)
        while True:
            # By subtraction, one after the other.
            left = abs(self.matrix) @ (~known).astype(int)
            alone = np.repeat(left == 1, np.diff(self.matrix.indptr))
            new = self.matrix.indices[alone & ~known[self.matrix.indices]]
            if not len(new):
                break
            known[new] = True
        some = np.flatnonzero(~known)
        part = sparse.csr_array(self.columns[:, some])
        unseen = np.zeros(len(some))
        for direction in np.random.default_rng(0).standard_normal((DIRECTIONS, len(some))):
            seen = lsmr(part, part @ direction, atol=1e-13, btol=1e-13, maxiter=20_000)[0]
            unseen = np.maximum(unseen, np.abs(direction - seen))
        known[some[unseen < NOTHING]] = True
        return self.at[known]

    def width(self, cell: int, enough: float) -> float:
        """How far apart the least and the greatest value of a number are; at least if `enough`."""
        at = int(np.searchsorted(self.at, cell))
        near = self._within(at, self._around(at))
        if near >= enough - CLOSE:
            return near
        return self._within(at, np.flatnonzero(self.group == self.group[at]))

    def _around(self, at: int) -> np.ndarray:
        inside = np.array([at])
        while True:
            rows = np.unique(self.columns[:, inside].indices)
            more = np.unique(self.matrix[rows].indices)
            if len(more) > AROUND or len(more) == len(inside):
                return np.union1d(inside, more[:AROUND])
            inside = more

    def _within(self, at: int, moving: np.ndarray) -> float:
        matrix = sparse.csr_array(self.columns[:, moving])
        matrix = matrix[np.flatnonzero(np.diff(matrix.indptr))]
        bounds = np.column_stack([self.lower[moving], self.upper[moving]])
        if not matrix.shape[0]:
            # No sum speaks of it.
            return float(self.upper[at] - self.lower[at])
        goal = (moving == at).astype(float)
        ends = []
        for sign in (1, -1):
            done = linprog(
                sign * goal, A_eq=matrix, b_eq=matrix @ self.value[moving], bounds=bounds,
                method="highs",
            )  # fmt: skip
            if done.status == 3:
                return np.inf
            if done.x is None:
                raise RuntimeError(f"a program over {len(moving)} numbers: {done.message}")
            ends.append(done.fun)
        return -ends[1] - ends[0]


def of_public(numbers: Numbers) -> tuple[Attack, np.ndarray]:
    """An attack with public figures alone, and the small counts that these do not tell.

    What they tell is the policy's, and counted in the release's own report.
    """
    told = _with_rests(numbers, numbers.is_public & ~numbers.is_rest)
    public = Attack(numbers, Release(told, *_unbounded(numbers)))
    asked = numbers.is_small.copy()
    asked[public.recovered()] = False
    return public, asked


def attack(
    numbers: Numbers, release: Release, public: Attack, asked: np.ndarray, measured: int
) -> Findings:
    """What can be known of the `asked` counts that `public` figures alone do not tell."""
    n = float(numbers.minimum_n)
    solver = Attack(numbers, release)
    told = np.flatnonzero(asked & release.told)
    recovered = solver.recovered()
    recovered = recovered[asked[recovered]]
    left = np.setdiff1d(np.flatnonzero(asked & ~release.told), recovered)
    left = np.sort(np.random.default_rng(0).permutation(left)[:measured])
    narrow = [
        cell for cell in left
        if solver.width(cell, n) < n - CLOSE and public.width(cell, n) >= n - CLOSE
    ]  # fmt: skip
    shown = release.told | numbers.is_rest | numbers.is_absent
    hidden = int((~shown & np.isfinite(numbers.exact)).sum())
    return Findings(hidden, told, recovered, len(left), np.array(narrow, int))


def compare(state: str, build: str, measured: int = MEASURED) -> pd.DataFrame:
    """One row for each way to protect a build's numbers: what it hides, and what it gives away."""
    numbers, release, first = read(state, build)
    ways = {
        "as published": release,
        "by hand": by_hand(numbers, first),
        "small counts alone": small_alone(numbers),
    }
    public, asked = of_public(numbers)
    found = {name: attack(numbers, way, public, asked, measured) for name, way in ways.items()}
    return pd.DataFrame(
        {
            "numbers": len(numbers.names),
            "small": int(numbers.is_small.sum()),
            "hidden": [it.hidden for it in found.values()],
            "told": [len(it.told) for it in found.values()],
            "worked out": [len(it.recovered) for it in found.values()],
            "measured": [it.measured for it in found.values()],
            "known too closely": [len(it.narrow) for it in found.values()],
        },
        index=list(found),
    )


def _last(state: str) -> str:
    there = list(lake.warehouse(state).glob("*.protected.duckdb"))
    if not there:
        raise SystemExit(
            f"{state} has no protected build in {lake.warehouse(state)}; publish first"
        )
    return max(there, key=lambda path: path.stat().st_mtime).name.partition(".")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("state")
    parser.add_argument("--build")
    parser.add_argument("--measured", type=int, default=MEASURED)
    told = parser.parse_args()
    build = told.build or _last(told.state)
    print(f"{told.state} {build}\n{compare(told.state, build, told.measured).to_string()}")


if __name__ == "__main__":
    main()
