"""Portals: how files come from their publishers to `landed/`.

One module for each way a publisher hands out files (`folder`, `web`, `s3`, `sftp`), and
`archives` for those who hand out one zip of many.

**Where.** STATEWIDE_EXTRACTS is the root of relative sources: a folder; an http, https, s3 or
sftp prefix; or a zip in any of these (`archive.zip`, or `archive.zip!folder` where its members
are further down). Absolute sources (https, s3, sftp) must be on one of the state's `hosts`; for
s3 that is the bucket. `archive.zip!member.csv` names a member of an archive from any of them.
Where the root is itself the state's folder, the leading `<state>/` of a relative source is
dropped: a folder or zip that holds no `<state>/` but does hold the rest (unless it bears another
state's code as its name), and a URL whose last part is the state's code.

**Secrets** come from the environment only, and appear in no message, log or receipt:

    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION ...    as boto3 reads them
    STATEWIDE_S3_ENDPOINT                a store other than Amazon's
    STATEWIDE_HTTP_<HOST>_TOKEN          or _USER and _PASSWORD
    STATEWIDE_SFTP_<HOST>_USER           with _PASSWORD, or _KEY (a file) and _KEY_PASSPHRASE
    STATEWIDE_SFTP_KNOWN_HOSTS           the host keys that we accept; ~/.ssh/known_hosts if not set
    REQUESTS_CA_BUNDLE                   a network's own certificate authority

with the host in capitals and `_` for all else: FILES_EXAMPLE_GOV. The root may also carry
`user:password@`. Limits are those of `transfers.Settings`.

**Unchanged** is what the publisher says is unchanged (ETag, Last-Modified, size and time on SFTP)
and whatever has the hash that it had. Folders are always read and hashed: their times lie.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial as bound
from pathlib import Path
from typing import Any, BinaryIO

from include import lake, registry, shared_lake
from include.portals import archives, folder, s3, sftp, transfers, web
from include.portals.errors import (
    AccessDenied,
    BadArchive,
    BadLocation,
    BrokenManifest,
    Changed,
    FetchError,
    HostRefused,
    Interrupted,
    NoRoom,
    NotData,
    NotPublished,
    TimedOut,
    TooLarge,
    UnexpectedAnswer,
)
from include.portals.locations import Location, resolve
from include.portals.transfers import Partial, Settings

__all__ = [
    "AccessDenied",
    "Arrival",
    "BadArchive",
    "BadLocation",
    "BrokenManifest",
    "Changed",
    "FetchError",
    "HostRefused",
    "Interrupted",
    "NoRoom",
    "NotData",
    "NotPublished",
    "Settings",
    "TimedOut",
    "TooLarge",
    "UnexpectedAnswer",
    "download",
    "fetch",
]

PORTALS = {"folder": folder.ask, "web": web.ask, "s3": s3.ask, "sftp": sftp.ask}
MAX_MANIFEST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Arrival:
    """A file that came, at `path`; or, where `path` is None, the one of the previous receipt.

    `receipt` holds source, sha256, bytes, the publisher's headers, and for a member of an archive
    its name and the archive's own hash.
    """

    path: Path | None
    receipt: dict[str, Any]

    @property
    def unchanged(self) -> bool:
        return self.path is None


@shared_lake.step("landed/{state}/receipts/{extract}/{school_year}.*")
def fetch(state: str, extract: str, school_year: int, force: bool = False) -> str:
    """Land one extract of one school year, byte for byte. Returns its SHA-256.

    What has not changed since the last receipt is acknowledged and not landed again; with `force`
    everything is asked for anew. A cut download goes on where it was cut, in this call or the
    next. Raises FetchError, whose `transient` says whether to try again later, and
    registry.BadDeclaration.
    """
    declared = registry.extract_of(state, extract)
    if school_year not in declared.school_years:
        known = ", ".join(map(str, declared.school_years))
        raise registry.BadDeclaration(
            f"{state} declares no {extract} of {school_year}; it has {known}"
        )
    parts = lake.partials(state)
    hosts = registry.states()[state].hosts
    with lake.lock(f"fetch/{state}/{extract}/{school_year}"):
        try:
            arrival = download(
                declared.location(school_year),
                parts / f"{extract}-{school_year}.part",
                None if force else lake.receipt(state, extract, school_year),
                root=os.environ.get("STATEWIDE_EXTRACTS"),
                state=state,
                hosts=hosts,
                archives_in=lake.archives(state),
                force=force,
            )
            receipt = arrival.receipt
            if declared.manifest:
                receipt = receipt | {
                    "manifest": _manifest(
                        declared, school_year, receipt["sha256"], state, hosts, parts
                    )
                }
        except FetchError as error:
            error.asked_for = f"{state} {extract} {school_year}"
            raise
        if arrival.path is None:
            return lake.acknowledge(state, extract, school_year, receipt)
        sha256 = lake.receive(state, extract, school_year, arrival.path, receipt)
        transfers.note_beside(arrival.path).unlink(missing_ok=True)
        return sha256


def download(
    source: str,
    to: Path,
    previous: Mapping[str, Any] | None = None,
    *,
    root: str | None = None,
    state: str | None = None,
    hosts: Iterable[str] = (),
    archives_in: Path | None = None,
    force: bool = False,
    at_most: int | None = None,
    settings: Settings | None = None,
) -> Arrival:
    """Bring one file to `to`, without a registry or a lake.

    `previous` is the receipt of the last arrival, whose bytes the caller still has. `root` is what
    STATEWIDE_EXTRACTS would be. Whole archives are kept in `archives_in` (by default beside `to`)
    from one call to the next. With `force` nothing kept is used. `at_most` is a limit in bytes for
    this file. Raises FetchError.
    """
    settings = settings or Settings.from_environment()
    missing: list[NotPublished] = []
    for location in resolve(source, root=root, state=state, hosts=hosts):
        try:
            return _arrive(
                location,
                to,
                None if force else previous,
                archives_in or to.parent / "archives",
                force,
                at_most,
                settings,
            )
        except NotPublished as error:
            missing.append(error)
    raise missing[0]


def _arrive(
    location: Location,
    to: Path,
    previous: Mapping[str, Any] | None,
    archives_in: Path,
    force: bool,
    at_most: int | None,
    settings: Settings,
) -> Arrival:
    if location.members:
        return _arrive_packed(location, to, previous, archives_in, force, at_most, settings)
    if previous and previous.get("source") != location.shown:
        previous = None
    with Partial(to, location.shown, at_most or settings.max_download_bytes) as partial:
        if force:
            partial.clear()
        answer = transfers.pull(
            bound(PORTALS[location.kind], location), partial, previous, settings
        )
        headers = transfers.told(answer.headers)
        if answer.unchanged and previous:
            partial.discard()
            return _again(previous, headers)
        return Arrival(to, _receipt(location.shown, partial, headers))


def _arrive_packed(
    location: Location,
    to: Path,
    previous: Mapping[str, Any] | None,
    archives_in: Path,
    force: bool,
    at_most: int | None,
    settings: Settings,
) -> Arrival:
    with _archive(location, archives_in, force, settings) as (file, about):
        seen = (previous or {}).get("archive", {})
        if (
            previous
            and about.get("sha256")
            and seen.get("sha256") == about["sha256"]
            and seen.get("source") == about["source"]
            and previous.get("member") in location.members
        ):
            return _again(previous, about["headers"])
        limit = at_most or settings.max_unzipped_bytes
        with Partial(to, location.shown, limit) as partial:
            try:
                member = archives.extract(file, location.shown, location.members, partial, settings)
            except FetchError:
                partial.discard()
                raise
            receipt = _receipt(f"{location.shown}!{member}", partial, about["headers"])
            return Arrival(to, receipt | {"member": member, "archive": about})


@contextmanager
def _archive(
    location: Location, archives_in: Path, force: bool, settings: Settings
) -> Iterator[tuple[BinaryIO, dict[str, Any]]]:
    """An archive open for reading, and what is known of it: in its folder, or fetched once.

    Many extracts come from one archive: whoever is first fetches it, the others wait and then ask
    only whether it has changed.
    """
    if location.kind == "folder":
        with folder.opened(location) as file:
            headers = folder.headers(os.fstat(file.fileno()))
            yield file, {"source": location.shown, "headers": headers}
        return
    archives_in.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256(location.shown.encode()).hexdigest()[:16]
    note = archives_in / f"{name}.json"
    with (archives_in / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        previous = None
        if note.exists():
            previous = json.loads(note.read_text())
            if not (archives_in / previous["sha256"]).exists():
                previous = None
        whole = replace(location, members=())
        part = archives_in / f"{name}.part"
        if force:
            previous = None
        arrival = _arrive(whole, part, previous, archives_in, force, None, settings)
        kept = archives_in / arrival.receipt["sha256"]
        if arrival.path:
            try:
                with part.open("rb") as file:
                    archives.opened(file, location.shown, settings).close()
            except FetchError:
                part.unlink()
                raise
            part.chmod(0o400)
            part.replace(kept)
            transfers.note_beside(part).unlink(missing_ok=True)
            lake.write_json(note, arrival.receipt)
        file = kept.open("rb")
    with file:
        yield file, arrival.receipt


def _again(previous: Mapping[str, Any], headers: Mapping[str, str]) -> Arrival:
    told = {name: value for name, value in previous.items() if name != "received_at"}
    told["headers"] = dict(previous.get("headers", {})) | dict(headers)
    return Arrival(None, told | {"unchanged": True})


def _receipt(source: str, partial: Partial, headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "source": source,
        "sha256": partial.sha256,
        "bytes": partial.bytes,
        "headers": dict(headers),
        # Without a length from the publisher, a short file cannot be told from a whole one.
        "length_known": partial.size is not None,
    }


def _manifest(
    declared: registry.Extract,
    school_year: int,
    sha256: str,
    state: str,
    hosts: Iterable[str],
    parts: Path,
) -> dict[str, Any]:
    """What the publisher says of the file. Raises BrokenManifest if it is not about these bytes.

    A bare name lies beside the extract; one with a folder is named like a source.
    """
    name = registry.dated(declared.manifest or "", school_year)
    if "/" not in name and "!" not in name:
        source = declared.location(school_year)
        name = source[: max(source.rfind("/"), source.rfind("!")) + 1] + name
    part = parts / f"manifest-{os.getpid()}.part"
    try:
        arrival = download(
            name,
            part,
            root=os.environ.get("STATEWIDE_EXTRACTS"),
            state=state,
            hosts=hosts,
            archives_in=lake.archives(state),
            at_most=MAX_MANIFEST_BYTES,
        )
        text = part.read_bytes()
    finally:
        part.unlink(missing_ok=True)
        transfers.note_beside(part).unlink(missing_ok=True)
    shown = arrival.receipt["source"]
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise BrokenManifest(
            shown, "is not a JSON object", "expected {rows, sha256, as_of, submission}"
        )
    promised = str(told.get("sha256", "")).lower()
    if promised and promised != sha256:
        raise BrokenManifest(
            shown,
            f"is about a file with SHA-256 {promised}, and {sha256} came",
            "the extract was damaged on its way, or one of the two is not yet replaced: "
            "run fetch again later",
        )
    return told
