"""A release is whole or not there, the same inputs give the same bytes, the pointer moves last."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from include import disclosure, exports, lake, object_store, release
from tests import builds
from tests.builds import fact

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("plain_builds")
PUBLISH = "from include import release; print(release.publish('zz', '{build}'))"


def protected(build: str, **told) -> str:
    """A build, checked and protected; its inputs are named after it."""
    facts = told.pop("facts", None) or [
        fact("membership", numerator=120),
        fact("membership", group_category="race", group_value="AM7", numerator=4),
        fact("chronic_absence_rate", numerator=37, denominator=120),
    ]
    told = {"names": ["École Franklin", "Second School"], "sha256": build[-1] * 64} | told
    return disclosure.protect("zz", builds.warehouse("zz", build, facts, **told))


def published(build: str) -> str | None:
    return release.publish("zz", protected(build))


@pytest.fixture
def folder(home) -> Path:
    return lake.published("zz")


@pytest.fixture
def s3(object_store, monkeypatch):
    """A client of the object store, with STATEWIDE_PUBLISH naming a new bucket in it."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATEWIDE_PUBLISH", f"s3://{object_store.bucket()}/statewide")
    return object_store.client()


def bucket() -> str:
    return os.environ["STATEWIDE_PUBLISH"].split("/")[2]


def remote(client, key: str) -> bytes:
    return client.get_object(Bucket=bucket(), Key=f"statewide/zz/{key}")["Body"].read()


def pointer(client) -> str:
    return json.loads(remote(client, "current.json"))["release"]


def run(program: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ------------------------------------------------------------------------------ what is in it


def test_a_release_opens_in_duckdb_pandas_and_a_spreadsheet_and_tells_the_same(folder):
    name = published("b1")

    current = folder / "current"
    assert os.readlink(current) == name
    with duckdb.connect(str(current / "statewide.duckdb"), read_only=True) as connection:
        database = connection.execute("select * from published.fct_metric").df()
    parquet = pd.read_parquet(current / "fct_metric.parquet")
    sheet = pd.read_csv(current / "fct_metric.csv", dtype={"org_id": str})
    assert len(database) == len(parquet) == len(sheet) == 3
    for table in (database, parquet, sheet):
        assert table["org_id"].unique().tolist() == ["001001"]
        cells = table.set_index(["metric_id", "group_value"])
        assert cells["value"]["membership", "all"] == 120
        assert cells["value"]["chronic_absence_rate", "all"] == 37 / 120
        assert pd.isna(cells["value"]["membership", "AM7"])
        assert cells["status"]["membership", "AM7"] == "suppressed_primary"
    assert sheet["source_loads"][0] == f"{'a' * 64} {'f' * 64}"
    assert list(parquet["source_loads"][0]) == ["a" * 64, "f" * 64]


def test_accents_survive_a_spreadsheet(folder):
    published("b1")

    told = (folder / "current" / "dim_organization.csv").read_bytes()
    assert told.startswith(b"\xef\xbb\xbf")
    assert "École Franklin" in told.decode("utf-8-sig")


def test_no_text_cell_of_a_csv_is_a_formula_and_nothing_else_is_changed(folder):
    names = [
        "=cmd|' /C calc'!A0", "+1", "-2", "@SUM(A1)", "\t=1", "  =1", "＝1", "\r=1",  # noqa: RUF001
        "Plain", "a=b", 'Q "x", y', "two\nlines", "O'Neil",
    ]  # fmt: skip
    release.publish("zz", protected("b1", names=names, facts=[fact("ppe_total", value=-37.5)]))

    current = folder / "current"
    text = (current / "dim_organization.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    by_id = {row["org_id"]: row["name"] for row in rows}
    shown = [by_id[f"001{number:03}"] for number in range(1, len(names) + 1)]
    assert shown == [f"'{name}" for name in names[:8]] + names[8:]
    parquet = pd.read_parquet(current / "dim_organization.parquet").set_index("org_id")
    assert parquet["name"]["001001"] == names[0]
    # A negative number is a number.
    assert pd.read_csv(current / "fct_metric.csv")["value"].tolist() == [-37.5]


def test_the_reason_with_which_a_file_was_let_pass_stands_in_the_manifest(folder):
    """And names no release: the same bytes by the same code are the same release."""
    name = published("b1")
    told = {"reason": "eight schools closed", "by": "rosa", "promises": ["at most 10% fewer rows"]}
    beside = lake.warehouse("zz") / "b1.inputs.json"
    [load] = json.loads(beside.read_text())
    lake.write_json(beside, [load | {"override": told}])
    shutil.rmtree(folder / name)

    release.publish("zz", "b1")
    manifest = json.loads((folder / name / "manifest.json").read_text())
    assert [it["override"] for it in manifest["inputs"]] == [told]


def test_the_manifest_tells_what_a_release_is_made_of(folder):
    name = published("b1")

    manifest = json.loads((folder / name / "manifest.json").read_text())
    assert manifest["release"] == name
    assert manifest["format"] == 1
    assert manifest["inputs"] == [
        {"extract": "student_enrollment", "school_year": 2025, "sha256": "1" * 64,
         "rows_in": 1012, "accepted": 1010, "quarantined": 2, "contradicted": 0,
         "warnings": [], "override": None}
    ]  # fmt: skip
    assert manifest["tables"]["fct_metric"]["rows"] == 3
    columns = {c["name"]: c["type"] for c in manifest["tables"]["fct_metric"]["columns"]}
    assert columns == builds.COLUMNS
    assert manifest["disclosure"]["metrics"]["membership"] == {"shown": 1, "small_count": 1}
    assert manifest["checks"] == [
        {"promise": "a count is not negative", "severity": "critical", "outcome": "kept",
         "expected": "0 or more", "is_overridden": False}
    ]  # fmt: skip
    assert len(manifest["code"]["sha256"]) == 64
    there = {path.name for path in (folder / name).iterdir()}
    assert set(manifest["files"]) | {"manifest.json"} == there
    for file, told in manifest["files"].items():
        assert told == {
            "sha256": lake.sha256(folder / name / file),
            "bytes": (folder / name / file).stat().st_size,
        }


def test_the_dictionary_describes_tables_metrics_and_statuses(folder, tmp_path):
    node = {
        "name": "fct_metric",
        "resource_type": "model",
        "schema": "marts",
        "description": "Every metric.\nOne row for each organization | group.",
        "columns": {"value": {"description": "The metric's value."}},
    }
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"nodes": {"model.statewide.fct_metric": node}}))

    name = release.publish("zz", protected("b1"), dbt_manifest=manifest)

    page = (folder / name / "data_dictionary.md").read_text()
    assert "Every metric. One row for each organization" in page
    assert "| `value` | double | The metric's value. |" in page
    assert "### ppe_total: Ppe total" in page
    assert "| formula | a / b |" in page
    assert "| `suppressed_primary` |" in page
    rows = pd.read_csv(folder / name / "data_dictionary.csv").set_index(["kind", "name"])
    assert rows["unit"]["metric", "ppe_total"] == "US dollars per pupil"
    with duckdb.connect(str(folder / name / "statewide.duckdb"), read_only=True) as connection:
        (comment,) = connection.execute(
            "select comment from duckdb_columns() where column_name = 'value'"
        ).fetchone()
    assert comment == "The metric's value."


def test_no_small_number_stands_anywhere_in_the_files(folder):
    secret = 5.123456789
    facts = [
        fact("staff_fte", org_id=f"{n:06}", numerator=secret, group_category="staff_class",
             group_value="TCH")
        for n in range(50)
    ]  # fmt: skip
    policy_free = [row | {"metric_id": "average_daily_membership"} for row in facts]
    units = builds.UNITS | {"average_daily_membership": "students"}

    name = release.publish("zz", protected("b1", facts=policy_free, units=units))

    import struct

    for file in (folder / name).iterdir():
        told = file.read_bytes()
        assert str(secret).encode() not in told
        assert struct.pack("<d", secret) not in told


# -------------------------------------------------------------------------- the same, again


def test_the_same_inputs_give_the_same_release_byte_for_byte(home, folder, monkeypatch):
    facts = [
        fact("membership", org_id=f"{n:06}", group_value=f"g{n % 7}", numerator=n)
        for n in range(3000)
    ]
    name = release.publish("zz", protected("b1", facts=facts))
    first = {path.name: path.read_bytes() for path in (folder / name).iterdir()}

    other = home.parent / "elsewhere"
    other.mkdir()
    monkeypatch.setenv("STATEWIDE_HOME", str(other))
    assert release.publish("zz", protected("b1", facts=facts[::-1])) == name
    second = {path.name: path.read_bytes() for path in (other / "published/zz" / name).iterdir()}

    assert first.keys() == second.keys()
    # DuckDB's allocator hands out zeroes only where the package brings its own (Linux).
    same = set(first) if sys.platform == "linux" else set(first) - {exports.DATABASE}
    assert [file for file in sorted(same) if first[file] != second[file]] == []


def test_other_inputs_are_another_release_and_the_one_before_stays(folder):
    first, second = published("b1"), published("b2")

    assert first != second
    assert release.current("zz") == second
    assert release.releases("zz") == [first, second]
    assert release.verify("zz", first) == first


def test_publishing_the_same_again_says_that_nothing_is_new(folder, caplog):
    name = published("b1")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    with caplog.at_level("INFO"):
        assert release.publish("zz", "b1") is None

    assert f"nothing new; readers already see release {name}" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_pointer_that_lags_is_moved(folder):
    first, second = published("b1"), published("b2")
    (folder / "current").unlink()
    (folder / "current").symlink_to(first)

    assert release.publish("zz", "b2") == second
    assert release.current("zz") == second


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda w: (w / "b1.checks.json").unlink(), "not checked"),
        (lambda w: (w / "b1.checks.json").write_text("[]"), "no promise"),
        (
            lambda w: (w / "b1.checks.json").write_text('[{"promise": "p", "outcome": "broken"}]'),
            "broke its promises: p",
        ),
        (lambda w: (w / "b1.disclosure.json").unlink(), "not protected"),
        (lambda w: builds.warehouse("zz", "b1", []), "was not made from b1.duckdb"),
        (lambda w: shutil.copy(w / "b1.duckdb", w / "b1.protected.duckdb"), "changed since"),
        (lambda w: (w / "b1.inputs.json").unlink(), "no inputs are written"),
    ],
)
def test_a_build_that_is_not_checked_and_protected_as_it_stands_is_not_published(
    folder, spoil, reason
):
    protected("b1")
    (lake.warehouse("zz") / "b1.protected.duckdb").chmod(0o600)
    spoil(lake.warehouse("zz"))

    with pytest.raises(release.NotReady, match=reason):
        release.publish("zz", "b1")

    assert release.current("zz") is None


def test_a_protected_file_that_lost_a_table_is_not_published(folder):
    protected("b1")
    path, record = disclosure.protected("zz", "b1"), disclosure.record("zz", "b1")
    path.chmod(0o600)
    with duckdb.connect(str(path)) as connection:
        connection.execute("drop table published.dim_organization")
    told = json.loads(record.read_text()) | {"protected_sha256": lake.sha256(path)}
    record.write_text(json.dumps(told))

    with pytest.raises(release.NotReady, match="no table dim_organization"):
        release.publish("zz", "b1")


# ------------------------------------------------------------- killed, raced, spoilt


KILLED = """
import os, signal, sys
left, watched = {step}, {watched}
def count(event, arguments):
    global left
    file = str(arguments[0]).rpartition("/")[2] if event == "open" else ""
    if event in watched or file in ("manifest.json", "releases.jsonl", "zz"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
from include import release, dbt, exports, disclosure, warehouse
warehouse.code_version("zz")
sys.addaudithook(count)
print(release.publish("zz", "b2"))
"""


def test_killed_at_any_step_readers_see_a_whole_release_and_the_next_run_finishes(home, folder):
    first = published("b1")
    protected("b2")
    seen = set()
    step = 1
    while True:
        process = run(KILLED.format(step=step, watched=LOCAL))
        process.communicate()
        now = release.current("zz")
        seen.add(now)
        release.verify("zz", now)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        step += 1
    second = release.current("zz")
    assert step > 8
    assert seen == {first, second}
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert release.releases("zz") == [first, second]
    actions = [json.loads(line) for line in (folder / "releases.jsonl").read_text().splitlines()]
    assert [entry["release"] for entry in actions] == [first, second]


LOCAL = ("os.mkdir", "os.rename", "os.symlink", "subprocess.Popen")


def test_killed_while_tables_are_written_the_release_before_stays(folder):
    first = published("b1")
    facts = [fact("membership", org_id=f"{n:06}", numerator=n) for n in range(50_000)]
    protected("b2", facts=facts)

    for attempt in range(3):
        process = run(PUBLISH.format(build="b2"))
        while not list(folder.glob(".staging-*/*")) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(attempt * 0.1)
        process.kill()
        process.communicate()
        assert release.verify("zz") in (first, release.current("zz"))

    release.publish("zz", "b2")
    assert release.current("zz") != first
    release.verify("zz")


def test_two_publishers_at_once_publish_once(folder):
    protected("b1")

    both = [run(PUBLISH.format(build="b1")) for _ in range(2)]
    said = sorted(process.communicate()[0].strip() for process in both)

    assert said == ["None", release.current("zz")]
    assert len((folder / "releases.jsonl").read_text().splitlines()) == 1


def test_half_a_line_in_the_ledger_never_happened(folder):
    first = published("b1")
    with (folder / "releases.jsonl").open("a") as ledger:
        ledger.write('{"action": "rollb')

    second = published("b2")

    assert release.rollback("zz") == first
    assert len((folder / "releases.jsonl").read_text().splitlines()) == 3
    assert release.releases("zz") == [first, second]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: (f / "fct_metric.csv").unlink(), "fct_metric.csv is missing"),
        (lambda f: (f / "extra.csv").write_text("x"), "extra.csv is not of it"),
        (lambda f: (f / "manifest.json").unlink(), "manifest.json cannot be read"),
        (lambda f: _flip(f / "fct_metric.parquet"), "fct_metric.parquet was changed"),
        (lambda f: _flip(f / "manifest.json", b'"cells"', b'"sells"'), "not the one that was"),
    ],
)
def test_a_spoilt_release_is_noticed_and_is_neither_published_nor_rolled_back_to(
    folder, spoil, reason
):
    first, second = published("b1"), published("b2")
    spoil(folder / first)

    with pytest.raises(release.Corrupted, match=reason):
        release.verify("zz", first)
    with pytest.raises(release.Corrupted, match=reason):
        release.rollback("zz")
    with pytest.raises(release.Corrupted, match=reason):
        release.publish("zz", "b1")
    assert release.current("zz") == second


def _flip(path: Path, old: bytes = b"", new: bytes = b"") -> None:
    path.chmod(0o600)
    told = path.read_bytes()
    path.write_bytes(told.replace(old, new) if old else told[:-1] + bytes([told[-1] ^ 1]))


def test_a_release_that_was_lost_is_made_again(folder):
    name = published("b1")
    shutil.rmtree(folder / name)

    release.publish("zz", "b1")

    assert release.verify("zz") == name


# ------------------------------------------------------------------------------ rolling back


def test_rolling_back_goes_one_release_back_each_time(folder):
    first, second, third = published("b1"), published("b2"), published("b3")

    assert release.rollback("zz") == second
    assert release.rollback("zz") == first
    with pytest.raises(release.NoSuchRelease, match=f"no release before {first}"):
        release.rollback("zz")
    assert release.rollback("zz", third) == third
    assert release.current("zz") == third


def test_a_release_that_was_rolled_back_is_not_published_again_unless_forced(folder, caplog):
    first, second = published("b1"), published("b2")
    release.rollback("zz")

    assert release.publish("zz", "b2") is None
    assert f"release {second} was rolled back and stays withdrawn" in caplog.text
    assert release.current("zz") == first

    assert release.publish("zz", "b2", force=True) == second
    assert release.publish("zz", "b2") is None
    assert release.current("zz") == second


def test_other_inputs_are_published_after_a_rollback(folder):
    published("b1"), published("b2")
    release.rollback("zz")

    third = published("b3")

    assert release.current("zz") == third
    # And what readers saw before it is what rolling back returns to.
    assert release.rollback("zz") == release.releases("zz")[0]


def test_a_rollback_that_was_cut_short_is_finished_and_not_done_twice(folder):
    names = [published("b1"), published("b2"), published("b3")]
    release.rollback("zz")
    # Killed after the ledger and before the pointer.
    (folder / "current").unlink()
    (folder / "current").symlink_to(names[2])

    assert release.publish("zz", "b3") is None
    assert release.current("zz") == names[1]

    (folder / "current").unlink()
    (folder / "current").symlink_to(names[2])
    assert release.rollback("zz") == names[1]


@pytest.mark.parametrize("name", ["zz-000000000000", "../zz", ".staging-x", "current"])
def test_what_is_no_release_cannot_be_rolled_back_to(folder, name):
    first = published("b1")

    with pytest.raises(release.NoSuchRelease, match=first):
        release.rollback("zz", name)


# --------------------------------------------------------------------------------------- S3


def test_a_release_goes_to_s3_whole_and_its_pointer_last(folder, s3):
    name = published("b1")

    there = {
        entry["Key"].removeprefix("statewide/zz/"): entry["LastModified"]
        for entry in s3.list_objects_v2(Bucket=bucket())["Contents"]
    }
    files = {f"{name}/{path.name}" for path in (folder / name).iterdir()}
    assert set(there) == files | {"current.json"}
    for key in files:
        assert remote(s3, key) == (folder / key).read_bytes()
    assert pointer(s3) == name
    manifest = there[f"{name}/manifest.json"]
    assert all(at <= manifest for key, at in there.items() if key in files)
    assert json.loads(remote(s3, "current.json"))["manifest_sha256"] == lake.sha256(
        folder / name / "manifest.json"
    )


def test_killed_while_uploading_the_pointer_in_s3_leads_to_a_whole_release(folder, s3):
    first = published("b1")
    protected("b2")
    step = 3
    while True:
        process = run(KILLED.format(step=step, watched=("http.client.send",)))
        process.communicate()
        now = pointer(s3)
        manifest = remote(s3, f"{now}/manifest.json")
        for file, told in json.loads(manifest)["files"].items():
            assert len(remote(s3, f"{now}/{file}")) == told["bytes"]
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        assert step > 30 or now == first
        step += 5

    assert step > 12
    assert pointer(s3) == release.current("zz") == release.releases("zz")[1]


def test_what_s3_lacks_is_uploaded_on_the_next_run(folder, s3, monkeypatch):
    destination = os.environ["STATEWIDE_PUBLISH"]
    monkeypatch.delenv("STATEWIDE_PUBLISH")
    name = published("b1")
    monkeypatch.setenv("STATEWIDE_PUBLISH", destination)

    assert release.publish("zz", "b1") is None
    assert pointer(s3) == name

    s3.delete_object(Bucket=bucket(), Key=f"statewide/zz/{name}/fct_metric.csv")
    assert release.publish("zz", "b1") is None
    assert remote(s3, f"{name}/fct_metric.csv") == (folder / name / "fct_metric.csv").read_bytes()


def test_an_object_with_other_content_is_never_overwritten(folder, s3):
    first = published("b1")
    s3.put_object(Bucket=bucket(), Key="statewide/zz/other", Body=b"x")
    name = json.loads(json.dumps(release._manifest("zz", protected("b2"))))["release"]
    key = f"statewide/zz/{name}/fct_metric.csv"
    s3.put_object(Bucket=bucket(), Key=key, Body=b"somebody else's")

    with pytest.raises(object_store.DifferentContent, match=r"fct_metric\.csv is there with other"):
        release.publish("zz", "b2")

    assert remote(s3, f"{name}/fct_metric.csv") == b"somebody else's"
    assert pointer(s3) == release.current("zz") == first


def test_a_lost_release_is_made_again_though_its_checks_compare_with_another(home, folder, s3):
    name = published("b1")
    shutil.rmtree(folder)
    path = lake.warehouse("zz") / "b1.checks.json"
    promises = json.loads(path.read_text())
    path.write_text(json.dumps([promise | {"outcome": "warned"} for promise in promises]))

    assert release.publish("zz", "b1") == name
    assert pointer(s3) == name


def test_a_lost_race_for_the_pointer_is_an_error_that_a_second_run_settles(folder, s3):
    store = object_store.ObjectStore(os.environ["STATEWIDE_PUBLISH"])
    name = published("b1")
    seen = store.read("zz/current.json")
    store.swap("zz/current.json", seen, b'{"release": "zz-0123456789ab"}\n')

    with pytest.raises(object_store.LostRace, match=r"moved by somebody else.*zz-0123456789ab"):
        store.swap("zz/current.json", seen, b'{"release": "other"}\n')

    assert release.publish("zz", "b1") is None
    assert pointer(s3) == name


def test_a_file_damaged_on_its_way_is_refused_by_the_store(folder, s3, tmp_path):
    store = object_store.ObjectStore(os.environ["STATEWIDE_PUBLISH"])
    (tmp_path / "file").write_bytes(b"damaged")

    with pytest.raises(object_store.StoreFailed, match="could not write"):
        store.create("zz/file", tmp_path / "file", "0" * 64)

    assert store.read("zz/file").content is None


def test_a_large_file_goes_in_parts_and_only_where_none_is(folder, s3, tmp_path, monkeypatch):
    monkeypatch.setattr(object_store, "SINGLE", 5 * 2**20)
    monkeypatch.setattr(object_store, "PART", 5 * 2**20)
    store = object_store.ObjectStore(os.environ["STATEWIDE_PUBLISH"])
    large, other = tmp_path / "large", tmp_path / "other"
    large.write_bytes(os.urandom(11 * 2**20))
    other.write_bytes(os.urandom(11 * 2**20))

    assert store.create("zz/large", large, lake.sha256(large))
    assert not store.create("zz/large", large, lake.sha256(large))
    with pytest.raises(object_store.DifferentContent):
        store.create("zz/large", other, lake.sha256(other))
    # Somebody else was quicker: found out when the parts were to become the object.
    assert not store._parts("zz/large", other)
    assert store.sha256("zz/large") == lake.sha256(large)
    assert not s3.list_multipart_uploads(Bucket=bucket()).get("Uploads")


def test_rolling_back_moves_both_pointers_and_both_stay(folder, s3):
    first, second = published("b1"), published("b2")

    assert release.rollback("zz") == first
    assert pointer(s3) == release.current("zz") == first
    assert release.publish("zz", "b2") is None
    assert pointer(s3) == first
    assert release.rollback("zz", second) == second
    assert pointer(s3) == second


def test_a_store_that_cannot_be_reached_publishes_nothing_and_tells_no_secret(
    folder, s3, monkeypatch, caplog
):
    first = published("b1")
    monkeypatch.setenv("STATEWIDE_S3_ENDPOINT", "http://user:s3cret@127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with pytest.raises(object_store.StoreFailed, match="STATEWIDE_S3_ENDPOINT") as raised:
        published("b2")

    assert "s3cret" not in str(raised.value) + caplog.text
    assert release.current("zz") == first
    monkeypatch.setenv("STATEWIDE_S3_ENDPOINT", os.environ["AWS_ENDPOINT_URL_S3"])
    assert release.publish("zz", "b2") == release.current("zz")


@pytest.mark.parametrize("destination", ["/a/folder", "s3:///prefix", "https://bucket/x"])
def test_a_destination_that_is_not_in_s3_is_named(home, destination):
    with pytest.raises(object_store.BadDestination, match="STATEWIDE_PUBLISH"):
        object_store.ObjectStore(destination)


# ------------------------------------------------------------------------------ command line


def test_the_command_line_lists_verifies_and_rolls_back(folder, capsys):
    assert release.main(["list", "--state", "zz"]) == 0
    assert "nothing is published yet" in capsys.readouterr().out
    first, second = published("b1"), published("b2")

    assert release.main(["rollback", "--state", "zz"]) == 0
    assert release.main(["verify", "--state", "zz"]) == 0
    assert release.main(["list", "--state", "zz"]) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"zz: readers see release {first}; newer ones are withdrawn"
    assert said[1] == f"zz: release {first} is whole, every file is as it was published"
    assert any(line.startswith(f"* {first}") for line in said)
    assert any(line.startswith(f"  {second}") and line.endswith("withdrawn") for line in said)

    assert release.main(["verify", "--state", "zz", "--to", "zz-000000000000"]) == 1
    assert f"there are: {first}, {second}" in capsys.readouterr().err
