"""The process that watches over one job: starts its program, passes a wish to stop on, writes down how it ended.

It is the leader of a session of its own, so that neither Ctrl+C in the studio's terminal nor the studio's end reaches
it. Whoever wants the job to stop says so in the table of jobs; this process looks there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmdemo.errors import JobError, StudioError
from mmdemo.jobs.job import ACTIVE, Job
from mmdemo.jobs.processes import MARK, born, environment
from mmdemo.jobs.store import Store
from mmdemo.jobs.verdict import verdict

LOOK = 0.25
"""Seconds between two looks at the table."""
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl(2): the signal that a process gets when its parent dies."""


def watch(store: Store, id: str, attempt: int, home: Path, grace: float) -> None:
    """Run the program of a job until it has ended, however it ends.

    Nothing happens if the job is not at this attempt any more.

    Args:
        grace: seconds that a program has to stop in, before it is killed.
    """
    if not store.change(id, ACTIVE, attempt, pid=os.getpid(), born=born(os.getpid())):
        return
    job = store.get(id)
    since = job.events.stat().st_size if job.events.exists() else 0
    try:
        status, asked, forced = _run(store, job, home, grace)
        state, message = verdict(status, asked, forced, job.events, since, job.log)
    except OSError as error:
        state = "failed"
        message = str(JobError(f"It could not be started ({error.strerror}): free or mend what it names, then resume."))
    store.change(id, ACTIVE, attempt, state=state, message=message, ended=time.time())


def _run(store: Store, job: Job, home: Path, grace: float) -> tuple[int, bool, float]:
    """The exit status, whether a stop was wanted, and the seconds after which the program was killed for it."""
    wanted: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, frame: wanted.append(received))  # the machine is being switched off
    own = environment(**{"MMDEMO_HOME": str(home), MARK: job.id})
    with job.log.open("ab") as log:
        program = subprocess.Popen(
            job.argv, cwd=job.folder, env=own, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            preexec_fn=_dies_with_parent(), process_group=0,
        )  # fmt: skip
    told, forced = 0.0, 0.0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return program.wait(LOOK), bool(told), forced
        now = time.monotonic()
        if not told and (wanted or _stopping(store, job.id)):
            told = now
            _send(program, signal.SIGTERM)
        elif told and not forced and now - told > grace:
            forced = grace
            _send(program, signal.SIGKILL)


def _stopping(store: Store, id: str) -> bool:
    try:
        return store.get(id).state == "stopping"
    except StudioError:  # a table that cannot be read now is no reason to end the work
        return False


def _send(program: subprocess.Popen[bytes], number: int) -> None:
    """To the program and to what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, number)


def _dies_with_parent() -> Callable[[], None] | None:
    """What a new process does first so that it is killed when this one dies; None where the system has no such thing.

    Else a program whose watcher was killed would go on, and a second one be started beside it.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl, watcher = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != watcher:
            os._exit(1)

    return tie
