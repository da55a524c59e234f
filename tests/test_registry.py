"""A state's file says where its extracts are, in the words that publishers use for a year."""

from __future__ import annotations

import pytest

from include.registry import Extract


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
