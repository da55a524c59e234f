"""No number that tells of few people leaves, and no other number is held back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from include import dictionary, disclosure, registry
from include.disclosure import decide, model
from include.registry import Disclosure, MetricRules
from tests import builds
from tests.builds import fact

NOTHING_PUBLIC = Disclosure(minimum_n=10, rate_coding="none")
KEY = ("metric_id", "org_level", "org_id", "group_category", "group_value")
TOLD = ("numerator", "denominator", "value", "value_lower", "value_upper")


@pytest.fixture
def state(home, tmp_path, monkeypatch, plain_builds) -> Iterator[str]:
    """A state whose policy makes money and students per teacher public, and enrollment not."""
    declared = {
        "state": "qq",
        "name": "Quivira",
        "agency": "Agency",
        "owner": "owner",
        "schedule": None,
        "disclosure": {"public_metrics": ["ppe_total", "students_per_teacher"]},
        "extracts": {
            "counts": {
                "group": "enrollment",
                "description": "Counts.",
                "school_years": [2025],
                "source": "counts.csv",
                "key": ["id"],
                "rows": [1, 9],
                "columns": {"id": None},
            }
        },
    }
    (tmp_path / "qq.yml").write_text(json.dumps(declared))
    monkeypatch.setattr(registry, "STATES", tmp_path)
    registry.states.cache_clear()
    yield "qq"
    registry.states.cache_clear()


def shown(
    facts: list[dict[str, Any]],
    policy: Disclosure = NOTHING_PUBLIC,
    largest: dict[str, float] | None = None,
    district: str | None = None,
) -> list[dict[str, Any]]:
    """The facts as the policy lets them out, in the order in which they were given.

    Schools are those of the `district`, or each by itself.
    """
    with duckdb.connect() as connection:
        builds.insert(connection, facts, largest)
        kinds = {metric: model.KINDS[unit] for metric, unit in builds.UNITS.items()}
        connection.execute(f"create table organizations as {organizations(facts)}")
        if district:
            connection.execute("alter table organizations add column parent_org_id varchar")
            connection.execute(
                "update organizations set parent_org_id = ? where org_level = 'SCH'", [district]
            )
        decide.decide(connection, "intermediate", "organizations", policy, kinds, "protected")
        found = connection.execute("select * from protected")
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    by_key = {tuple(row[name] for name in KEY): row for row in rows}
    return [by_key[tuple(row[name] for name in KEY)] for row in facts]


def organizations(facts: list[dict[str, Any]]) -> str:
    """SQL: the organizations of some facts, each by itself."""
    found = sorted({(f["state"], f["school_year"], f["org_level"], f["org_id"]) for f in facts})
    return (
        f"from (values {', '.join(map(str, found))}) as it (state, school_year, org_level, org_id)"
    )


def told(row: dict[str, Any]) -> list[Any]:
    return [row[name] for name in TOLD]


@pytest.mark.parametrize(
    ("count", "status"),
    [(0, "reported"), (1, "suppressed_primary"), (9, "suppressed_primary"), (10, "reported")],
)
def test_a_count_of_one_to_nine_people_is_hidden_and_a_true_zero_is_not(count, status):
    [row] = shown([fact("membership", numerator=count)])

    assert row["status"] == status
    assert row["value"] == (count if status == "reported" else None)
    assert row["numerator"] == row["value"]


def test_a_state_can_withhold_zeros_too():
    policy = Disclosure(minimum_n=10, zeros="withheld", rate_coding="none")
    rows = shown(
        [
            fact("membership", numerator=0),
            fact("chronic_absence_rate", numerator=0, denominator=50),
            fact("graduation_rate_4yr", numerator=50, denominator=50),
        ],
        policy,
    )

    assert [row["status"] for row in rows] == ["suppressed_primary"] * 3


def test_a_metric_can_have_rules_of_its_own():
    policy = Disclosure(
        minimum_n=10,
        rate_coding="none",
        metrics={
            "graduation_rate_4yr": {"minimum_n": 20, "zeros": "withheld"},
            "ppe_total": {"minimum_persons": 15},
            "staff_fte": {"minimum_n": 3},
            "chronic_absence_rate": {"rate_coding": "size_dependent"},
        },
    )
    rows = shown(
        [
            fact("graduation_rate_4yr", numerator=25, denominator=50, org_id="1"),
            fact("graduation_rate_4yr", numerator=15, denominator=50, org_id="2"),
            fact("graduation_rate_4yr", numerator=35, denominator=50, org_id="3"),
            fact("graduation_rate_4yr", numerator=9, denominator=18, org_id="4"),
            fact("graduation_rate_4yr", numerator=0, denominator=50, org_id="5"),
            fact("inexperienced_teacher_rate", numerator=15, denominator=50, org_id="1"),
            fact("inexperienced_teacher_rate", numerator=0, denominator=50, org_id="2"),
            fact("ppe_total", value=9000, denominator=14, org_id="1"),
            fact("ppe_total", value=9000, denominator=15, org_id="2"),
            fact("staff_fte", numerator=3, org_id="1"),
            fact("staff_fte", numerator=2, org_id="2"),
            fact("chronic_absence_rate", numerator=2, denominator=400, org_id="1"),
        ],
        policy,
    )

    assert [row["rule"] for row in rows] == [
        "shown", "small_numerator", "small_complement", "small_denominator", "small_numerator",
        "shown", "shown",
        "few_persons", "shown",
        "shown", "small_count",
        "rate_coded",
    ]  # fmt: skip
    # Of eighteen who were asked about, the other nine would be told.
    assert told(rows[3]) == [None] * 5


def test_a_hidden_count_keeps_the_range_that_its_own_metric_asks_for():
    policy = Disclosure(metrics={"membership": {"minimum_n": 20}}, rate_coding="none")
    # With the state's own n, the twelve beside the two are enough.
    counts = {"S1": 2, "S2": 12, "S3": 40, "S4": 60}
    facts = [fact("membership", numerator=n, org_id=name) for name, n in counts.items()]
    facts += [fact("membership", numerator=sum(counts.values()), org_level="LEA", org_id="L1")]
    told_of = {row["org_id"]: row["rule"] for row in shown(facts, policy, district="L1")}

    assert told_of == {
        "S1": "small_count", "S2": "small_count", "S3": "complementary", "S4": "shown",
        "L1": "shown",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("longest", "share", "rule"),
    [(799, 0.8, "shown"), (800, 0.8, "dominated"), (800, 0.9, "shown"), (None, 0.8, "shown")],
)
def test_hours_that_are_nearly_all_one_persons_are_hidden(longest, share, rule):
    policy = Disclosure(dominance=share, rate_coding="none")
    facts = [fact("work_based_learning_hours", numerator=1000, denominator=20)]
    [row] = shown(facts, policy, {"wbl_hours": longest} if longest else None)

    assert row["rule"] == rule
    # How many places there are is nobody's secret.
    assert told(row) == ([1000, 20, 50, None, None] if rule == "shown" else [None, 20, *[None] * 3])


@pytest.mark.parametrize(
    "own", [{"minimum_persons": 30}, {"minimum_n": 30}], ids=["persons", "minimum"]
)
def test_money_that_is_hidden_cannot_be_had_by_subtraction_though_the_pupils_are_told(own):
    policy = Disclosure(
        metrics={"ppe_total": own}, rate_coding="none", public_metrics=("membership",)
    )
    counts = {"A": 20, "B": 100, "C": 200, "D": 300}
    dollars = {name: 9000.0 * n for name, n in counts.items()}
    counts["L"], dollars["L"] = sum(counts.values()), sum(dollars.values())
    facts = [
        fact(
            "ppe_total",
            numerator=dollars[name],
            denominator=counts[name],
            org_id=name,
            org_level="LEA" if name == "L" else "SCH",
        )
        for name in counts
    ]
    rows = shown(facts, policy, district="L")
    hidden = sorted(row["org_id"] for row in rows if row["value"] is None)

    assert hidden[0] == "A"
    assert len(hidden) > 1


def test_a_rule_for_a_metric_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no metric graduation_rate, memberships in"):
        Disclosure(public_metrics=("memberships",), metrics={"graduation_rate": {"minimum_n": 20}})


@pytest.mark.parametrize(
    ("numerator", "denominator", "rule"),
    [
        (4, 9, "small_denominator"),
        (4, 40, "small_numerator"),
        (36, 40, "small_complement"),
        (0, 40, "shown"),
        (40, 40, "shown"),
        (10, 20, "shown"),
    ],
)
def test_a_rate_is_hidden_when_any_of_its_counts_is_small(numerator, denominator, rule):
    [row] = shown([fact("chronic_absence_rate", numerator=numerator, denominator=denominator)])

    assert row["rule"] == rule
    if rule == "shown":
        assert told(row)[:3] == [numerator, denominator, numerator / denominator]
    else:
        # How many were asked about is nobody's secret, where they are enough.
        assert told(row) == [None, denominator if denominator >= 10 else None, None, None, None]


@pytest.mark.parametrize(
    ("value", "denominator", "rule"),
    [
        (0.5, 8, "small_denominator"),
        (0.1, 50, "small_numerator"),
        (0.098, 51, "small_numerator"),
        (0.9, 50, "small_complement"),
        (0.5, 50, "shown"),
        (0.5, None, "shown"),
    ],
)
def test_a_published_rate_does_not_give_its_small_count_back(value, denominator, rule):
    [row] = shown([fact("graduation_rate_4yr", value=value, denominator=denominator)])

    assert row["rule"] == rule


def test_a_numerator_and_a_rate_do_not_give_a_small_denominator_back():
    [row] = shown([fact("graduation_rate_4yr", value=1.25, numerator=10)])

    assert row["rule"] == "small_denominator"


@pytest.mark.parametrize(
    ("pupils", "rule", "visible"),
    [
        (2, "few_persons", (None, None, None)),
        (3, "small_denominator", (None, None, None)),
        (9, "small_denominator", (None, None, None)),
        (10, "shown", (10_000.0, 10.0, 1000.0)),
    ],
)
def test_money_per_pupil_needs_ten_pupils_for_it_gives_their_number_away(pupils, rule, visible):
    [row] = shown([fact("ppe_total", numerator=pupils * 1000.0, denominator=pupils)])

    assert row["rule"] == rule
    assert tuple(told(row)[:3]) == visible


def test_a_public_metric_passes_exactly():
    policy = Disclosure(
        minimum_n=10, rate_coding="none", public_metrics=("membership", "ppe_total")
    )
    facts = [
        fact("membership", numerator=1),
        fact("ppe_total", numerator=9000.0, denominator=2),
        fact("membership", group_value="EL", value=None, status="range_coded", value_upper=9.0),
    ]

    for row, exact in zip(shown(facts, policy), facts, strict=True):
        assert told(row) == told(exact)
        assert row["status"] == exact["status"]


def test_a_share_of_a_hidden_count_is_hidden_and_a_share_of_public_counts_is_not():
    facts = [
        fact("membership", numerator=100),
        fact("membership", group_category="race", group_value="AM7", numerator=4),
        fact("group_share", group_category="race", group_value="AM7", numerator=4, denominator=100),
    ]
    public = Disclosure(minimum_n=10, rate_coding="none", public_metrics=("membership",))

    assert [row["value"] for row in shown(facts)] == [100, None, None]
    assert [row["value"] for row in shown(facts, public)] == [100, 4, 0.04]


def test_a_share_is_hidden_where_the_publisher_masked_the_count_it_is_made_of():
    rows = shown(
        [
            fact("membership", value=None, status="suppressed_primary"),
            fact("group_share", group_category="sex", group_value="F",
                 numerator=40, denominator=100),
        ]
    )  # fmt: skip

    assert rows[1]["rule"] == "masked_elsewhere"
    assert rows[1]["denominator"] is None
    assert rows[1]["value"] is None


def test_students_per_teacher_gives_no_hidden_staff_away():
    teachers = {"group_category": "staff_class", "group_value": "TCH"}
    rows = shown(
        [
            fact("membership", numerator=100),
            fact("staff_fte", numerator=6.5, **teachers),
            fact("students_per_teacher", numerator=100, denominator=6.5),
        ]
    )

    assert [row["status"] for row in rows] == ["reported"] + ["suppressed_primary"] * 2
    assert told(rows[2]) == [None] * 5


def test_what_the_publisher_masked_passes_as_it_is():
    facts = [
        fact("chronic_absence_rate", denominator=40, value=None, status="suppressed_primary"),
        fact("graduation_rate_4yr", denominator=40, value=None, status="range_coded",
             value_lower=0.95, value_upper=1.0),
        fact("membership", value=None, status="not_collected"),
    ]  # fmt: skip

    for row, exact in zip(shown(facts), facts, strict=True):
        assert told(row) == told(exact)
        assert row["status"] == exact["status"]


def test_a_small_count_beside_a_masked_value_is_taken_away():
    rows = shown(
        [
            fact("chronic_absence_rate", denominator=8, value=None, status="suppressed_primary"),
            fact("graduation_rate_4yr", denominator=8, value=None, status="range_coded",
                 value_lower=0.95, value_upper=1.0),
            fact("membership", value=None, status="range_coded", value_lower=7, value_upper=7),
        ]
    )  # fmt: skip

    for row in rows:
        assert told(row) == [None] * 5
        assert row["status"] == "suppressed_primary"


counts = st.one_of(st.integers(0, 25), st.integers(0, 400))


@st.composite
def schools(draw) -> list[dict[str, Any]]:
    """Every kind of metric of one school, told in the ways that publishers tell them."""
    facts = []
    for group in ({}, {"group_category": "english_learner", "group_value": "EL"}):
        members, absent, eligible = draw(counts), draw(counts), draw(counts)
        base = draw(st.sampled_from([eligible, max(eligible, absent), None]))
        facts.append(fact("membership", numerator=members, **group))
        facts.append(_rate(draw, "chronic_absence_rate", min(absent, eligible), base, group))
        whole = max(members, draw(counts))
        if group:
            facts.append(_rate(draw, "group_share", members, whole, group))
    pupils = draw(counts)
    facts.append(
        fact("ppe_total", numerator=pupils * 1234.5, denominator=pupils,
             value=1234.5 if pupils else None)
    )  # fmt: skip
    teachers = draw(st.integers(0, 400)) / 8
    facts.append(
        fact("staff_fte", numerator=teachers, group_category="staff_class", group_value="TCH")
    )
    facts.append(
        fact("students_per_teacher", numerator=facts[0]["numerator"], denominator=teachers)
    )
    return facts


def _rate(draw, metric, part, base, group) -> dict[str, Any]:
    if base is None or base == 0:
        value = draw(st.sampled_from([0.0, 0.25, 1.0]))
        return fact(metric, value=value, denominator=None, **group)
    value = part / base
    if draw(st.booleans()):
        return fact(metric, value=round(value, 3), denominator=base, **group)
    return fact(metric, numerator=part, denominator=base, **group)


policies = st.builds(
    Disclosure,
    minimum_n=st.sampled_from([5, 10, 30]),
    zeros=st.sampled_from(["shown", "withheld"]),
    rate_coding=st.just("none"),
    public_metrics=st.sets(
        st.sampled_from(["membership", "staff_fte", "ppe_total", "group_share"])
    ).map(lambda chosen: tuple(sorted(chosen))),
    metrics=st.dictionaries(
        st.sampled_from(["membership", "chronic_absence_rate", "graduation_rate_4yr", "ppe_total"]),
        st.builds(
            MetricRules,
            minimum_n=st.sampled_from([None, 3, 20]),
            zeros=st.sampled_from([None, "shown", "withheld"]),
            minimum_persons=st.sampled_from([None, 3, 15]),
        ),
        max_size=2,
    ),
)


def _given_away(row: dict[str, Any], policy: Disclosure) -> dict[str, float]:
    """Every count of people that a published row tells, or lets a reader work out."""
    over, under, value = row["numerator"], row["denominator"], row["value"]
    metric, public = row["metric_id"], policy.public_metrics
    found = {}
    if over is None and value is not None and under is not None:
        over = value * under
    if under is None and value and over is not None:
        under = over / value
    if metric in ("membership", "staff_fte"):
        return {name: row[name] for name in TOLD if row[name] is not None}
    if metric == "ppe_total":
        return {"pupils": under} if under is not None else {}
    numerator_public = "membership" in public and metric in ("group_share", "students_per_teacher")
    denominator_public = (metric == "group_share" and "membership" in public) or (
        metric == "students_per_teacher" and "staff_fte" in public
    )
    if over is not None and not numerator_public:
        found["part"] = over
    if under is not None and not denominator_public:
        found["whole"] = under
    is_rate = metric != "students_per_teacher"
    if is_rate and None not in (over, under) and not (numerator_public and denominator_public):
        found["others"] = under - over
    return found


@settings(max_examples=12, deadline=None, derandomize=True)
@given(facts=schools(), policy=policies)
def test_no_small_count_of_a_protected_metric_can_be_read_or_worked_out_of_a_row(facts, policy):
    # Public shares of a count that is not public tell it: that is the policy's own exposure.
    assume("group_share" not in policy.public_metrics or "membership" in policy.public_metrics)
    rows = shown(facts, policy)

    for row, exact in zip(rows, facts, strict=True):
        if row["metric_id"] in policy.public_metrics:
            assert told(row) == told(exact)
            continue
        own = policy.of(row["metric_id"])
        for name, count in _given_away(row, policy).items():
            least = -1e-9 if own.zeros == "withheld" else 1e-9
            assert not least < count < own.minimum_n - 1e-3, (name, row)
        if row["metric_id"] == "ppe_total" and row["value"] is not None:
            assert exact["denominator"] >= own.minimum_persons
        # What is published is exact, what is hidden says so.
        assert all(row[name] in (None, exact[name]) for name in TOLD)
        if row["value"] != exact["value"]:
            assert row["status"] in ("suppressed_primary", "suppressed_complementary")
            assert row["value"] is None


@settings(max_examples=10, deadline=None, derandomize=True)
@given(facts=schools(), policy=policies)
def test_a_count_that_is_hidden_stands_in_no_other_protected_row_of_its_group(facts, policy):
    rows = shown(facts, policy)
    pairs = list(zip(rows, facts, strict=True))
    hidden = [
        exact["value"]
        for row, exact in pairs
        if exact["metric_id"] == "membership" and exact["value"] and row["value"] is None
    ]
    visible = chain.from_iterable(
        (row["numerator"], row["denominator"])
        for row, _ in pairs
        if row["metric_id"] not in policy.public_metrics
        and not (
            row["metric_id"] == "students_per_teacher" and "staff_fte" in policy.public_metrics
        )
    )

    assert not set(hidden) & set(visible)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(facts=schools())
def test_what_tells_of_enough_people_is_hidden_only_to_protect_another_number(facts):
    rows = shown(facts)

    for row, exact in zip(rows, facts, strict=True):
        if row["metric_id"] in ("membership", "staff_fte") and exact["value"] >= 10:
            assert told(row) == told(exact) or row["rule"] == "complementary"
        if row["metric_id"] == "chronic_absence_rate" and None not in told(exact)[:2]:
            part, whole = exact["numerator"], exact["denominator"]
            if whole >= 10 and (part == 0 or part >= 10) and (whole == part or whole - part >= 10):
                assert told(row) == told(exact) or row["rule"] == "complementary"


def test_the_protected_file_has_every_mart_and_the_record_has_no_value(state):
    build = builds.warehouse(
        state, "b1", [fact("membership", numerator=7), fact("ppe_total", value=777.5)]
    )

    assert disclosure.protect(state, build) == build

    path = disclosure.protected(state, build)
    assert path.stat().st_mode & 0o222 == 0
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables order by all"
        ).fetchall()
        values = connection.execute(
            "select metric_id, value, status, source_loads from published.fct_metric order by 1"
        ).fetchall()
    assert tables == [
        ("published", name) for name in ("dim_metric", "dim_organization", "fct_metric")
    ]
    loads = ["a" * 64, "f" * 64]
    assert values == [
        ("membership", None, "suppressed_primary", loads),
        ("ppe_total", 777.5, "reported", loads),
    ]
    record = json.loads(disclosure.record(state, build).read_text())
    assert record["metrics"]["membership"] == {"small_count": 1}
    assert record["rules"] == {"public": 1, "small_count": 1}
    assert "777" not in json.dumps(record | {"build_sha256": "", "protected_sha256": ""})


def test_protecting_again_hides_the_same_cells(state):
    facts = [fact("membership", org_id=f"{n:06}", numerator=n) for n in range(30)]
    build = builds.warehouse(state, "b1", facts)

    def cells() -> list[tuple]:
        disclosure.protect(state, build)
        with duckdb.connect(str(disclosure.protected(state, build)), read_only=True) as connection:
            return connection.execute("select * from published.fct_metric").fetchall()

    assert cells() == cells()


def test_a_count_that_the_policy_itself_exposes_is_reported(state, caplog):
    build = builds.warehouse(
        state,
        "b1",
        [
            fact("membership", numerator=8),
            fact("students_per_teacher", numerator=8, denominator=2.0),
        ],
    )

    disclosure.protect(state, build)

    record = json.loads(disclosure.record(state, build).read_text())
    assert record["exposed_by_policy"] == {"membership": 1}
    assert record["audit"]["exposed_exactly"] == 1
    assert "public figures tell" in caplog.text


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"units": builds.UNITS | {"membership": "persons"}}, r"membership \(persons\)"),
        ({"units": {"ppe_total": "US dollars per pupil"}}, "membership is not described"),
        ({"extra": "create table marts.roster as select 1 as student_id"}, r"marts\.roster"),
        ({"extra": "create view marts.small as from marts.fct_metric"}, r"marts\.small"),
        ({"extra": "alter table intermediate.int_base_metrics add column exact double"}, "exact"),
        (
            {"extra": "update intermediate.int_base_metrics set status = 'hidden'"},
            "unknown status hidden",
        ),
        ({"extra": "drop table marts.dim_organization"}, "no table dim_organization"),
    ],
)
def test_what_no_rule_protects_stops_the_release(state, told, reason):
    build = builds.warehouse(state, "b1", [fact("membership", numerator=7)], **told)

    with pytest.raises(disclosure.Unprotected, match=reason):
        disclosure.protect(state, build)

    assert not disclosure.protected(state, build).exists()


def test_every_status_is_explained_to_readers():
    assert set(dictionary.STATUSES) == set(model.Status)


@pytest.mark.parametrize("state", sorted(registry.states()))
def test_every_public_metric_of_a_state_is_a_metric(state):
    seed = registry.STATES.parents[1] / "dbt_project" / "seeds" / "metrics.csv"
    with duckdb.connect() as connection:
        metrics = dict(
            connection.execute(
                # What is made of metrics is made again of the protected ones, and needs no rule.
                "select metric_id, unit from read_csv(?) where numerator is not null",
                [str(seed)],
            ).fetchall()
        )

    assert set(registry.states()[state].disclosure.public_metrics) <= set(metrics)
    assert set(metrics.values()) <= set(model.KINDS)


def test_an_average_of_ten_pupils_does_not_give_nine_away():
    rows = shown(
        [
            fact("membership", numerator=9),
            fact("average_daily_membership", numerator=10.02),
        ]
    )

    assert [row["rule"] for row in rows] == ["small_count", "complementary"]
    assert rows[1]["value"] is None


def test_the_half_of_a_group_that_is_all_but_a_few_is_hidden_where_the_few_have_no_row():
    rows = shown(
        [
            fact("membership", numerator=60),
            fact("membership", group_category="english_learner", group_value="EL", numerator=55),
            fact("membership", org_id="001002", numerator=60),
            fact(
                "membership",
                org_id="001002",
                group_category="english_learner",
                group_value="EL",
                numerator=45,
            ),
        ]
    )

    assert [rows[0]["value"], rows[1]["value"]].count(None) == 1
    assert [row["value"] for row in rows[2:]] == [60, 45]


def races(org_id: str, **counts: float) -> list[dict[str, Any]]:
    """Everyone of a school, and those of some groups."""
    return [
        fact("membership", org_id=org_id, numerator=counts.pop("everyone")),
        *(
            fact("membership", org_id=org_id, group_category="race", group_value=race, numerator=of)
            for race, of in counts.items()
        ),
    ]


def test_what_groups_without_a_row_count_together_is_hidden_when_it_is_small():
    everywhere = races("001002", everyone=90, WH7=30, BL7=25, HI7=20, AS7=15)
    few = shown([*races("001001", everyone=100, WH7=60, BL7=37), *everywhere])
    many = shown([*races("001001", everyone=100, WH7=60, BL7=27), *everywhere])
    rounded = shown([*races("001001", everyone=100, WH7=60, BL7=39.8), *everywhere])

    # Three of the others could be had by subtraction.
    assert [row["value"] for row in few[:3]].count(None) == 1
    assert all(row["value"] is not None for row in [*few[3:], *many, *rounded])


def test_a_small_group_is_hidden_alone_where_nobody_knows_how_many_the_others_are():
    everywhere = races("001002", everyone=90, WH7=30, BL7=25, HI7=20, AS7=15)

    open_ = shown([*races("001001", everyone=100, WH7=50, BL7=8), *everywhere])
    closed = shown([*races("001001", everyone=58, WH7=50, BL7=8), *everywhere])

    assert [row["value"] for row in open_[:3]] == [100, 50, None]
    assert [row["value"] for row in closed[:3]].count(None) == 2
    assert closed[2]["value"] is None


def test_what_a_school_without_a_row_counts_is_hidden_when_it_is_small():
    def of(school: str, group: str, count: float) -> dict[str, Any]:
        return fact(
            "membership", org_level="SCH", org_id=school, group_category="race",
            group_value=group, numerator=count,
        )  # fmt: skip

    rows = shown(
        [
            fact("membership", org_level="LEA", org_id="001", group_category="race",
                 group_value="WH7", numerator=64),
            of("S1", "WH7", 40), of("S2", "WH7", 20),
            # It has pupils, and no row for these.
            of("S3", "BL7", 30),
        ],
        district="001",
    )  # fmt: skip

    assert [row["value"] for row in rows[:3]].count(None) == 1
    assert rows[3]["value"] == 30


def test_how_many_of_a_few_who_are_public_cannot_be_had_by_subtraction():
    def of(level: str, org_id: str, everyone: float, absent: float) -> list[dict[str, Any]]:
        group = {"org_level": level, "org_id": org_id,
                 "group_category": "race", "group_value": "PI7"}  # fmt: skip
        return [
            fact("membership", **group, numerator=everyone),
            fact("chronic_absence_rate", **group, numerator=absent, denominator=everyone,
                 value=absent / everyone),
        ]  # fmt: skip

    rows = shown(
        [*of("LEA", "001", 76, 29), *of("SCH", "S1", 6, 2), *of("SCH", "S2", 30, 12),
         *of("SCH", "S3", 40, 15)],
        Disclosure(public_metrics=("membership",)),
        district="001",
    )  # fmt: skip

    assert [row["value"] for row in rows[::2]] == [76, 6, 30, 40]
    assert rows[3]["rule"] == "small_denominator"
    # Of 0 to 6, three numbers and more are left; of 29, 12 and 15, told together, none were.
    assert [row["numerator"] for row in rows[1::2]].count(None) >= 2
