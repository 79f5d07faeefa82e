"""Jobs as the studio and the command line see them: submit, stop, resume, remove, look.

They run one after another: one program at a time trains, over all studios that share a home. Nothing here runs by
itself: a look at the jobs also settles those whose process is gone, and starts the next; so does a job that ends.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mmdemo.errors import JobError, StudioError
from mmdemo.jobs import verdict
from mmdemo.jobs.events import History
from mmdemo.jobs.job import ACTIVE, RESUMABLE, WAITING, Job
from mmdemo.jobs.processes import alive, born, end, environment
from mmdemo.jobs.store import Store
from mmdemo.settings import Settings

BEGINS = 60.0
"""Seconds that the process which watches over a job has to come up."""


class Jobs:
    """All jobs of a home."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(Path(settings.home) / "jobs.sqlite")
        self._histories: dict[str, History] = {}
        self._lock = threading.Lock()

    def submit(
        self,
        kind: str,
        title: str,
        make: Callable[[Path], Sequence[str]],
        token: str = "",
        folder: Path | None = None,
    ) -> Job:
        """Put a job in the queue, and start it if nothing else runs.

        Args:
            make: writes what the program needs into the job's folder; the program and its arguments.
            token: of one wish of one person: given twice, the job is the first one, and `make` is not called again.
            folder: where the job keeps what it makes; by default one of its own in the folder of runs.

        Raises:
            NoSpace, InputError: the folder or the list of jobs cannot be written.
        """

        def new() -> Job:
            now = time.time()
            id = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{secrets.token_hex(2)}"
            place = (folder or self.settings.runs_folder / id).absolute()
            fresh = not place.exists()
            try:
                place.mkdir(parents=True, exist_ok=True)
                argv = tuple(str(word) for word in make(place))
            except BaseException:
                if fresh:
                    shutil.rmtree(place, ignore_errors=True)
                raise
            return Job(id, kind, title, place, argv, created=now, queued=now, token=token)

        job = self.store.add(token, new)
        self.advance()
        return self.store.get(job.id)

    def all(self) -> list[Job]:
        """Every job, the newest first, as they stand now."""
        self.settle()
        return self.store.all()

    def get(self, id: str) -> Job:
        """One job as it stands now.

        Raises:
            UnknownName: there is none of that name.
        """
        self.settle()
        return self.store.get(id)

    def stop(self, id: str) -> Job:
        """Ask a job to stop: its program has time to keep what it did; one that waits does not begin.

        Raises:
            UnknownName, JobError: there is no such job, or it has ended already.
        """
        job = self.get(id)
        now = time.time()
        if not (
            self.store.change(id, ("queued",), state="stopped", ended=now)
            or self.store.change(id, ("running",), state="stopping")
            or self.store.get(id).state == "stopping"
        ):
            raise JobError(f"{job.title} has ended already: there is nothing to stop.")
        return self.store.get(id)

    def resume(self, id: str) -> Job:
        """Put a job that was stopped, failed or got lost back into the queue: the same command goes on.

        Raises:
            UnknownName, JobError: there is no such job, or it is done.
        """
        job = self.get(id)
        if not self.store.change(id, RESUMABLE, state="queued", queued=time.time(), message="", pid=0, ended=0.0):
            now = self.store.get(id)
            if now.state not in WAITING:
                raise JobError(f"{job.title} is done: there is nothing to resume.")
        self.advance()
        return self.store.get(id)

    def remove(self, id: str) -> None:
        """Forget a job, and delete its folder where that is one of the folder of runs.

        Raises:
            UnknownName, JobError: there is no such job, or it still runs.
        """
        job = self.get(id)
        if not self.store.remove(id):
            raise JobError(f"{job.title} still runs: stop it first, then remove it.")
        self._histories.pop(id, None)
        if job.folder.parent == self.settings.runs_folder:
            shutil.rmtree(job.folder, ignore_errors=True)
        self.advance()

    def history(self, job: Job) -> History:
        """What its program has said so far."""
        with self._lock:
            found = self._histories.setdefault(job.id, History(job.events))
            found.refresh()
        return found

    def settle(self) -> None:
        """Say of jobs whose process is gone that they are lost, and start the next one that waits."""
        for job in self.store.all():
            if job.state in ACTIVE and not alive(job.pid, job.born):
                gone = {"state": "lost", "message": verdict.lost(), "ended": time.time()}
                if self.store.change(job.id, ACTIVE, job.attempt, **gone):
                    end(job.id)
        self.advance()

    def advance(self) -> None:
        """Start the job that has waited longest, unless one runs."""
        if not any(job.state == "queued" for job in self.store.all()):
            return
        me = os.getpid()
        job = self.store.claim(me, born(me), time.time())
        if job is None:
            return
        try:
            pid = self._begin(job)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            words = str(JobError(f"It could not be started ({error}): resume to try again."))
            self.store.change(job.id, ACTIVE, job.attempt, state="failed", message=words, ended=time.time())
            return
        with contextlib.suppress(StudioError):  # it says so itself too
            self.store.change(job.id, ACTIVE, job.attempt, pid=pid, born=born(pid))

    def _begin(self, job: Job) -> int:
        """Leave a process that watches over the job; its number."""
        command = [
            sys.executable, "-m", "mmdemo.jobs", job.id, str(job.attempt),
            "--home", self.settings.home, "--grace-seconds", str(self.settings.grace_seconds),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=job.folder, env=environment(), check=True,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BEGINS,
        )  # fmt: skip
        return int(done.stdout)
