"""What is true of the drawn state, added up while it is drawn and not read back from its files.

`truths.json` holds the planted stories and every amount in the shape of the canonical subjects:
school_year, org_level, org_id, group_category, group_value, measure, amount. An amount that is
zero for a group of an organization is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from include.demo.organizations import GRADES, Organizations

LEVELS = ("SCH", "LEA", "SEA")
RACES = ("AM7", "AS7", "BL7", "HI7", "PI7", "WH7", "MU7")
SEXES = ("F", "M", "X")
CLUSTERS = (
    "AGNR", "ARCH", "AAVC", "BMA", "EDUC", "FINA", "GOVT", "HLTH", "HOSP", "HUMA", "INFO",
    "LAW", "MANU", "MRKT", "STEM", "TRAN",
)  # fmt: skip
STAFF_CLASSES = (
    "PKTCH", "KGTCH", "ELMTCH", "SECTCH", "UGTCH", "PARA", "CORSUP", "GUI", "SCHPSYCH", "LIBSPE",
    "LIBSUP", "LEAADM", "LEASUP", "SCHADM", "SCHSUP", "STUSUP", "OTHSUP",
)  # fmt: skip
PROGRAMS = ("AP", "IB", "DUAL")
# Money is added up in cents, so that no sum is off by one, and told in dollars.
IN_CENTS = (
    "expenditure", "expenditure_federal", "expenditure_state", "expenditure_local",
    "expenditure_personnel", "expenditure_nonpersonnel", "expenditure_state_local",
    "expenditure_current", "expenditure_relief",
)  # fmt: skip
SOURCES = ("FED", "STATE_LOCAL")
KINDS = ("PERSONNEL", "NONPERSONNEL")
_YES = ("N", "Y")

# Group category to its values, in the order of the codes by which people are counted.
VALUES: dict[str, tuple[str, ...]] = {
    "all": ("all",),
    "race": RACES,
    "sex": SEXES,
    "economic": ("NECODIS", "ECODIS"),
    "english_learner": ("NEL", "EL"),
    "disability": ("NIDEA", "IDEA"),
    "homeless": _YES,
    "foster": _YES,
    "military": _YES,
    "migrant": _YES,
    "grade": GRADES,
    "race*sex": tuple(f"{race}*{sex}" for race in RACES for sex in SEXES),
    "source": SOURCES,
    "kind": KINDS,
    "source*kind": tuple(f"{source}*{kind}" for source in SOURCES for kind in KINDS),
    "staff_class": (*STAFF_CLASSES, "TCH"),
    "support_role": ("OTHER", "NURSE", "SOCIAL_WORKER"),
    "career_cluster": tuple(CLUSTERS),
    "program": PROGRAMS,
    "program*race": tuple(f"{program}*{race}" for program in PROGRAMS for race in RACES),
}


class Truths:
    """Sums by year, measure, level, organization and group."""

    def __init__(self, organizations: Organizations) -> None:
        self._organizations = organizations
        self._size = {
            "SCH": len(organizations.school_ids),
            "LEA": len(organizations.lea_ids),
            "SEA": 1,
        }
        self._sums: dict[tuple[int, str, str, str], np.ndarray] = {}
        self.planted: dict[str, dict[str, object]] = {}

    def add(
        self,
        year: int,
        measure: str,
        level: str,
        place: np.ndarray,
        groups: Mapping[str, np.ndarray],
        amount: np.ndarray | None = None,
    ) -> None:
        """Add people (or `amount`) at the position `place` of an organization, by each category."""
        for category, codes in groups.items():
            width = len(VALUES[category])
            size = self._size[level] * width
            found = np.bincount(place * width + codes, weights=amount, minlength=size)
            key = (year, measure, level, category)
            self._sums[key] = self._sums.get(key, 0) + found

    def add_up(
        self,
        year: int,
        measure: str,
        school: np.ndarray,
        groups: Mapping[str, np.ndarray],
        amount: np.ndarray | None = None,
    ) -> None:
        """Add at the school, its LEA and the state: for what simply sums up the hierarchy."""
        lea = self._organizations.school_lea[school]
        places = {"SCH": school, "LEA": lea, "SEA": np.zeros(len(school), int)}
        for level, place in places.items():
            self.add(year, measure, level, place, groups, amount)

    def of(self, year: int, measure: str, level: str, category: str = "all") -> np.ndarray:
        """Amounts of every organization of a level, by value of the category: a matrix."""
        width = len(VALUES[category])
        none = np.zeros(self._size[level] * width)
        return np.asarray(self._sums.get((year, measure, level, category), none)).reshape(-1, width)

    def write(self, path: Path, about: Mapping[str, object]) -> None:
        """Write `truths.json`, one line per amount."""
        ids = {
            "SCH": self._organizations.school_ids,
            "LEA": self._organizations.lea_ids,
            "SEA": ["zz"],
        }
        head = {
            **about,
            "planted": self.planted,
            "columns": [
                "school_year", "org_level", "org_id", "group_category", "group_value", "measure",
                "amount",
            ],
        }  # fmt: skip
        part = path.with_suffix(".part")
        with part.open("w") as file:
            file.write(json.dumps(head, indent=1, sort_keys=True)[:-2] + ',\n "amounts": [')
            separator = "\n"
            for (year, measure, level, category), flat in sorted(self._sums.items()):
                table = flat.reshape(-1, len(VALUES[category]))
                for place, value in zip(*np.nonzero(table), strict=True):
                    amount = table[place, value].item() / (100 if measure in IN_CENTS else 1)
                    amount = int(amount) if amount == int(amount) else round(amount, 6)
                    row = [
                        year, level, ids[level][place], category, VALUES[category][value], measure,
                        amount,
                    ]  # fmt: skip
                    file.write(f"{separator}  {json.dumps(row)}")
                    separator = ",\n"
            file.write("\n ]\n}\n")
        part.replace(path)
