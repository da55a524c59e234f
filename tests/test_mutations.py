"""The mistakes of mutations.yml can still be made; `make mutations` makes them."""

from __future__ import annotations

import shutil

import pytest

from ops import mutations


@pytest.mark.parametrize("mistake", mutations.mistakes(), ids=lambda one: one.because)
def test_the_mistake_can_be_made_where_it_says(mistake, tmp_path):
    file = tmp_path / "dbt_project" / mistake.file
    file.parent.mkdir(parents=True)
    shutil.copyfile(mutations.ROOT / "dbt_project" / mistake.file, file)
    before = file.read_text()

    mistake.make(tmp_path)

    assert file.read_text() != before


def test_a_mistake_that_can_no_longer_be_made_is_named(tmp_path):
    gone = mutations.Mistake("a thing that was", "models/x.sql", "find", "put")

    with pytest.raises(mutations.Stale, match="a thing that was"):
        gone.make(tmp_path)


def test_the_page_keeps_what_it_says_of_mistakes_that_are_not_made_again():
    one, other, new = (
        mutations.Mistake(because, "models/x.sql", "find", "put") for because in ("one", "two", "3")
    )
    made = {
        "one": "| one | `models/x.sql` | `tests/a.py::b` |",
        "two": "| two | `models/x.sql` | **nobody** |",
    }
    page = mutations.page_of(made, [one, other, new])

    assert "1 of 2 mistakes are noticed; 1 of tests/mutations.yml were not made yet." in page
    kept = mutations.rows_of(page)
    assert {because: kept[because] for because in made} == made
