"""How large a state to draw, and from which seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class BadPlan(ValueError):
    """A state that cannot be drawn: too small, too many districts, years with gaps."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides what is written. Equal plans write equal bytes.

    `students` is the state's membership on the count date of the first year, exactly; later
    years follow from births, moves and graduations. `districts` counts charter LEAs as well.
    """

    students: int = 60_000
    districts: int = 20
    years: tuple[int, ...] = (2024, 2025)
    seed: int = 7

    def __post_init__(self) -> None:
        if not 1 <= self.districts <= 900:
            raise BadPlan(f"{self.districts} districts asked for; choose 1 to 900")
        if self.students < 40 * self.districts:
            raise BadPlan(
                f"{self.students} students are too few for {self.districts} districts; "
                f"ask for at least {40 * self.districts}"
            )
        first = self.years[0] if self.years else 0
        if not self.years or self.years != tuple(range(first, first + len(self.years))):
            raise BadPlan(
                f"school years {self.years} asked for; name consecutive years, first to last"
            )

    def rng(self, *stream: int) -> np.random.Generator:
        """Random numbers of one part of the state, independent of every other part."""
        return np.random.default_rng([self.seed, *stream])
