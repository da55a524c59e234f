"""Resource allocation reviews worked out again: who is selected, and how each stands.

Written from the definitions and not from the SQL. It is given what is true of a state in one year,
from the raw files or from the other recomputations: schools, whose they are, for what they are
identified, and numbers of organizations. It works in exact fractions where counts are given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

Group = tuple[str, str]
# Level and code.
Organization = tuple[str, str]
# Metric, and group category and value.
Measure = tuple[str, str, str]


class Number(NamedTuple):
    """A told value, with its parts where they are known."""

    value: float
    numerator: float | Fraction | None = None
    denominator: float | Fraction | None = None


class Threshold(NamedTuple):
    """A minimum count, or a minimum share with at least so many schools."""

    count: int
    share: Fraction
    least_for_share: int


# The choice that holds where a state says nothing.
CSI = Threshold(3, Fraction(1, 10), 1)
TARGETED = Threshold(5, Fraction(1, 5), 2)


@dataclass
class State:
    """One year of a state."""

    # School to its agency, and every agency there is.
    agency_of: dict[str, str]
    agencies: set[str]
    # Every school of the identification file, with its designations: csi, tsi, atsi.
    designations: dict[str, set[str]]
    numbers: dict[tuple[Organization, Measure], Number]
    pupils: dict[Organization, float]
    # Schools in quartiles of poverty, 1 the least.
    quartiles: dict[str, int] = field(default_factory=dict)


class Selected(NamedTuple):
    schools: int
    csi: int
    targeted: int
    identified: int
    is_selected: bool


def meets(found: int, schools: int, threshold: Threshold, combination: str = "or") -> bool:
    by_count = found >= threshold.count
    by_share = (
        schools > 0
        and Fraction(found, schools) >= threshold.share
        and found >= threshold.least_for_share
    )
    return by_count and by_share if combination == "and" else by_count or by_share


def schools_by_agency(state: State) -> dict[str, list[str]]:
    """The schools of the identification file of every agency, if none."""
    found: dict[str, list[str]] = {agency: [] for agency in state.agencies}
    for school in state.designations:
        found[state.agency_of[school]].append(school)
    return found


def selection(state: State) -> dict[str, Selected]:
    """Every agency, and whether the thresholds of the default select it."""
    told = {}
    for agency, schools in schools_by_agency(state).items():
        marked = [state.designations[school] for school in schools]
        csi = sum("csi" in one for one in marked)
        targeted = sum(bool(one & {"tsi", "atsi"}) for one in marked)
        identified = sum(bool(one) for one in marked)
        is_selected = meets(csi, len(schools), CSI) or meets(targeted, len(schools), TARGETED)
        told[agency] = Selected(len(schools), csi, targeted, identified, is_selected)
    return told


def simulated(
    state: State, which: str, combination: str, count: int, twentieths: int
) -> tuple[int, int, float]:
    """Agencies that a threshold selects, their schools with the designation, and their pupils."""
    least = {"CSI": 1, "TSI_OR_ATSI": 2, "ANY": 1}[which]
    wanted = {"CSI": {"csi"}, "TSI_OR_ATSI": {"tsi", "atsi"}, "ANY": {"csi", "tsi", "atsi"}}[which]
    threshold = Threshold(count, Fraction(twentieths, 20), least)
    agencies = covered = 0
    pupils = 0.0
    for agency, schools in schools_by_agency(state).items():
        found = sum(bool(state.designations[school] & wanted) for school in schools)
        if schools and meets(found, len(schools), threshold, combination):
            agencies += 1
            covered += found
            pupils += state.pupils[("LEA", agency)]
    return agencies, covered, pupils


def poverty_quartiles(shares: Mapping[str, float], students: Mapping[str, float]) -> dict[str, int]:
    """Quartiles of equal enrollment: each where the middle of its pupils falls, by share."""
    there = sorted(
        (s for s in shares if students.get(s, 0) > 0), key=lambda one: (shares[one], one)
    )
    whole = sum(students[one] for one in there)
    told, before = {}, 0.0
    for one in there:
        middle = before + students[one] / 2
        told[one] = min(4, 1 + int(4 * middle / whole))
        before += students[one]
    return told


def middle_ranks(values: Mapping[str, float]) -> dict[str, float]:
    """Of each: those below it and half of those like it, over all of them."""
    ordered = sorted(values.values())
    below: dict[float, int] = {}
    alike: dict[float, int] = defaultdict(int)
    for place, value in enumerate(ordered):
        below.setdefault(value, place)
        alike[value] += 1
    count = len(ordered)
    return {
        one: float(Fraction(2 * below[value] + alike[value], 2 * count))
        for one, value in values.items()
    }


def percentiles(state: State, level: str, measure: Measure) -> dict[str, float]:
    """Every organization of a level whose value is told, by its place among them."""
    return middle_ranks(
        {
            org: number.value
            for ((of_level, org), of), number in state.numbers.items()
            if of_level == level and of == measure
        }
    )


def poverty_gap(state: State, measure: Measure, schools: Iterable[str]) -> float | None:
    """The figure of the poorest quartile's schools less that of the richest's, if both are told."""
    figures = {}
    for quartile in (1, 4):
        told = [
            state.numbers[key]
            for school in schools
            if state.quartiles.get(school) == quartile
            and (key := (("SCH", school), measure)) in state.numbers
        ]
        if not told or any(n.numerator is None or n.denominator is None for n in told):
            return None
        whole = sum(Fraction(n.denominator) for n in told)
        if not whole:
            return None
        figures[quartile] = float(sum(Fraction(n.numerator) for n in told) / whole)
    return figures[4] - figures[1]


def flag(percentile: float | None, polarity: str) -> str | None:
    """What the place of an organization says, the quarters' ends included."""
    if percentile is None:
        return None
    if polarity == "neutral":
        return "neutral"
    good = percentile if polarity == "higher_is_better" else 1 - percentile
    return "concern" if good <= 0.25 else "strength" if good >= 0.75 else "typical"


def priorities(
    state: State, level: str, weights: Mapping[str, tuple[Fraction, Measure | None, int]]
) -> dict[str, tuple[float, Fraction]]:
    """The score of need, and the share of the weights that is told, of each ranked organization.

    `weights` names each component's weight, its measure, and 1 or -1 for more or less being need.
    """
    chosen = selection(state)
    if level == "LEA":
        ranked = {
            agency: Fraction(told.identified, told.schools)
            for agency, told in chosen.items()
            if told.is_selected
        }
        home = {agency: agency for agency in ranked}
    else:
        ranked = {
            school: Fraction(1) if "csi" in found else Fraction(1, 2)
            for school, found in state.designations.items()
            if found
        }
        home = {school: state.agency_of[school] for school in ranked}
    pupils_of: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for school, agency in state.agency_of.items():
        pupils = state.pupils.get(("SCH", school), 0)
        pupils_of[agency][state.quartiles.get(school, 0)] += pupils
    needs: dict[str, dict[str, float]] = {}
    for component, (_, measure, sign) in weights.items():
        if component == "identified":
            told = {org: float(share) for org, share in ranked.items()}
        elif component == "concentration":
            told = {}
            for org in ranked:
                by_quartile = pupils_of[home[org]]
                whole = sum(by_quartile.values())
                placed = whole - by_quartile[0]
                if whole and placed >= 0.95 * whole:
                    told[org] = by_quartile[4] / placed
        else:
            told = {
                org: sign * state.numbers[key].value
                for org in ranked
                if (key := ((level, org), measure)) in state.numbers
            }
        needs[component] = middle_ranks(told)
    scores = {}
    for org in ranked:
        there = [name for name in weights if org in needs[name]]
        weight = sum((weights[name][0] for name in there), Fraction(0))
        whole = sum(weight for weight, _, _ in weights.values())
        score = sum(float(weights[name][0]) * needs[name][org] for name in there)
        scores[org] = (score / float(weight), weight / whole)
    return scores


class Target(NamedTuple):
    """What is to be reached, from where, and when."""

    baseline_year: int
    baseline: Fraction | None
    target_year: int
    target: Fraction
    polarity: str

    def expected(self, school_year: int) -> Fraction | None:
        """Where the straight way from the baseline to the target is in that year."""
        if self.baseline is None:
            return None
        gone = Fraction(school_year - self.baseline_year, self.target_year - self.baseline_year)
        return self.baseline + (self.target - self.baseline) * min(gone, Fraction(1))

    def status(self, school_year: int, value: Fraction | None) -> str | None:
        """`met`, `on_track` or `off_track`; None where nobody can say."""

        def reached(wanted: Fraction) -> bool:
            return value <= wanted if self.polarity == "lower_is_better" else value >= wanted

        if value is None:
            return None
        if reached(self.target):
            return "met"
        wanted = self.expected(school_year)
        if wanted is None:
            return None
        return "on_track" if reached(wanted) else "off_track"
