"""Bytes on their way to disk: hashed while reading, kept when cut, tried again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from include.portals.errors import (
    BadLocation,
    Changed,
    FetchError,
    Interrupted,
    NoRoom,
    NotData,
    TimedOut,
    TooLarge,
)

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
# Of the first bytes, as many as it takes to tell a web page.
HEAD = 1024
# A publisher that gives a few bytes a time is left alone after so many connections.
MAX_CONNECTIONS = 200
# What a receipt keeps of an answer.
TOLD = ("etag", "last-modified", "content-type", "content-disposition", "date", "x-amz-version-id")


@dataclass(frozen=True)
class Settings:
    """Limits of one download. `connect_seconds` comes from STATEWIDE_CONNECT_SECONDS, and so on."""

    # Tries in a row without a single new byte, and the wait before the second of them, doubled
    # before each further one.
    retries: int = 5
    retry_seconds: float = 2.0
    connect_seconds: float = 10.0
    # Without a byte.
    read_seconds: float = 60.0
    # For one download as a whole, waits included.
    fetch_seconds: float = 3600.0
    max_download_bytes: int = 20 * 1024**3
    # A member of an archive, unpacked.
    max_unzipped_bytes: int = 20 * 1024**3
    max_zip_ratio: float = 200.0
    max_zip_members: int = 10_000

    @classmethod
    def from_environment(cls) -> Settings:
        """Raises BadLocation naming the variable that is not a number."""
        told: dict[str, float] = {}
        for one in fields(cls):
            name = f"STATEWIDE_{one.name.upper()}"
            if not os.environ.get(name):
                continue
            try:
                told[one.name] = type(one.default)(os.environ[name])
                if not told[one.name] >= 0:
                    raise ValueError
            except ValueError:
                raise BadLocation(
                    name, f"{os.environ[name]!r} is not a number of its kind", "correct it"
                ) from None
        return cls(**told)


class Deadline:
    """The moment by which a download must be done."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self._end - time.monotonic()

    def check(self, source: str) -> None:
        if self.left <= 0:
            raise TimedOut(
                source,
                f"took more than {self.seconds:g} s",
                "run fetch again to go on from here, or raise STATEWIDE_FETCH_SECONDS",
            )


@dataclass(frozen=True)
class Asked:
    """What we want of a publisher: the file from `offset` on, if it is still `version`.

    With `previous`, the last receipt, only if it is another file than then.
    """

    offset: int
    version: str | None
    previous: Mapping[str, Any] | None
    deadline: Deadline
    settings: Settings


@dataclass(frozen=True)
class Answer:
    """What the publisher gives: the file from `start` on, or word that nothing has changed.

    `size` is that of the whole file, in bytes, if the publisher said so. `version` is what tells
    this file from its successors beyond doubt; without one a cut download starts over.
    """

    unchanged: bool = False
    start: int = 0
    size: int | None = None
    version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterator[bytes] = field(default_factory=lambda: iter(()))


Ask = Callable[[Asked], AbstractContextManager[Answer]]


class Partial:
    """The beginning of a file, on disk, with a note beside it that says of which file.

    The note is written before the first byte, so bytes of unknown origin are never gone on with.
    """

    def __init__(self, path: Path, source: str, limit: int) -> None:
        self.path, self.source, self.limit = path, source, limit
        self.note = note_beside(path)
        self.size: int | None = None
        self.version: str | None = None
        self.bytes = 0
        self._hash = hashlib.sha256()
        self._head = b""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._take_up()

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def clear(self) -> None:
        """Forget what arrived."""
        self.note.unlink(missing_ok=True)
        self._file.seek(0)
        self._file.truncate()
        self.size, self.version, self.bytes = None, None, 0
        self._hash, self._head = hashlib.sha256(), b""

    def discard(self) -> None:
        """Leave nothing behind."""
        self.clear()
        self.path.unlink(missing_ok=True)

    def begin(self, answer: Answer) -> None:
        """Make ready for the bytes of an answer. Raises Changed if they do not follow ours."""
        if answer.start == 0:
            self.clear()
            self.size, self.version = answer.size, answer.version
            note = {"source": self.source, "size": self.size, "version": self.version}
            part = self.note.with_name(self.note.name + ".part")
            part.write_text(json.dumps(note))
            part.replace(self.note)
        elif answer.start != self.bytes or (answer.size or self.size) != self.size:
            raise Changed(
                self.source, "the rest does not fit the beginning", "fetch it from its start again"
            )
        if (self.size or 0) > self.limit:
            self._too_large(self.size)

    def write(self, chunk: bytes) -> None:
        """Add bytes. Raises TooLarge, NoRoom."""
        if self.bytes + len(chunk) > self.limit:
            self._too_large(self.bytes + len(chunk))
        try:
            left = memoryview(chunk)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise NoRoom(
                self.source,
                f"could not be written to {self.path}: {error.strerror}",
                "make room under STATEWIDE_HOME and run fetch again",
            ) from None
        self._count(chunk)

    def end(self) -> None:
        """All has been said: is it the whole file, and a file? Raises Interrupted, NotData."""
        if self.size is not None and self.bytes < self.size:
            raise Interrupted(
                self.source,
                f"was cut after {self.bytes} of {self.size} bytes",
                "run fetch again to go on from there",
            )
        if self.size is not None and self.bytes > self.size:
            self.clear()
            raise Changed(self.source, "is longer than was said", "fetch it again")
        if is_web_page(self._head):
            raise NotData(
                self.source,
                "a web page (HTML) came instead of the file",
                "open the source in a browser: the file moved, or the publisher wants a log-in",
            )
        os.fsync(self._file.fileno())

    def _take_up(self) -> None:
        try:
            told = json.loads(self.note.read_text())
        except (OSError, ValueError):
            told = {}
        held = os.fstat(self._file.fileno()).st_size
        size, version = told.get("size"), told.get("version")
        if told.get("source") != self.source or not version or (size and held > size):
            self.clear()
            return
        self.size, self.version = size, version
        # A file that is whole already is asked for its last byte: whether it is still the same
        # file is the publisher's to say.
        keep = held - 1 if size and held == size else held
        self._file.truncate(keep)
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            self._count(chunk)

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.bytes += len(chunk)
        if len(self._head) < HEAD:
            self._head += chunk[: HEAD - len(self._head)]

    def _too_large(self, size: int | None) -> None:
        raise TooLarge(
            self.source,
            f"has {size} bytes or more, and {self.limit} are allowed",
            "if that is right, raise STATEWIDE_MAX_DOWNLOAD_BYTES",
        )


def pull(
    ask: Ask, partial: Partial, previous: Mapping[str, Any] | None, settings: Settings
) -> Answer:
    """Ask until the file is whole in `partial`, or known to be unchanged. Returns the last answer.

    Raises FetchError; where that is transient, what arrived stays in `partial`.
    """
    deadline = Deadline(settings.fetch_seconds)
    failures, furthest, connections = 0, partial.bytes, 0
    while True:
        connections += 1
        trouble: FetchError
        try:
            wanted = previous if partial.bytes == 0 else None
            with ask(Asked(partial.bytes, partial.version, wanted, deadline, settings)) as answer:
                if not answer.unchanged:
                    partial.begin(answer)
                    for chunk in answer.body:
                        partial.write(chunk)
                        deadline.check(partial.source)
                    if partial.bytes != partial.size:
                        deadline.check(partial.source)
                    partial.end()
                return answer
        except Changed as error:
            partial.clear()
            furthest, trouble = 0, error
        except FetchError as error:
            # What cannot be told from another file cannot be gone on with.
            if not error.transient or partial.version is None:
                partial.clear()
            trouble = error
        if isinstance(trouble, TimedOut) or not trouble.transient:
            raise trouble
        deadline.check(partial.source)
        failures = 0 if partial.bytes > furthest else failures + 1
        furthest = max(furthest, partial.bytes)
        asked_for = trouble.retry_after if isinstance(trouble, Interrupted) else None
        wait = wait_before_retry(failures, asked_for, settings)
        if failures >= settings.retries or connections >= MAX_CONNECTIONS or wait > deadline.left:
            raise trouble
        log.info("%s: %s; trying again in %.1f s", trouble.source, trouble.problem, wait)
        time.sleep(wait)


def note_beside(path: Path) -> Path:
    """The note of a partial file; whoever takes the finished file away takes the note as well."""
    return path.with_name(path.name + ".json")


def wait_before_retry(failures: int, retry_after: float | None, settings: Settings) -> float:
    """Seconds to wait after so many failures in a row: twice as long each time, up to a minute.

    A publisher who asks for a longer wait is given it. Half of our own wait is left to chance, so
    that the tasks of a run do not all come back at the same moment.
    """
    own = min(60.0, settings.retry_seconds * 2 ** max(0, failures - 1))
    return max(own * random.uniform(0.5, 1), retry_after or 0)


def is_web_page(head: bytes) -> bool:
    """Whether a file that begins like this is HTML."""
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    return text.startswith(b"<") and (b"<!doctype html" in text or b"<html" in text)


def strong_version(headers: Mapping[str, str]) -> str | None:
    """A validator that changes whenever the bytes do: a strong ETag, or a settled Last-Modified."""
    etag = headers.get("etag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return headers.get("last-modified") if is_settled(headers) else None


def is_settled(headers: Mapping[str, str]) -> bool:
    """Whether the file was two seconds old when it was read.

    These times count whole seconds: a younger file may change again under the same time.
    """
    try:
        modified = parsedate_to_datetime(headers["last-modified"])
        return (parsedate_to_datetime(headers["date"]) - modified).total_seconds() >= 2
    except (KeyError, ValueError, TypeError):
        return False


def told(headers: Mapping[str, str]) -> dict[str, str]:
    """What a receipt keeps of the publisher's headers."""
    return {name: headers[name] for name in TOLD if headers.get(name)}


def file_type(source: str) -> str:
    """The ending of a file's name, lower case, without its dot: csv, xlsx, zip ..."""
    name = source.partition("?")[0].rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""
