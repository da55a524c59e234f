"""A state's file says where its extracts are, in the words that publishers use for a year."""

from __future__ import annotations

import os

import pytest

from include.registry import STATES, Extract, States, said


@pytest.mark.parametrize(
    ("source", "location"),
    [
        ("nc/{school_year}/ec_pupils.csv", "nc/2000/ec_pupils.csv"),
        ("ct/{school_years}/enrollment__{school_years}.csv", "ct/1999-00/enrollment__1999-00.csv"),
    ],
)
def test_a_school_year_is_written_as_the_publisher_writes_it(source, location):
    extract = Extract(
        group="enrollment",
        description="membership",
        school_years=[2000],
        source=source,
        key=["lea"],
        rows=(0, 10),
        columns={"lea": ["LEA"]},
    )

    assert extract.location(2000) == location


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cte_enrollment", "CTE enrollment"),
        ("cip_soc", "CIP SOC"),
        ("lea reference 2025", "LEA reference 2025"),
        ("social_studies", "social studies"),
    ],
)
def test_a_name_is_said_as_people_say_it(name, words):
    assert said(name) == words


def test_a_state_that_is_added_or_corrected_is_seen_by_who_has_read_the_states_already(tmp_path):
    told = (STATES / "zz.yml").read_text()
    (tmp_path / "zz.yml").write_text(told)
    states = States(tmp_path)
    assert (list(states), states["zz"].name) == (["zz"], "Franklin")

    (tmp_path / "zy.yml").write_text(told.replace("state: zz", "state: zy"))
    (tmp_path / "zz.yml").write_text(told.replace("name: Franklin", "name: New Franklin"))
    os.utime(tmp_path / "zz.yml", (0, 0))
    assert (list(states), states["zz"].name) == (["zy", "zz"], "New Franklin")
    (tmp_path / "zy.yml").unlink()
    assert "zy" not in states


@pytest.mark.parametrize("code", ["../zz", "/etc/zz", "x/../zz", "zz\0", "z" * 300, "", "."])
def test_a_code_out_of_an_address_names_no_file_elsewhere(tmp_path, code):
    (tmp_path / "states").mkdir()
    for folder in (tmp_path, tmp_path / "states"):
        (folder / "zz.yml").write_text((STATES / "zz.yml").read_text())
    assert code not in States(tmp_path / "states")
