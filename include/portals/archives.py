"""Members of zip archives, from publishers who may be careless or worse."""

from __future__ import annotations

import io
import posixpath
import stat
import struct
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from include.portals.errors import BadArchive, NotPublished, TooLarge
from include.portals.folder import listed
from include.portals.transfers import CHUNK, Answer, Partial, Settings

# The list of ten thousand members takes a tenth of this.
MAX_LIST_BYTES = 16 * 1024 * 1024
# A small file that packs extraordinarily well is no bomb.
HARMLESS_BYTES = 4 * 1024 * 1024
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    ValueError,
)


def extract(
    file: BinaryIO, shown: str, members: tuple[str, ...], partial: Partial, settings: Settings
) -> str:
    """Unpack the first of `members` that the archive has into `partial`; returns its name.

    Nothing is ever written under a name that the archive chooses. Raises BadArchive, TooLarge,
    NotPublished.
    """
    with opened(file, shown, settings) as archive:
        info = _member(archive, shown, members)
        named = f"{shown}!{info.filename}"
        if info.flag_bits & 0x1:
            raise BadArchive(named, "is encrypted", "ask the publisher for an open archive")
        if info.file_size > settings.max_unzipped_bytes:
            _too_large(named, info.file_size, settings)
        if info.file_size > max(
            HARMLESS_BYTES, settings.max_zip_ratio * max(info.compress_size, 1)
        ):
            raise BadArchive(
                named,
                f"unpacks {info.compress_size} bytes to {info.file_size}, more than "
                f"{settings.max_zip_ratio:g} times as many",
                "if the publisher confirms it, raise STATEWIDE_MAX_ZIP_RATIO",
            )
        partial.clear()
        partial.begin(Answer(size=info.file_size))
        try:
            # Ends in an error where the bytes do not have the CRC that the archive promises.
            with archive.open(info) as source:
                while chunk := source.read(CHUNK):
                    partial.write(chunk)
        except DAMAGE as error:
            raise _damaged(named, error) from None
        if partial.bytes != info.file_size:
            raise _damaged(named, EOFError(f"{partial.bytes} of {info.file_size} bytes"))
        partial.end()
        return info.filename


def opened(file: BinaryIO, shown: str, settings: Settings) -> zipfile.ZipFile:
    """The archive, once it is known to be whole and to hold nothing that has no business there.

    Raises BadArchive.
    """
    try:
        archive = zipfile.ZipFile(_Bounded(file, shown))
    except DAMAGE as error:
        raise _damaged(shown, error) from None
    infos = archive.infolist()
    if len(infos) > settings.max_zip_members:
        raise BadArchive(
            shown,
            f"has {len(infos)} members, and {settings.max_zip_members} are allowed",
            "if the publisher confirms it, raise STATEWIDE_MAX_ZIP_MEMBERS",
        )
    for info in infos:
        name = info.orig_filename.replace("\\", "/")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name or name[1:3] == ":/":
            raise BadArchive(
                shown, f"has a member named {name!r}", "an honest archive has no such name"
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadArchive(shown, f"has a link, {name!r}", "ask the publisher for files")
    return archive


def _member(archive: zipfile.ZipFile, shown: str, members: tuple[str, ...]) -> zipfile.ZipInfo:
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    first, *others = members
    # Like a folder: only one that holds no folder of the state may itself be the state's.
    above = posixpath.commonpath(members)
    top = first[: first.index("/", len(above) + 1) + 1] if others else ""
    if others and any(name.startswith(top) for name in names):
        members = (first,)
    for member in members:
        if names.count(member) > 1:
            raise BadArchive(
                f"{shown}!{member}", "is there more than once", "ask the publisher which one counts"
            )
        if member in names:
            return archive.getinfo(member)
    beside = str(PurePosixPath(first).parent)
    near = [name for name in names if str(PurePosixPath(name).parent) == beside] or names
    raise NotPublished(
        f"{shown}!{first}",
        f"the archive has no such member; it has {listed(iter(near))}",
        "check the source in the state's file",
    )


def _damaged(shown: str, error: Exception) -> BadArchive:
    return BadArchive(
        shown,
        f"is damaged, cut short, or not a zip that can be read ({error})",
        "unpack it by hand to see, and ask the publisher to hand it out again",
    )


def _too_large(shown: str, size: int, settings: Settings) -> None:
    raise TooLarge(
        shown,
        f"unpacks to {size} bytes, and {settings.max_unzipped_bytes} are allowed",
        "if the publisher confirms it, raise STATEWIDE_MAX_UNZIPPED_BYTES",
    )


class _Bounded(io.RawIOBase):
    """A file of which no more is read at once than an honest archive's list of members takes.

    `zipfile` reads that list whole, before anyone can look at it.
    """

    def __init__(self, file: BinaryIO, shown: str) -> None:
        self._file, self._shown = file, shown

    def read(self, size: int = -1) -> bytes:
        most = MAX_LIST_BYTES + 1
        content = self._file.read(min(size, most) if size >= 0 else most)
        if len(content) > MAX_LIST_BYTES:
            raise BadArchive(
                self._shown,
                "has a list of members larger than any honest archive's",
                "ask the publisher for another one",
            )
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
