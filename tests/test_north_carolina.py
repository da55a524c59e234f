"""North Carolina's real files, from the publisher's folder to the marts, by two roads.

The numbers are worked out again in pandas from the publisher's bytes (tests/recomputation) and
must be the marts' own, metric by metric, for every organization and group.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from include import lake, warehouse
from tests import pipeline
from tests.recomputation import equity, north_carolina

DATA = Path(
    os.environ.get("STATEWIDE_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
).resolve()
SEEDS = Path(__file__).parents[1] / "dbt_project" / "seeds"
YEARS = (2018, 2019)
# Of which there is a workbook and no report card.
OTHER_YEARS = (2017, 2020, 2021, 2022)
CELL = ["org_level", "org_id", "group_category", "group_value"]

pytestmark = pytest.mark.skipif(
    not (DATA / "nc" / "2019").is_dir(),
    reason="the publisher's files are not here; set STATEWIDE_TEST_DATA to their folder",
)


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, dict[str, lake.Load]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(tmp_path_factory.mktemp("nc")))
        patch.setenv("STATEWIDE_EXTRACTS", str(DATA))
        yield {year: pipeline.load("nc", year) for year in (*YEARS, *OTHER_YEARS)}


@pytest.fixture(scope="module")
def marts(loads) -> Iterator[duckdb.DuckDBPyConnection]:
    build = pipeline.build("nc")
    with duckdb.connect(str(warehouse.path("nc", build)), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module", params=YEARS)
def year(request) -> int:
    return request.param


@pytest.fixture(scope="module")
def recomputed(year) -> dict[str, pd.DataFrame]:
    return north_carolina.everything(DATA, year)


def ours(marts, year: int, metric: str) -> pd.DataFrame:
    return marts.execute(
        "select org_level, org_id, group_category, group_value, value, status "
        "from marts.fct_metric where metric_id = ? and school_year = ?",
        [metric, year],
    ).df()


def state_value(marts, year: int, metric: str) -> float:
    (value,) = marts.execute(
        "select value from marts.fct_metric where metric_id = ? and school_year = ? "
        "and org_level = 'SEA' and group_category = 'all'",
        [metric, year],
    ).fetchone()
    return value


def test_every_row_of_every_file_is_accounted_for(loads):
    for year, extracts in loads.items():
        for name, load in extracts.items():
            assert load.rows_in == load.accepted + load.quarantined, (year, name)


def test_what_is_set_aside_is_what_is_known_to_be_odd(loads):
    aside = {
        (year, name): load.quarantined
        for year, extracts in loads.items()
        for name, load in extracts.items()
        if load.quarantined
    }

    assert aside == {
        # The row for the nation, in both years.
        (2018, "directory"): 1,
        (2019, "directory"): 1,
        # Exact copies of rows of one school.
        (2018, "advanced_courses_2018"): 72,
        # The same school says two things of five groups.
        (2019, "advanced_courses"): 10,
        # The line that says when the report was printed.
        (2021, "perkins_concentrators"): 1,
    }


def test_membership_of_the_state_is_the_sum_of_the_file(marts):
    assert state_value(marts, 2019, "membership") == 1_434_240
    assert state_value(marts, 2018, "membership") == 1_441_183


def test_every_metric_is_the_one_worked_out_from_the_bytes(marts, year, recomputed):
    for metric, theirs in recomputed.items():
        mine = ours(marts, year, metric)
        both = theirs[[*CELL, "value"]].merge(mine, on=CELL, how="left", suffixes=("_raw", ""))
        same = np.isclose(both["value_raw"], both["value"], rtol=1e-9, atol=1e-12)
        same |= both["value_raw"].isna() & both["value"].isna()

        assert len(both) == len(theirs) > 0, metric
        assert same.all(), f"{metric} {year}:\n{both[~same].head()}"


def test_no_value_stands_where_the_files_give_none(marts, year, recomputed):
    for metric, theirs in recomputed.items():
        if metric.startswith("graduation_rate"):
            continue  # districts' own rule is tested below
        if metric.endswith("_equity_gap"):
            continue  # worked out for the state alone
        if metric == "cte_concentration_rate":
            continue  # compared school by school
        mine = ours(marts, year, metric).dropna(subset="value")
        extra = mine.merge(theirs[CELL], on=CELL, how="left", indicator=True)
        extra = extra[extra["_merge"] == "left_only"]

        assert extra.empty, f"{metric} {year}:\n{extra.head()}"


def test_a_district_graduation_rate_needs_every_school(marts):
    """2019 has schools only: graduates follow from rate and cohort, if nothing is coded."""
    schools = north_carolina.file(DATA, 2019, "rcd_acc_cgr")
    schools = schools[(schools["cgr_type"] == "STD") & (schools["subgroup"] == "ALL")]
    schools["cohort"] = pd.to_numeric(schools["den"])
    schools["graduates"] = (pd.to_numeric(schools["pct"]) / 100 * schools["cohort"]).round()
    schools["coded"] = schools["masking"].notna()
    schools["org_id"] = north_carolina.district(schools["org_id"])
    districts = schools.groupby("org_id").agg(
        cohort=("cohort", "sum"), graduates=("graduates", "sum"), coded=("coded", "any")
    )

    mine = ours(marts, 2019, "graduation_rate_4yr")
    mine = mine[(mine["org_level"] == "LEA") & (mine["group_category"] == "all")]
    mine = mine.dropna(subset="value").set_index("org_id").join(districts)

    assert len(mine) > 50
    assert not mine["coded"].any()
    # A charter's rate is the one published of its school, to a tenth of a percent.
    assert np.allclose(mine["value"], mine["graduates"] / mine["cohort"], rtol=0, atol=0.0006)
    assert np.isnan(state_value(marts, 2019, "graduation_rate_4yr") or np.nan)


def test_prekindergarten_is_counted_and_its_ratio_not_collected(marts, year):
    """There is no kindergarten in the files. Masked counts are withheld, here and above; schools
    that the file does not name are missing from it."""
    raw = north_carolina.file(DATA, year, "rcd_pk_enroll")
    raw = raw[(raw["subgroup"] == "ALL") & raw["masking"].isna()]
    told = pd.to_numeric(raw.set_index("org_id")["count_masked"])
    found = marts.execute(
        "select org_id, numerator, value, status from marts.fct_metric where school_year = ? "
        "and metric_id = 'prekindergarten_per_kindergarten' and group_category = 'all'",
        [year],
    ).df()
    counted = found.dropna(subset="numerator").drop_duplicates("org_id").set_index("org_id")

    assert found["value"].isna().all()
    assert set(found["status"]) <= {"not_collected", "suppressed_primary", "missing"}
    assert len(told) > 300
    assert (counted["numerator"].reindex(told.index) == told).all()


def test_no_rate_of_people_is_above_one(marts):
    (above,) = marts.execute(
        "select count(*) from marts.fct_metric join marts.dim_metric using (metric_id) "
        "where unit like 'fraction of %' and (value > 1 or value < 0)"
    ).fetchone()

    assert above == 0


def test_a_subgroup_is_not_measured_by_its_whole_schools_enrollment(marts):
    statuses = marts.execute(
        "select distinct status from marts.fct_metric "
        "where metric_id = 'chronic_absence_rate' and group_category <> 'all'"
    ).fetchall()

    assert statuses == [("not_collected",)]


def test_damaged_codes_are_the_charters_that_they_were(marts):
    charters = marts.execute(
        "select distinct org_id from marts.dim_organization "
        "where org_level = 'SCH' and (org_id like '49%E%' or org_id like '92%E%')"
    ).fetchall()

    assert sorted(charters) == [("49E000",), ("92E000",)]


def test_districts_and_schools_are_as_many_as_the_directory_has(marts, year):
    directory = north_carolina.file(DATA, year, "rcd_location")
    directory = directory[directory["agency_level"] == "SCH"]
    (schools,) = marts.execute(
        "select count(*) from marts.dim_organization "
        "where school_year = ? and org_level = 'SCH' and status = 'open'",
        [year],
    ).fetchone()

    assert schools == len(directory)


def test_closed_schools_are_counted_and_said_to_be_closed(marts):
    found = marts.execute(
        "select count(*), sum(value) from marts.fct_metric join marts.dim_organization "
        "using (state, school_year, org_level, org_id) where metric_id = 'membership' "
        "and school_year = 2019 and org_level = 'SCH' and group_category = 'all' "
        "and dim_organization.status = 'closed'"
    ).fetchone()

    assert found == (48, 12_725)


def test_every_row_can_be_walked_back_to_the_bytes(marts, loads):
    hashes = {load.sha256 for extracts in loads.values() for load in extracts.values()}
    named = marts.execute("select distinct unnest(source_loads) from marts.fct_metric").fetchall()
    (bare,) = marts.execute(
        "select count(*) from marts.fct_metric where status = 'reported' and source_loads = []"
    ).fetchone()

    assert {name for (name,) in named} <= hashes
    assert bare == 0


def test_a_build_after_another_leaves_the_first_one_as_it_was(loads, marts):
    """One process, two builds: dbt must not go on writing into the file that it had open."""
    first = warehouse.current("nc")
    before = lake.sha256(warehouse.path("nc", first))
    again = lake.partition("nc", "class_size", 2019)
    kept = again.with_suffix(".kept")
    again.rename(kept)
    try:
        second = warehouse.create("nc")
    finally:
        kept.rename(again)

    assert second != first
    assert lake.sha256(warehouse.path("nc", first)) == before
    with duckdb.connect(str(warehouse.path("nc", second)), read_only=True) as connection:
        assert state_value(connection, 2019, "membership") == 1_434_240


def test_equity_is_what_the_published_spending_says(marts, year, recomputed):
    """Of the state across districts; in 2019, with schools in the file, of districts as well."""
    everyone = {
        metric: theirs[theirs["group_category"] == "all"] for metric, theirs in recomputed.items()
    }
    spending = everyone["ppe_total"]
    poor = recomputed["group_share"]
    poor = poor[poor["group_value"] == "ECODIS"]
    if "ADM" in spending:
        pupils = spending.set_index(["org_level", "org_id"])["ADM"]
    else:
        heads = [everyone[m] for m in ("membership", "average_daily_membership")]
        both = pd.concat(heads).dropna(subset="value").drop_duplicates(["org_level", "org_id"])
        pupils = both.set_index(["org_level", "org_id"])["value"]
    families = {("SEA", north_carolina.STATE): spending[spending["org_level"] == "LEA"]}
    schools = spending[spending["org_level"] == "SCH"]
    for lea, rows in schools.groupby(north_carolina.district(schools["org_id"])):
        families["LEA", lea] = rows
    found = marts.execute(
        "select org_level, org_id, metric_id, value from marts.fct_metric where school_year = ? "
        "and list_contains(?, metric_id) and group_category = 'all' and status = 'reported'",
        [year, [*equity.HORIZONTAL, *equity.VERTICAL]],
    ).fetchall()
    for level, org_id, metric, value in found:
        family = families[level, org_id]
        at = family["org_level"].iloc[0]
        poverty = poor[poor["org_level"] == at].set_index("org_id")["value"]
        told = equity.among(family, pupils.loc[at], poverty if metric in equity.VERTICAL else None)
        assert value == pytest.approx(told[metric], rel=1e-6, abs=1e-9), (level, org_id, metric)

    reported = {(level, metric) for level, _, metric, _ in found}
    assert reported >= {("SEA", metric) for metric in equity.HORIZONTAL}
    assert len(found) > 900 if year == 2019 else len(found) == 9


def test_child_poverty_is_the_census_bureaus(marts, year):
    """Every number of the seed stands in the workbook, under the name that the seed says."""
    book = pd.read_excel(DATA / "reference" / "ussd17.xls", header=2, dtype=str)
    book.columns = ["state", "fips", "district", "name", "people", "children", "poor"]
    book["nces_id"] = book["fips"] + book["district"]
    theirs = book[book["state"] == "NC"].set_index("nces_id")
    seed = pd.read_csv(
        Path(__file__).parents[1] / "dbt_project" / "seeds" / "nc_districts.csv", dtype=str
    )
    known = dict(
        marts.execute(
            "select org_id, nces_id from marts.dim_organization where school_year = ? "
            "and nces_id is not null",
            [year],
        ).fetchall()
    )
    found = dict(
        marts.execute(
            "select org_id, value from marts.fct_metric where metric_id = 'saipe_poverty_rate' "
            "and org_level = 'LEA' and status = 'reported' and school_year = ?",
            [year],
        ).fetchall()
    )

    assert seed.set_index("nces_id")["federal_name"].to_dict() == theirs["name"].to_dict()
    assert known == seed.dropna(subset="agency_code").set_index("agency_code")["nces_id"].to_dict()
    assert len(found) == 115
    for org_id, value in found.items():
        told = theirs.loc[known[org_id]]
        assert value == int(told["poor"]) / int(told["children"])


def test_occupations_are_those_of_the_federal_file(marts):
    """Detailed occupations of the state's areas, and which pay at least the area's median."""
    table = pd.read_csv(DATA / "reference/oews_may2025_nc_ct_us.csv", dtype=str)
    table = table[table["state_code"] == "37"]
    wages = pd.to_numeric(table["a_median"], errors="coerce")
    area = table["area_name"].map(
        dict(zip(table["area_name"][table["occ_code"] == "000000"],
                 wages[table["occ_code"] == "000000"], strict=True))
    )  # fmt: skip
    detailed = table["display_level"] == "3"
    top_coded = table["fn_amed"] == "5"
    expected = pd.DataFrame(
        {
            "region": table["area_name"],
            "soc": table["occ_code"].str[:2] + "-" + table["occ_code"].str[2:],
            "wage": wages,
            "high": (wages >= area) | top_coded,
        }
    )[detailed]
    found = marts.execute(
        "select region, soc, wage_median, is_high_wage, wage_median_status, is_in_demand, vintage "
        "from marts.fct_labor_market where school_year = 2019"
    ).df()
    both = expected.merge(found, on=["region", "soc"], how="outer", indicator=True)

    assert len(both) > 5_000
    assert (both["_merge"] == "both").all()
    assert both["wage"].equals(both["wage_median"].astype(float))
    assert (both["high"] == both["is_high_wage"].fillna(False).astype(bool)).all()
    assert (both["wage"].isna() == (both["wage_median_status"] != "reported")).all()
    assert (
        both["is_high_wage"].isna().sum()
        == (both["wage_median_status"] == "suppressed_primary").sum()
    )
    # No openings are in that file: whether an occupation is in demand is not known.
    assert both["is_in_demand"].isna().all()
    assert set(both["vintage"]) == {"2025-05"}


def test_the_state_has_the_jobs_of_the_area_that_bears_its_name(marts):
    value, status = marts.execute(
        "select value, status from marts.fct_metric "
        "where metric_id = 'labor_high_wage' and org_level = 'SEA' and school_year = 2019"
    ).fetchone()

    assert status == "reported"
    assert 0.3 < value < 0.7


def test_a_program_is_justified_by_the_crosswalk(marts):
    crosswalk = pd.read_csv(DATA / "reference/CIP2020_SOC2018_Crosswalk.csv", dtype=str)
    welding = set(crosswalk.loc[crosswalk["CIP2020Code"] == "48.0508", "SOC2018Code"])
    found = marts.execute(
        "select soc, wage_median, completers_status, ratio_status from marts.program_justification "
        "where cip = '48.0508' and region = 'North Carolina'"
    ).df()

    assert "51-4121" in set(found["soc"]) <= welding
    assert set(found["completers_status"]) == {"not_collected"}
    assert set(found["ratio_status"]) == {"not_collected"}


def test_a_district_is_in_the_county_of_its_schools_and_the_area_of_the_county(marts, year):
    """By the raw directory and the seed; the county of several counties is none."""
    directory = north_carolina.file(DATA, year, "rcd_location")
    schools = directory[directory["agency_level"] == "SCH"]
    lea = schools["lea_code"].where(schools["lea_code"] != "CH", schools["org_id"])
    counties = schools.groupby(lea)["county"].agg(set)
    area = pd.read_csv(SEEDS / "nc_counties.csv", dtype=str).set_index("county")["region"]
    found = marts.execute(
        "select org_id, county, region from marts.dim_organization "
        "where org_level = 'LEA' and school_year = ?",
        [year],
    ).df()
    found = found.set_index("org_id").reindex(counties.index)

    for org_id, names in counties.items():
        [county] = names if len(names) == 1 else [None]
        told = found.loc[org_id].fillna("none")
        of_area = area.get(county)
        assert told["county"] == (county or "none"), org_id
        assert told["region"] == ("none" if pd.isna(of_area) else of_area), org_id
    assert found["region"].notna().sum() > 180
    # What did not match, by name: the only county that is none.
    assert set(schools["county"].dropna()) - set(area.index) <= {"Statewide"}


def test_the_seed_of_counties_has_every_county_once_and_areas_that_the_wage_file_knows():
    seed = pd.read_csv(SEEDS / "nc_counties.csv", dtype=str)
    fips = pd.read_csv(DATA / "nc" / "reference" / "FIPS_Codes.csv", dtype=str)
    wages = pd.read_csv(DATA / "reference" / "oews_may2025_nc_ct_us.csv", dtype=str)
    areas = set(wages.loc[wages["state_code"] == "37", "area_name"])
    named = fips["RegionName"].str.removesuffix(" County")
    codes = pd.read_csv(SEEDS / "code_set.csv", dtype=str)
    codes = codes[(codes["state"] == "nc") & (codes["code_set"] == "county")]["code"]

    assert dict(zip(seed["county"], seed["county_fips"], strict=True)) == dict(
        zip(named, fips["GeoFIPS"], strict=True)
    )
    assert set(codes) == {*seed["county"], "Statewide"}
    unknown = set(seed["region"].dropna()) - areas
    assert unknown == {"Virginia Beach-Chesapeake-Norfolk, VA-NC"}
    # Every metropolitan area of the wage file has its counties.
    metropolitan = {name for name in areas if name.endswith(("NC", "NC-SC"))}
    assert metropolitan == set(seed["region"].dropna()) - unknown


def test_counties_are_where_the_older_list_has_them_but_for_those_that_moved():
    """The list beside the files is of the areas before 2023; what differs is known by name."""
    seed = pd.read_csv(SEEDS / "nc_counties.csv", dtype=str).set_index("county")["region"]
    fips = pd.read_csv(DATA / "nc" / "reference" / "FIPS_Codes.csv", dtype=str)
    before = fips.set_index(fips["RegionName"].str.removesuffix(" County"))["Metro"]
    before = before.reindex(seed.index)
    first = seed.str.split(",").str[0].str.split("-").str[0]
    micropolitan = before.notna() & seed.isna()
    same = (first == before.str.split("-").str[0]) | (before.isna() & seed.isna())
    moved = set(seed.index[~same & ~micropolitan])

    assert moved == {"Anson", "Brunswick", "Camden"}
    # Left their metropolitan area: no area of the survey is known for them.
    assert {"Haywood", "Craven", "Jones", "Pamlico"} <= set(seed.index[seed.isna()])


def test_a_districts_labor_market_is_that_of_its_area(marts):
    """Jobs in high-wage occupations over jobs in occupations of which the wage is told."""
    wages = pd.read_csv(DATA / "reference" / "oews_may2025_nc_ct_us.csv", dtype=str)
    wages = wages[wages["state_code"] == "37"]
    median = pd.to_numeric(wages["a_median"], errors="coerce")
    jobs = pd.to_numeric(wages["tot_emp"], errors="coerce")
    whole = wages["occ_code"] == "000000"
    of_all = zip(wages["area_name"][whole], median[whole], strict=True)
    of_area = wages["area_name"].map(dict(of_all))
    known = (wages["display_level"] == "3") & (median.notna() | (wages["fn_amed"] == "5"))
    high = known & ((median >= of_area) | (wages["fn_amed"] == "5"))
    share = (
        jobs[high].groupby(wages["area_name"]).sum() / jobs[known].groupby(wages["area_name"]).sum()
    )
    found = marts.execute(
        "select org_id, region, value, fct_metric.status from marts.fct_metric "
        "join marts.dim_organization using (state, school_year, org_level, org_id) "
        "where metric_id = 'labor_high_wage' and org_level = 'LEA' and school_year = 2019 "
        "and group_category = 'all'"
    ).df()
    told = found[found["region"].isin(share.index)]

    assert len(told) > 180
    assert np.allclose(told["value"].astype(float), told["region"].map(share), rtol=1e-9)
    # Districts whose area is not known, or not in the file, were never told; none is missing.
    assert set(found[~found["region"].isin(share.index)]["status"]) == {"not_collected"}


@pytest.mark.parametrize("other_year", OTHER_YEARS)
def test_concentrators_of_years_without_a_report_card_are_the_workbooks(marts, other_year):
    theirs = north_carolina.concentrators_of_years(DATA, other_year)
    if other_year == 2021:
        theirs = pd.concat(
            [theirs[theirs["org_level"] != "SEA"], north_carolina.perkins_concentrators(DATA)]
        )
    mine = ours(marts, other_year, "cte_concentrators").dropna(subset="value")
    both = theirs.merge(mine, on=CELL, how="outer", suffixes=("_raw", ""), indicator=True)

    assert len(theirs) > 4_000
    assert (both["_merge"] == "both").all(), both[both["_merge"] != "both"].head()
    assert (both["value_raw"] == both["value"]).all()


def test_the_states_report_under_perkins_is_the_sum_of_its_schools():
    """Two publishers' files of 2021 that say the same, cluster by cluster."""
    schools = north_carolina.concentrators_of_years(DATA, 2021)
    schools = schools[schools["org_level"] == "SCH"].groupby("group_value")["value"].sum()
    report = north_carolina.perkins_concentrators(DATA)
    clusters = report[report["group_category"] == "career_cluster"].set_index("group_value")
    whole = report[report["group_category"] == "all"]["value"].item()

    assert clusters["value"].to_dict() == schools.to_dict()
    assert whole == schools.sum() == 54_075


def test_a_year_of_one_workbook_has_organizations_and_nothing_else(marts):
    """They have their names from the nearest directory; every other metric is not collected."""
    named, asked = marts.execute(
        "select count(name), count(*) from marts.dim_organization "
        "where school_year = 2022 and org_level = 'SCH'"
    ).fetchone()
    statuses = marts.execute(
        "select distinct status from marts.fct_metric where school_year = 2022 "
        "and metric_id not in ('cte_concentrators', 'cte_concentration_rate', 'labor_high_wage')"
    ).fetchall()

    assert asked > 500
    assert named / asked > 0.95
    assert set(statuses) <= {("not_collected",), ("not_applicable",)}


def test_wages_of_2022_are_those_of_the_states_workbook(marts):
    book = pd.read_excel(DATA / "nc/workforce/oews_2022.xlsx", sheet_name="DETAILOES", dtype=str)
    book = book[book["Occupational Code"] != "00-0000"].set_index("Occupational Code")
    found = marts.execute(
        "select soc, employment, employment_status, wage_p25, wage_median, wage_p75, vintage, "
        "region, is_high_wage from marts.fct_labor_market where school_year = 2022"
    ).df()
    found = found.set_index("soc").sort_index()
    columns = {
        "employment": "Employment",
        "wage_p25": "Annual wage; 25th percentile",
        "wage_median": "Annual wage; median",
        "wage_p75": "Annual wage; 75th percentile",
    }

    assert sorted(book.index) == list(found.index)
    for ours_, theirs in columns.items():
        told = pd.to_numeric(book[theirs].replace("*", np.nan)).sort_index()
        assert told.equals(found[ours_].astype(float).rename(told.name)), ours_
    assert (found["employment_status"] == "suppressed_primary").sum() == 19
    high = found["wage_median"] >= 41_810
    known = found["wage_median"].notna()
    assert (found["is_high_wage"][known].astype(bool) == high[known]).all()
    assert set(found["vintage"]) == {"2022-05"}
    assert set(found["region"]) == {"North Carolina"}
