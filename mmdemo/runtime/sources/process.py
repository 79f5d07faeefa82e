"""A program that fetches, run beside this one: it can be watched, and stopped at once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdemo.errors import Cancelled
from mmdemo.runtime.sources.base import Fetch, Progress

POLL = 0.1
"""Seconds between two looks at the program."""


@dataclass(frozen=True)
class Ended:
    """How a program ended and what it wrote."""

    status: int
    output: str
    errors: str


def run(
    command: Sequence[str],
    fetch: Fetch,
    progress: Callable[[], Progress],
    scratch: Path,
    environment: Mapping[str, str],
    given: str = "",
) -> Ended:
    """Run `command` until it ends, reporting `progress()` as it changes and once a second.

    Args:
        scratch: an existing folder for the program's output, which thereby can be read while it runs.
        given: its standard input.

    Raises:
        Cancelled: after the program was killed, within a fraction of a second of the user's wish.
    """
    output, errors, stdin = (scratch / name for name in ("output", "errors", "input"))
    stdin.write_text(given, encoding="utf-8")
    with stdin.open("rb") as reading, output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(command, env=dict(environment), stdin=reading, stdout=out, stderr=err)
        try:
            _watch(process, fetch, progress)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return Ended(process.returncode, *(path.read_text("utf-8", "replace") for path in (output, errors)))


def _watch(process: subprocess.Popen[bytes], fetch: Fetch, progress: Callable[[], Progress]) -> None:
    last, when = None, 0.0
    while process.poll() is None:
        if fetch.cancelled():
            raise Cancelled(f"Fetching {fetch.spec.title} was stopped; what has arrived is kept for the next time.")
        now = progress()
        if now != last or time.monotonic() - when >= 1:
            last, when = now, time.monotonic()
            fetch.report(now)
        time.sleep(POLL)
