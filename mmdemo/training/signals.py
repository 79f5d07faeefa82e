"""SIGTERM and Ctrl+C as a question that long work asks, so that it ends at a place of its own choice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable


def asked_to_stop() -> Callable[[], bool]:
    """Whether one has come since; from now on they end nothing by themselves. Only on the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop.is_set
