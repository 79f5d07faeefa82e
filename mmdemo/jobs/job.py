"""A job: what is run, where, and how it stands. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["queued", "running", "stopping", "stopped", "done", "failed", "lost"]
ACTIVE: tuple[State, ...] = ("running", "stopping")
"""A process is at work."""
WAITING: tuple[State, ...] = ("queued", *ACTIVE)
"""It will still change by itself."""
RESUMABLE: tuple[State, ...] = ("stopped", "failed", "lost")
STOPPED_STATUS = 75
"""Exit status of a program that was asked to stop and has kept what it did (`EX_TEMPFAIL` of sysexits.h)."""

FULL_STATUS = 74
"""Exit status of a program that found the disk full (`EX_IOERR`), which may have had no room to say so."""


@dataclass(frozen=True)
class Job:
    """One piece of durable work.

    Attributes:
        kind: what it is, in a word (`train`); the page shows each kind in its own way.
        folder: everything it makes: `events.jsonl`, `log.txt`, and what its program writes.
        argv: the program and its arguments; the same command begins and goes on.
        pid, born: the process that watches over it and when that began, in seconds since 1970; 0 before.
        created, queued, started, ended: seconds since 1970; 0 where it has not happened.
        message: how it ended, one sentence; empty where the state says all.
        token: jobs that are given with the same token are one.
        attempt: how often it was started.
    """

    id: str
    kind: str
    title: str
    folder: Path
    argv: tuple[str, ...]
    state: State = "queued"
    pid: int = 0
    born: float = 0.0
    created: float = 0.0
    queued: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    message: str = ""
    token: str = ""
    attempt: int = 0

    @property
    def active(self) -> bool:
        """Whether a process is at work."""
        return self.state in ACTIVE

    @property
    def events(self) -> Path:
        """Where its program says how far it is, a JSON object a line."""
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        """What its program prints."""
        return self.folder / "log.txt"
