"""Files in a folder, or on a share that is mounted like one."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO

from include.portals.errors import AccessDenied, BadLocation, Changed, NotPublished
from include.portals.locations import Location
from include.portals.transfers import CHUNK, Answer, Asked


@contextmanager
def ask(location: Location, asked: Asked) -> Iterator[Answer]:
    """The file from its start: a copy on the same machine is not worth resuming.

    Whether it is the file of the last receipt is a question of its hash, never of its times.
    """
    with opened(location) as file:
        before = os.fstat(file.fileno())
        previous = asked.previous
        if previous and previous.get("bytes") == before.st_size:
            seen = hashlib.sha256()
            while chunk := file.read(CHUNK):
                asked.deadline.check(location.shown)
                seen.update(chunk)
            if seen.hexdigest() == previous.get("sha256"):
                yield Answer(unchanged=True, headers=headers(before))
                return
            file.seek(0)
        yield Answer(
            size=before.st_size, headers=headers(before), body=_body(file, before, location)
        )


@contextmanager
def opened(location: Location) -> Iterator[BinaryIO]:
    """A plain file inside its root, open for reading.

    Raises NotPublished, AccessDenied, and BadLocation for what is not a file or leaves the root.
    """
    asked, bounds = Path(location.address), location.bounds
    path = asked.resolve()
    if bounds is None or not path.is_relative_to(bounds):
        raise BadLocation(
            location.shown,
            f"is a link out of {bounds}",
            "put the file itself there, or point STATEWIDE_EXTRACTS to where it is",
        )
    try:
        # Neither waits for the writer of a pipe nor follows a link laid a moment ago.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise NotPublished(
            location.shown, f"there is no such file; {_beside(path, bounds)}", _REMEDY
        ) from None
    except OSError as error:
        raise AccessDenied(
            location.shown,
            f"cannot be opened: {error.strerror}",
            "let the user who runs Statewide read it",
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadLocation(location.shown, "is not a plain file", "name a file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


_REMEDY = "check the source in the state's file and the folder in STATEWIDE_EXTRACTS"


def headers(told: os.stat_result) -> dict[str, str]:
    """What a file system says of a file, in the words of HTTP."""
    return {"last-modified": formatdate(told.st_mtime, usegmt=True)}


def _body(file: BinaryIO, before: os.stat_result, location: Location) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Changed(
            location.shown, "was written to while it was read", "run fetch when it is complete"
        )


def _beside(path: Path, bounds: Path) -> str:
    folder = path.parent
    while not folder.is_dir() and folder != bounds and bounds in folder.parents:
        folder = folder.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either"
    return f"{folder} holds {listed(entry.name for entry in folder.iterdir())}"


def listed(names: Iterator[str]) -> str:
    """The first ten names, and how many more there are."""
    found = sorted(names)
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return (", ".join(found[:10]) or "nothing") + more
