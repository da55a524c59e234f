"""Earlier releases of the same period: what they told is known, and what they hid stays hidden.

A corrected release is worked out with every release that is there, from its published tables; no
other record is kept of them, so nothing is kept that readers do not have. A cell that an earlier
release shows, with the number it still has or one that differs by less than the minimum n, is known
to readers and hides nothing any more. A cell that one hid is hidden again: the new system then has
the same unknowns as the old ones, and their difference tells of no cell what either hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from include.disclosure.model import FACT_COLUMNS, Kind, Status

KEY = FACT_COLUMNS[:7]


@dataclass
class Before:
    """What earlier releases say of the cells of a system."""

    # Told whatever any release says, as policy has it.
    was_fixed: np.ndarray
    # Told, and so known; what they withheld and no other row of theirs told.
    known: np.ndarray
    hidden: np.ndarray
    # Cells that are too small to tell and were told.
    exposed: int = 0


def apply(connection: duckdb.DuckDBPyConnection, mapped, earlier: Sequence[str]) -> Before:
    """Add to `mapped` what the earlier releases (relations like int_base_metrics) tell and hid."""
    cells = len(mapped.one)
    was_fixed = mapped.system.fixed[mapped.one]
    before = Before(was_fixed, np.zeros(cells, bool), np.zeros(cells, bool))
    if not earlier:
        return before
    same = " and ".join(f"judged.{column} = past.{column}" for column in KEY)
    for relation in earlier:
        for role, told in (("part", _part()), ("base", _base())):
            found = connection.execute(f"""
                select shown_by.{role}_cell as cell, {told} as told, past.status
                from {relation} as past
                inner join judged on {same}
                inner join shown_by using (rid)
                where shown_by.{role}_cell is not null
            """).fetchnumpy()
            cell = found["cell"].astype(int)
            amount = np.ma.filled(found["told"].astype(float), np.nan)
            near = np.abs(amount - mapped.amount[cell]) < np.where(
                mapped.people[cell],
                mapped.minimum_n[mapped.one[cell]],
                1e-6 + 0.01 * np.abs(mapped.amount[cell]),
            )
            before.known[cell[near]] = True
            withheld = np.isin(
                found["status"].astype(str),
                [Status.PRIMARY, Status.COMPLEMENTARY, Status.RANGE],
            )
            before.hidden[cell[np.isnan(amount) & withheld]] = True
    system, one = mapped.system, mapped.one
    before.known &= ~mapped.unknown
    before.hidden &= ~before.known & ~system.fixed[one]
    before.exposed = int((before.known & mapped.primary & ~system.fixed[one]).sum())
    system.fixed[one[before.known]] = True
    mapped.hidden[one[before.hidden]] = True
    return before


def _part() -> str:
    return (
        f"case when kind = '{Kind.PEOPLE}' then coalesce(past.value, past.numerator) "
        "else coalesce(past.numerator, past.value * past.denominator) end"
    )


def _base() -> str:
    return "coalesce(past.denominator, past.numerator / nullif(past.value, 0))"
