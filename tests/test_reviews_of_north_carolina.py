"""North Carolina's reviews from its real files: complete, and what pandas makes of the same bytes.

Identified schools are counted in the publisher's own file; values, places and gaps are taken from
the recomputation of the metrics. Then everything is protected: what may be told is all there is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from include import disclosure, warehouse
from ops import attack
from tests import pipeline
from tests.recomputation import north_carolina, reviews
from tests.recomputation.reviews import Number, State

DATA = Path(
    os.environ.get("STATEWIDE_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
).resolve()
YEAR = 2019

pytestmark = pytest.mark.skipif(
    not (DATA / "nc" / "2019").is_dir(),
    reason="the publisher's files are not here; set STATEWIDE_TEST_DATA to their folder",
)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEWIDE_HOME", str(tmp_path_factory.mktemp("nc")))
        patch.setenv("STATEWIDE_EXTRACTS", str(DATA))
        pipeline.load("nc", YEAR)
        yield pipeline.build("nc")


@pytest.fixture(scope="module")
def marts(build) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(warehouse.path("nc", build)), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def flags() -> pd.DataFrame:
    """The identification file, a column for each designation and the district of each school."""
    table = north_carolina.file(DATA, YEAR, "rcd_acc_essa_desig")
    marked = table[["csi_lp", "csi_lg", "tsi_cu", "tsi_at"]].eq("Y")
    return marked.assign(
        school=table["org_id"],
        district=north_carolina.district(table["org_id"]),
        csi=marked["csi_lp"] | marked["csi_lg"],
        targeted=marked["tsi_cu"] | marked["tsi_at"],
    )


def test_as_many_schools_are_identified_as_the_file_says(marts, flags):
    told = marts.execute(
        "select sum(schools), sum(low_performing_schools), sum(low_graduation_schools), "
        "sum(consistently_underperforming_schools), sum(additional_targeted_schools), "
        "sum(csi_schools), sum(tsi_schools), sum(identified_schools) from marts.rar_selection"
    ).fetchone()

    assert told == (
        len(flags),
        *(flags[name].sum() for name in ("csi_lp", "csi_lg", "tsi_cu", "tsi_at")),
        flags["csi"].sum(),
        flags["targeted"].sum(),
        (flags["csi"] | flags["targeted"]).sum(),
    )
    assert told[:5] == (2654, 72, 41, 1471, 1626)


def test_every_district_is_counted_and_judged_as_the_file_says(marts, flags):
    mine = marts.execute(
        "select org_id, schools, csi_schools, tsi_schools, is_selected, status "
        "from marts.rar_selection"
    ).df()
    theirs = flags.groupby("district").agg(
        schools=("school", "size"), csi=("csi", "sum"), targeted=("targeted", "sum")
    )
    # Three of a hundred schools, and a tenth of them exactly, are both many.
    theirs["many"] = (theirs["csi"] >= 3) | (
        (theirs["csi"] * 10 >= theirs["schools"]) & (theirs["csi"] >= 1)
    )
    theirs["many"] |= (theirs["targeted"] >= 5) | (
        (theirs["targeted"] * 5 >= theirs["schools"]) & (theirs["targeted"] >= 2)
    )
    both = mine.merge(theirs, left_on="org_id", right_index=True, how="outer", indicator=True)
    without = both[both["_merge"] == "left_only"]
    both = both[both["_merge"] == "both"]

    assert len(both) == len(theirs)
    assert (both["schools_x"] == both["schools_y"]).all()
    assert (both["csi_schools"] == both["csi"]).all()
    assert (both["tsi_schools"] == both["targeted"]).all()
    assert (both["is_selected"] == both["many"]).all()
    assert 0 < both["is_selected"].sum() < len(both)
    # Agencies without a school in the file: none of their schools is a share of anything.
    assert len(without) > 0
    assert set(without["status"]) == {"not_applicable"}
    assert set(without["schools_x"]) == {0}
    assert not without["is_selected"].any()


def test_a_charter_school_is_an_agency_with_one_school(marts):
    assert marts.execute(
        "select max(schools), count(*) > 100 from marts.rar_selection where is_charter"
    ).fetchone() == (1, True)


def test_the_simulation_at_the_states_own_thresholds_selects_the_same(marts, flags):
    """CSI 3 or 10 percent; nobody is lost between the two tables."""
    by = flags.groupby("district").agg(n=("school", "size"), csi=("csi", "sum"))
    many = (by["csi"] >= 3) | ((by["csi"] * 10 >= by["n"]) & (by["csi"] >= 1))

    assert marts.execute(
        "select leas_selected, identified_schools_covered, identified_schools "
        "from marts.rar_threshold_simulation where designation = 'CSI' and combination = 'or' "
        "and minimum_count = 3 and abs(minimum_share - 0.1) < 1e-9"
    ).fetchone() == (many.sum(), by["csi"][many].sum(), by["csi"].sum())


@pytest.fixture(scope="module")
def state(flags) -> State:
    """What the files say, as far as the review asks of them."""
    found = north_carolina.everything(DATA, YEAR)
    parts = {
        "ppe_total": ("total_funds", "ADM"),
        "ppe_federal": ("federal_funds", "ADM"),
        "ppe_state": ("state_funds", "ADM"),
        "ppe_local": ("local_funds", "ADM"),
        "inexperienced_teacher_rate": ("beg_teacher", "number_of_teachers"),
        "provisional_teacher_rate": ("prov_teachers", "number_of_teachers"),
        "students_per_teacher": ("students", "number_of_teachers"),
        "chronic_absence_rate": ("absent", "enrolled"),
    }
    numbers = {}
    for metric, (over, under) in parts.items():
        told = found[metric].dropna(subset="value")
        for row in told[told["group_category"] == "all"].to_dict("records"):
            numbers[(row["org_level"], row["org_id"]), (metric, "all", "all")] = Number(
                row["value"], row[over], row[under]
            )
    members = found["membership"]
    members = members[(members["group_category"] == "all") & (members["org_level"] == "SCH")]
    poor = north_carolina.file(DATA, YEAR, "rcd_acc_eds")
    share = pd.to_numeric(poor["pct_eds"]) / 100
    # Above 95 and below 5 percent are placed by the middle of what is left.
    share = share.mask(poor["pct_eds_masking"] == "1", 0.975)
    share = share.mask(poor["pct_eds_masking"] == "2", 0.025)
    shares = dict(zip(poor["org_id"], share, strict=True))
    students = dict(zip(members["org_id"], members["value"], strict=True))
    told = State(
        agency_of=dict(zip(flags["school"], flags["district"], strict=True)),
        agencies=set(flags["district"]),
        designations={},
        numbers=numbers,
        pupils={},
    )
    told.quartiles = reviews.poverty_quartiles(
        {org: value for org, value in shares.items() if pd.notna(value)}, students
    )
    return told


def test_the_quartiles_of_poverty_are_those_of_the_files(marts, state):
    mine = dict(
        marts.execute(
            "select org_id, poverty_quartile from marts.dim_organization "
            "where org_level = 'SCH' and poverty_quartile is not null"
        ).fetchall()
    )

    assert mine == state.quartiles


def test_places_and_gaps_are_those_of_the_files(marts, state):
    lines = marts.execute(
        "select lea_id, org_level, org_id, metric_id, value, percentile, poverty_gap, "
        "poverty_gap_status, state_poverty_gap from marts.rar_review "
        "where metric_id in (select unnest(?)) and group_category = 'all'",
        [sorted({metric for _, (metric, *_) in state.numbers})],
    ).fetchall()
    schools_of: dict[str, list[str]] = {}
    for school in state.quartiles:
        schools_of.setdefault(school if school[2].isalpha() else school[:3] + "LEA", []).append(
            school
        )
    places, gaps, whole = {}, {}, {}
    compared = 0
    for lea, level, org, metric, value, place, gap, gap_status, state_gap in lines:
        measure = (metric, "all", "all")
        if (level, metric) not in places:
            places[level, metric] = reviews.percentiles(state, level, measure)
            whole[metric] = reviews.poverty_gap(state, measure, state.quartiles)
        if (lea, metric) not in gaps:
            gaps[lea, metric] = reviews.poverty_gap(state, measure, schools_of.get(lea, []))
        told = state.numbers.get(((level, org), measure))

        assert (value is None) == (told is None)
        assert value is None or value == pytest.approx(told.value, rel=1e-9)
        assert place is None or place == pytest.approx(places[level, metric][org], abs=1e-9)
        assert state_gap == pytest.approx(whole[metric], rel=1e-9)
        if gap_status == "reported":
            compared += 1
            assert gap == pytest.approx(gaps[lea, metric], rel=1e-9, abs=1e-12)
    assert compared > 5000
    assert sum(place is not None for *_, place, _, _, _ in lines) > 15000


def test_the_review_of_every_selected_district_is_complete(marts):
    """Every organization has every measure of all ten dimensions, if only to say why not."""
    (uneven,) = marts.execute(
        "select count(*) from (select org_level, org_id, count(*) as measures, "
        "count(distinct dimension) as dimensions from marts.rar_review group by all) "
        "where dimensions <> 10 or measures <> "
        "(select count(*) from seeds.rar_dimension where state = 'default')"
    ).fetchone()
    selected, reviewed, identified, seen = marts.execute(
        "select (select count(*) from marts.rar_selection where is_selected), "
        "(select count(distinct lea_id) from marts.rar_review), "
        "(select count(*) from intermediate.int_identified_schools as school "
        "semi join (select org_id from marts.rar_selection where is_selected) as chosen "
        "on school.lea_id = chosen.org_id where is_identified), "
        "(select count(distinct org_id) from marts.rar_review where designations is not null)"
    ).fetchone()
    facilities = marts.execute(
        "select distinct status from marts.rar_review where dimension = 9"
    ).fetchall()

    assert uneven == 0
    assert selected == reviewed
    assert identified == seen
    assert facilities == [("not_collected",)]


def test_the_order_of_need_is_one_order(marts):
    for level in ("LEA", "SCH"):
        told = marts.execute(
            "select priority, score from marts.rar_monitoring_priority where org_level = ? "
            "and score is not null order by priority",
            [level],
        ).fetchall()
        scores = [score for _, score in told]

        assert [priority for priority, _ in told] == list(range(1, len(told) + 1))
        assert scores == sorted(scores, reverse=True)


@pytest.fixture(scope="module")
def protected(build) -> str:
    return disclosure.protect("nc", build)


def test_no_small_count_of_north_carolina_can_be_worked_out_by_who_has_a_solver(protected):
    """Counts that public figures tell, or nearly, are the policy's: the report says how many."""
    found = attack.compare("nc", protected, measured=100)
    published = found.loc["as published"]

    assert published["small"] > 10_000
    assert published["measured"] == 100
    assert published[["told", "worked out", "known too closely"]].tolist() == [0, 0, 0]
    assert found.loc["small counts alone", "worked out"] > 1_000
    assert found.loc["by hand", "worked out"] > 10


def test_what_is_published_of_a_review_is_what_is_published_of_its_metrics(build, protected):
    """What the state's policy hides, a review does not tell."""
    with duckdb.connect(str(disclosure.protected("nc", build)), read_only=True) as told:
        told.execute(f"attach '{warehouse.path('nc', build)}' as exact (read_only)")
        lost, hidden, differing = told.execute(
            "select count(*) filter (where was.org_id is null or review.org_id is null), "
            "count(*) filter (where was.status = 'reported' and review.status <> 'reported'), "
            "count(*) filter (where review.value is distinct from fact.value "
            "or (fact.status is not null and review.status <> fact.status)) "
            "from published.rar_review as review "
            "full join exact.marts.rar_review as was "
            "using (school_year, org_level, org_id, measure) "
            "left join published.fct_metric as fact on review.school_year = fact.school_year "
            "and review.org_level = fact.org_level and review.org_id = fact.org_id "
            "and review.metric_id = fact.metric_id "
            "and review.group_category = fact.group_category "
            "and review.group_value = fact.group_value"
        ).fetchone()
        (of_lea,) = told.execute(
            "select count(*) from published.rar_review as review "
            "join published.fct_metric as fact on review.school_year = fact.school_year "
            "and fact.org_level = 'LEA' and review.lea_id = fact.org_id "
            "and review.metric_id = fact.metric_id "
            "and review.group_category = fact.group_category "
            "and review.group_value = fact.group_value "
            "where review.lea_value is distinct from fact.value"
        ).fetchone()
        (flagged,) = told.execute(
            "select count(*) from published.rar_review where value is null "
            "and (percentile is not null or flag is not null)"
        ).fetchone()
        selections = told.execute(
            "select count(*) from ("
            "select org_id, csi_schools, is_selected from published.rar_selection "
            "except select org_id, csi_schools, is_selected from exact.marts.rar_selection)"
        ).fetchone()

    assert (lost, differing, of_lea, flagged) == (0, 0, 0, 0)
    assert hidden > 1000
    assert selections == (0,)
