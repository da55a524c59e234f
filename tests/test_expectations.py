"""A promise earns its place by refusing the file or the build that it was written for."""

import json
import re

import duckdb
import pytest

from include import contradictions, identifiers, lake, quality, registry
from tests.landing import EXTRACT, HEADER, STATE, Landing


@pytest.fixture
def landing(home, tmp_path, monkeypatch):
    monkeypatch.delenv(identifiers.VARIABLE, raising=False)
    yield Landing(tmp_path / "states", monkeypatch)
    monkeypatch.undo()
    registry.states.cache_clear()


def row(school="0001", grade="PK", students="10", year="2019", opened="2018-09-01"):
    return [year, school, grade, students, opened]


# ---------- promises of a landed file


def set_aside(landing, column, values, **declared):
    """Which of these values of one column are set aside, each in a row of its own."""
    landing.declare(
        key=["row"],
        max_bad_rows=1,
        columns={"row": {"headers": ["Row"]}, column: {"headers": ["It"], **declared}},
    )
    header = ["Row", "It", *(h for h in HEADER if landing_header(column) != h)]
    rows = [
        [f"r{n}", value, *(c for h, c in zip(HEADER, row(), strict=True) if h in header)]
        for n, value in enumerate(values)
    ]
    landing.check(rows, header=header)
    return [values[number - 2] for number, name, *_ in landing.quarantine() if name == column]


def landing_header(column):
    return {"students": "Students", "opened": "Opened", "grade": "Grade"}.get(column)


@pytest.mark.parametrize(
    ("declared", "kept", "refused"),
    [
        (
            {"type": "integer"},
            ["1", "-5", "+5", "1,234", "2018.0", "12,345,678", "007", "9223372036854775807"],
            ["1.5", "1e3", "12,34", "x", "1 2", "--1", "9223372036854775808", "NaN"],
        ),
        (
            {"type": "number"},
            ["1", "-5.25", "1,234.5", ".5", "5.", "1e3", "-1.5E-3"],
            ["x", "1.2.3", "12,34.5", "NaN", "inf", "1e999", "$5"],
        ),
        (
            {"type": "date"},
            ["2018-09-01", "9/1/2018", "09/01/2018", "2018-09-01 00:00:00", "2018-09-01T08:30:00"],
            ["2018-02-30", "13/1/2018", "9/1/18", "20180901", "soon", "2018-9-1"],
        ),
        ({"type": "flag"}, ["Y", "n", "T", "F", "1", "0"], ["yes", "2", "-", "YN"]),
        ({"codes": ["A", "B's"]}, ["A", "B's"], ["a", "C", "A,B"]),
        ({"pattern": "[0-9]{2}"}, ["01"], ["1", "012", "0a"]),
        ({"type": "number", "min": 0, "max": 1.5}, ["0", "1.5", "1"], ["-0.1", "1.51"]),
        ({"type": "integer", "min": 0}, ["1,000"], ["-1,000"]),
        (
            {"type": "integer", "min": 0, "masks": ["*", "<10", "n's"]},
            ["*", "<10", "n's", "3"],
            ["**", "<11", "-3"],
        ),
        ({"codes": ["A"], "masks": ["*"]}, ["A", "*"], ["B"]),
        ({"codes": ["1", "2"], "type": "integer"}, ["1", "2.0"], ["3", "2.5"]),
        ({"is_school_year": True}, ["2019", "2019.0", "2,019"], ["2018", "1019", "this year"]),
    ],
    ids=lambda told: str(told)[:40] if isinstance(told, dict) else "",
)
def test_a_value_keeps_to_its_declaration(landing, declared, kept, refused):
    assert set_aside(landing, "students", [*kept, *refused], **declared) == refused


def test_an_empty_cell_breaks_only_the_promise_of_being_required(landing):
    told = {"type": "integer", "codes": ["1"], "pattern": "[0-9]", "min": 1}

    assert set_aside(landing, "students", ["", "1"], **told) == []
    assert set_aside(landing, "students", ["", "1"], **told, required=True) == [""]


def test_a_row_rule_is_broken_by_the_rows_that_contradict_it(landing):
    landing.declare(row_rules={"grade <> 'PK' or students::integer < 50": "a crowd of infants"})
    landing.check([row(), row("0002", students="60"), row("0003", "KG", "60")])

    assert [(n, reason) for n, _, _, reason, _ in landing.quarantine()] == [
        (3, "a crowd of infants")
    ]


@pytest.mark.parametrize(
    ("rows", "told", "reason"),
    [
        ([[*row(), "x"]], {"header": [*HEADER, "Extra"]}, r"is declared \(unknown: 'Extra'"),
        ([row()[:3]], {"header": HEADER[:3]}, r"column is there \(missing: students"),
        ([row("0001")], {}, "the file has 2 to 4 rows"),
        ([row(f"000{n}") for n in range(5)], {}, "the file has 2 to 4 rows"),
        ([row(), row("0002")], {"manifest": {"rows": 3}}, "rows that its manifest states"),
        (
            [row(), row("0002")],
            {"manifest": {"rows": 2, "sha256": "0" * 64}},
            "the file is the one that its manifest names",
        ),
        ([row(), row("0002", "XX")], {}, "at most 10% of the rows are bad"),
        ([row(), row()], {}, "at most 10% of the rows are bad"),
        ([row(), row(students="11")], {}, "at most 10% of the rows are bad"),
        ([row(), row("0002", year="2018")], {}, "school_year: of school year 2019"),
    ],
)  # fmt: skip
def test_a_file_that_breaks_a_promise_is_refused(landing, rows, told, reason):
    landing.declare(rows=[2, 4], max_bad_rows=0.1)

    error = landing.refuse(rows, **told)

    assert re.search(reason, str(error))
    assert not landing.checked.exists()


def test_a_file_that_keeps_to_its_manifest_passes(landing):
    sha256 = landing.land([row(), row("0002")])
    landing.check([row(), row("0002")], manifest={"rows": 2, "sha256": sha256})


def test_an_optional_column_may_be_missing(landing):
    landing.check([row()[:4]], header=HEADER[:4])

    assert landing.accepted("opened") == [(None,)]


def test_a_missing_column_is_one_broken_promise_and_not_one_for_each_row(landing):
    landing.declare(columns={"students": {"headers": ["Pupils", "Students"], "required": True}})
    error = landing.refuse([row()[:3]], header=HEADER[:3])

    assert "students (header Pupils or Students)" in str(error)
    assert len(error.promises) == 1


def test_rows_lost_since_the_last_good_load_refuse_the_file(landing):
    landing.load([row(f"{n:04}") for n in range(10)])

    landing.check([row(f"{n:04}") for n in range(8)])
    error = landing.refuse([row(f"{n:04}") for n in range(7)])
    assert "at most 20% fewer rows than the last good load" in str(error)
    assert "expected at least 8 rows; the last good load had 10; observed 7 rows" in str(error)


# ---------- promises of the marts

BUILD = "b0001"


class Marts:
    """A build of two LEAs with two schools each, and perhaps a release, made by a test."""

    def __init__(self):
        self.facts = []
        self.released = None
        self.given = []
        # CIP codes of the crosswalk, those that lead to occupations, and regions with vintages.
        self.crosswalk, self.leading, self.market = [], [], []
        # Rows of the extract's file, and how many of them other files contradict.
        self.judged = None
        self.organizations = [(2019, "SEA", "SEA", None)]
        for lea in "AB":
            self.organizations.append((2019, "LEA", lea, "SEA"))
            self.organizations += [(2019, "SCH", f"{lea}{n}", lea) for n in "12"]
        for school in ("A1", "A2", "B1", "B2"):
            self.count("SCH", school, 100)
        for level, org, count in (("LEA", "A", 200), ("LEA", "B", 200), ("SEA", "SEA", 400)):
            self.count(level, org, count)
            self.add("graduation_rate_4yr", level, org, "all", "all", 0.9)
            self.add("ppe_total", level, org, "all", "all", 9_000.0)

    def count(self, level, org, count, year=2019):
        self.add("membership", level, org, "all", "all", float(count), year=year)
        for sex in "FM":
            self.add("membership", level, org, "sex", sex, count / 2, year=year)

    def add(self, metric, level, org, category, group, value, status="reported", year=2019):
        self.facts.append([STATE, year, metric, level, org, category, group, value, status])

    def change(self, metric, org, group, value, status="reported"):
        [fact] = [f for f in self.facts if (f[2], f[4], f[6]) == (metric, org, group)]
        fact[7:] = [value, status]

    def without(self, **told):
        places = {"metric": 2, "org": 4, "year": 1}
        return [f for f in self.facts if any(f[places[k]] != v for k, v in told.items())]

    def release(self):
        self.released = [list(fact) for fact in self.facts]

    def check(self, **told):
        """Write the build (and the release) and check it. Returns outcomes by promise."""
        folder = lake.private(lake.warehouse(STATE))
        file = folder / f"{BUILD}.duckdb"
        file.unlink(missing_ok=True)
        with duckdb.connect(str(file)) as connection:
            connection.execute("create schema marts; create schema intermediate")
            _facts(connection, "marts.fct_metric", self.facts)
            connection.execute(
                "create table marts.dim_metric as select * from (values "
                "('membership', 'students'), ('graduation_rate_4yr', 'fraction of students'), "
                "('ppe_total', 'US dollars per pupil'), ('ppe_local', 'US dollars per pupil'), "
                "('cte_concentrators', 'students')) "
                "as metrics (metric_id, unit)"
            )
            connection.execute(
                "create table marts.dim_organization (school_year integer, org_level varchar, "
                "org_id varchar, parent_org_id varchar)"
            )
            connection.executemany(
                "insert into marts.dim_organization values (?, ?, ?, ?)", self.organizations
            )
            connection.execute(
                "create table intermediate.int_enrollment (school_year integer, measure varchar, "
                "org_level varchar, org_id varchar, group_category varchar, group_value varchar, "
                "status varchar)"
            )
            for table, rows in (
                ("intermediate.int_cip_soc (school_year integer, cip varchar)", self.crosswalk),
                (
                    "intermediate.int_program_occupations (school_year integer, cip varchar)",
                    self.leading,
                ),
                (
                    "marts.fct_labor_market (school_year integer, region varchar, vintage varchar)",
                    self.market,
                ),
            ):
                if rows:
                    connection.execute(f"create table {table}")
                for row in rows:
                    values = ", ".join(repr(value) for value in row)
                    connection.execute(f"insert into {table.split()[0]} values ({values})")
            if self.judged:
                contradictions.make_tables(connection)
                rows, aside = self.judged
                connection.execute(
                    "insert into contradictions.loads values (?, 2019, 'ab', ?, ?, 0)",
                    [EXTRACT, rows, aside],
                )
                connection.execute(
                    "insert into contradictions.rows select ?, 2019, 'ab', 2 + range, null, "
                    "'grade', 'no such grade', '', '', 'quarantine' from range(?)",
                    [EXTRACT, aside],
                )
            for given in self.given:
                connection.execute(
                    "insert into intermediate.int_enrollment values (?, ?, ?, ?, ?, ?, 'reported')",
                    given,
                )
        if self.released is not None:
            release = lake.private(lake.published(STATE) / "r1")
            (release / "statewide.duckdb").unlink(missing_ok=True)
            with duckdb.connect(str(release / "statewide.duckdb")) as connection:
                connection.execute("create schema published")
                _facts(connection, "published.fct_metric", self.released)
            current = lake.published(STATE) / "current"
            current.unlink(missing_ok=True)
            current.symlink_to("r1")
        assert quality.check_marts(STATE, BUILD, **told) == BUILD
        return {promise["promise"]: promise["outcome"] for promise in self.checks()}

    def refuse(self, **told):
        with pytest.raises(quality.BrokenPromises) as refused:
            self.check(**told)
        return str(refused.value)

    def warn(self):
        return [promise for promise, outcome in self.check().items() if outcome == "warned"]

    @staticmethod
    def checks():
        return json.loads((lake.warehouse(STATE) / f"{BUILD}.checks.json").read_text())


def _facts(connection, table, facts):
    connection.execute(
        f"create table {table} (state varchar, school_year integer, metric_id varchar, "
        "org_level varchar, org_id varchar, group_category varchar, group_value varchar, "
        "value double, status varchar)"
    )
    connection.executemany(f"insert into {table} values (?, ?, ?, ?, ?, ?, ?, ?, ?)", facts)


@pytest.fixture
def marts(landing):
    return Marts()


def test_a_sound_build_keeps_every_promise_and_says_so(marts):
    marts.release()

    assert set(marts.check().values()) == {"kept"}
    assert len(marts.checks()) >= 15
    assert {"promise", "outcome", "severity", "expected", "observed"} <= set(marts.checks()[0])
    pages = list((lake.data_docs(STATE) / "marts" / BUILD).rglob("*.html"))
    assert "a rate lies between 0 and 1" in "".join(page.read_text() for page in pages)


def test_the_first_build_has_nothing_to_drift_from(marts):
    assert set(marts.check().values()) == {"kept"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.change("graduation_rate_4yr", "A", "all", 1.2), "a rate lies between 0 and"),
        (lambda m: m.change("graduation_rate_4yr", "A", "all", -0.1), "a rate lies between 0 and"),
        (lambda m: m.change("membership", "A1", "F", -1.0), "a count is not negative"),
        (lambda m: m.change("membership", "A", "all", None), "where its status is reported"),
        (
            lambda m: m.change("membership", "A", "all", 7.0, "suppressed_primary"),
            "exactly where its status is reported",
        ),
        (
            lambda m: m.change("membership", "A", "all", None, "unknown"),
            "exactly where its status is reported",
        ),
        (lambda m: m.facts.append(m.facts[0]), "one row for each organization, year, metric"),
        (
            lambda m: m.add("made_up", "SEA", "SEA", "all", "all", 1.0),
            "every metric is described in dim_metric",
        ),
        (
            lambda m: [m.change("membership", org, "F", 90.0) for org in ("A1", "A2", "B1", "B2")],
            "exclusive groups add up to all in 99 of 100",
        ),
        (lambda m: m.change("membership", "A", "all", 230.0), "totals that we add up"),
        (lambda m: m.change("membership", "SEA", "all", 500.0), "totals that we add up"),
    ],
)  # fmt: skip
def test_a_build_that_breaks_a_promise_is_refused(marts, change, reason):
    change(marts)

    message = marts.refuse()

    assert reason in message
    assert "The last release stays as it is." in message
    assert "broken" in {promise["outcome"] for promise in marts.checks()}


def test_a_group_is_not_added_up_where_a_part_is_withheld(marts):
    for org in ("A1", "A2", "B1", "B2", "A", "B", "SEA"):
        marts.change("membership", org, "F", None, "suppressed_primary")

    assert set(marts.check().values()) == {"kept"}


def test_half_of_a_two_valued_category_is_not_a_whole(marts):
    marts.add("membership", "SCH", "A1", "economic", "ECODIS", 30.0)
    assert set(marts.check().values()) == {"kept"}

    marts.add("membership", "SCH", "A1", "economic", "NECODIS", 30.0)
    assert "exclusive groups" in marts.refuse()


def test_few_organizations_whose_groups_do_not_add_up_are_reported(marts):
    for n in range(200):
        marts.add("membership", "SCH", f"C{n}", "all", "all", 10.0)
        marts.add("membership", "SCH", f"C{n}", "sex", "F", 10.0 if n else 99.0)

    assert marts.warn() == ["exclusive groups add up to all everywhere"]


def test_a_publishers_own_total_may_differ_from_its_parts(marts):
    marts.change("membership", "SEA", "all", 404.0)
    marts.change("membership", "SEA", "F", 204.0)
    marts.given = [
        (2019, "membership", "SEA", "SEA", "all", "all"),
        (2019, "membership", "SEA", "SEA", "sex", "F"),
    ]

    assert marts.warn() == ["totals that the publisher gives are the sum of their parts"]


def test_an_lea_that_is_not_asked_is_no_part_of_the_state(marts):
    marts.add("membership", "LEA", "charter", "all", "all", None, "not_collected")
    assert set(marts.check().values()) == {"kept"}

    marts.change("membership", "SEA", "all", 500.0)
    assert "totals that we add up" in marts.refuse()


def test_a_program_that_is_in_no_crosswalk_is_reported(marts):
    marts.add("cte_concentrators", "SEA", "SEA", "cip", "48.0508", 95.0)
    marts.add("cte_concentrators", "SEA", "SEA", "cip", "48.0580", 5.0)
    marts.crosswalk = [(2019, "48.0508")]

    assert marts.warn() == ["the CIP code of every program with concentrators exists"]


@pytest.mark.parametrize(("led", "others", "warned"), [(95.0, 5.0, 0), (94.0, 6.0, 1), (0, 9, 1)])
def test_concentrators_that_lead_to_no_occupation_are_reported(marts, led, others, warned):
    marts.add("cte_concentrators", "SEA", "SEA", "cip", "48.0508", float(led))
    marts.add("cte_concentrators", "SEA", "SEA", "cip", "52.0302", float(others))
    marts.leading = [(2019, "48.0508")]
    message = (
        "19 of 20 concentrators are in programs that lead to an occupation of the labor market"
    )

    assert marts.warn() == [message] * warned


def test_a_region_of_two_vintages_is_reported(marts):
    marts.market = [(2019, "East", "2018"), (2019, "West", "2018"), (2019, "East", "2017")]

    assert marts.warn() == ["all figures of a region's labor market are of one vintage"]


BESIDE = {
    "rows": "select school_year, _row from rows where grade = '01'",
    "column": "grade",
    "reason": "no such grade",
    "expected": "a grade",
    "what_to_do": "ask",
}


def test_a_file_that_others_contradict_is_reported_row_by_row(marts, landing):
    landing.declare(beside=[BESIDE], max_bad_rows=0.05)
    marts.judged = (20, 1)

    assert marts.warn() == [f"{EXTRACT}: no row where no such grade (set aside)"]
    [told] = [it for it in marts.checks() if it["outcome"] == "warned"]
    assert told["observed"] == f"1 row of {EXTRACT} 2019 (file ab): row 2, column grade"


def test_a_file_that_others_contradict_in_many_rows_refuses_the_build(marts, landing):
    landing.declare(beside=[BESIDE], max_bad_rows=0.05)
    marts.judged = (19, 1)

    told = marts.refuse()
    assert f"other extracts contradict at most 5% of the rows of {EXTRACT}" in told
    assert "publish with a reason" in told

    # With one, which is kept, the rows stay out of the numbers all the same.
    reason = "the directory is of the year before"
    assert marts.check(override_reason=reason)
    assert reason in {promise.get("overridden") for promise in marts.checks()}


@pytest.mark.parametrize("value", [900.0, 200_000.0])
def test_unlikely_spending_is_reported(marts, value):
    marts.change("ppe_total", "A", "all", value)

    assert marts.warn() == ["all spending is $1,000 to $150,000 per pupil"]


def test_negative_spending_by_source_is_reported(marts):
    marts.add("ppe_local", "LEA", "A", "all", "all", -5.0)

    assert marts.warn() == ["spending by source or kind is $0 to $150,000 per pupil"]


def test_a_metric_that_vanished_refuses_the_build_unless_there_is_a_reason(marts):
    marts.release()
    marts.facts = marts.without(metric="ppe_total")

    assert "no metric of the last release has vanished" in marts.refuse()
    outcomes = marts.check(override_reason="the finance report is no longer collected")
    assert outcomes["no metric of the last release has vanished"] == "warned"
    overridden = [promise for promise in marts.checks() if "overridden" in promise]
    assert {promise["overridden"] for promise in overridden} == {
        "the finance report is no longer collected"
    }


def test_a_school_year_that_vanished_refuses_the_build(marts):
    marts.count("SEA", "SEA", 400, year=2018)
    marts.release()
    marts.facts = marts.without(year=2018)

    assert "no metric of the last release has vanished" in marts.refuse()


def test_a_metric_that_is_only_said_to_be_missing_refuses_the_build(marts):
    marts.release()
    for org in ("A", "B", "SEA"):
        marts.change("ppe_total", org, "all", None, "missing")

    assert "what the last release reported is still reported" in marts.refuse()


def test_a_loaded_year_that_did_not_arrive_refuses_the_build(marts, landing):
    landing.load([row(), row("0002")])
    marts.facts = [[fact[0], 2018, *fact[2:]] for fact in marts.facts]
    marts.organizations = [(2018, *organization[1:]) for organization in marts.organizations]

    assert "every school year that was loaded is there" in marts.refuse()


def test_a_metric_that_one_year_lacks_is_reported(marts):
    marts.add("membership", "SEA", "SEA", "all", "all", 400.0, year=2018)

    assert "a metric that one school year has, the others have too" in marts.warn()


@pytest.mark.parametrize(
    ("moved", "warned"),
    [
        (1.04, []),
        (1.07, ["state totals move by at most 5% since the last release"]),
    ],
)
def test_what_moved_since_the_last_release_is_reported(marts, moved, warned):
    marts.release()
    for fact in marts.facts:
        if fact[2] == "membership":
            fact[7] *= moved

    assert marts.warn() == warned


def test_a_year_that_is_out_does_not_lose_a_seventh_of_its_pupils(marts):
    marts.release()
    for fact in marts.facts:
        if fact[2] == "membership":
            fact[7] *= 0.85

    with pytest.raises(quality.BrokenPromises, match="keeps its state totals within 10%"):
        marts.check()
    warned = [it["promise"] for it in marts.checks() if it["outcome"] == "warned"]
    assert "a group's state total moves by at most 10% since the last release" in warned


def test_a_jump_between_two_years_is_reported(marts):
    for n, count in ((1, 400), (2, 300)):
        marts.add("membership", "SEA", "SEA", "all", "all", float(count), year=2019 - n)

    assert "state totals move by at most 5% since the year before" in marts.warn()


def test_a_change_in_the_number_of_leas_is_reported(marts):
    marts.release()
    marts.facts = marts.without(org="B")

    with pytest.raises(quality.BrokenPromises):
        marts.check()
    outcomes = {promise["promise"]: promise["outcome"] for promise in marts.checks()}
    assert outcomes["the number of LEAs moves by at most 20% since the last release"] == "warned"


def test_marts_that_cannot_be_looked_at_are_an_error(marts):
    marts.check()
    with duckdb.connect(str(lake.warehouse(STATE) / f"{BUILD}.duckdb")) as connection:
        connection.execute("alter table marts.dim_metric drop column unit")

    with pytest.raises(quality.CheckErrored, match="a rate lies between 0 and 1") as stopped:
        quality.check_marts(STATE, BUILD)
    assert "could not be checked" in str(stopped.value)
    assert "one row for each organization" not in str(stopped.value)
    outcomes = {promise["promise"]: promise["outcome"] for promise in marts.checks()}
    assert outcomes["a rate lies between 0 and 1"] == "errored"
    assert outcomes["one row for each organization, year, metric and group"] == "kept"


def test_the_build_is_only_read(marts):
    marts.check()
    file = lake.warehouse(STATE) / f"{BUILD}.duckdb"
    file.chmod(0o400)
    before = file.read_bytes()

    quality.check_marts(STATE, BUILD)

    assert file.read_bytes() == before
    assert not file.with_suffix(".duckdb.wal").exists()
