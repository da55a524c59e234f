"""The directory, what others publish of an LEA, and the schools identified for support."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from include.demo.extracts import Writers, coded, constant, flag
from include.demo.organizations import GRADES, REGIONS, TREES, Organizations
from include.demo.plan import Plan

TITLE_I_POVERTY = 0.42


def title_i(it: Organizations) -> np.ndarray:
    """Whether each school is served under Title I."""
    return it.school_poverty >= TITLE_I_POVERTY


def write_directory(it: Organizations, year: int, writers: Writers) -> None:
    """LEAs, then schools. Federal numbers start with 99, which no state has."""
    leas, schools = len(it.lea_ids), len(it.school_ids)
    lea = np.concatenate([np.arange(leas), it.school_lea])
    is_lea = np.arange(leas + schools) < leas
    low, high = np.full(leas, len(GRADES)), np.zeros(leas, int)
    np.minimum.at(low, it.school_lea, it.school_low)
    np.maximum.at(high, it.school_lea, it.school_high)
    charter = it.lea_is_charter[lea]
    within = np.arange(schools) - np.searchsorted(it.school_lea, it.school_lea)
    leaid = [f"99{position + 1:05}" for position in range(leas)]
    served = np.concatenate([np.bincount(it.school_lea, weights=title_i(it)) > 0, title_i(it)])
    writers[year, "directory"].write(
        {
            "school_year": constant(year, leas + schools),
            "org_level": coded(("SCH", "LEA"), is_lea.astype(int)),
            "org_id": pa.array([*it.lea_ids, *it.school_ids]),
            "parent_org_id": coded([*it.lea_ids, None], np.where(is_lea, leas, lea)),
            "nces_id": pa.array(
                [
                    *leaid,
                    *(f"{leaid[k]}{n + 1:05}" for k, n in zip(it.school_lea, within, strict=True)),
                ]
            ),
            "name": pa.array([*it.lea_names, *it.school_names]),
            "org_type": pa.array(
                [
                    *("CHARTER" if it.lea_is_charter[k] else "REGULAR" for k in range(leas)),
                    *it.school_types,
                ]
            ),
            "county": coded(TREES, _county(it)[lea]),
            "region": coded(REGIONS, it.lea_region[lea]),
            "grade_low": coded(GRADES, np.concatenate([low, it.school_low])),
            "grade_high": coded(GRADES, np.concatenate([high, it.school_high])),
            "is_charter": flag(charter),
            "title_i": flag(served),
            "status": constant("open", leas + schools),
        }
    )


def _county(it: Organizations) -> np.ndarray:
    """Each LEA's county; a charter lies in the county of its host."""
    own = np.arange(len(it.lea_ids))
    return np.where(it.lea_is_charter, it.lea_host, own) % len(TREES)


def write_lea_reference(
    plan: Plan, it: Organizations, year: int, spent: np.ndarray, writers: Writers
) -> None:
    """Labor costs, child poverty, land, and what each LEA `spent`, in cents.

    Of a charter's neighborhood nobody estimates poverty.
    """
    rng = plan.rng(8)
    leas = len(it.lea_ids)
    # Wages are higher where fewer are poor; one index for a county, of the latest year there is.
    host = np.where(it.lea_is_charter, it.lea_host, np.arange(leas))
    wages = np.clip(1.08 - 0.35 * it.lea_poverty + rng.normal(0, 0.03, leas), 0.75, 1.2)[host]
    # Not every child goes to a public school, and some pupils are younger or older.
    children = np.round(it.lea_pupils * 1.04).astype(int)
    poor = np.round(children * np.clip(0.55 * it.lea_poverty, 0.02, 0.6)).astype(int)
    miles = 25 * np.round(np.exp(rng.normal(3.0, 0.6, len(TREES)))) + 60
    known = ~it.lea_is_charter
    writers[year, "lea_reference"].write(
        {
            "school_year": constant(year, leas),
            "lea_id": pa.array(it.lea_ids),
            "cwift": pa.array([f"{wage:.3f}" for wage in wages]),
            "cwift_vintage": constant(str(year - 2), leas),
            "saipe_children": pa.array(children, mask=~known),
            "saipe_children_in_poverty": pa.array(poor, mask=~known),
            "saipe_vintage": pa.array([str(year - 2) if told else None for told in known]),
            "county_square_miles": pa.array([f"{one:.0f}" for one in miles[_county(it)]]),
            "control_total": pa.array([f"{one // 100}.{one % 100:02}" for one in spent]),
        }
    )


def designations(plan: Plan, it: Organizations) -> dict[str, np.ndarray]:
    """CSI, TSI and ATSI by school: the neediest Title I schools, and three of one planted LEA."""
    rng = plan.rng(6)
    n = len(it.school_ids)
    need = it.school_poverty + rng.normal(0, 0.12, n)
    candidates = title_i(it) & (it.school_lea != it.planted_leas["three_csi_schools"])
    ranked = np.argsort(np.where(candidates, -need, np.inf), kind="stable")
    csi = np.zeros(n, bool)
    csi[ranked[: round(0.05 * candidates.sum())]] = True
    planted = np.flatnonzero(it.school_lea == it.planted_leas["three_csi_schools"])
    csi[planted[np.argsort(-it.school_poverty[planted], kind="stable")[:3]]] = True
    luck = rng.random(n)
    chance = 0.25 * it.school_poverty
    tsi = ~csi & (luck < chance)
    atsi = tsi & (luck < 0.4 * chance)
    return {"csi": csi, "tsi": tsi, "atsi": atsi}


def write_identification(
    it: Organizations, year: int, found: dict[str, np.ndarray], writers: Writers
) -> None:
    """Every school, designated or not. Designations last for three years, here for all."""
    writers[year, "identification"].write(
        {
            "school_year": constant(year, len(it.school_ids)),
            "org_id": pa.array(it.school_ids),
            **{name: flag(designated) for name, designated in found.items()},
        }
    )
