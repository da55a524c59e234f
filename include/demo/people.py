"""People as parallel arrays, and the groups that they are counted in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.demo.plan import Plan

# One array per attribute, one entry per person.
People = dict[str, np.ndarray]


def select(people: People, chosen: np.ndarray) -> People:
    return {name: values[chosen] for name, values in people.items()}


def together(*parts: People) -> People:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass
class Registrar:
    """Gives everybody a number that tells nothing about them."""

    plan: Plan
    given: int = 0

    def numbers(self, count: int) -> np.ndarray:
        """Nine-digit numbers, never the same twice: a permutation of 0 .. 999,999,999."""
        issued = np.arange(self.given, self.given + count, dtype=np.int64)
        self.given += count
        return (issued * 387_420_489 + 104_729 * (self.plan.seed + 1)) % 1_000_000_000


def groups_of(students: People) -> dict[str, np.ndarray]:
    """The codes of every group that a student is counted in, by category (truths.VALUES)."""
    return {
        "all": np.zeros(len(students["id"]), int),
        "race": students["race"],
        "sex": students["sex"],
        "economic": students["poor"].astype(int),
        "english_learner": students["learner"].astype(int),
        "disability": (students["idea"] > 0).astype(int),
        "homeless": (students["homeless"] > 0).astype(int),
        "foster": students["foster"].astype(int),
        "military": students["military"].astype(int),
        "migrant": students["migrant"].astype(int),
    }
