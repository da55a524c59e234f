"""Memory that is free and still held: a heap of many sizes keeps what lies between what is used."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return to the system what is free, where the C library can do that; else do nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
