"""Jobs over a real table and real processes; nothing is left running."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from mmdemo.jobs import Job, Jobs
from mmdemo.jobs.processes import MARK
from mmdemo.settings import Settings

PROGRAM = Path(__file__).with_name("program.py")
SOON = 30.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home; whatever carries the mark of one of its jobs is killed at the end."""
    place = tmp_path / "home"
    yield place
    ids = {job.id for job in Jobs(Settings(home=str(place))).store.all()}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) in ids:
                process.kill()


@pytest.fixture
def jobs(home: Path) -> Jobs:
    return Jobs(Settings(home=str(home), grace_seconds=1))


@pytest.fixture
def counts(jobs: Jobs) -> Callable[..., Job]:
    """Submits a job that counts: (steps, seconds a step, what else it does)."""

    def submit(steps: int = 3, pause: float = 0.01, *how: str, token: str = "", title: str = "Counting") -> Job:
        return jobs.submit("count", title, lambda folder: command(folder, steps, pause, *how), token)

    return submit


def command(folder: Path, steps: int, pause: float, *how: str) -> Sequence[str]:
    return [sys.executable, str(PROGRAM), str(folder), str(steps), str(pause), *how]


def until(jobs: Jobs, id: str, *states: str, patience: float = SOON) -> Job:
    """The job as soon as it is in one of `states`."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        job = jobs.get(id)
        if job.state in states:
            return job
        time.sleep(0.05)
    raise AssertionError(f"{jobs.get(id)}, log: {job.log.read_text() if job.log.exists() else 'none'}")


def counted(job: Job, least: int = 1) -> int:
    """How far a counting job has come, as soon as that is `least`."""
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError):
            if (count := int((job.folder / "count.txt").read_text())) >= least:
                return count
        time.sleep(0.02)
    raise AssertionError("it does not count")
