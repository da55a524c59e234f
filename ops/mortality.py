"""Processes that do not outlive whom they work for (Linux; elsewhere the next start ends them)."""

import ctypes
import signal
import sys

SET_DEATH_SIGNAL, SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


def control(option: int, value: int) -> None:
    """prctl(2), where there is one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    control(SET_DEATH_SIGNAL, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of what the children of this process leave, so that it can be reaped."""
    control(SET_CHILD_SUBREAPER, 1)
