"""Replaces the identifiers of persons by keyed hashes, on the way into the lake.

A plain hash of a nine-digit number is undone in seconds by hashing all nine-digit numbers.
HMAC-SHA256 under the agency's own key is not, and still gives the same person the same name in
every extract, so that extracts can be joined. The key is read from the environment or from a file
that only its owner can read; it is never logged, and never part of an SQL statement's text.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from include import lake, shared_lake

VARIABLE = "STATEWIDE_HMAC_KEY"
SHORTEST = 32
BLOCK = 64


class WeakKey(ValueError):
    """The agency's key is too short, or others can read it. The message never shows the key."""


def key() -> bytes:
    """The agency's key: `STATEWIDE_HMAC_KEY`, else `STATEWIDE_HOME/hmac.key`, made on first use.

    Raises WeakKey where the key has fewer than 32 bytes or its file is open to others.
    """
    if told := os.environ.get(VARIABLE):
        return _strong(told.encode(), VARIABLE)
    path = lake.machine() / "hmac.key"
    if not path.exists():
        if shared_lake.is_configured():
            raise WeakKey(
                f"{VARIABLE} is not set; machines that share a lake are given one key, at least "
                f"{SHORTEST} random bytes: `make env` makes one"
            )
        _create(path)
    if path.stat().st_mode & 0o077:
        raise WeakKey(f"{path} can be read by others than its owner; run chmod 600 on it")
    return _strong(path.read_bytes(), str(path))


def key_check(secret: bytes | None = None) -> str:
    """Sixteen characters that change with the key and do not help to guess it."""
    return pseudonym("statewide: which key is this?", secret or key())[:16]


def pseudonym(value: str, secret: bytes | None = None) -> str:
    """The name a person has in the lake: 64 hexadecimal characters."""
    return hmac.new(secret or key(), value.encode(), hashlib.sha256).hexdigest()


def install(connection: Any, secret: bytes | None = None) -> None:
    """Make the key known to one DuckDB connection, for `sql`. Call `remove` when done.

    HMAC hashes twice, each time behind the key mixed with a constant (RFC 2104): the two mixtures
    are handed over as bound variables, so that no statement's text ever holds them.
    """
    padded = secret or key()
    if len(padded) > BLOCK:
        padded = hashlib.sha256(padded).digest()
    padded = padded.ljust(BLOCK, b"\0")
    connection.execute("set variable hmac_inner = ?", [bytes(b ^ 0x36 for b in padded)])
    connection.execute("set variable hmac_outer = ?", [bytes(b ^ 0x5C for b in padded)])


def remove(connection: Any) -> None:
    """Take the key from the connection again."""
    connection.execute("reset variable hmac_inner")
    connection.execute("reset variable hmac_outer")


def sql(expression: str) -> str:
    """DuckDB SQL that gives `pseudonym` of a text expression; null stays null."""
    inner = f"sha256(getvariable('hmac_inner') || encode({expression}))"
    return f"sha256(getvariable('hmac_outer') || unhex({inner}))"


def _strong(secret: bytes, where: str) -> bytes:
    if len(secret) < SHORTEST:
        raise WeakKey(
            f"the key in {where} has {len(secret)} bytes; it needs at least {SHORTEST}, "
            "chosen at random"
        )
    return secret


def _create(path: Path) -> None:
    """Write 32 random bytes. Of two processes that try at once, the first one's key counts."""
    lake.private(path.parent)
    part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(SHORTEST))
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
