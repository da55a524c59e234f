"""A lake that several machines share is never seen half written, whoever is killed and when.

A machine is a STATEWIDE_HOME of its own; the store is a real one (tests/object_store.py).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from include import (
    disclosure,
    identifiers,
    incidents,
    lake,
    portals,
    quality,
    registry,
    release,
    retention,
    runs,
    shared_lake,
    warehouse,
)
from include.object_store import ObjectStore
from ops import rekey
from tests import builds, pipeline

ROOT = Path(__file__).parents[1]
KEY = "a-key-that-only-the-tests-of-the-shared-lake-have"
RECEIPT = "landed/zz/receipts/directory/2025.json"


@pytest.fixture(scope="module")
def bucket(object_store) -> str:
    """One for all tests: the store sets aside room for each that it has."""
    return object_store.bucket()


@pytest.fixture
def shared(object_store, bucket, tmp_path, monkeypatch):
    """An empty shared lake, and the environment of a machine that works on it."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATEWIDE_LAKE", f"s3://{bucket}/lakes/{tmp_path.name}")
    monkeypatch.setenv("STATEWIDE_HMAC_KEY", KEY)
    monkeypatch.delenv("STATEWIDE_PUBLISH", raising=False)
    monkeypatch.setenv("STATEWIDE_HOME", str(tmp_path / "one"))
    return store()


@pytest.fixture
def machine(shared, tmp_path, monkeypatch):
    """Be another machine from now on."""

    def be(name: str) -> Path:
        monkeypatch.setenv("STATEWIDE_HOME", str(tmp_path / name))
        return tmp_path / name

    return be


def store() -> ObjectStore:
    return ObjectStore(os.environ["STATEWIDE_LAKE"])


def index() -> dict[str, dict]:
    content = store().read("zz/index.json").content
    return json.loads(content)["files"] if content else {}


def write(name: str, content: str | bytes) -> None:
    path = lake.home() / name
    lake.private(path.parent)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)


def read(name: str) -> str:
    """A file of the lake, as the next step sees it."""
    with shared_lake.working_copy("zz", name):
        return (lake.home() / name).read_text()


def put(name: str, content: str | bytes) -> None:
    with shared_lake.working_copy("zz", name):
        write(name, content)


# ---- from machine to machine -------------------------------------------------------------------


def test_what_one_machine_made_another_has(machine):
    put("lake/zz/directory/2025.parquet", b"rows" * 200_000)
    put("checked/zz/directory/2025/ab.parquet", "checked")
    machine("two")
    with shared_lake.working_copy("zz", "lake/zz/*"):
        assert (lake.home() / "lake/zz/directory/2025.parquet").read_bytes() == b"rows" * 200_000
        assert not (lake.home() / "checked").exists(), "what a step does not need is not fetched"
        (lake.home() / "lake/zz/directory/2025.parquet").unlink()
    assert set(index()) == {"checked/zz/directory/2025/ab.parquet"}


def test_links_and_the_absence_of_files_are_kept(machine):
    with shared_lake.working_copy("zz"):
        write("warehouse/zz/b1.duckdb", "build")
        (lake.home() / "warehouse/zz/current.duckdb").symlink_to("b1.duckdb")
    machine("two")
    with shared_lake.working_copy("zz", "warehouse/zz/current.duckdb"):
        assert warehouse.current("zz") == "b1"


def test_a_step_sees_one_moment_and_its_work_is_seen_at_once(machine, tmp_path, monkeypatch):
    put("lake/zz/a/2025.parquet", "old")
    with shared_lake.working_copy("zz"):
        shared_lake.bring("zz", "lake/zz/a/*")
        write("lake/zz/b/2025.parquet", "half of it")
        before = index()
        write("lake/zz/c/2025.parquet", "the other half")
        assert index() == before, "nothing is seen before the step ends"
    assert {"lake/zz/b/2025.parquet", "lake/zz/c/2025.parquet"} <= set(index())


def test_without_a_shared_lake_the_folder_is_the_lake(home, monkeypatch):
    monkeypatch.delenv("STATEWIDE_LAKE", raising=False)
    with shared_lake.working_copy("zz", "lake/zz/*"):
        assert lake.home() == home
    assert not (home / "steps").exists()


def test_what_a_failed_step_found_out_is_kept(shared):
    @shared_lake.step()
    def check(state: str) -> None:
        write("quarantine/zz/directory/2025/ab.json", "verdict")
        raise ValueError(f"refused; see {lake.home()}/quarantine/zz/directory/2025/ab.json")

    with pytest.raises(ValueError) as error:
        check("zz")
    assert str(lake.machine() / "quarantine/zz/directory/2025/ab.json") in str(error.value)
    shared_lake.view("zz")
    assert (lake.machine() / "quarantine/zz/directory/2025/ab.json").read_text() == "verdict"


# ---- two at once -------------------------------------------------------------------------------


def test_two_steps_of_a_state_at_once_both_count(machine, shared):
    put("lake/zz/loads.jsonl", "first\n")
    here, barrier = dict(os.environ), threading.Barrier(6)

    def work(number: int) -> None:
        with shared_lake.working_copy("zz", "lake/zz/loads.jsonl"):
            barrier.wait()
            write(f"lake/zz/extract_{number}/2025.parquet", str(number))
            with (lake.home() / "lake/zz/loads.jsonl").open("a") as lines:
                lines.write(f"line {number}\n")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(os.environ) == here
    assert len([name for name in index() if name.endswith(".parquet")]) == 6
    lines = read("lake/zz/loads.jsonl").splitlines()
    assert sorted(lines) == ["first", *(f"line {number}" for number in range(6))]


def test_of_two_steps_that_change_the_same_file_the_later_one_starts_over(machine, shared):
    put("lake/zz/a/2025.parquet", "old")
    seen = []

    @shared_lake.step("lake/zz/a/*")
    def load(state: str) -> None:
        seen.append((lake.home() / "lake/zz/a/2025.parquet").read_text())
        if len(seen) == 1:
            overtake("lake/zz/a/2025.parquet", "theirs")
        write("lake/zz/a/2025.parquet", seen[-1] + " and ours")

    load("zz")
    assert seen == ["old", "theirs"]
    assert read("lake/zz/a/2025.parquet") == "theirs and ours"


def test_a_pointer_that_somebody_else_moved_meanwhile_is_left_where_they_put_it(machine, shared):
    """The worker that was given up and wakes again: its successor has gone on."""
    with shared_lake.working_copy("zz"):
        for build in ("b1", "b2", "b3"):
            write(f"warehouse/zz/{build}.duckdb", build)
    warehouse.accept("zz", "b1")

    @shared_lake.step("warehouse/zz/*", moves_pointer=True)
    def asleep(state: str) -> None:
        in_another_process("from include import warehouse; warehouse.accept('zz', 'b3')")
        warehouse.accept("zz", "b2")

    with pytest.raises(shared_lake.Overtaken, match="while this one was at work"):
        asleep("zz")
    with shared_lake.working_copy("zz", "warehouse/zz/current.duckdb"):
        assert warehouse.current("zz") == "b3"


def overtake(name: str, content: str) -> None:
    in_another_process(f"from tests.test_shared_lake import put; put({name!r}, {content!r})")


def in_another_process(code: str) -> None:
    """Another machine does something meanwhile."""
    home = Path(os.environ["STATEWIDE_HOME"]).with_name("another")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"STATEWIDE_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# ---- killed, damaged, away ---------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["at_work", "before_the_index"])
def test_a_step_that_was_killed_never_happened(moment, machine, shared, tmp_path):
    """Between two uploads as well as before the first: only the index says what is there."""
    put("lake/zz/a/2025.parquet", "old")
    before, there = index(), tmp_path / "there"
    code = f"""
import time, pathlib
from include import lake, object_store, shared_lake
from tests.test_shared_lake import write
def wait(*_, **__):
    pathlib.Path({str(there)!r}).touch()
    time.sleep(60)
if {moment!r} == "before_the_index":
    object_store.ObjectStore.swap = wait
with shared_lake.working_copy("zz", "lake/zz/*"):
    write("lake/zz/a/2025.parquet", "new")
    write("lake/zz/b/2025.parquet", "new")
    if {moment!r} == "at_work":
        wait()
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    while not there.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert index() == before
    assert read("lake/zz/a/2025.parquet") == "old"
    left = [path for path in (lake.machine() / "steps").iterdir() if path.is_dir()]
    assert left == [], "the next step clears up"
    assert shared_lake.verify("zz") == []


def test_a_damaged_cache_is_noticed_and_fetched_again(shared):
    content = b"rows" * 200_000
    put("lake/zz/a/2025.parquet", content)
    [blob] = (lake.machine() / "cache/zz").iterdir()
    blob.chmod(0o600)
    blob.write_bytes(b"ROWS" * 200_000)
    with shared_lake.working_copy("zz", "lake/zz/*"):
        assert (lake.home() / "lake/zz/a/2025.parquet").read_bytes() == content


def test_a_cache_that_outgrew_its_bound_forgets_and_nothing_is_lost(shared, monkeypatch):
    monkeypatch.setenv("STATEWIDE_CACHE_BYTES", "1000000")
    for number in range(3):
        put(f"lake/zz/a/202{number}.parquet", os.urandom(400_000))
    kept = sum(path.stat().st_size for path in (lake.machine() / "cache/zz").iterdir())
    assert kept <= 1_000_000
    with shared_lake.working_copy("zz", "lake/zz/*"):
        assert len(list((lake.home() / "lake/zz/a").iterdir())) == 3


def test_bytes_that_the_store_damaged_or_lost_stop_the_step(machine, shared, object_store):
    put("lake/zz/a/2025.parquet", "content")
    sha256 = index()["lake/zz/a/2025.parquet"]["sha256"]
    machine("two")
    blob = {"Bucket": shared.bucket, "Key": shared.key(f"zz/blobs/{sha256}")}
    object_store.client().put_object(**blob, Body=b"CONTENT")
    with pytest.raises(shared_lake.StoreFailed, match="came with other bytes"):
        read("lake/zz/a/2025.parquet")
    assert shared_lake.verify("zz") == ["lake/zz/a/2025.parquet"]
    object_store.client().delete_object(**blob)
    with pytest.raises(shared_lake.StoreFailed, match="is gone from the store"):
        read("lake/zz/a/2025.parquet")
    assert shared_lake.verify("zz") == ["lake/zz/a/2025.parquet"]
    object_store.client().put_object(**blob, Body=b"content")
    assert read("lake/zz/a/2025.parquet") == "content"


def test_a_store_that_is_away_stops_the_step_and_tells_no_secret(shared, monkeypatch):
    put("lake/zz/a/2025.parquet", "old")
    with away(monkeypatch), pytest.raises(shared_lake.StoreFailed) as error:
        put("lake/zz/a/2025.parquet", "new")
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(error.value)
    with pytest.raises(shared_lake.StoreFailed), shared_lake.working_copy("zz", "lake/zz/*"):
        write("lake/zz/a/2025.parquet", "new")
        with away(monkeypatch):  # from the middle of the step on
            shared_lake._current.get().store = store()
    assert read("lake/zz/a/2025.parquet") == "old"


@contextmanager
def away(monkeypatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("STATEWIDE_S3_ENDPOINT", "http://127.0.0.1:9")
        patched.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        yield


def test_an_index_cannot_name_a_file_outside_of_the_lake(shared):
    seen = shared.read("zz/index.json")
    evil = {"format": 1, "files": {"lake/zz/../../../x": {"link": "/etc/passwd"}}}
    shared.swap("zz/index.json", seen, json.dumps(evil).encode())
    with pytest.raises(shared_lake.StoreFailed, match="no file of a lake"):
        read("lake/zz/*")


# ---- people's data -----------------------------------------------------------------------------


def test_a_machine_with_another_key_works_on_nothing(machine, shared, monkeypatch):
    put("lake/zz/a/2025.parquet", "content")
    machine("two")
    monkeypatch.setenv("STATEWIDE_HMAC_KEY", KEY[::-1])
    with pytest.raises(shared_lake.WrongKey, match="not the key that"):
        put("lake/zz/a/2025.parquet", "other names for the same people")
    monkeypatch.delenv("STATEWIDE_HMAC_KEY")
    with pytest.raises(identifiers.WeakKey, match="make env"):
        read("lake/zz/a/2025.parquet")
    assert not (lake.machine() / "hmac.key").exists()


def test_only_their_owner_can_enter_the_copies_and_the_cache(shared):
    put("lake/zz/a/2025.parquet", b"x" * 300_000)
    with shared_lake.working_copy("zz", "lake/zz/*"):
        for folder in (lake.home(), lake.machine() / "steps", lake.machine() / "cache/zz"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
        for path in lake.home().rglob("*.parquet"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


# ---- looking after it --------------------------------------------------------------------------


def test_a_view_follows_the_lake_and_never_covers_a_lake_of_its_own(machine, shared):
    put("lake/zz/a/2025.parquet", b"x" * 300_000)
    put("lake/zz/b/2025.parquet", "b")
    two = machine("two")
    assert shared_lake.view("zz") == 2
    (two / "lake/zz/b/2025.parquet").write_text("changed by hand")
    put("lake/zz/c/2025.parquet", "c")
    with shared_lake.working_copy("zz", "lake/zz/*"):
        (lake.home() / "lake/zz/a/2025.parquet").unlink()
    assert shared_lake.view("zz") == 2
    assert (two / "lake/zz/b/2025.parquet").read_text() == "b"
    assert not (two / "lake/zz/a/2025.parquet").exists()

    three = machine("three")
    (three / "lake/zz/a").mkdir(parents=True)
    (three / "lake/zz/a/2025.parquet").write_text("its own")
    with pytest.raises(shared_lake.NotEmpty, match="adopt"):
        shared_lake.view("zz")
    assert (three / "lake/zz/a/2025.parquet").read_text() == "its own"


def test_a_copy_is_a_backup_and_adopting_it_restores_the_lake(machine, shared, tmp_path):
    put("lake/zz/a/2025.parquet", b"x" * 300_000)
    with shared_lake.working_copy("zz"):
        write("warehouse/zz/b1.duckdb", "build")
        (lake.home() / "warehouse/zz/current.duckdb").symlink_to("b1.duckdb")
    whole, backup = index(), tmp_path / "backup"
    incidents.note("zz", "ingest", "directory 2025", "check", "a promise broke")
    wrong = incidents.open_incidents()
    assert shared_lake.main(["copy", "--state", "zz", "--to", str(backup)]) == 0
    put("lake/zz/a/2025.parquet", "a mishap")
    shared.remove("zz/index.json")
    shared.remove("incidents.json")
    os.environ["STATEWIDE_HOME"] = str(machine("restored"))
    shutil.copytree(backup, lake.machine(), symlinks=True)
    assert shared_lake.main(["adopt", "--state", "zz"]) == 0
    assert index() == whole
    assert incidents.open_incidents() == wrong, "who has been told is told no second time"
    with pytest.raises(shared_lake.NotEmpty, match="already"):
        shared_lake.adopt("zz")


def test_what_nobody_names_is_collected_once_it_is_old(shared, capsys):
    put("lake/zz/a/2025.parquet", "old")
    put("lake/zz/a/2025.parquet", "new")
    assert shared_lake.collect("zz") == 0, "a step under way may be about to name it"
    assert shared_lake.collect("zz", days=0) == 1
    assert read("lake/zz/a/2025.parquet") == "new"
    assert shared_lake.verify("zz") == []


def test_what_is_old_is_made_new_before_it_is_named_again(machine, shared, monkeypatch):
    put("lake/zz/a/2025.parquet", "content")
    sha256 = index()["lake/zz/a/2025.parquet"]["sha256"]
    written = shared.written(f"zz/blobs/{sha256}")
    time.sleep(1.1)
    monkeypatch.setattr(shared_lake, "FRESH", shared_lake.timedelta(0))
    put("lake/zz/b/2025.parquet", "content")
    assert shared.written(f"zz/blobs/{sha256}") > written


# ---- what goes -------------------------------------------------------------------------------


def landed(number: int, extract: str = "directory") -> str:
    """Receive a file with all that its check leaves. Returns its hash."""
    with shared_lake.working_copy("zz", f"landed/zz/receipts/{extract}/*"):
        made = lake.machine() / f"{number}.part"
        made.write_text(str(number))
        sha256 = lake.sha256(made)
        receipt = {"sha256": sha256, "source": "x", "bytes": made.stat().st_size}
        lake.receive("zz", extract, 2025, made, receipt)
        name = f"quarantine/zz/{extract}/2025/{sha256}"
        write(f"{name}.json", json.dumps({"promises": []}))
        write(f"{name}.parquet", f"rows of {number}")
        write(f"docs/zz/{extract}/2025/{sha256[:12]}/index.html", f"docs of {number}")
        (lake.home() / f"docs/zz/{extract}/2025/{sha256[:12]}/static").symlink_to("../../../static")
    return sha256


@pytest.fixture
def old(monkeypatch):
    """From now on, everything was written this many days ago."""

    def be(days: float) -> None:
        now = time.time
        monkeypatch.setattr(retention.time, "time", lambda: now() + days * retention.DAY)

    return be


POLICY = retention.Policy(files=400, builds=30)


@pytest.mark.usefixtures("plain_builds")
def test_old_files_and_builds_go_and_what_a_release_needs_stays(machine, shared, old):
    hashes = [landed(number) for number in range(3)]
    names = []
    for build in ("b1", "b2", "b3"):
        publish_another(build)
        warehouse.accept("zz", build)
        with shared_lake.working_copy("zz", "published/zz/current"):
            names.append(release.current("zz"))
    before = index()
    assert retention.clean("zz", POLICY) == []
    assert index() == before
    assert retention.states() == ["zz"]

    machine("two")
    old(5000)
    gone = {str(path) for path in retention.clean("zz", POLICY)}
    assert f"landed/zz/objects/{hashes[0]}" in gone
    assert f"docs/zz/directory/2025/{hashes[1][:12]}" in gone
    now = index()
    assert not [name for name in now if hashes[0] in name or hashes[0][:12] in name]
    of_the_last = [name for name in now if hashes[2] in name or hashes[2][:12] in name]
    assert len(of_the_last) == 5, "object, verdict, quarantine, Data Docs: the next check needs it"
    builds_left = {Path(name).name.partition(".")[0] for name in now if "/zz/b" in name}
    assert builds_left == {"b3"}, "the current build"
    assert {name for name in before if name.startswith("published/")} <= now.keys()
    for name in names:
        assert release.verify("zz", name) == name
    assert release.rollback("zz", names[0]) == names[0]
    assert shared_lake.verify("zz") == []
    assert retention.clean("zz", POLICY) == []


def test_bytes_go_a_cleaning_after_their_files(shared, old, monkeypatch):
    landed(1), landed(2)
    old(5000)
    assert retention.collect("zz") == 0
    assert retention.clean("zz", POLICY)
    there = len(list(shared.listed("zz/blobs")))
    monkeypatch.setattr(shared_lake, "GRACE", shared_lake.timedelta(0))
    assert shared_lake.collect("zz", days=0) > 0
    assert len(list(shared.listed("zz/blobs"))) < there
    assert shared_lake.verify("zz") == []


def test_a_lake_that_changed_while_it_was_looked_through_keeps_everything(shared, old, monkeypatch):
    """What somebody received in the meantime may be what was about to go."""
    first, _ = landed(1), landed(2)
    old(5000)
    looked = retention.unneeded

    def looked_slowly(*told):
        found = looked(*told)
        if len(times) < 2:
            times.append(1)
            meanwhile(lambda: landed(1))
        return found

    times: list[int] = []
    monkeypatch.setattr(retention, "unneeded", looked_slowly)
    gone = retention.clean("zz", POLICY)
    assert times == [1, 1]
    assert f"landed/zz/objects/{first}" not in map(str, gone)
    with shared_lake.working_copy("zz"):
        assert lake.landed("zz", first).read_text() == "1"


def test_what_a_step_makes_again_is_there_though_it_was_removed_meanwhile(shared, old):
    first, _ = landed(1), landed(2)
    old(5000)
    with shared_lake.working_copy("zz", "landed/zz/receipts/directory/*"):
        meanwhile(lambda: retention.clean("zz", POLICY))
        assert f"landed/zz/objects/{first}" not in index()
        landed(1)
    with shared_lake.working_copy("zz"):
        assert lake.landed("zz", first).read_text() == "1"


def test_a_step_whose_sources_went_meanwhile_starts_over(shared, old):
    first, _ = landed(1), landed(2)
    old(5000)
    seen = []

    @shared_lake.step("landed/{state}/objects/*")
    def read_it(state: str) -> None:
        seen.append((lake.home() / f"landed/zz/objects/{first}").exists())
        if len(seen) == 1:
            meanwhile(lambda: retention.clean("zz", POLICY))
        write("quarantine/zz/directory/2025/what.json", "what was found")

    read_it("zz")
    assert seen == [True, False]


def meanwhile(work) -> None:
    """Do something as another process would: without the step that is under way here."""
    failed = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    other = threading.Thread(target=run)
    other.start()
    other.join()
    if failed:
        raise failed[0]


# ---- the whole way -----------------------------------------------------------------------------


@pytest.mark.usefixtures("plain_builds")
def test_releases_are_listed_verified_and_rolled_back_from_any_machine(machine, shared, capsys):
    names = []
    for build, home in (("b1", "two"), ("b2", "three")):
        publish_another(build)
        names.append(release.current("zz") if shared_lake.view("zz") else None)
        machine(home)
    assert release.verify("zz") == names[1] != names[0]
    assert release.rollback("zz") == names[0]
    machine("four")
    assert release.main(["list", "--state", "zz"]) == 0
    told = capsys.readouterr().out
    assert f"* {names[0]}" in told and "withdrawn" in told
    shared_lake.view("zz")
    assert release.current("zz") == names[0]


def publish_another(build: str) -> None:
    with shared_lake.working_copy("zz"):
        facts = [builds.fact("membership", numerator=40.0)]
        builds.warehouse("zz", build, facts, sha256=build[1] * 64)
    release.publish("zz", disclosure.protect("zz", build))


@pytest.mark.usefixtures("plain_builds")
def test_a_publish_that_died_before_its_pointer_is_finished_by_another_machine(
    machine, shared, bucket, monkeypatch
):
    """The ledger is shared before the public pointer moves, so nobody publishes beside it."""
    monkeypatch.setenv("STATEWIDE_PUBLISH", f"s3://{bucket}/public")
    public = ObjectStore(os.environ["STATEWIDE_PUBLISH"])
    with monkeypatch.context() as patched:
        patched.setattr(release, "_swap", die)
        with pytest.raises(KeyboardInterrupt):
            publish_another("b1")
    assert public.read("zz/current.json").content is None
    assert "published/zz/releases.jsonl" in index()
    assert "published/zz/current" not in index()
    machine("two")
    name = release.publish("zz", "b1")
    assert name and json.loads(public.read("zz/current.json").content)["release"] == name
    shared_lake.view("zz")
    assert release.current("zz") == name
    lines = (lake.machine() / "published/zz/releases.jsonl").read_text().splitlines()
    assert len(lines) == 1, "published once, though two machines had a hand in it"


def die(*_, **__) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("plain_builds")
def test_a_store_that_was_lost_is_made_again_from_the_copy(
    machine, shared, bucket, tmp_path, monkeypatch
):
    """Lake and public releases: what docs/runbook.md says of restoring, as written."""
    monkeypatch.setenv("STATEWIDE_PUBLISH", f"s3://{bucket}/{tmp_path.name}/public")
    publish_another("b1")
    publish_another("b2")
    before = ObjectStore(os.environ["STATEWIDE_PUBLISH"]).read("zz/current.json").content
    assert shared_lake.main(["copy", "--state", "zz", "--to", str(tmp_path / "backup")]) == 0

    monkeypatch.setenv("STATEWIDE_LAKE", f"s3://{bucket}/{tmp_path.name}/new-lake")
    monkeypatch.setenv("STATEWIDE_PUBLISH", f"s3://{bucket}/{tmp_path.name}/new-public")
    monkeypatch.setenv("STATEWIDE_HOME", str(tmp_path / "backup"))
    assert shared_lake.main(["adopt", "--state", "zz"]) == 0
    machine("two")
    shared_lake.view("zz")
    now = release.current("zz")
    assert release.main(["rollback", "--state", "zz", "--to", now]) == 0
    public = ObjectStore(os.environ["STATEWIDE_PUBLISH"])
    assert public.read("zz/current.json").content == before
    files = json.loads(public.read(f"zz/{now}/manifest.json").content)["files"]
    assert all(public.sha256(f"zz/{now}/{name}") == it["sha256"] for name, it in files.items())
    assert shared_lake.verify("zz") == []


def test_a_new_key_gives_people_new_names_and_readers_nothing_new(
    machine, shared, tmp_path, monkeypatch
):
    extracts = tmp_path / "extracts"
    draw = ["-m", "include.demo", "--out", extracts, "--students", 1000, "--districts", 2]
    subprocess.run([sys.executable, *map(str, draw)], cwd=ROOT, check=True, capture_output=True)
    monkeypatch.setenv("STATEWIDE_EXTRACTS", str(extracts))
    pipeline.load("zz", 2025, "directory", "student_enrollment", "graduation_cohort")
    before, spec = students(), quality.spec("zz", "directory")
    shutil.rmtree(extracts)

    monkeypatch.setenv("STATEWIDE_HMAC_KEY", KEY[::-1])
    with pytest.raises(shared_lake.WrongKey, match="rotate keys"):
        students()
    assert rekey.main(["--state", "zz"]) == 0
    after = students()
    assert len(after) == len(before) and not after & before
    assert quality.spec("zz", "directory") == spec, "files that name nobody are left alone"
    assert rekey.rekey("zz") == 0
    monkeypatch.setenv("STATEWIDE_HMAC_KEY", KEY)
    with pytest.raises(shared_lake.WrongKey):
        students()


def students() -> set[str]:
    with shared_lake.working_copy("zz", "lake/zz/*"), duckdb.connect() as connection:
        rows = lake.partition("zz", "student_enrollment", 2025)
        told = connection.execute("select distinct student_id from read_parquet(?)", [str(rows)])
        return {name for (name,) in told.fetchall()}


def test_each_step_on_another_machine_gives_the_release_that_one_folder_gives(
    machine, shared, tmp_path, monkeypatch
):
    extracts = tmp_path / "extracts"
    draw = ["-m", "include.demo", "--out", extracts, "--students", 2000, "--districts", 3]
    subprocess.run([sys.executable, *map(str, draw)], cwd=ROOT, check=True, capture_output=True)
    monkeypatch.setenv("STATEWIDE_EXTRACTS", str(extracts))

    number = 0

    def elsewhere() -> None:
        nonlocal number
        number += 1
        machine(f"machine_{number}")

    for extract in registry.states()["zz"].due(2025):
        sha256 = portals.fetch("zz", extract, 2025)
        elsewhere()
        quality.check("zz", extract, 2025, sha256)
        elsewhere()
        lake.replace("zz", extract, 2025, sha256)
        elsewhere()
        # As Airflow does after a worker that it lost: the same again, somewhere else.
        assert lake.replace("zz", extract, 2025, sha256).sha256 == sha256
    assert runs.release_is_owed("zz")
    build = warehouse.create("zz")
    elsewhere()
    quality.check_marts("zz", build)
    warehouse.accept("zz", build)
    elsewhere()
    disclosure.protect("zz", build)
    elsewhere()
    name = release.publish("zz", build)
    elsewhere()
    assert not runs.release_is_owed("zz")
    assert release.publish("zz", build) is None
    shared_lake.view("zz")
    files = json.loads((lake.published("zz") / "current/manifest.json").read_text())["files"]

    machine("one_folder")
    monkeypatch.delenv("STATEWIDE_LAKE")
    pipeline.load("zz", 2025)
    assert pipeline.publish("zz") == name
    assert (
        json.loads((lake.published("zz") / "current/manifest.json").read_text())["files"] == files
    )
