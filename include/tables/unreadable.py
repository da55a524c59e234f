"""The one error of this package, in the words of someone who can do something about it."""

from __future__ import annotations

from pathlib import Path


class Unreadable(ValueError):
    """The bytes are not the file that the extract declares. Says where, what and what to do.

    Names rows and headers, never the cells of a row: they may be somebody's.
    """


def unreadable(source: Path, found: str, expected: str, remedy: str) -> Unreadable:
    """The error to raise: which file, what was found, what was expected, what to do."""
    return Unreadable(f"{source.name}: {found}; expected {expected}; {remedy}")
