"""A landed file is accepted with its good rows, or refused whole; nothing is lost or given away."""

import hashlib
import hmac
import json
import logging
import os
import traceback

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include import identifiers, lake, quality, registry, tables
from tests.landing import EXTRACT, HEADER, STATE, YEAR, Landing


@pytest.fixture
def landing(home, tmp_path, monkeypatch):
    monkeypatch.delenv(identifiers.VARIABLE, raising=False)
    yield Landing(tmp_path / "states", monkeypatch)
    monkeypatch.undo()
    registry.states.cache_clear()


def row(school="0001", grade="PK", students="10", year="2019", opened="2018-09-01"):
    return [year, school, grade, students, opened]


def test_good_rows_enter_as_text_with_their_row_number_and_file(landing):
    verdict = landing.check([row(students="1"), row("0002", students="*"), row("0003", opened="")])

    assert landing.accepted() == [
        (2, "2019", "0001", "PK", "1", "2018-09-01"),
        (3, "2019", "0002", "PK", "*", "2018-09-01"),
        (4, "2019", "0003", "PK", "10", None),
    ]
    assert landing.accepted("distinct _file") == [(landing.sha256,)]
    assert verdict["verdict"] == "accepted"
    assert {promise["outcome"] for promise in verdict["promises"]} == {"kept"}
    assert landing.quarantine() == []


def test_the_record_of_the_load_travels_in_the_checked_file_and_loads(landing):
    load = landing.load([row(), row("0002"), row("0003", students="many")])

    assert (load.rows_in, load.accepted, load.quarantined) == (3, 2, 1)
    assert load.spec == quality.spec(STATE, EXTRACT)
    assert lake.accepted(STATE, EXTRACT, YEAR) == load


def test_bad_rows_are_set_aside_with_row_column_class_and_reason(landing):
    landing.check(
        [row(), row("0002"), row("0003"), row("0004"), row(), row(None), row("0006", "XX", "-5")]
    )

    assert landing.quarantine() == [
        (6, "school_id, grade", None, "exact duplicate of row 2", None),
        (7, "school_id", "empty", "empty, but required", None),
        (8, "grade", "letters(2)", "not an accepted code", "XX"),
        (8, "students", "too small", "out of range", "-5"),
    ]
    assert [number for number, *_ in landing.accepted()] == [2, 3, 4, 5]


def test_rows_that_contradict_each_other_are_all_set_aside(landing):
    landing.check(
        [row(students="10"), row(students="11"), row(students="10"), row("0002"), row("0003"),
         row("0004")]
    )  # fmt: skip

    assert [(number, reason[:35]) for number, _, _, reason, _ in landing.quarantine()] == [
        (number, "key is there more than once with di") for number in (2, 3, 4)
    ]


def test_a_number_is_the_same_key_however_it_is_written(landing):
    landing.declare(key=["school_id", "grade", "school_year"])
    landing.check([row(), row(year="2019.0", students="11"), row("0002"), row("0003")])

    assert [number for number, *_ in landing.quarantine()] == [2, 3]


def test_footers_are_set_aside_and_are_not_bad_rows(landing):
    landing.declare(footers=[{"school_id": "TOTL"}, {"grade": "ALL"}], max_bad_rows=0)
    verdict = landing.check([row(), row("TOTL", "", ""), row("0009", "ALL", "99999")])

    assert [(number, reason) for number, _, _, reason, _ in landing.quarantine()] == [
        (3, "declared footer"),
        (4, "declared footer"),
    ]
    assert (verdict["rows_in"], verdict["accepted"], verdict["footers"]) == (3, 1, 2)


def test_a_suspect_value_may_be_loaded_and_reported(landing, caplog):
    landing.declare(
        columns={"students": {"headers": ["Students"], "type": "integer", "otherwise": "warn"}}
    )
    verdict = landing.check([row(), row("0002", students="many")])

    assert len(landing.accepted()) == 2
    assert landing.quarantine() == []
    [warned] = [p for p in verdict["promises"] if p["outcome"] == "warned"]
    assert (warned["promise"], warned["first_rows"]) == ("students: a whole number", [3])
    assert "students: a whole number: 1 row" in caplog.text


def test_a_refused_file_leaves_reasons_and_the_last_good_load(landing):
    good = landing.load([row(), row("0002")])
    error = landing.refuse([row(), row("0002", "XX"), row("0003", "YY"), row("0004", "ZZ")])

    message = str(error)
    assert "qq enrollment 2019: enrollment.csv" in message
    assert "at most 50% of the rows are bad" in message
    assert "expected at most 2 of 4 rows; observed 3 rows" in message
    assert "grade: one of PK, KG, 01" in message
    assert "row 3, 4, 5, column grade" in message
    assert "to do: " in message
    assert f"The last good load stays: 2 rows of {good.sha256[:12]}" in message
    assert str(lake.quarantined(STATE, EXTRACT, YEAR, landing.sha256)) in message
    assert [promise["outcome"] for promise in error.promises] == ["broken", "broken"]
    assert len(landing.quarantine()) == 3
    assert landing.verdict()["verdict"] == "refused"
    assert not landing.checked.exists()
    assert lake.accepted(STATE, EXTRACT, YEAR) == good


def test_rows_that_passed_under_an_older_declaration_do_not_outlive_a_refusal(landing):
    landing.check([row(), row("0002")])
    assert landing.checked.exists()

    landing.declare(rows=[50, 100])
    landing.refuse([row(), row("0002")])

    assert not landing.checked.exists()


def test_every_run_leaves_data_docs_that_say_what_was_promised(landing):
    landing.check([row(), row("0002")])

    site = lake.data_docs(STATE) / EXTRACT / str(YEAR) / landing.sha256[:12]
    assert (site / "index.html").exists()
    [page] = site.glob("validations/**/*.html")
    assert "every declared column is there" in page.read_text()
    assert (site / "static" / "styles").is_dir()


def test_the_pages_of_one_file_stay_when_another_is_checked(landing):
    landing.check([row()])
    first = landing.sha256
    landing.check([row(), row("0002")])

    sites = lake.data_docs(STATE) / EXTRACT / str(YEAR)
    assert {site.name for site in sites.iterdir()} == {first[:12], landing.sha256[:12]}


def test_an_unchanged_file_is_not_checked_again(landing, caplog):
    landing.load([row(), row("0002")])
    caplog.set_level(logging.INFO)

    quality.check(STATE, EXTRACT, YEAR, landing.sha256)

    assert "unchanged, not checked again" in caplog.text
    assert not landing.checked.exists()


def test_the_same_file_is_checked_again_when_its_declaration_changes(landing):
    landing.load([row(), row("0002")])
    before = quality.spec(STATE, EXTRACT)
    landing.declare(columns={"grade": {"headers": ["Grade"], "codes": ["PK"]}})

    quality.check(STATE, EXTRACT, YEAR, landing.sha256)

    assert quality.spec(STATE, EXTRACT) != before
    assert landing.checked.exists()


def test_the_same_rows_give_the_same_bytes_in_the_same_order(landing):
    landing.declare(rows=[1, 200_000], columns={"school_id": {"headers": ["School"]}})
    landing.check([row(f"{n}", students="x" if n % 7 == 0 else "1") for n in range(130_000)])
    first = landing.checked.read_bytes()
    quality.check(STATE, EXTRACT, YEAR, landing.sha256)

    numbers = [number for (number,) in landing.accepted("_row")]
    assert numbers == sorted(numbers)
    assert landing.checked.read_bytes() == first


def test_code_sets_are_those_of_the_state_and_of_all_states(landing, tmp_path, monkeypatch):
    seed = tmp_path / "code_set.csv"
    seed.write_text(
        "state,code_set,code,label\n*,grade,PK,x\nqq,grade,KG,x\nzz,grade,01,x\nqq,other,XX,x\n"
    )
    monkeypatch.setattr(quality, "CODE_SETS", seed)
    landing.declare(columns={"grade": {"headers": ["Grade"], "codes": "grade"}})
    before = quality.spec(STATE, EXTRACT)

    landing.check([row(grade="PK"), row(grade="KG"), row(grade="01")])
    assert [number for number, *_ in landing.quarantine()] == [4]

    seed.write_text(seed.read_text() + "qq,grade,01,x\n")
    assert quality.spec(STATE, EXTRACT) != before


def test_a_code_set_that_nobody_has_written_is_named(landing, tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "CODE_SETS", tmp_path / "none.csv")
    landing.declare(columns={"grade": {"headers": ["Grade"], "codes": "grades"}})

    with pytest.raises(registry.BadDeclaration, match="column grade names the code set 'grades'"):
        landing.check([row()])


def test_what_cannot_be_evaluated_is_an_error_and_not_a_failure(landing):
    good = landing.load([row()])
    landing.declare(row_rules={"pupils > 0": "a school without pupils"})

    with pytest.raises(quality.CheckErrored) as stopped:
        landing.check([row(), row("0002", "XX")])

    message = str(stopped.value)
    assert "could not be checked" in message
    assert "a school without pupils" in message
    assert 'Referenced column "pupils" not found' in message
    assert "grade: one of" not in message
    verdict = landing.verdict()
    outcomes = {p["promise"]: p["outcome"] for p in verdict["promises"]}
    assert verdict["verdict"] == "errored"
    assert outcomes["a school without pupils"] == "errored"
    assert outcomes["grade: one of PK, KG, 01"] == "broken"
    assert not landing.checked.exists()
    assert lake.accepted(STATE, EXTRACT, YEAR) == good


def test_a_pattern_that_is_none_is_an_error_and_not_a_failure(landing):
    landing.declare(columns={"grade": {"headers": ["Grade"], "pattern": "(["}})

    with pytest.raises(quality.CheckErrored, match=r"grade: of the form \(\[") as stopped:
        landing.check([row()])
    assert "2 promises errored" in str(stopped.value)


def test_patterns_may_hold_braces_colons_percents_and_quotes(landing):
    landing.declare(
        columns={"grade": {"headers": ["Grade"], "pattern": r"(?:a:b|%s|it's){1,2}\d{0}"}}
    )
    landing.check([row(grade="a:b"), row(grade="%s%s"), row(grade="it's"), row(grade="KG")])

    assert [(number, value) for number, *_, value in landing.quarantine()] == [(5, "KG")]


def test_a_rule_that_one_row_defeats_sets_that_row_aside(landing):
    landing.declare(row_rules={"cast(opened as date) < '2019-01-01'": "opened too late"})
    landing.check([row(), row("0002", opened=""), row("0003", opened="soon"), row("0004")])

    assert "opened too late" in {reason for _, _, _, reason, _ in landing.quarantine()}
    assert {number for number, *_ in landing.quarantine()} == {4}


def test_an_override_needs_a_reason_and_keeps_it(landing, caplog):
    landing.load([row(f"{n:04}") for n in range(10)])
    few = [row("0001"), row("0002")]
    landing.refuse(few)

    with pytest.raises(ValueError, match="needs a reason"):
        landing.check(few, override_reason=" ")
    verdict = landing.check(few, override_reason="eight schools closed in June")

    assert verdict["verdict"] == "accepted"
    assert verdict["override_reason"] == "eight schools closed in June"
    assert "fewer rows than the last good load" in caplog.text


def test_who_let_a_file_pass_and_why_stays_with_the_load_and_only_where_it_was_needed(landing):
    rows = [row(f"{n:04}") for n in range(10)]
    why = {"override_reason": "eight schools closed in June", "override_by": "rosa"}
    whole = landing.load(rows, **why)
    assert lake.override(whole) is None, "nothing had to be overridden"

    few = landing.load(rows[:2], **why)
    assert lake.override(few) == {
        "reason": "eight schools closed in June",
        "by": "rosa",
        "promises": ["at most 20% fewer rows than the last good load"],
    }


def test_an_override_does_not_let_an_unknown_header_pass(landing):
    error = landing.refuse(
        [[*row(), "x"]], header=[*HEADER, "Surprise"], override_reason="they said so"
    )

    assert "unknown: 'Surprise'" in str(error)


def test_bytes_that_are_no_table_are_named_as_such(landing, home):
    content = b"<!DOCTYPE html><html><body>Not found</body></html>"
    sha256 = hashlib.sha256(content).hexdigest()
    part = home / "part"
    part.write_bytes(content)
    lake.receive(STATE, EXTRACT, YEAR, part, {"source": "x", "sha256": sha256})

    with pytest.raises(tables.Unreadable, match="HTML"):
        quality.check(STATE, EXTRACT, YEAR, sha256)


def test_a_header_cannot_write_markup_into_data_docs(landing):
    landing.refuse([[*row(), "x"]], header=[*HEADER, "<script>alert(1)</script>{batch}${x}"])

    pages = "".join(page.read_text() for page in lake.data_docs(STATE).rglob("*.html"))
    assert "&lt;script&gt;alert(1)" in pages
    assert "<script>alert(1)" not in pages


def test_nothing_is_left_in_the_workplace(landing, home):
    landing.check([row()])
    landing.refuse([row(grade="XX")])

    assert list((home / "work").iterdir()) == []


# ---------- persons

PERSON = "987654321"
PEOPLE = {
    "student_id": {
        "headers": ["Student"], "required": True, "pattern": "[0-9]{9}", "personal": True,
    },
    "name": {"headers": ["Name"], "optional": True},
}  # fmt: skip


def person(student, grade="PK", students="10", name="Zebulon"):
    return [*row(grade=grade, students=students), student, name]


def everything_written(home):
    """All bytes under STATEWIDE_HOME but the landed object, text inside Parquet included."""
    for path in sorted(home.rglob("*")):
        if path.is_file() and "objects" not in path.parts:
            yield path, path.read_bytes()
            if path.suffix == ".parquet":
                found = duckdb.sql(f"from read_parquet('{path}')").fetchall()
                yield path, repr(found).encode()


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        ({"max_bad_rows": 1}, None),
        ({"max_bad_rows": 0}, quality.BrokenPromises),
        ({"row_rules": {"nowhere > 1": "a rule that cannot be read"}}, quality.CheckErrored),
        (
            {"row_rules": {"student_id not in (select error(student_id))": "a rule that shouts"}},
            quality.CheckErrored,
        ),
    ],
    ids=["accepted", "refused", "errored", "errored with the value in the exception"],
)
def test_a_person_appears_nowhere(landing, home, caplog, capfd, changes, stops):
    caplog.set_level(logging.DEBUG)
    landing.declare(columns=PEOPLE, key=["student_id"], **changes)
    rows = [
        person("123456789"), person(PERSON, grade="XX"), person("555443333", students="9999"),
        person("77X66Y555"), person(PERSON, name="Jedediah"), person("123456789"),
    ]  # fmt: skip
    header = [*HEADER, "Student", "Name"]
    message = ""
    if stops:
        with pytest.raises(stops) as stopped:
            landing.check(rows, header=header)
        message = f"{stopped.value} {stopped.value.promises}"
        message += "".join(traceback.format_exception(stopped.value))
    else:
        landing.check(rows, header=header)
    printed = capfd.readouterr()

    given_away = [PERSON, "123456789", "555443333", "77X66Y555"]
    for secret in given_away:
        for path, content in everything_written(home):
            assert secret.encode() not in content, path
        for told in (message, caplog.text, printed.out, printed.err):
            assert secret not in told
    key = (home / "hmac.key").read_bytes()
    for path, content in everything_written(home):
        assert path.name == "hmac.key" or key not in content, path
    assert all(value is None for *_, value in landing.quarantine()) if not stops else True


def test_a_person_has_the_name_that_the_key_gives(landing):
    landing.declare(columns=PEOPLE, key=["student_id"])
    landing.check([person(PERSON), person("123456789")], header=[*HEADER, "Student", "Name"])

    expected = hmac.new(identifiers.key(), PERSON.encode(), hashlib.sha256).hexdigest()
    assert landing.accepted("student_id")[0] == (expected,)


def test_the_quarantine_of_persons_tells_the_kind_of_value_only(landing):
    landing.declare(columns=PEOPLE, key=["student_id"], max_bad_rows=1)
    landing.check(
        [person("12345"), person("ABC"), person("12-45"), person(""), person(PERSON, "Q9")],
        header=[*HEADER, "Student", "Name"],
    )

    assert landing.quarantine() == [
        (2, "student_id", "digits(5)", "not of the declared form", None),
        (3, "student_id", "letters(3)", "not of the declared form", None),
        (4, "student_id", "number(5)", "not of the declared form", None),
        (5, "student_id", "empty", "empty, but required", None),
        (6, "grade", "mixed(2)", "not an accepted code", None),
    ]


def test_another_key_means_checking_again(landing, monkeypatch):
    landing.declare(columns=PEOPLE, key=["student_id"])
    before = quality.spec(STATE, EXTRACT)
    monkeypatch.setenv(identifiers.VARIABLE, "another key of the same agency, long enough")

    assert quality.spec(STATE, EXTRACT) != before


# ---------- rows in = rows accepted + rows quarantined

CELLS = st.tuples(
    st.sampled_from(["2019", "2018", "2,019", "", "x"]),
    st.sampled_from(["0001", "0002", "0003", "TOTL", "", "1"]),
    st.sampled_from(["PK", "KG", "01", "XX", ""]),
    st.sampled_from(["1", "2", "*", "9999", "-1", "1.5", "", "5.0"]),
    st.sampled_from(["2018-09-01", "9/1/2018", "2018-02-30", ""]),
)


@settings(
    max_examples=int(os.environ.get("STATEWIDE_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(CELLS, min_size=1, max_size=25))
def test_every_row_is_accepted_or_quarantined(landing, rows):
    landing.declare(footers=[{"school_id": "TOTL"}], max_bad_rows=1, rows=[0, 100])
    rows = [list(cells) for cells in rows if any(cells)]
    if not rows:
        return
    verdict = landing.check(rows)

    accepted = {number for number, *_ in landing.accepted()}
    quarantined = {number for number, *_ in landing.quarantine()}
    assert accepted | quarantined == set(range(2, len(rows) + 2))
    assert not accepted & quarantined
    assert verdict["rows_in"] == len(rows) == verdict["accepted"] + verdict["quarantined"]
    assert (verdict["accepted"], verdict["quarantined"]) == (len(accepted), len(quarantined))
    keys = [(school, grade) for _, _, school, grade, *_ in landing.accepted()]
    assert len(keys) == len(set(keys))
    assert all(school and len(school) == 4 for school, _ in keys)
    assert json.dumps(verdict)
