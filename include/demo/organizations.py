"""The state's LEAs and schools: who serves which grades, for how many pupils, how poor, and where.

A pupil has an address between 0 and 1 within the LEA. Schools of one level divide the addresses
among them, so the pupils of an elementary school meet again in middle and high school, and a
poor neighborhood is poor at every level.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from include.demo.plan import Plan

GRADES = ("PK", "KG", *(f"{grade:02}" for grade in range(1, 13)))
GRADE_9 = GRADES.index("09")
GRADE_12 = GRADES.index("12")
REGIONS = ("North", "East", "South", "West")

# Share of pupils in each grade, PK to 12, of an LEA that offers all of them.
GRADE_SHARE = np.array([0.03, *[0.0746] * 13])
GRADE_SHARE /= GRADE_SHARE.sum()

# Level to its first grade, last grade and typical size.
LEVELS = {
    "Elementary": ("PK", "05", 430),
    "Middle": ("06", "08", 520),
    "High": ("09", "12", 800),
}
CHARTER_SPANS = (("KG", "08"), ("09", "12"), ("KG", "12"), ("KG", "05"))

# How much poorer the last address of an LEA is than its first.
POVERTY_SLOPE = 0.5
TREES = (
    "Alder", "Aspen", "Beech", "Birch", "Cedar", "Cherry", "Cypress", "Dogwood", "Elm", "Fir",
    "Hawthorn", "Hazel", "Hemlock", "Hickory", "Holly", "Juniper", "Larch", "Laurel", "Linden",
    "Locust", "Magnolia", "Maple", "Mulberry", "Oak", "Pine", "Poplar", "Redbud", "Spruce",
    "Sumac", "Sycamore", "Tamarack", "Tupelo", "Walnut", "Willow", "Yew",
)  # fmt: skip
PLACES = (
    "Bend", "Bluff", "Bottom", "Branch", "Bridge", "Brook", "Corner", "Cove", "Creek", "Crossing",
    "Dale", "Falls", "Ferry", "Field", "Fork", "Gap", "Glen", "Grove", "Hill", "Hollow", "Knoll",
    "Lake", "Landing", "Meadow", "Mill", "Mound", "Pass", "Point", "Pond", "Prairie", "Ridge",
    "Rock", "Run", "Shoals", "Spring", "Valley", "View", "Woods",
)  # fmt: skip


@dataclass
class Organizations:
    """Parallel arrays, one entry per LEA (`lea_*`) and per school (`school_*`).

    `school_lea` and `lea_host` hold positions, not identifiers. Grades are positions in GRADES.
    """

    lea_ids: list[str] = field(default_factory=list)
    lea_names: list[str] = field(default_factory=list)
    lea_is_charter: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    lea_region: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    lea_poverty: np.ndarray = field(default_factory=lambda: np.empty(0))
    lea_pupils: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    lea_days: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    # Where pupils go when their charter ends or they move: a traditional LEA nearby.
    lea_host: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    school_ids: list[str] = field(default_factory=list)
    school_names: list[str] = field(default_factory=list)
    school_types: list[str] = field(default_factory=list)
    school_lea: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    school_low: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    school_high: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    school_poverty: np.ndarray = field(default_factory=lambda: np.empty(0))
    school_offers: dict[str, np.ndarray] = field(default_factory=dict)
    # LEA to its alternative school.
    alternative: dict[int, int] = field(default_factory=dict)
    # (LEA, grade) to the schools that serve it and the address at which each one ends.
    serving: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    # Stories that tests look for: name to the position of an LEA or school.
    planted_leas: dict[str, int] = field(default_factory=dict)
    planted_schools: dict[str, int] = field(default_factory=dict)

    def serves(self, school: np.ndarray, grade: np.ndarray) -> np.ndarray:
        """Whether each school offers each grade; a missing school (-1) offers none."""
        return (
            (school >= 0) & (self.school_low[school] <= grade) & (grade <= self.school_high[school])
        )

    def assign(self, lea: np.ndarray, grade: np.ndarray, address: np.ndarray) -> np.ndarray:
        """The school of each pupil by LEA, grade and address.

        An LEA that does not offer the grade sends its pupils to its host. -1 where nobody does.
        """
        school = np.full(len(lea), -1)
        for key in np.unique(lea * 100 + grade):
            here, at = divmod(int(key), 100)
            found = self.serving.get((here, at)) or self.serving.get((int(self.lea_host[here]), at))
            if found:
                chosen = (lea == here) & (grade == at)
                schools, ends = found
                school[chosen] = schools[np.searchsorted(ends, address[chosen], side="right")]
        return school


def _whole(shares: np.ndarray, total: int, least: int) -> np.ndarray:
    """Whole numbers in proportion to `shares`, none below `least`, that sum to `total`."""
    free = total - least * len(shares)
    exact = shares / shares.sum() * free
    whole = np.floor(exact).astype(int)
    largest = np.argsort(-(exact - whole), kind="stable")[: free - whole.sum()]
    whole[largest] += 1
    return whole + least


def draw(plan: Plan) -> Organizations:
    """LEAs and schools of the planned state; every year has the same ones."""
    rng = plan.rng(0)
    count = plan.districts
    charters = count // 5
    traditional = count - charters
    size = np.clip(np.exp(rng.normal(0, 0.65, traditional)), 0.35, 3)
    size = np.concatenate(
        [size, np.full(charters, size.mean() * 0.13) * rng.uniform(0.6, 1.4, charters)]
    )
    region = np.arange(count) % len(REGIONS)
    nearby = [np.flatnonzero(region[:traditional] == r) for r in region]
    host = np.array(
        [
            int(near[(lea // len(REGIONS) + 1) % len(near)]) if len(near) else lea % traditional
            for lea, near in enumerate(nearby)
        ]
    )
    it = Organizations(
        lea_is_charter=np.arange(count) >= traditional,
        lea_region=region,
        lea_poverty=rng.permutation(np.linspace(0.18, 0.78, count))
        if count > 1
        else np.array([0.45]),
        lea_pupils=_whole(size, plan.students, 30),
        lea_days=rng.integers(176, 183, count),
        lea_host=host,
    )
    lows, highs, leas, mids = [], [], [], []
    offers: dict[str, list[bool]] = {"ap": [], "ib": [], "dual_enrollment": []}
    first: dict[int, int] = {}

    def school(lea: int, name: str, kind: str, span: tuple[str, str], mid: float) -> int:
        at = len(it.school_ids)
        number = 301 + at - first.setdefault(lea, at)
        it.school_ids.append(f"{it.lea_ids[lea]}{number:04}")
        it.school_names.append(name)
        it.school_types.append(kind)
        leas.append(lea)
        lows.append(GRADES.index(span[0]))
        highs.append(GRADES.index(span[1]))
        mids.append(mid)
        is_high = highs[-1] == GRADE_12 and kind != "ALTERNATIVE"
        offers["ap"].append(is_high and rng.random() < 0.9)
        offers["ib"].append(is_high and rng.random() < 0.2)
        offers["dual_enrollment"].append(is_high)
        return at

    def serve(lea: int, schools: list[int], ends: np.ndarray) -> None:
        for grade in range(lows[schools[0]], highs[schools[0]] + 1):
            it.serving[lea, grade] = (np.array(schools), ends)

    for lea in range(count):
        tree = TREES[lea % len(TREES)] + (f" {lea // len(TREES) + 1}" if lea >= len(TREES) else "")
        pupils = int(it.lea_pupils[lea])
        if it.lea_is_charter[lea]:
            it.lea_ids.append(f"C{lea - traditional + 1:03}")
            it.lea_names.append(f"{tree} Charter School")
            span = CHARTER_SPANS[(lea - traditional) % len(CHARTER_SPANS)]
            only = school(lea, f"{tree} Charter School", "CHARTER", span, 0.5)
            serve(lea, [only], np.array([1.0]))
            continue
        it.lea_ids.append(f"{(lea + 1) * 10:04}")
        it.lea_names.append(f"{tree} County Schools")
        if pupils < 150:
            serve(
                lea, [school(lea, f"{tree} School", "REGULAR", ("PK", "12"), 0.5)], np.array([1.0])
            )
            continue
        for level, (low, high, typical) in LEVELS.items():
            share = GRADE_SHARE[GRADES.index(low) : GRADES.index(high) + 1].sum()
            number = max(1, round(pupils * share / typical))
            weights = rng.uniform(0.7, 1.3, number)
            ends = np.cumsum(weights) / weights.sum()
            ends[-1] = 1.0
            starts = np.concatenate([[0.0], ends[:-1]])
            names = [
                f"{TREES[(7 * lea + i) % len(TREES)]} {PLACES[(11 * lea + 3 * i) % len(PLACES)]}"
                + (f" {i // len(TREES) + 1}" if i >= len(TREES) else "")
                for i in range(number)
            ]
            serve(
                lea,
                [
                    school(lea, f"{names[i]} {level} School", "REGULAR", (low, high), mid)
                    for i, mid in enumerate((starts + ends) / 2)
                ],
                ends,
            )
        if pupils >= 2500:
            it.alternative[lea] = school(lea, f"{tree} Academy", "ALTERNATIVE", ("09", "12"), 0.8)
    it.school_lea = np.array(leas)
    it.school_low = np.array(lows)
    it.school_high = np.array(highs)
    it.school_offers = {name: np.array(offered, bool) for name, offered in offers.items()}
    slope = (np.array(mids) - 0.5) * POVERTY_SLOPE
    it.school_poverty = np.clip(it.lea_poverty[it.school_lea] + slope, 0.03, 0.97)
    _plant(it, traditional)
    return it


def _plant(it: Organizations, traditional: int) -> None:
    """Choose where the stories happen: away from one another as far as the state's size allows."""
    by_size = np.argsort(-it.lea_pupils[:traditional], kind="stable")
    middle = traditional // 3

    def lea(step: int) -> int:
        return int(by_size[(middle + step) % traditional])

    it.planted_leas = {
        "low_spending": lea(0),
        "doubled_chronic_absence": lea(1),
        "three_csi_schools": lea(2),
    }
    for step, story in enumerate(
        ("four_english_learners", "all_but_three_disadvantaged", "no_english_learners")
    ):
        schools = np.flatnonzero(it.school_lea == lea(3 + step))
        it.planted_schools[story] = int(schools[0])
