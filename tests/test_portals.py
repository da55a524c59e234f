"""What a publisher hands out arrives whole or not at all, and we go only where we may."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import random
import signal
import socket
import stat
import struct
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include import lake, portals, registry
from include.portals import locations, transfers
from tests.drop_box import PASSWORD, DropBox
from tests.object_store import ObjectStore
from tests.publisher import (
    Publisher,
    Relay,
    answer,
    cut_after,
    cut_then,
    drip,
    hold_after,
    now,
    redirect,
    without_length,
)

CSV = b"school,students\n" + b"".join(b"%06d,%d\n" % (n, n % 700) for n in range(60_000))
OTHER_CSV = CSV.replace(b"699", b"701")
PAGE = b"<!DOCTYPE html>\n<html><body>The data have moved.</body></html>"
OCTOBER_2018 = 1_540_000_000

DECLARATION = """
state: qq
name: Quivira
agency: Department of Education
owner: data-team
schedule: "@monthly"
hosts: [files.example.gov]
extracts:
  membership:
    group: enrollment
    description: One row for each school.
    school_years: [2018, 2019]
    source: {source}
    {manifest}
    key: [school]
    rows: [1, 100000]
    columns: {{school: school, students: students}}
"""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATEWIDE_RETRY_SECONDS", "0")
    monkeypatch.setenv("STATEWIDE_RETRIES", "3")
    monkeypatch.delenv("STATEWIDE_EXTRACTS", raising=False)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as running:
        yield running


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "partial" / "file.part"


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Declare a state with one extract; everything else is as in the repository."""

    def declared(source: str = "qq/{school_year}/membership.csv", manifest: str = "") -> None:
        folder = tmp_path / "states"
        folder.mkdir(exist_ok=True)
        told = f"manifest: {manifest}" if manifest else ""
        (folder / "qq.yml").write_text(DECLARATION.format(source=source, manifest=told))
        monkeypatch.setattr(registry, "STATES", folder)
        registry.states.cache_clear()

    yield declared
    monkeypatch.undo()
    registry.states.cache_clear()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


# ---------------------------------------------------------------- fetch: from a source to the lake


def test_a_file_lands_byte_for_byte_under_its_hash_with_a_receipt(
    home, declare, publisher, monkeypatch
):
    declare()
    monkeypatch.setenv("STATEWIDE_EXTRACTS", publisher.url)
    publisher.publish("/qq/2019/membership.csv", CSV)

    landed = portals.fetch("qq", "membership", 2019)

    assert landed == sha256(CSV)
    assert lake.landed("qq", landed).read_bytes() == CSV
    receipt = lake.receipt("qq", "membership", 2019)
    assert receipt["source"] == f"{publisher.url}/qq/2019/membership.csv"
    assert receipt["bytes"] == len(CSV)
    assert receipt["headers"]["etag"] and receipt["headers"]["content-type"] == "text/csv"
    assert list(lake.partials("qq").iterdir()) == []


def test_an_unchanged_file_is_acknowledged_and_not_sent_again(
    home, declare, publisher, monkeypatch
):
    declare()
    monkeypatch.setenv("STATEWIDE_EXTRACTS", publisher.url)
    publisher.publish("/qq/2019/membership.csv", CSV)

    first = portals.fetch("qq", "membership", 2019)
    again = portals.fetch("qq", "membership", 2019)

    assert first == again
    assert publisher.statuses("/qq/2019/membership.csv") == [200, 304]
    assert lake.receipt("qq", "membership", 2019)["unchanged"] is True
    history = lake.receipts("qq", "membership", 2019).with_suffix(".jsonl").read_text()
    assert len(history.splitlines()) == 2


def test_by_force_an_unchanged_file_is_sent_again(home, declare, publisher, monkeypatch):
    declare()
    monkeypatch.setenv("STATEWIDE_EXTRACTS", publisher.url)
    publisher.publish("/qq/2019/membership.csv", CSV)

    portals.fetch("qq", "membership", 2019)
    portals.fetch("qq", "membership", 2019, force=True)

    assert publisher.statuses("/qq/2019/membership.csv") == [200, 200]


def test_a_file_whose_landed_bytes_are_gone_is_fetched_again(home, declare, publisher, monkeypatch):
    declare()
    monkeypatch.setenv("STATEWIDE_EXTRACTS", publisher.url)
    publisher.publish("/qq/2019/membership.csv", CSV)
    landed = portals.fetch("qq", "membership", 2019)
    lake.landed("qq", landed).unlink()

    portals.fetch("qq", "membership", 2019)

    assert lake.landed("qq", landed).read_bytes() == CSV


def test_an_error_names_state_extract_year_source_and_what_to_do(
    home, declare, publisher, monkeypatch
):
    declare()
    monkeypatch.setenv("STATEWIDE_EXTRACTS", publisher.url)

    with pytest.raises(portals.NotPublished) as raised:
        portals.fetch("qq", "membership", 2018)

    told = str(raised.value)
    assert told.startswith(f"qq membership 2018: {publisher.url}/qq/2018/membership.csv: ")
    assert "404" in told and "check the source" in told
    assert raised.value.transient is False
    assert publisher.statuses("/qq/2018/membership.csv") == [404]


def test_a_year_that_is_not_declared_is_not_asked_for(home, declare, extracts):
    declare()

    with pytest.raises(registry.BadDeclaration, match="no membership of 2020; it has 2018, 2019"):
        portals.fetch("qq", "membership", 2020)


def test_two_fetches_side_by_side_land_the_file_once(home, declare, publisher, monkeypatch):
    declare()
    monkeypatch.setenv("STATEWIDE_EXTRACTS", publisher.url)
    publisher.publish("/qq/2019/membership.csv", CSV)
    landed: list[str] = []
    both = [
        threading.Thread(target=lambda: landed.append(portals.fetch("qq", "membership", 2019)))
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert landed == [sha256(CSV)] * 2
    assert sorted(publisher.statuses("/qq/2019/membership.csv")) == [200, 304]


# ------------------------------------------------------------------------------------- manifests


def test_a_manifest_beside_the_extract_goes_into_the_receipt(home, declare, extracts):
    declare(manifest="membership.json")
    folder = extracts / "qq/2019"
    folder.mkdir(parents=True)
    told = {"rows": 60_000, "sha256": sha256(CSV), "as_of": "2018-10-01", "submission": 3}
    (folder / "membership.csv").write_bytes(CSV)
    (folder / "membership.json").write_text(json.dumps(told))

    portals.fetch("qq", "membership", 2019)

    assert lake.receipt("qq", "membership", 2019)["manifest"] == told


def test_a_manifest_may_be_named_like_a_source(home, declare, extracts):
    declare(manifest="manifests/{school_year}.json")
    (extracts / "qq/2019").mkdir(parents=True)
    (extracts / "manifests").mkdir()
    (extracts / "qq/2019/membership.csv").write_bytes(CSV)
    (extracts / "manifests/2019.json").write_text('{"rows": 1}')

    portals.fetch("qq", "membership", 2019)

    assert lake.receipt("qq", "membership", 2019)["manifest"] == {"rows": 1}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (json.dumps({"sha256": sha256(OTHER_CSV)}), "about a file with SHA-256"),
        ("rows: 60000", "not a JSON object"),
        ("[1, 2]", "not a JSON object"),
    ],
)
def test_a_file_that_its_manifest_does_not_describe_does_not_land(
    home, declare, extracts, told, reason
):
    declare(manifest="membership.json")
    (extracts / "qq/2019").mkdir(parents=True)
    (extracts / "qq/2019/membership.csv").write_bytes(CSV)
    (extracts / "qq/2019/membership.json").write_text(told)

    with pytest.raises(portals.BrokenManifest, match=reason):
        portals.fetch("qq", "membership", 2019)
    assert lake.receipt("qq", "membership", 2019) is None


def test_a_declared_manifest_that_is_not_there_is_missed(home, declare, extracts):
    declare(manifest="membership.json")
    (extracts / "qq/2019").mkdir(parents=True)
    (extracts / "qq/2019/membership.csv").write_bytes(CSV)

    with pytest.raises(portals.NotPublished, match=r"membership\.json: there is no such file"):
        portals.fetch("qq", "membership", 2019)


# --------------------------------------------------------------------------------------- folders


def test_a_folder_is_told_by_hash_and_not_by_time(home, declare, extracts):
    declare()
    file = extracts / "qq/2019/membership.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes(CSV)
    os.utime(file, (OCTOBER_2018, OCTOBER_2018))
    first = portals.fetch("qq", "membership", 2019)
    same = portals.fetch("qq", "membership", 2019)
    file.write_bytes(OTHER_CSV)
    os.utime(file, (OCTOBER_2018, OCTOBER_2018))
    changed = portals.fetch("qq", "membership", 2019)

    assert first == same == sha256(CSV)
    assert changed == sha256(OTHER_CSV)


def test_a_file_missing_from_a_folder_is_named_with_its_neighbors(home, declare, extracts):
    declare()
    (extracts / "qq/2019").mkdir(parents=True)
    (extracts / "qq/2019/members.csv").touch()

    with pytest.raises(portals.NotPublished, match=r"2019 holds members\.csv"):
        portals.fetch("qq", "membership", 2019)
    with pytest.raises(portals.NotPublished, match="qq holds 2019"):
        portals.fetch("qq", "membership", 2018)


def test_the_root_may_itself_be_the_folder_of_the_state(home, declare, extracts):
    declare()
    (extracts / "2019").mkdir()
    (extracts / "2019/membership.csv").write_bytes(CSV)

    assert portals.fetch("qq", "membership", 2019) == sha256(CSV)


def test_the_folder_of_one_state_is_not_taken_for_that_of_another(tmp_path, part):
    (tmp_path / "nc/2019").mkdir(parents=True)
    (tmp_path / "nc/2019/membership.csv").write_bytes(CSV)

    with pytest.raises(portals.NotPublished):
        portals.download("qq/2019/membership.csv", part, root=str(tmp_path / "nc"), state="qq")
    assert portals.download(
        "nc/2019/membership.csv", part, root=str(tmp_path / "nc"), state="nc"
    ).path


def test_a_url_that_ends_with_the_state_is_the_folder_of_the_state(publisher, part):
    publisher.publish("/data/qq/2019/membership.csv", CSV)

    arrival = portals.download(
        "qq/2019/membership.csv", part, root=f"{publisher.url}/data/qq", state="qq"
    )

    assert arrival.receipt["sha256"] == sha256(CSV)


@pytest.mark.parametrize(
    "source",
    [
        "../secret.csv",
        "qq/../../secret.csv",
        "/etc/hostname",
        "qq/%2e%2e/%2e%2e/secret.csv",
        "..\\secret.csv",
        "a.zip!../secret.csv",
        "a.zip!/secret.csv",
    ],
)
def test_a_source_does_not_leave_its_root(tmp_path, part, source):
    (tmp_path / "secret.csv").write_bytes(CSV)
    root = tmp_path / "root"
    root.mkdir()

    with pytest.raises(portals.BadLocation):
        portals.download(source, part, root=str(root))


def test_a_link_out_of_the_root_is_refused_and_one_inside_is_followed(tmp_path, part):
    (tmp_path / "secret.csv").write_bytes(CSV)
    root = tmp_path / "root"
    root.mkdir()
    (root / "out.csv").symlink_to(tmp_path / "secret.csv")
    (root / "up").symlink_to(tmp_path)
    (root / "real.csv").write_bytes(CSV)
    (root / "in.csv").symlink_to(root / "real.csv")

    for source in ("out.csv", "up/secret.csv"):
        with pytest.raises(portals.BadLocation, match="is a link out of"):
            portals.download(source, part, root=str(root))
    assert portals.download("in.csv", part, root=str(root)).receipt["sha256"] == sha256(CSV)


def test_a_pipe_or_a_folder_is_not_a_file(tmp_path, part):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()

    for source in ("pipe.csv", "folder.csv"):
        with pytest.raises(portals.BadLocation, match="is not a plain file"):
            portals.download(source, part, root=str(tmp_path))


@pytest.mark.parametrize(
    "source",
    [
        "file:///etc/hostname",
        "ftp://files.example.gov/x.csv",
        "http://files.example.gov/x.csv",
        "gopher://x/y",
    ],
)
def test_absolute_sources_are_https_s3_or_sftp(part, source):
    with pytest.raises(portals.BadLocation, match="use https, s3 or sftp"):
        portals.download(source, part, hosts=["files.example.gov", "x"])


def test_a_relative_source_wants_a_root(part):
    with pytest.raises(portals.BadLocation, match="STATEWIDE_EXTRACTS is not set"):
        portals.download("qq/2019/membership.csv", part)


# ----------------------------------------------------------------------------- cuts on the web


def test_a_cut_download_goes_on_where_it_was_cut(publisher, part):
    publisher.publish("/x.csv", CSV)
    publisher.misbehave("/x.csv", cut_after(1000), cut_after(20_000))

    arrival = portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV
    assert arrival.receipt["sha256"] == sha256(CSV)
    assert [r.headers.get("range") for r in publisher.requests] == [
        None, "bytes=1000-", "bytes=21000-",
    ]  # fmt: skip
    assert {r.headers.get("if-range") for r in publisher.requests[1:]} == {
        publisher.documents["/x.csv"].etag
    }


def test_a_cut_download_goes_on_in_the_next_call(publisher, part):
    publisher.publish("/x.csv", CSV)
    publisher.misbehave("/x.csv", cut_after(5000), cut_after(0), cut_after(0), cut_after(0))

    with pytest.raises(portals.Interrupted, match=rf"cut after 5000 of {len(CSV)} bytes|was cut"):
        portals.download("x.csv", part, root=publisher.url)
    portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV
    assert publisher.requests[-1].headers["range"] == "bytes=5000-"


def test_a_download_goes_on_after_its_process_was_killed(publisher, part):
    publisher.publish("/x.csv", CSV)
    out = threading.Event()
    publisher.misbehave("/x.csv", hold_after(300_000, out.set))
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from include import portals
        portals.download("x.csv", Path({str(part)!r}), root={publisher.url!r})
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[1])
    try:
        assert out.wait(60)
        until = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size == 300_000):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

    portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV
    assert publisher.requests[-1].headers["range"] == "bytes=300000-"
    assert publisher.requests[-1].status == 206


def test_a_file_that_changed_between_cut_and_resume_is_fetched_from_its_start(publisher, part):
    publisher.publish("/x.csv", CSV)
    publisher.misbehave("/x.csv", cut_then(5000, lambda: publisher.publish("/x.csv", OTHER_CSV)))

    portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == OTHER_CSV
    assert publisher.statuses("/x.csv") == [200, 200]


def test_a_server_that_sends_the_rest_of_another_version_is_not_believed(publisher, part):
    publisher.publish("/x.csv", CSV)
    rest = answer(
        206,
        OTHER_CSV[5000:],
        Content_Range=f"bytes 5000-{len(OTHER_CSV) - 1}/{len(OTHER_CSV)}",
        ETag='"another"',
    )
    publisher.misbehave("/x.csv", cut_after(5000), rest)

    portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV


def test_a_server_that_sends_another_part_than_asked_for_is_not_believed(publisher, part):
    publisher.publish("/x.csv", CSV)
    size = len(CSV)
    rest = answer(206, CSV[4000:], Content_Range=f"bytes 4000-{size - 1}/{size}")
    publisher.misbehave("/x.csv", cut_after(5000), rest)

    portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV


def test_a_server_without_ranges_sends_the_file_from_its_start(publisher, part):
    publisher.publish("/x.csv", CSV, ranges=False)
    publisher.misbehave("/x.csv", cut_after(5000))

    portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV


@pytest.mark.parametrize(
    "validators",
    [
        {"etag": None, "last_modified": None},
        {"etag": 'W/"weak"', "last_modified": None},
        {"etag": None, "last_modified": "now"},
    ],
    ids=["none", "weak", "a time that may still change"],
)
def test_without_a_strong_validator_nothing_is_spliced(publisher, part, validators):
    if validators["last_modified"] == "now":
        validators = validators | {"last_modified": now()}
    publisher.publish("/x.csv", CSV, **validators)
    publisher.misbehave("/x.csv", cut_after(5000))

    portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV
    assert [r.headers.get("range") for r in publisher.requests] == [None, None]


def test_last_modified_will_do_where_there_is_no_etag(publisher, part):
    publisher.publish("/x.csv", CSV, etag=None)
    publisher.misbehave("/x.csv", cut_after(5000))

    arrival = portals.download("x.csv", part, root=publisher.url)
    part.rename(part.with_name("landed"))
    again = portals.download("x.csv", part, arrival.receipt, root=publisher.url)

    assert part.with_name("landed").read_bytes() == CSV
    assert again.unchanged
    assert publisher.statuses("/x.csv") == [200, 206, 304]


def test_a_chunked_file_that_ends_too_early_has_not_arrived(publisher, part):
    publisher.publish("/x.csv", CSV)
    publisher.misbehave("/x.csv", without_length(5000, chunked=True))

    portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV
    assert len(publisher.requests) == 2


@pytest.mark.parametrize("chunked", [True, False])
def test_a_file_of_unknown_length_arrives_and_the_receipt_says_so(publisher, part, chunked):
    publisher.publish("/x.csv", CSV)
    publisher.misbehave("/x.csv", without_length(chunked=chunked))

    arrival = portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV
    assert arrival.receipt["length_known"] is False


def test_a_whole_file_left_by_a_killed_process_is_asked_for_its_last_byte(publisher, part):
    publisher.publish("/x.csv", CSV)
    portals.download("x.csv", part, root=publisher.url)

    portals.download("x.csv", part, root=publisher.url)

    assert part.read_bytes() == CSV
    assert publisher.requests[-1].headers["range"] == f"bytes={len(CSV) - 1}-"


def test_the_beginning_of_another_source_is_not_gone_on_with(publisher, part):
    publisher.publish("/x.csv", CSV)
    publisher.publish("/y.csv", CSV)
    publisher.misbehave("/x.csv", cut_after(5000), cut_after(0), cut_after(0), cut_after(0))
    with pytest.raises(portals.Interrupted):
        portals.download("x.csv", part, root=publisher.url)

    portals.download("y.csv", part, root=publisher.url)

    assert publisher.requests[-1].headers.get("range") is None


def test_a_large_file_is_never_whole_in_memory(publisher, part):
    publisher.publish("/x.csv", bytes(64 * 1024 * 1024))
    portals.download("x.csv", part.with_name("warm"), root=publisher.url)

    tracemalloc.start()
    try:
        portals.download("x.csv", part, root=publisher.url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 * 1024 * 1024


# ------------------------------------------------------------------- trouble, patience, limits


def test_a_busy_server_is_asked_again(publisher, part):
    publisher.publish("/x.csv", CSV)
    publisher.misbehave("/x.csv", answer(503, Retry_After="0"), answer(429))

    portals.download("x.csv", part, root=publisher.url)

    assert publisher.statuses("/x.csv") == [503, 429, 200]


def test_a_server_that_stays_busy_is_left_alone_after_a_while(publisher, part):
    publisher.misbehave("/x.csv", *[answer(500)] * 9)

    with pytest.raises(portals.Interrupted, match="answered 500") as raised:
        portals.download("x.csv", part, root=publisher.url)

    assert raised.value.transient is True
    assert len(publisher.requests) == 3


def test_a_longer_wait_than_there_is_time_for_is_left_to_the_next_run(publisher, part):
    publisher.misbehave("/x.csv", answer(503, Retry_After="86400"))

    with pytest.raises(portals.Interrupted, match="asks to wait 86400 s"):
        portals.download("x.csv", part, root=publisher.url)

    assert len(publisher.requests) == 1


def test_a_publisher_may_ask_to_wait_until_a_date(publisher, part):
    # Half a minute less than a day: a whole day would be 86400 s where it begins on a whole second.
    tomorrow = datetime.now(UTC) + timedelta(days=1, seconds=-30)
    publisher.misbehave(
        "/x.csv", answer(429, Retry_After=tomorrow.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    )

    with pytest.raises(portals.Interrupted, match=r"asks to wait 863\d\d"):
        portals.download("x.csv", part, root=publisher.url)


def test_waits_grow_and_are_not_all_alike():
    random.seed(1)
    settings = transfers.Settings(retry_seconds=2)
    waits = [
        [transfers.wait_before_retry(failures, None, settings) for _ in range(50)]
        for failures in (1, 2, 3, 20)
    ]

    assert [(min(w) >= 1, max(w) <= top) for w, top in zip(waits, (2, 4, 8, 60), strict=True)] == [
        (True, True)
    ] * 4
    assert min(waits[2]) >= 4 and min(waits[3]) >= 30
    assert len(set(waits[0])) > 1
    assert transfers.wait_before_retry(1, 90, settings) == 90


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, portals.UnexpectedAnswer),
        (401, portals.AccessDenied),
        (403, portals.AccessDenied),
        (404, portals.NotPublished),
        (410, portals.NotPublished),
        (204, portals.UnexpectedAnswer),
        (304, portals.UnexpectedAnswer),
    ],
)
def test_a_plain_refusal_is_not_argued_with(publisher, part, status, error):
    publisher.misbehave("/x.csv", answer(status))

    with pytest.raises(error) as raised:
        portals.download("x.csv", part, root=publisher.url)

    assert raised.value.transient is False
    assert len(publisher.requests) == 1


def test_a_server_that_is_not_there_is_a_passing_trouble(part):
    with Publisher() as gone:
        url = gone.url

    with pytest.raises(portals.Interrupted, match="was not reached"):
        portals.download("x.csv", part, root=url)


@pytest.mark.parametrize("where", ["headers", "body"])
def test_a_server_that_drips_is_left_at_the_deadline(publisher, part, where):
    publisher.publish("/x.csv", CSV)
    publisher.misbehave("/x.csv", drip(where))

    with pytest.raises(portals.TimedOut, match="more than 1 s") as raised:
        portals.download(
            "x.csv", part, root=publisher.url, settings=transfers.Settings(fetch_seconds=1)
        )
    assert raised.value.transient is True


def test_a_silent_server_is_not_waited_for(publisher, part):
    publisher.publish("/x.csv", CSV)
    publisher.misbehave("/x.csv", *[hold_after(0, lambda: None)] * 3)
    settings = transfers.Settings(retries=1, retry_seconds=0, read_seconds=0.2, fetch_seconds=30)

    with pytest.raises(portals.Interrupted, match="was cut"):
        portals.download("x.csv", part, root=publisher.url, settings=settings)


@pytest.mark.parametrize("misbehavior", [None, without_length()], ids=["told", "not told"])
def test_a_file_over_the_limit_is_refused(publisher, part, misbehavior):
    publisher.publish("/x.csv", CSV)
    if misbehavior:
        publisher.misbehave("/x.csv", misbehavior)
    settings = transfers.Settings(max_download_bytes=100_000)

    with pytest.raises(portals.TooLarge, match="STATEWIDE_MAX_DOWNLOAD_BYTES"):
        portals.download("x.csv", part, root=publisher.url, settings=settings)
    assert part.stat().st_size == 0


def test_a_setting_that_is_no_number_is_named(part, monkeypatch):
    monkeypatch.setenv("STATEWIDE_READ_SECONDS", "a minute")

    with pytest.raises(portals.BadLocation, match="STATEWIDE_READ_SECONDS: 'a minute'"):
        portals.download("x.csv", part, root="/")


# --------------------------------------------------------------------- web pages in place of data


@pytest.mark.parametrize("name", ["x.csv", "x.xlsx", "x.zip", "x.txt", "extract"])
def test_a_page_that_says_so_is_not_data(publisher, part, name):
    publisher.publish(f"/{name}", PAGE, content_type="text/html; charset=utf-8")

    with pytest.raises(portals.NotData, match=r"web page \(text/html\)"):
        portals.download(name, part, root=publisher.url)


@pytest.mark.parametrize(
    "page",
    [
        PAGE,
        b"\xef\xbb\xbf\r\n  <html>oops</html>",
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">',
        "<html>oops</html>".encode("utf-16"),
    ],
    ids=["doctype", "bom", "xhtml", "utf-16"],
)
def test_a_page_that_calls_itself_csv_is_not_data(publisher, tmp_path, part, page):
    publisher.publish("/x.csv", page)
    (tmp_path / "x.csv").write_bytes(page)
    (tmp_path / "x.zip").write_bytes(zipped({"x.csv": page}))

    for source, root in (
        ("x.csv", publisher.url),
        ("x.csv", str(tmp_path)),
        ("x.csv", str(tmp_path / "x.zip")),
    ):
        with pytest.raises(portals.NotData, match="open the source in a browser"):
            portals.download(source, part, root=root)


def test_a_page_does_not_replace_what_landed_before(home, declare, publisher, monkeypatch):
    declare()
    monkeypatch.setenv("STATEWIDE_EXTRACTS", publisher.url)
    publisher.publish("/qq/2019/membership.csv", CSV)
    landed = portals.fetch("qq", "membership", 2019)
    publisher.publish("/qq/2019/membership.csv", PAGE)

    with pytest.raises(portals.NotData):
        portals.fetch("qq", "membership", 2019)

    assert lake.receipt("qq", "membership", 2019)["sha256"] == landed


def test_a_body_that_was_packed_against_our_wish_is_refused(publisher, part):
    publisher.misbehave("/x.csv", answer(200, b"\x1f\x8b", Content_Encoding="gzip"))

    with pytest.raises(portals.UnexpectedAnswer, match="Content-Encoding gzip"):
        portals.download("x.csv", part, root=publisher.url)


# ------------------------------------------------------------------------------ where we may go


def test_a_redirect_on_the_same_host_is_followed(publisher, part):
    publisher.publish("/new/x.csv", CSV)
    publisher.misbehave("/x.csv", redirect("/new/x.csv"))

    arrival = portals.download("x.csv", part, root=publisher.url)

    assert arrival.receipt["sha256"] == sha256(CSV)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_into_the_private_network_is_refused_even_for_an_allowed_host(
    publisher, part, host
):
    with Publisher() as inside:
        inside.publish("/secret.csv", CSV)
        publisher.misbehave("/x.csv", redirect(f"http://{host}:{inside.port}/secret.csv"))

        with pytest.raises(portals.HostRefused, match="not a public address"):
            portals.download("x.csv", part, root=publisher.url, hosts=[host])
        assert inside.requests == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://elsewhere.example.com/x.csv", "the state's file allows files.example.gov"),
        ("http://169.254.169.254/latest/meta-data", "the state's file allows"),
        ("file:///etc/hostname", "not the web"),
        ("//elsewhere.example.com/x.csv", "the state's file allows"),
        ("http://127.0.0.1@elsewhere.example.com/x.csv", "the state's file allows"),
    ],
)
def test_a_redirect_to_elsewhere_is_refused(publisher, part, target, reason):
    publisher.misbehave("/x.csv", redirect(target))

    with pytest.raises(portals.HostRefused, match=reason):
        portals.download("x.csv", part, root=publisher.url, hosts=["files.example.gov"])


def test_a_circle_of_redirects_is_left(publisher, part):
    publisher.misbehave("/x.csv", *[redirect("/x.csv")] * 10)

    with pytest.raises(portals.HostRefused, match="more than 5 times"):
        portals.download("x.csv", part, root=publisher.url)


def test_an_absolute_source_must_be_on_a_host_of_the_state(part):
    with pytest.raises(portals.HostRefused, match=r"allows files\.example\.gov"):
        portals.download("https://files.example.com/x.csv", part, hosts=["files.example.gov"])
    with pytest.raises(portals.HostRefused, match="allows no host"):
        portals.download("s3://their-bucket/x.csv", part)
    with pytest.raises(portals.BadLocation, match="carries a password"):
        portals.download("sftp://u:pw@files.example.gov/x", part, hosts=["files.example.gov"])


def test_an_allowed_host_with_a_private_address_is_refused(publisher, part):
    source = f"https://localhost:{publisher.port}/x.csv"

    with pytest.raises(portals.HostRefused, match="not a public address"):
        portals.download(source, part, hosts=["localhost"])
    assert publisher.requests == []


def test_a_name_that_changes_its_meaning_leads_to_the_address_that_was_checked(
    publisher, part, monkeypatch
):
    publisher.publish("/x.csv", CSV)
    resolve, meanings = socket.getaddrinfo, ["127.0.0.1"]

    def shifting(host, *args, **kwargs):
        if host == "files.example.gov":
            host = meanings.pop() if meanings else "127.0.0.9"
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", shifting)

    portals.download("x.csv", part, root=f"http://files.example.gov:{publisher.port}")

    assert publisher.requests[0].headers["host"] == f"files.example.gov:{publisher.port}"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2600::1", True),
        ("10.1.2.3", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_addresses_that_only_we_can_reach_are_not_public(address, public):
    assert locations.is_public(address) is public


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, signed by itself."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "publisher.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(pem)
    )
    return path


def test_an_encrypted_source_stays_encrypted(certificate, publisher, part, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    publisher.publish("/x.csv", CSV)
    with Publisher(certificate=certificate) as secure:
        secure.publish("/x.csv", CSV)
        secure.misbehave("/x.csv", cut_after(9000), redirect(f"{publisher.url}/x.csv"))

        with pytest.raises(portals.HostRefused, match="from https to http"):
            portals.download("x.csv", part, root=secure.url, hosts=["127.0.0.1"])
        arrival = portals.download(f"{secure.url}/x.csv", part, root=secure.url)

    assert publisher.requests == []
    assert arrival.receipt["sha256"] == sha256(CSV)


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate, part, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with (
        Publisher(certificate=certificate) as secure,
        pytest.raises(portals.HostRefused, match="certificate that is not trusted"),
    ):
        portals.download("x.csv", part, root=secure.url)


# ---------------------------------------------------------------------------------------- secrets


def test_secrets_reach_the_publisher_and_nothing_else(
    home, declare, publisher, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    declare()
    root = f"http://agency:Tr0ub4dor@127.0.0.1:{publisher.port}/drop?sig=S1gnature"
    monkeypatch.setenv("STATEWIDE_EXTRACTS", root)
    path = "/drop/qq/2019/membership.csv?sig=S1gnature"
    publisher.publish(path, CSV)
    publisher.misbehave(path, cut_after(10), answer(503, Retry_After="0"))
    errors = []

    portals.fetch("qq", "membership", 2019)
    for trouble in (
        answer(403),
        answer(500),
        redirect("http://u:Tr0ub4dor@x.example.com/?S1gnature"),
    ):
        publisher.misbehave(path, *[trouble] * 3)
        with pytest.raises(portals.FetchError) as raised:
            portals.fetch("qq", "membership", 2019)
        errors.append(raised.value)
    publisher.__exit__(None, None, None)
    with pytest.raises(portals.FetchError) as raised:
        portals.fetch("qq", "membership", 2019)
    errors.append(raised.value)
    publisher.__enter__()

    assert publisher.requests[0].headers["authorization"].startswith("Basic ")
    told = [caplog.text, *("".join(traceback.format_exception(error)) for error in errors)]
    told += [path.read_text(errors="replace") for path in home.rglob("*") if path.is_file()]
    for secret in ("Tr0ub4dor", "S1gnature"):
        assert not any(secret in text for text in told)
    assert lake.receipt("qq", "membership", 2019)["source"].endswith("membership.csv?…")


def test_a_token_is_sent_to_its_own_host_only(publisher, part, monkeypatch):
    monkeypatch.setenv("STATEWIDE_HTTP_127_0_0_1_TOKEN", "t0ken")
    publisher.publish("/x.csv", CSV)

    portals.download("x.csv", part, root=publisher.url)
    portals.download("x.csv", part.with_name("2"), root=f"http://localhost:{publisher.port}")

    assert publisher.requests[0].headers["authorization"] == "Bearer t0ken"
    assert "authorization" not in publisher.requests[1].headers


def test_a_query_in_the_file_of_a_state_is_shown_without_what_looks_like_a_secret():
    [location] = locations.resolve(
        "https://files.example.gov/get?year=2019&api_key=abc", hosts=["files.example.gov"]
    )

    assert location.shown == "https://files.example.gov/get?year=2019&api_key=…"
    assert "abc" not in repr(location) and location.address.endswith("api_key=abc")


# --------------------------------------------------------------------------------------- archives


@pytest.fixture(params=["folder", "web"])
def archive_root(request, publisher, tmp_path):
    """Where to put an archive, and the root to find it under: on disk, and on the web."""

    def put(content: bytes, name: str = "all.zip") -> str:
        if request.param == "folder":
            (tmp_path / name).write_bytes(content)
            return str(tmp_path)
        publisher.publish(f"/{name}", content, content_type="application/zip")
        return publisher.url

    return put


def test_a_member_of_an_archive_arrives_with_its_name(archive_root, part):
    root = archive_root(zipped({"2019/membership.csv": CSV, "2019/other.csv": b"x"}))

    arrival = portals.download("all.zip!2019/membership.csv", part, root=root)

    assert part.read_bytes() == CSV
    assert arrival.receipt["member"] == "2019/membership.csv"
    assert arrival.receipt["source"] == f"{root}/all.zip!2019/membership.csv"
    assert arrival.receipt["sha256"] == sha256(CSV)


@pytest.mark.parametrize(
    ("folder", "inside"),
    [("qq/2019/", ""), ("2019/", ""), ("export/qq/2019/", "!export"), ("export/2019/", "!export/")],
)
def test_the_root_may_be_an_archive(archive_root, part, folder, inside):
    root = archive_root(zipped({f"{folder}membership.csv": CSV}))

    arrival = portals.download(
        "qq/2019/membership.csv", part, root=f"{root}/all.zip{inside}", state="qq"
    )

    assert arrival.receipt["sha256"] == sha256(CSV)


def test_many_members_want_one_download(publisher, tmp_path):
    publisher.publish("/all.zip", zipped({f"{n}.csv": b"%d" % n for n in range(5)}))
    publisher.misbehave("/all.zip", cut_after(100))
    receipts = {}

    for n in range(5):
        to = tmp_path / f"{n}.part"
        receipts[n] = portals.download(f"all.zip!{n}.csv", to, root=publisher.url).receipt
        assert to.read_bytes() == b"%d" % n

    assert publisher.statuses("/all.zip") == [200, 206, 304, 304, 304, 304]
    again = portals.download("all.zip!3.csv", tmp_path / "3.part", receipts[3], root=publisher.url)
    assert again.unchanged and again.receipt["sha256"] == sha256(b"3")
    [kept] = [p for p in (tmp_path / "archives").iterdir() if len(p.name) == 64]
    assert kept.name == sha256(kept.read_bytes()) == receipts[0]["archive"]["sha256"]


def test_a_new_archive_brings_new_members(publisher, tmp_path):
    publisher.publish("/all.zip", zipped({"x.csv": CSV}))
    to = tmp_path / "x.part"
    first = portals.download("all.zip!x.csv", to, root=publisher.url)
    publisher.publish("/all.zip", zipped({"x.csv": OTHER_CSV}))

    second = portals.download("all.zip!x.csv", to, first.receipt, root=publisher.url)

    assert second.receipt["sha256"] == sha256(OTHER_CSV)


def test_a_member_that_is_missing_is_named_with_its_neighbors(archive_root, part):
    root = archive_root(zipped({"2019/members.csv": CSV, "2018/membership.csv": CSV}))

    with pytest.raises(portals.NotPublished, match=r"it has 2019/members\.csv;"):
        portals.download("all.zip!2019/membership.csv", part, root=root)


def with_link() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        link = zipfile.ZipInfo("x.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/hostname")
    return made.getvalue()


def encrypted() -> bytes:
    content = bytearray(zipped({"x.csv": CSV}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    return bytes(content)


def twice() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("x.csv", CSV)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("x.csv", OTHER_CSV)
    return made.getvalue()


def with_a_wrong_crc() -> bytes:
    content = bytearray(zipped({"x.csv": CSV}, zipfile.ZIP_STORED))
    content[1000] ^= 1
    return bytes(content)


def with_a_huge_list() -> bytes:
    size = 17 * 1024 * 1024
    return bytes(size) + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, size, 0, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: zipped({"x.csv": bytes(50_000_000)}), "more than 200 times as many"),
        (lambda: zipped({"x.csv": CSV, "../y.csv": CSV}), r"a member named '\.\./y\.csv'"),
        (lambda: zipped({"x.csv": CSV, "/etc/y.csv": CSV}), "a member named '/etc/y.csv'"),
        (lambda: zipped({"x.csv": CSV, "..\\y.csv": CSV}), "a member named"),
        (lambda: zipped({"x.csv": CSV, "C:\\y.csv": CSV}), "a member named"),
        (with_link, "has a link"),
        (encrypted, "is encrypted"),
        (twice, "more than once"),
        (with_a_wrong_crc, "Bad CRC-32"),
        (with_a_huge_list, "a list of members larger"),
        (lambda: zipped({"x.csv": CSV})[:-100], "is damaged"),
        (lambda: b"school,students\n", "is damaged"),
        (lambda: zipped({f"{n}.csv": b"" for n in range(10_001)}), "10000 are allowed"),
    ],
    ids=[
        "bomb", "dots", "absolute", "backslash", "drive", "link", "encrypted", "twice", "crc",
        "list", "cut", "csv", "members",
    ],
)  # fmt: skip
def test_an_archive_that_no_honest_publisher_sends_is_refused(archive_root, part, content, reason):
    root = archive_root(content())

    with pytest.raises(portals.BadArchive, match=reason):
        portals.download("all.zip!x.csv", part, root=root)
    assert not part.exists()


def test_a_member_over_the_limit_is_refused(archive_root, part):
    root = archive_root(zipped({"x.csv": CSV}))
    settings = transfers.Settings(max_unzipped_bytes=1000)

    with pytest.raises(portals.TooLarge, match="STATEWIDE_MAX_UNZIPPED_BYTES"):
        portals.download("all.zip!x.csv", part, root=root, settings=settings)


def test_an_archive_in_an_archive_is_refused(tmp_path, part):
    (tmp_path / "all.zip").write_bytes(zipped({"inner.zip": zipped({"x.csv": CSV})}))

    with pytest.raises(portals.BadLocation, match="an archive in an archive"):
        portals.download("inner.zip!x.csv", part, root=str(tmp_path / "all.zip"))


def test_a_page_in_place_of_an_archive_is_told_as_such(publisher, part):
    publisher.publish("/all.zip", PAGE, content_type="application/zip")

    with pytest.raises(portals.NotData):
        portals.download("all.zip!x.csv", part, root=publisher.url)


# --------------------------------------------------------------------------------------------- S3


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    return object_store.bucket()


def test_an_object_arrives_and_is_not_sent_again(home, declare, object_store, bucket, monkeypatch):
    declare()
    monkeypatch.setenv("STATEWIDE_EXTRACTS", f"s3://{bucket}/drop")
    client = object_store.client()
    client.put_object(Bucket=bucket, Key="drop/qq/2019/membership.csv", Body=CSV)

    first = portals.fetch("qq", "membership", 2019)
    same = portals.fetch("qq", "membership", 2019)
    receipt = lake.receipt("qq", "membership", 2019)
    client.put_object(Bucket=bucket, Key="drop/qq/2019/membership.csv", Body=OTHER_CSV)
    changed = portals.fetch("qq", "membership", 2019)

    assert first == same == sha256(CSV)
    assert receipt["unchanged"] is True
    assert receipt["source"] == f"s3://{bucket}/drop/qq/2019/membership.csv"
    assert changed == sha256(OTHER_CSV)


@pytest.mark.parametrize("replaced", [False, True], ids=["same", "replaced"])
def test_a_cut_object_goes_on_unless_it_was_replaced(
    object_store, bucket, part, monkeypatch, replaced
):
    client = object_store.client()
    client.put_object(Bucket=bucket, Key="x.csv", Body=CSV)
    with Relay(int(object_store.endpoint.rpartition(":")[2]), [200_000]) as relay:
        monkeypatch.setenv("STATEWIDE_S3_ENDPOINT", f"http://127.0.0.1:{relay.port}")
        settings = transfers.Settings(retries=0)
        with pytest.raises(portals.Interrupted, match="was cut"):
            portals.download("x.csv", part, root=f"s3://{bucket}", settings=settings)
        held = part.stat().st_size
        if replaced:
            client.put_object(Bucket=bucket, Key="x.csv", Body=OTHER_CSV)
        arrival = portals.download("x.csv", part, root=f"s3://{bucket}")

    assert held > 0
    expected = OTHER_CSV if replaced else CSV
    assert part.read_bytes() == expected
    assert arrival.receipt["sha256"] == sha256(expected)


def test_a_member_of_an_archive_in_a_bucket_arrives(object_store, bucket, part):
    object_store.client().put_object(Bucket=bucket, Key="all.zip", Body=zipped({"x.csv": CSV}))

    portals.download("x.csv", part, root=f"s3://{bucket}/all.zip")

    assert part.read_bytes() == CSV


def test_an_absolute_bucket_must_be_one_of_the_hosts(object_store, bucket, part):
    object_store.client().put_object(Bucket=bucket, Key="x.csv", Body=CSV)

    assert portals.download(f"s3://{bucket}/x.csv", part, hosts=[bucket]).path
    with pytest.raises(portals.HostRefused):
        portals.download(f"s3://{bucket}/x.csv", part, hosts=["another"])


def test_an_object_that_is_not_there_is_not_published(bucket, part):
    for root in (f"s3://{bucket}", "s3://no-such-bucket-here"):
        with pytest.raises(portals.NotPublished, match="no such object"):
            portals.download("x.csv", part, root=root)


def test_wrong_keys_are_refused_and_not_repeated(object_store, bucket, part, monkeypatch):
    object_store.client().put_object(Bucket=bucket, Key="x.csv", Body=CSV)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wr0ng-secret")

    with pytest.raises(portals.AccessDenied) as raised:
        portals.download("x.csv", part, root=f"s3://{bucket}")
    assert "wr0ng-secret" not in "".join(traceback.format_exception(raised.value))


def test_a_store_that_is_not_there_is_a_passing_trouble(bucket, part, monkeypatch):
    monkeypatch.setenv("STATEWIDE_S3_ENDPOINT", "http://127.0.0.1:9")

    with pytest.raises(portals.Interrupted, match="S3 was not reached"):
        portals.download("x.csv", part, root=f"s3://{bucket}")


# ------------------------------------------------------------------------------------------- SFTP


@pytest.fixture
def drop_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DropBox]:
    folder = tmp_path / "drop"
    folder.mkdir()
    with DropBox(folder) as running:
        known = running.known_hosts(tmp_path / "known_hosts")
        monkeypatch.setenv("STATEWIDE_SFTP_KNOWN_HOSTS", str(known))
        monkeypatch.setenv("STATEWIDE_SFTP_127_0_0_1_PASSWORD", PASSWORD)
        yield running


def deliver(box: DropBox, name: str, content: bytes, modified: int = OCTOBER_2018) -> None:
    (box.folder / name).write_bytes(content)
    os.utime(box.folder / name, (modified, modified))


def test_a_delivered_file_arrives_and_is_not_sent_again(drop_box, part):
    deliver(drop_box, "x.csv", CSV)

    first = portals.download("x.csv", part, root=drop_box.url)
    part.rename(part.with_name("landed"))
    sent = len(drop_box.reads)
    again = portals.download("x.csv", part, first.receipt, root=drop_box.url)

    assert part.with_name("landed").read_bytes() == CSV
    assert again.unchanged and len(drop_box.reads) == sent
    assert first.receipt["source"] == f"sftp://127.0.0.1:{drop_box.port}/x.csv"


# Paramiko's own thread, which reads ahead, ends with the connection.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("replaced", [False, True], ids=["same", "replaced"])
def test_a_cut_delivery_goes_on_unless_it_was_replaced(drop_box, part, replaced):
    deliver(drop_box, "x.csv", CSV)
    held = 0
    for _ in range(20):  # a line may break before the first bytes of it were taken off
        drop_box.cuts = [400_000]
        with pytest.raises(portals.Interrupted, match="was cut"):
            settings = transfers.Settings(retries=0)
            portals.download("x.csv", part, root=drop_box.url, settings=settings)
        if held := part.stat().st_size:
            break
    drop_box.reads.clear()
    if replaced:
        deliver(drop_box, "x.csv", OTHER_CSV, OCTOBER_2018 + 1)

    portals.download("x.csv", part, root=drop_box.url)

    assert held > 0
    assert part.read_bytes() == (OTHER_CSV if replaced else CSV)
    assert min(drop_box.reads)[0] == (0 if replaced else held)


def test_a_file_just_delivered_is_read_again_in_the_next_run(drop_box, part):
    deliver(drop_box, "x.csv", CSV, int(time.time()))
    first = portals.download("x.csv", part, root=drop_box.url)
    deliver(drop_box, "x.csv", OTHER_CSV, int(time.time()))

    second = portals.download("x.csv", part, first.receipt, root=drop_box.url)

    assert second.receipt["sha256"] == sha256(OTHER_CSV)


def test_a_server_whose_host_key_is_unknown_is_not_talked_to(drop_box, part, monkeypatch, tmp_path):
    (tmp_path / "empty").touch()
    monkeypatch.setenv("STATEWIDE_SFTP_KNOWN_HOSTS", str(tmp_path / "empty"))

    with pytest.raises(portals.HostRefused, match=r"not known: SHA256:.*_SFTP_KNOWN_HOSTS"):
        portals.download("x.csv", part, root=drop_box.url)


def test_a_server_with_another_host_key_is_not_talked_to(drop_box, part, tmp_path):
    with DropBox(tmp_path) as other:
        known = Path(os.environ["STATEWIDE_SFTP_KNOWN_HOSTS"])
        known.write_text(
            known.read_text().replace(drop_box.key.get_base64(), other.key.get_base64())
        )

        with pytest.raises(portals.HostRefused, match="another host key than the known one"):
            portals.download("x.csv", part, root=drop_box.url)


@pytest.mark.parametrize("password", ["wr0ng", None])
def test_a_wrong_or_missing_password_is_refused_and_not_repeated(
    drop_box, part, monkeypatch, password
):
    if password:
        monkeypatch.setenv("STATEWIDE_SFTP_127_0_0_1_PASSWORD", password)
    else:
        monkeypatch.delenv("STATEWIDE_SFTP_127_0_0_1_PASSWORD")

    with pytest.raises(portals.AccessDenied, match="STATEWIDE_SFTP_<HOST>_USER") as raised:
        portals.download("x.csv", part, root=drop_box.url)
    assert "wr0ng" not in "".join(traceback.format_exception(raised.value))


def test_a_delivery_that_is_not_there_is_not_published(drop_box, part):
    with pytest.raises(portals.NotPublished, match="no such file"):
        portals.download("x.csv", part, root=drop_box.url)


def test_a_member_of_a_delivered_archive_arrives(drop_box, part):
    deliver(drop_box, "all.zip", zipped({"x.csv": CSV}))

    portals.download("all.zip!x.csv", part, root=drop_box.url)

    assert part.read_bytes() == CSV


def test_an_sftp_host_of_a_state_may_not_be_private(drop_box, part):
    with pytest.raises(portals.HostRefused, match="not a public address"):
        portals.download(f"{drop_box.url}/x.csv", part, hosts=["127.0.0.1"])


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("STATEWIDE_READ_SECONDS", "7.5")
    monkeypatch.setenv("STATEWIDE_MAX_ZIP_MEMBERS", "12")

    settings = transfers.Settings.from_environment()

    assert settings == replace(
        transfers.Settings(), retries=3, retry_seconds=0, read_seconds=7.5, max_zip_members=12
    )
