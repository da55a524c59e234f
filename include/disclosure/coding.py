"""Rates as ranges: near 0 and 1, where a rate tells of everyone at once, and where it gives a count
of few people back.

A preset cuts the rates from 0 to 1 into ranges by the number of people n:

- `size_dependent` (domain rule 5): at most t and at least 1 - t are ranges, with t of 1 % from 300
  people, 2 % from 100, 5 % from 40, 10 % from 20 and 20 % below; rates between are exact;
- `edfacts`: every rate is in a range, of half (6 to 15 people) down to a hundredth (over 300);
- `none`: nothing is coded, and a rate with a small count is hidden.

The first and the last range are made wide enough to hold the minimum n of people, so that none
tells more of a small count than an interval audit lets pass. Where the two would meet, or a rate
between them has a small count, the rate is hidden and not coded. The ranges depend on n alone, so
how wide one is says nothing of the number in it.
"""

from __future__ import annotations

import numpy as np

from include.registry import Disclosure

# From so many people on: the shares at or below which, and above which, a rate is coded.
SIZES = ((300, 0.01), (100, 0.02), (40, 0.05), (20, 0.10), (0, 0.20))
# From so many people on: the upper ends of the ranges (EDFacts).
EDFACTS = (
    (301, tuple(k / 100 for k in range(1, 100))),
    (61, tuple(k / 100 for k in range(5, 100, 5))),
    (31, tuple(k / 100 for k in range(10, 100, 10))),
    (16, (0.20, 0.40, 0.60, 0.80)),
    (0, (0.50,)),
)
TOLERANCE = 1e-6


def small(
    count: np.ndarray, minimum_n: np.ndarray | int, withholds_zeros: np.ndarray | bool
) -> np.ndarray:
    """Whether counts of people may not be told."""
    least = np.where(withholds_zeros, -TOLERANCE, TOLERANCE)
    return (count > least) & (count < minimum_n - TOLERANCE)


def ranges(
    metric: np.ndarray, part: np.ndarray, base: np.ndarray, policy: Disclosure
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The lower and upper end of the range that each rate is told as, and whether it is coded.

    Each by the rules of its `metric`.
    """
    lower, upper = np.zeros(len(part)), np.ones(len(part))
    coded = np.zeros(len(part), bool)
    others = np.ones(len(part), bool)
    for own in policy.metrics:
        at = metric == own
        lower[at], upper[at], coded[at] = _ranges(part[at], base[at], policy.of(own))
        others &= ~at
    found = _ranges(part[others], base[others], policy)
    lower[others], upper[others], coded[others] = found
    return lower, upper, coded


def _ranges(
    part: np.ndarray, base: np.ndarray, policy: Disclosure
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lower, upper = np.zeros(len(part)), np.ones(len(part))
    coded = np.zeros(len(part), bool)
    if policy.rate_coding == "none" or not len(part):
        return lower, upper, coded
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = part / base
        # Whole percents that hold the minimum n: at most a tenth of 100 people is 0 to 10 of them.
        edge = np.ceil(100 * policy.minimum_n / base - TOLERANCE) / 100
    enough = np.nan_to_num(base) >= policy.minimum_n - TOLERANCE
    presets = SIZES if policy.rate_coding == "size_dependent" else EDFACTS
    done = np.zeros(len(part), bool)
    for size, cut in presets:
        here = enough & ~done & (base >= size - TOLERANCE)
        done |= here
        cuts = (cut,) if isinstance(cut, float) else cut
        # The least of the preset's ends that holds the minimum n.
        for_edge = np.maximum(edge, cuts[0])
        if len(cuts) > 1:
            at = np.searchsorted(np.array(cuts), for_edge - TOLERANCE)
            for_edge = np.where(at < len(cuts), np.array(cuts)[np.minimum(at, len(cuts) - 1)], 1)
        apart = here & (2 * for_edge <= 1 + TOLERANCE)
        low = apart & (rate <= for_edge + TOLERANCE)
        high = apart & ~low & (rate >= 1 - for_edge - TOLERANCE)
        upper = np.where(low, for_edge, upper)
        lower = np.where(high, 1 - for_edge, lower)
        coded |= low | high
        if policy.rate_coding == "edfacts":
            between = apart & ~low & ~high
            ends = np.concatenate([[0.0], cuts, [1.0]])
            at = np.clip(np.searchsorted(ends, np.nan_to_num(rate) - TOLERANCE), 1, len(ends) - 1)
            lower = np.where(between, np.maximum(ends[at - 1], for_edge), lower)
            upper = np.where(between, np.minimum(ends[at], 1 - for_edge), upper)
            coded |= between
    return lower, upper, coded
