"""Texts: their encoding, their lines, and themselves as UTF-8 whatever they are written in."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.registry import Extract
from include.tables.unreadable import unreadable

# Texts are read in pieces of this many bytes. PyArrow holds some 32 of them, read ahead.
PIECE_BYTES = 2 << 20
# A line beyond this is a missing line break, a cell beyond it a missing quote.
LONGEST_LINE = 16 << 20


@dataclass(frozen=True)
class Survey:
    """What one pass over a text tells, before anything is split."""

    encoding: str
    lines: int
    has_quotes: bool
    has_lone_returns: bool


class _Undecodable(Exception):
    def __init__(self, line: int, is_cut: bool, mixed: bool) -> None:
        self.line, self.is_cut, self.mixed = line, is_cut, mixed


def survey(extract: Extract, source: Path) -> Survey:
    """The encoding of a text, its lines, and whether PyArrow can split it."""
    declared = extract.layout.encoding
    with source.open("rb") as file:
        candidates = [declared] if declared else _candidates(file.read(4096))
    wrong = None
    for encoding in candidates:
        try:
            return _count(source, _codec(source, encoding))
        except _Undecodable as error:
            wrong = error
            if error.mixed:
                break
    assert wrong is not None
    if wrong.is_cut and wrong.mixed:
        found, remedy = "ends inside a character (cut short)", "fetch it again"
    elif wrong.mixed:
        found = f"line {wrong.line} is not UTF-8, though characters before it are"
        remedy = "ask the publisher for one encoding, or declare layout.encoding"
    else:
        found = f"line {wrong.line} holds bytes that are no text in {' or '.join(candidates)}"
        remedy = "declare layout.encoding, or fetch it again"
    raise unreadable(source, found, "text in one encoding", remedy)


def _candidates(head: bytes) -> list[str]:
    if head.startswith(codecs.BOM_UTF8):
        return ["utf-8"]
    if head.startswith(codecs.BOM_UTF16_LE):
        return ["utf-16-le"]
    if head.startswith(codecs.BOM_UTF16_BE):
        return ["utf-16-be"]
    # Western text in UTF-16 has a NUL in every second byte; other text has none at all.
    pairs = len(head) // 2
    if pairs and head[1::2].count(0) > 0.4 * pairs and not head[0::2].count(0):
        return ["utf-16-le"]
    if pairs and head[0::2].count(0) > 0.4 * pairs and not head[1::2].count(0):
        return ["utf-16-be"]
    return ["utf-8", "windows-1252"]


def _codec(source: Path, encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        name = None
    if name is None:
        raise unreadable(
            source, f"layout.encoding is {encoding!r}", "an encoding Python knows", "correct it"
        )
    # The byte-order mark is dropped for all encodings alike, in `pieces`.
    if name == "utf-8-sig":
        return "utf-8"
    if name == "utf-16":
        with source.open("rb") as file:
            is_big = file.read(2) == codecs.BOM_UTF16_BE
        return "utf-16-be" if is_big else "utf-16-le"
    return {"cp1252": "windows-1252"}.get(name, name)


def pieces(source: Path, encoding: str) -> Iterator[bytes]:
    """The text as UTF-8, piece by piece, without its byte-order mark. Raises _Undecodable."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines, seen_beyond_ascii, is_first = 1, False, True
    with source.open("rb") as file:
        while True:
            piece = file.read(PIECE_BYTES)
            if encoding == "utf-8" and piece.isascii() and piece and not decoder.getstate()[0]:
                # Most pieces of most files: there is nothing to decode.
                lines, is_first = lines + piece.count(b"\n"), False
                yield piece
                continue
            wrong = None
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                sound = error.object[: error.start]
                beyond = seen_beyond_ascii or not sound.isascii()
                wrong = _Undecodable(
                    lines + sound.count(b"\n"), not piece, encoding == "utf-8" and beyond
                )
            if wrong:
                raise wrong
            if is_first and text:
                text, is_first = text.removeprefix("\ufeff"), False
            lines += text.count("\n")
            seen_beyond_ascii = seen_beyond_ascii or not text.isascii()
            if text:
                yield text.encode()
            if not piece:
                return


def _count(source: Path, encoding: str) -> Survey:
    breaks = returns = pairs = quotes = unbroken = 0
    last = b""
    for piece in pieces(source, encoding):
        if (at := piece.find(b"\0")) >= 0:
            line = 1 + breaks + returns - pairs + len(re.findall(rb"\r\n?|\n", piece[:at]))
            raise unreadable(
                source, f"line {line} holds a NUL byte", "text", "it is damaged; fetch it again"
            )
        has_breaks = b"\n" in piece or b"\r" in piece
        unbroken = 0 if has_breaks else unbroken + len(piece)
        if unbroken > LONGEST_LINE:
            raise unreadable(
                source, f"has no line break in {unbroken:,} bytes", "lines", "fetch it again"
            )
        breaks += piece.count(b"\n")
        returns += piece.count(b"\r")
        pairs += piece.count(b"\r\n") + (last == b"\r" and piece.startswith(b"\n"))
        quotes += piece.count(b'"')
        last = piece[-1:]
    lines = breaks + returns - pairs + (last not in (b"\n", b"\r", b""))
    return Survey(encoding, lines, quotes > 0, returns > pairs)


class _Stream(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._rest = iter(pieces)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(next(self._rest, b""))
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def bytes_of(pieces: Iterable[bytes]) -> io.BufferedReader:
    """Pieces of bytes as a file that can be read by the line."""
    return io.BufferedReader(_Stream(pieces), buffer_size=1 << 20)


def lines_of(source: Path, encoding: str) -> io.TextIOWrapper:
    """The lines of a text, each with its own line break: CR, LF or both."""
    return io.TextIOWrapper(bytes_of(pieces(source, encoding)), encoding="utf-8", newline="")
