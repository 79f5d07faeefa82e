"""Unloading what nobody uses any more: a clock that runs only while something is loaded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from mmdemo.errors import Cancelled

SOONEST = 0.05
"""Seconds between two looks at least, so that a clock a little ahead does not make it look in circles."""


class Idle:
    """Looks for idle checkpoints when the next of them may be one, on a thread of its own."""

    def __init__(self, seconds: float, unload: Callable[[float], float | None]) -> None:
        """Nothing is awaited yet.

        Args:
            seconds: after so long without use a checkpoint is idle; 0: never.
            unload: unloads what is idle, given `seconds`; says in how many seconds to look again, None: not at all.
        """
        self._seconds = seconds
        self._unload = unload
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False

    def expect(self) -> None:
        """Something was just used: look when it may be idle."""
        if self._seconds > 0:
            self._look_in(self._seconds)

    def close(self) -> None:
        """Look no more."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()

    def _look_in(self, seconds: float) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._closed:
                return
            self._timer = threading.Timer(max(seconds, SOONEST), self._look)
            self._timer.daemon = True  # nobody waits half an hour for it to end the program
            self._timer.start()

    def _look(self) -> None:
        with contextlib.suppress(Cancelled):  # the studio is closing, which unloads everything
            again = self._unload(self._seconds)
            if again is not None:
                self._look_in(again)
