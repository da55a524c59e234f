"""Connecticut's real files, from the publisher's folder to the marts, by two roads.

The numbers are worked out again in pandas from the publisher's bytes (tests/recomputation) and
must be the marts' own, metric by metric, for every organization and group.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from include import dbt, lake, release, warehouse
from tests import pipeline
from tests.recomputation import connecticut, equity

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("STATEWIDE_TEST_DATA") or ROOT.parent / "shared" / "data").resolve()
YEARS = (2013, 2014, 2015, 2016, 2017)
CELL = connecticut.CELL
METRICS = {"membership", "group_share", "chronic_absence_rate", "ppe_total", "staff_fte"} | {
    "students_per_teacher",
    "prekindergarten_per_kindergarten",
}
# Made of those metrics, or of a nationwide file: their own roads are below.
MADE_OF_OTHERS = {*equity.STATISTICS, "saipe_poverty_rate", "labor_high_wage"}
# Named in the staffing files only; no file has a code for them, or a student.
NAMELESS = {
    "Department of Rehabilitation Services",
    "Department of Social Services",
    "Office of Early Childhood (OEC)",
    "Project Oceanology",
    "Shared Services",
}

pytestmark = pytest.mark.skipif(
    not (DATA / "ct" / "2012-13").is_dir(),
    reason="the publisher's files are not here; set STATEWIDE_TEST_DATA to their folder",
)


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, dict[str, lake.Load]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(tmp_path_factory.mktemp("ct")))
        patch.setenv("STATEWIDE_EXTRACTS", str(DATA))
        yield {year: pipeline.load("ct", year) for year in YEARS}


@pytest.fixture(scope="module")
def marts(loads) -> Iterator[duckdb.DuckDBPyConnection]:
    build = pipeline.build("ct")
    with duckdb.connect(str(warehouse.path("ct", build)), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module", params=YEARS)
def year(request) -> int:
    return request.param


@pytest.fixture(scope="module")
def recomputed(year) -> dict[str, pd.DataFrame]:
    return connecticut.everything(DATA, year)


def ours(marts, year: int, metric: str) -> pd.DataFrame:
    return marts.execute(
        "select org_level, org_id, group_category, group_value, value, status "
        "from marts.fct_metric where metric_id = ? and school_year = ?",
        [metric, year],
    ).df()


def one(marts, year: int, metric: str, org_id: str, group: str = "all") -> tuple:
    return marts.execute(
        "select value, status from marts.fct_metric "
        "where metric_id = ? and school_year = ? and org_id = ? and group_value = ?",
        [metric, year, org_id, group],
    ).fetchone()


def test_every_row_of_every_file_is_loaded(loads):
    assert [len(extracts) for extracts in loads.values()] == [18, 18, 18, 15, 10]
    for year, extracts in loads.items():
        for name, load in extracts.items():
            assert load.rows_in == load.accepted > 0, (year, name)
            assert load.quarantined == 0, (year, name)


@pytest.mark.parametrize(
    ("year", "students"),
    [(2013, 554_804), (2014, 549_877), (2015, 546_347), (2016, 541_815), (2017, 538_893)],
)
def test_membership_of_the_state_is_what_the_agency_prints(marts, year, students):
    assert one(marts, year, "membership", connecticut.STATE) == (students, "reported")


def test_what_stands_in_the_files_stands_in_the_marts(marts):
    """Read from the files by eye: first and last rows, masked ones, names without a code."""
    assert one(marts, 2014, "membership", "1690011") == (904, "reported")
    assert one(marts, 2014, "membership", "0020011", "EL") == (84, "reported")
    assert one(marts, 2014, "membership", "0010011", "EL") == (None, "suppressed_primary")
    assert one(marts, 2014, "membership", "3370015") == (None, "suppressed_primary")
    assert one(marts, 2014, "membership", connecticut.STATE, "ECODIS") == (205_343, "reported")
    assert one(marts, 2013, "chronic_absence_rate", connecticut.STATE) == (None, "not_collected")
    assert one(marts, 2014, "chronic_absence_rate", "0010011") == (None, "suppressed_primary")
    assert one(marts, 2014, "chronic_absence_rate", "0010011", "F") is not None
    assert one(marts, 2014, "ppe_total", "0040011") == (14_756, "reported")
    assert one(marts, 2014, "ppe_total", "2880013") == (12_050, "reported")
    # In the finance files with a comma in its name, in the enrollment files without.
    assert one(marts, 2013, "ppe_total", "2800013")[1] == "reported"
    # 76.0 of general and 6.0 of special education.
    assert one(marts, 2014, "staff_fte", "2880013", "TCH") == (82, "reported")


def test_every_metric_is_the_one_worked_out_from_the_bytes(marts, year, recomputed):
    for metric, theirs in recomputed.items():
        mine = ours(marts, year, metric)
        both = theirs.merge(mine, on=CELL, how="left", suffixes=("_raw", ""))
        same = np.isclose(both["value_raw"], both["value"], rtol=1e-9, atol=1e-12)
        same |= both["value_raw"].isna() & both["value"].isna()

        assert len(both) == len(theirs) > 0, metric
        assert same.all(), f"{metric} {year}:\n{both[~same].head()}"
        masked = both.loc[both["masked"], "status"]
        assert masked.eq("suppressed_primary").all(), f"{metric} {year}"


def test_no_value_stands_where_the_files_give_none(marts, year, recomputed):
    for metric, theirs in recomputed.items():
        mine = ours(marts, year, metric).dropna(subset="value")
        extra = mine.merge(theirs[CELL], on=CELL, how="left", indicator=True)
        extra = extra[extra["_merge"] == "left_only"]

        assert extra.empty, f"{metric} {year}:\n{extra.head()}"


def test_what_the_exports_do_not_have_is_not_collected(marts, year, recomputed):
    absent = marts.execute(
        "select metric_id, list(distinct status) from marts.fct_metric where school_year = ? "
        "and not list_contains(?, metric_id) group by all",
        [year, sorted(recomputed)],
    ).fetchall()
    (metrics,) = marts.execute("select count(*) from marts.dim_metric").fetchone()

    assert len(absent) == metrics - len(recomputed)
    for metric, statuses in absent:
        if metric in MADE_OF_OTHERS:
            continue
        # Masked students over staff that nobody collected (teachers: 2017) read as masked.
        masked = {"suppressed_primary"} if metric.startswith("students_per_") else set()
        assert {"not_collected"} <= set(statuses) <= {"not_collected"} | masked, metric


def test_what_the_exports_have_is_what_the_recomputation_knows(marts):
    found = marts.execute(
        "select distinct metric_id from marts.fct_metric where status = 'reported'"
    ).fetchall()

    told = {metric for (metric,) in found}
    assert told - MADE_OF_OTHERS == METRICS
    others = {"ppe_poverty_gap", "saipe_poverty_rate", "labor_high_wage"}
    assert told & MADE_OF_OTHERS == {*equity.HORIZONTAL, *others}


def test_equity_of_the_state_is_what_the_published_spending_says(marts, year, recomputed):
    """A statistic is told where nearly all pupils are in districts that tell their spending."""
    found = dict(
        marts.execute(
            "select metric_id, value from marts.fct_metric where school_year = ? "
            "and list_contains(?, metric_id) and group_category = 'all' and status = 'reported'",
            [year, list(equity.HORIZONTAL)],
        ).fetchall()
    )
    # 2014 and 2015 leave out Hartford and others; 2016 and 2017 have no spending file.
    assert bool(found) == (year == 2013)
    if found:
        spending, pupils = (
            recomputed[metric][
                (recomputed[metric]["org_level"] == "LEA")
                & (recomputed[metric]["group_category"] == "all")
            ]
            for metric in ("ppe_total", "membership")
        )
        told = equity.among(spending, pupils.set_index("org_id")["value"])
        assert found == pytest.approx(told, rel=1e-9)


def test_child_poverty_is_the_census_bureaus(marts):
    """Every number of the seed stands in the workbook, under the name that the seed says."""
    book = pd.read_excel(DATA / "reference" / "ussd17.xls", header=2, dtype=str)
    book.columns = ["state", "fips", "district", "name", "people", "children", "poor"]
    book["nces_id"] = book["fips"] + book["district"]
    with (ROOT / "dbt_project" / "seeds" / "ct_districts.csv").open() as file:
        seed = list(csv.DictReader(file))
    theirs = book[book["state"] == "CT"].set_index("nces_id")
    found = dict(
        marts.execute(
            "select org_id, value from marts.fct_metric where metric_id = 'saipe_poverty_rate' "
            "and org_level = 'LEA' and status = 'reported' and school_year = 2017"
        ).fetchall()
    )

    assert {row["nces_id"]: row["federal_name"] for row in seed} == theirs["name"].to_dict()
    for row in seed:
        told = theirs.loc[row["nces_id"]]
        if row["agency_code"]:
            assert found.pop(row["agency_code"]) == int(told["poor"]) / int(told["children"])
    assert not found


def test_a_district_that_the_spending_file_leaves_out_is_missing(marts):
    """Hartford is not in the file of 2014-15."""
    assert one(marts, 2015, "ppe_total", "0640011") == (None, "missing")
    assert one(marts, 2014, "ppe_total", "0640011")[1] == "reported"


def test_names_that_have_no_code_are_these_and_stand_in_the_directory(marts):
    names = marts.execute(
        "select distinct name from marts.dim_organization where status = 'unlisted'"
    ).fetchall()
    districts = marts.execute(
        "select count(*) from marts.dim_organization "
        "where school_year = 2017 and org_level = 'LEA' and status = 'open'"
    ).fetchone()

    assert {name for (name,) in names} == NAMELESS
    assert districts == (203,)


def test_the_seed_of_names_is_what_the_files_themselves_say():
    """Every line with a code stands in a file that has both; every name was looked for."""
    with (ROOT / "dbt_project" / "seeds" / "ct_district_names.csv").open() as file:
        seed = {row["district_name"]: row["district_code"] for row in csv.DictReader(file)}
    known = connecticut.codes(DATA)
    named = set()
    for year in YEARS[:4]:
        named |= set(connecticut.file(DATA, year, "staffing-levels all_all-categories")["District"])
    for year in YEARS[:3]:
        named |= set(connecticut.file(DATA, year, "per-pupil-expenditures")["District"])

    assert {name: code for name, code in seed.items() if code} == known
    assert {name for name, code in seed.items() if not code} == named - set(known) == NAMELESS


def test_a_name_that_nobody_has_looked_at_stops_the_build_and_is_listed(loads, marts, tmp_path):
    folder = tmp_path / "extracts"
    shutil.copytree(DATA / "ct" / "2015-16", folder / "ct" / "2015-16")
    staffing = folder / "ct" / "2015-16" / "staffing-levels__2015-16_all_all-categories.csv"
    text = staffing.read_bytes()
    assert text.count(b'="Avon School District"') == 1
    staffing.write_bytes(text.replace(b'="Avon School District"', b'="Avon Schools"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(tmp_path / "home"))
        patch.setenv("STATEWIDE_EXTRACTS", str(folder))
        pipeline.load("ct", 2016, "enrollment", "staffing")

        with pytest.raises(dbt.BuildFailed, match=r"ct_district_names.csv for: Avon Schools"):
            warehouse.create("ct")


def test_every_row_can_be_walked_back_to_the_bytes(marts, loads):
    hashes = {load.sha256 for extracts in loads.values() for load in extracts.values()}
    named = marts.execute("select distinct unnest(source_loads) from marts.fct_metric").fetchall()
    (bare,) = marts.execute(
        "select count(*) from marts.fct_metric where status = 'reported' and source_loads = []"
    ).fetchone()

    assert {name for (name,) in named} <= hashes
    assert bare == 0


@pytest.fixture(scope="module")
def released(marts) -> Iterator[duckdb.DuckDBPyConnection]:
    release.publish("ct", pipeline.disclosure.protect("ct", warehouse.current("ct")))
    folder = lake.home() / "published" / "ct" / "current"
    with duckdb.connect(str(folder / "statewide.duckdb"), read_only=True) as connection:
        yield connection


def test_a_release_says_no_more_than_the_agency_does(released):
    (small,) = released.execute(
        "select count(*) from published.fct_metric "
        "where metric_id = 'membership' and value between 1 and 5"
    ).fetchone()
    state = released.execute(
        "select value from published.fct_metric where metric_id = 'membership' "
        "and school_year = 2017 and org_level = 'SEA' and group_category = 'all'"
    ).fetchone()

    assert (small, state) == (0, (538_893,))


def test_a_poverty_quartile_is_told_where_share_and_enrollment_are(released):
    told = released.execute(
        """
        select count(*) filter (where poverty_quartile is not null), count(*) filter (
            where (poverty_quartile is not null) <> (share is not null and pupils > 0)
        )
        from published.dim_organization as organization
        left join (
            select state, school_year, org_level, org_id, coalesce(value, value_lower) as share
            from published.fct_metric
            where metric_id = 'group_share' and group_value = 'ECODIS'
        ) using (state, school_year, org_level, org_id)
        left join (
            select state, school_year, org_level, org_id, value as pupils
            from published.fct_metric
            where metric_id = 'membership' and group_category = 'all'
        ) using (state, school_year, org_level, org_id)
        where org_level in ('SCH', 'LEA')
        """
    ).fetchone()

    assert told[0] > 0
    assert told[1] == 0


def test_a_towns_district_is_in_its_county_and_area_and_others_are_in_none(marts):
    """By name in the seed, and by the town's place in the alphabet in the agency's own code."""
    towns = pd.read_csv(ROOT / "dbt_project" / "seeds" / "ct_towns.csv", dtype=str)
    in_order = sorted(towns["town"], key=lambda town: town.replace(" ", "").lower())
    number = {town: f"{place:03}" for place, town in enumerate(in_order, start=1)}
    towns = towns.set_index("town")
    found = marts.execute(
        "select org_id, name, county, region, org_type from marts.dim_organization "
        "where org_level = 'LEA' and school_year = 2017"
    ).df()
    of_a_town = found[found["county"].notna()]
    others = found[found["county"].isna()]

    assert len(towns) == 169
    assert len(of_a_town) == 149
    for district in of_a_town.itertuples():
        town = district.name.removesuffix(" School District")
        assert district.org_id[:3] == number[town]
        assert (district.county, district.region) == tuple(towns.loc[town, ["county", "region"]])
    # Nobody's guess: regional districts, charter schools, service centers and state agencies.
    assert others["region"].isna().all()
    assert not set(others["name"].str.removesuffix(" School District")) & set(towns.index)


def test_areas_of_towns_are_those_of_the_wage_file():
    towns = pd.read_csv(ROOT / "dbt_project" / "seeds" / "ct_towns.csv", dtype=str)
    wages = pd.read_csv(DATA / "reference" / "oews_may2025_nc_ct_us.csv", dtype=str)
    areas = set(wages.loc[wages["state_code"] == "09", "area_name"]) - {"Connecticut"}

    assert set(towns["region"]) == areas
    # A planning region is in one area.
    assert (towns.groupby("planning_region")["region"].nunique() == 1).all()
    assert towns["planning_region"].nunique() == 9
