"""A system in parts: what no sum connects is worked out by itself, several parts at a time.

What is public is known to every reader and connects nothing. So a state falls apart into years and
subjects; each is the smaller for it, and as many are worked out at once as there are processors.
The parts are the same however many there are, and so is what comes of each.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from include.disclosure import audit
from include.disclosure.system import System, components

# So many cells that hang together are a part; fewer are put together until they are as many.
LARGE = 5_000
# Other processes are started for systems in which so many cells hang together with a hidden one.
WORTH = 20_000
SETTINGS = ("PATH", "LD_LIBRARY_PATH", "LANG")
ROOT = Path(__file__).resolve().parents[2]


def split(system: System, hidden: np.ndarray) -> list[np.ndarray]:
    """The cells of each part in which something is hidden, in order; what is public is in none."""
    open_ = np.flatnonzero(~system.fixed)
    group = components(audit.restricted(system, open_))
    many = int(group.max(initial=-1)) + 1
    sizes = np.bincount(group, minlength=many)
    concerned = np.bincount(group, hidden[open_], many) > 0
    label = np.full(many, -1)
    small = np.flatnonzero(concerned & (sizes < LARGE))
    label[small] = (np.cumsum(sizes[small]) - sizes[small]) // LARGE
    large = np.flatnonzero(concerned & (sizes >= LARGE))
    label[large] = label.max(initial=-1) + 1 + np.arange(len(large))
    part = label[group]
    order = np.argsort(part, kind="stable")
    order = order[np.searchsorted(part[order], 0) :]
    borders = np.flatnonzero(np.diff(part[order])) + 1
    return [open_[it] for it in np.split(order, borders)] if len(order) else []


def of(system: System, at: np.ndarray) -> System:
    """Some cells of a system, and the sums that speak of them, as far as they do."""
    equations = system.equations_of(at)
    matrix = audit.restricted(system, at)
    value = system.value[at]
    return System(
        value=value,
        lower=system.lower[at],
        upper=system.upper[at],
        need=system.need[at],
        cost=system.cost[at],
        fixed=system.fixed[at],
        virtual=system.virtual[at],
        matrix=matrix,
        gap=matrix @ value,
        family=system.family[equations],
        families=system.families,
    )


class Workers:
    """Processes that work out parts, one for each processor, for all who ask at the same time.

    Started when there is something to work out; when the `with` block ends, so do they.
    """

    def __init__(self) -> None:
        # None stands for one that is not running.
        self._idle: SimpleQueue[subprocess.Popen | None] = SimpleQueue()
        for _ in range(processors()):
            self._idle.put(None)
        self._started: list[subprocess.Popen] = []
        self._lock = threading.Lock()
        self._is_over = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End them, whatever they are at; who waits for one of them is told so."""
        with self._lock:
            self._is_over = True
        for worker in self._started:
            worker.kill()
        for worker in self._started:
            worker.wait()
            # What was not sent yet has nobody to read it.
            with contextlib.suppress(OSError):
                worker.stdin.close()
            worker.stdout.close()

    def work_out(
        self, function: Callable, task: Callable[[int], tuple], sizes: Sequence[int]
    ) -> list:
        """What a function of a module makes of each task, in their order, on all processors.

        `task` makes the function's arguments by number, when it is their turn; `sizes` says how
        many cells each is of. What the function raises is raised. Raises AuditFailed if a process
        ends before it is done.
        """
        if sum(sizes) < WORTH:
            return [function(*task(number)) for number in range(len(sizes))]
        left: SimpleQueue[int] = SimpleQueue()
        # The largest first, so that none is left for the end.
        for number in sorted(range(len(sizes)), key=lambda number: -sizes[number]):
            left.put(number)
        done: dict[int, tuple[bool, Any]] = {}
        threads = [
            # Whatever stops the one that asked is not kept up by them.
            threading.Thread(target=self._serve, args=(function, task, left, done), daemon=True)
            for _ in range(min(len(sizes), processors()))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in sorted(done):
            is_made, made = done[number]
            if not is_made:
                raise made
        return [done[number][1] for number in range(len(sizes))]

    def _serve(
        self,
        function: Callable,
        task: Callable[[int], tuple],
        left: SimpleQueue[int],
        done: dict[int, tuple[bool, Any]],
    ) -> None:
        """Give tasks to processes until none is left, or one went wrong anywhere."""
        while all(is_made for is_made, _ in list(done.values())):
            try:
                number = left.get_nowait()
            except Empty:
                return
            worker = self._idle.get()
            try:
                worker = worker or self._start()
                pickle.dump((function, task(number)), worker.stdin)
                worker.stdin.flush()
                done[number] = pickle.load(worker.stdout)
            except Exception as error:
                # Also what is no fault of the process: who asked must not wait for nothing.
                ended = audit.AuditFailed(
                    "a process that protects a part of the release ended before it was done "
                    f"({type(error).__name__}; was there no memory left?); nothing is published"
                )
                ended.__cause__ = error
                done[number] = False, ended
                worker = None
            finally:
                self._idle.put(worker)

    def _start(self) -> subprocess.Popen:
        with self._lock:
            if self._is_over:
                raise EOFError("the processes were stopped")
            worker = subprocess.Popen(
                # By pipes: nothing of a task touches the disk.
                [sys.executable, "-m", "include.disclosure.worker"],
                cwd=ROOT,
                # No secret is needed for it.
                env={name: os.environ[name] for name in SETTINGS if name in os.environ}
                | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            self._started.append(worker)
            return worker


def processors() -> int:
    """How many parts are worked out at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
