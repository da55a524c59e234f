"""Every question of docs/questions.md has an answer, and the page holds what a query says."""

from __future__ import annotations

import re

import duckdb
import pytest

from ops import questions

PAGE = questions.PAGE.read_text()
ASKED = {question.title: question for question in questions.questions(PAGE)}
# What small random states may have nobody for: a gap beyond its margin, a school in support.
MAY_BE_EMPTY = (
    "behind",
    "elementary",
    "redesign",
    "monitoring",
    "workbook",
    "improve",
    "assessment",
)


def test_the_page_asks_of_every_state_that_is_named():
    for state in (
        "Massachusetts",
        "South Carolina",
        "North Carolina",
        "Tennessee",
        "Maryland",
        "Nebraska",
        "Texas",
        "Alabama",
        "Colorado",
        "Hawaii",
        "Race to the Top",
    ):
        assert any(title.startswith(state) for title in ASKED), state


@pytest.mark.parametrize("title", ASKED)
def test_a_question_is_answered_by_the_marts(built, title):
    question = ASKED[title]
    with duckdb.connect(str(built.database), read_only=True) as connection:
        connection.execute("set schema = 'marts'")
        told = questions.answer(connection, question.sql).splitlines()

    header = re.split(r" {2,}", question.answer.splitlines()[0].strip())
    assert re.split(r" {2,}", told[0].strip()) == header
    if not any(word in title for word in MAY_BE_EMPTY):
        assert len(told) > 2


@pytest.mark.parametrize("title", ASKED)
def test_the_page_holds_rows_for_every_question(title):
    assert len(ASKED[title].answer.splitlines()) > 2


def test_answers_are_written_in_their_places():
    page = (
        "## One\n\nWhy.\n\n```sql\nselect 1 as n\n```\n\n```text\n```\n\n"
        "## Two\n\n```sql\nselect 'a' as b\n```\n\n```text\nold\n```\n"
    )
    asked = questions.questions(page)
    told = questions.answered(page, [(asked[0], "n\n-\n1\n"), (asked[1], "b\n-\na\n")])

    assert [q.answer for q in questions.questions(told)] == ["n\n-\n1\n", "b\n-\na\n"]
    assert told.replace("n\n-\n1\n", "").replace("b\n-\na\n", "old\n") == page


def test_a_query_without_a_place_for_its_answer_is_refused():
    with pytest.raises(ValueError, match="1 queries, 0 of them"):
        questions.questions("## One\n\n```sql\nselect 1\n```\n")


def test_what_has_no_value_is_a_dash_and_no_zero_is_below_zero():
    with duckdb.connect() as connection:
        told = questions.answer(
            connection,
            "select null as a, round(-0.001, 1)::double as b, true as c, 1234.5::double as d",
        )

    assert told.splitlines()[-1].split() == ["-", "0", "yes", "1,234"]


def test_a_state_without_a_release_is_told_how_to_make_one(home):
    with pytest.raises(SystemExit, match="make demo"):
        questions.main([])
