"""How a program ended, as a state and one sentence: from its exit status, its last event, the end of its log."""

from __future__ import annotations

import signal
from pathlib import Path

from mmdemo.errors import JobError
from mmdemo.jobs.events import read
from mmdemo.jobs.job import FULL_STATUS, STOPPED_STATUS, State

TAIL = 4096
"""Bytes of the log that are looked at."""
LONGEST = 240
"""Characters of a line of the log that are shown."""


def verdict(status: int, asked: bool, forced: float, events: Path, since: int, log: Path) -> tuple[State, str]:
    """The state and the message of a job whose program has ended.

    Args:
        status: as `subprocess` has it: negative for a signal.
        asked: somebody wanted it to stop.
        forced: seconds it was given to stop in, after which it was killed; 0 if it was not.
        since: where in `events` this attempt began, in bytes.
    """
    if status == 0:
        return "done", ""
    if status == STOPPED_STATUS:
        return "stopped", ""
    if asked and forced:
        late = JobError(
            f"It had not stopped after {forced:g} seconds and was ended; it resumes at its last checkpoint."
        )
        return "stopped", str(late)
    if asked and status in (-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT):
        return "stopped", ""
    return "failed", why(status, events, since, log)


def why(status: int, events: Path, since: int, log: Path) -> str:
    """Why it failed: what its program says itself, else what its log or its status tells."""
    told = [event for event in read(events, since)[0] if event["kind"] == "failed" and event.get("message")]
    if told:
        return str(told[-1]["message"])
    if status == -signal.SIGKILL:
        return str(
            JobError(
                "It was ended from outside (signal 9), as a system does that runs out of memory: choose a smaller "
                "batch or model, then resume."
            )
        )
    if status < 0:
        return str(JobError(f"It crashed (signal {-status}): resume to try again, or read its log."))
    line = last_line(log)
    if status == FULL_STATUS or "No space left on device" in line or "disk is full" in line:
        return str(JobError("The disk is full: make room, then resume."))
    if not line:
        return str(JobError(f"It ended with status {status} and said nothing: resume to try again."))
    return str(JobError(f"It ended with an error ({line}): its log has more."))


def last_line(log: Path) -> str:
    """The last line that a program printed."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return lines[-1][:LONGEST] if lines else ""


def lost() -> str:
    """What is said of a job whose process is gone, and nobody saw how."""
    return str(
        JobError(
            "Its process is gone: it was killed, or the machine was switched off; resume to go on from its last "
            "checkpoint."
        )
    )
