"""Jobs with real processes: started, stopped, resumed, killed, found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mmdemo.errors import JobError, UnknownName
from mmdemo.jobs import Job, Jobs
from mmdemo.jobs.processes import MARK
from mmdemo.settings import Settings
from tests.jobs.conftest import command, counted, until

Counts = Callable[..., Job]


def test_a_job_runs_to_its_end_and_keeps_what_it_said(jobs: Jobs, counts: Counts) -> None:
    given = counts(3)
    assert given.state in ("running", "done") and given.folder == jobs.settings.runs_folder / given.id
    job = until(jobs, given.id, "done")
    assert job.message == "" and job.created <= job.started <= job.ended and job.attempt == 1
    assert job.log.read_text() == "begins at 0\n"
    said = jobs.history(job)
    assert said.count == (3, 3) and said.last["kind"] == "done" and said.told == ["Counting"]
    assert [event["values"]["wer"] for event in said.metrics.values()] == [1, 1 / 2, 1 / 3]


def test_it_runs_in_a_session_of_its_own_and_is_nobodys_child(jobs: Jobs, counts: Counts) -> None:
    job = counts(1000, 0.02)
    counted(job)
    watcher = psutil.Process(jobs.get(job.id).pid)
    (program,) = watcher.children()
    assert os.getsid(watcher.pid) == watcher.pid != os.getsid(0) and watcher.ppid() != os.getpid()
    assert program.environ()[MARK] == job.id and Path(program.cwd()) == job.folder
    assert program.environ()["MMDEMO_HOME"] == jobs.settings.home


def test_a_job_that_is_stopped_keeps_what_it_did_and_goes_on_from_there(jobs: Jobs, counts: Counts) -> None:
    job = counts(40, 0.05)
    counted(job, 3)
    assert jobs.stop(job.id).state == "stopping"
    stopped = until(jobs, job.id, "stopped")
    at = counted(job)
    assert stopped.message == "" and 3 <= at < 40
    assert jobs.resume(job.id).state in ("queued", "running")
    done = until(jobs, job.id, "done")
    assert done.log.read_text() == f"begins at 0\nbegins at {at}\n" and counted(job) == 40
    assert done.argv == job.argv and done.attempt == 2 and jobs.history(done).count == (40, 40)


def test_a_job_that_does_not_listen_is_ended_after_its_time_of_grace(jobs: Jobs, counts: Counts) -> None:
    job = counts(1000, 0.02, "deaf")
    counted(job)
    jobs.stop(job.id)
    stopped = until(jobs, job.id, "stopped")
    assert stopped.message.startswith("It had not stopped after 1 seconds and was ended") and stopped.ended > 0


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (("fail", "The loss is no number: lower it."), "The loss is no number: lower it."),
        (("print", "OSError: [Errno 28] No space left on device"), "The disk is full: make room, then resume."),
        (("print", "ValueError: 3"), "It ended with an error (ValueError: 3): its log has more."),
        (("kill",), "It was ended from outside (signal 9), as a system does that runs out of memory"),
    ],
    ids=["said so", "disk full", "printed", "killed"],
)  # fmt: skip
def test_a_job_that_fails_says_why_in_one_sentence(jobs: Jobs, counts: Counts, how: tuple[str, ...], says: str) -> None:
    failed = until(jobs, counts(3, 0.01, *how).id, "failed", "done")
    assert failed.state == "failed" and failed.message.startswith(says)


def test_a_reason_of_an_earlier_attempt_is_not_told_again(jobs: Jobs, counts: Counts) -> None:
    job = until(jobs, counts(3, 0.01, "fail", "Once.").id, "failed")
    argv = [*command(job.folder, 3, 0.01), "print", "later"]
    jobs.store.change(job.id, ("failed",), argv=json.dumps(argv))
    jobs.resume(job.id)
    assert until(jobs, job.id, "failed").message == "It ended with an error (later): its log has more."


def test_a_program_that_is_not_there_is_told(jobs: Jobs) -> None:
    job = jobs.submit("count", "Nothing", lambda folder: ["/no/such/program"])
    failed = until(jobs, job.id, "failed")
    assert failed.message.startswith("It could not be started (No such file or directory)")


def test_jobs_run_one_after_another_in_the_order_they_came(jobs: Jobs, counts: Counts) -> None:
    given = [counts(5, 0.05, title=f"Job {number}") for number in range(3)]
    assert [jobs.get(job.id).state for job in given] == ["running", "queued", "queued"]
    ended = [until(jobs, job.id, "done") for job in given]
    assert ended[0].ended <= ended[1].started <= ended[1].ended <= ended[2].started
    assert [job.title for job in jobs.all()] == ["Job 2", "Job 1", "Job 0"]


def test_the_queue_goes_on_while_nobody_looks(jobs: Jobs, counts: Counts) -> None:
    counts(3, 0.05)
    counted(counts(3, 0.01), 3)  # by reading its file alone


def test_one_that_waits_can_be_stopped_and_never_begins(jobs: Jobs, counts: Counts) -> None:
    first, second = counts(1000, 0.02), counts()
    assert jobs.stop(second.id).state == "stopped"
    jobs.stop(first.id)
    until(jobs, first.id, "stopped")
    assert jobs.get(second.id).state == "stopped" and not second.log.exists()


def test_two_clicks_with_one_token_start_one_job(jobs: Jobs, home: Path) -> None:
    made: list[Path] = []
    found: list[str] = []

    def make(folder: Path) -> list[str]:
        made.append(folder)
        time.sleep(0.1)
        return list(command(folder, 2, 0.01))

    def click() -> None:
        found.append(Jobs(Settings(home=str(home))).submit("count", "Counting", make, token="one wish").id)

    clicks = [threading.Thread(target=click) for _ in range(6)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    assert len(set(found)) == 1 and len(made) == 1 and len(jobs.all()) == 1
    assert until(jobs, found[0], "done").attempt == 1


def test_what_cannot_be_prepared_leaves_nothing_behind(jobs: Jobs) -> None:
    def make(folder: Path) -> list[str]:
        (folder / "half").write_text("")
        raise JobError("No.")

    with pytest.raises(JobError, match="No"):
        jobs.submit("count", "Counting", make, token="t")
    assert jobs.all() == [] and list(jobs.settings.runs_folder.iterdir()) == []


def test_a_watcher_that_is_killed_takes_its_program_along_and_the_job_is_lost(jobs: Jobs, counts: Counts) -> None:
    job, waits = counts(60, 0.05), counts()
    counted(job, 2)
    watcher = psutil.Process(jobs.get(job.id).pid)
    (program,) = watcher.children()
    watcher.send_signal(signal.SIGKILL)
    psutil.wait_procs([program], timeout=10)
    lost = until(jobs, job.id, "lost")
    assert not program.is_running() or program.status() == psutil.STATUS_ZOMBIE
    assert "resume" in lost.message
    assert until(jobs, waits.id, "done"), "the next one goes on"
    at = counted(job)
    jobs.resume(job.id)
    assert until(jobs, job.id, "done").log.read_text() == f"begins at 0\nbegins at {at}\n"


def test_after_a_reboot_another_process_with_the_number_is_not_taken_for_it(jobs: Jobs, counts: Counts) -> None:
    job = until(jobs, counts(1).id, "done")
    mine = psutil.Process()
    jobs.store.change(job.id, ("done",), state="running", pid=mine.pid, born=mine.create_time() - 86400)
    assert jobs.get(job.id).state == "lost"


STUDIO = """
import sys, time
from mmdemo.jobs import Jobs
from mmdemo.settings import Settings
from tests.jobs.conftest import command
jobs = Jobs(Settings(home=sys.argv[1]))
print(jobs.submit("count", "Counting", lambda folder: command(folder, 30, 0.1)).id, flush=True)
time.sleep(600)
"""


def test_a_job_outlives_the_studio_that_started_it_and_the_next_one_finds_it(home: Path) -> None:
    root = Path(__file__).parents[2]
    studio = subprocess.Popen(
        [sys.executable, "-c", STUDIO, str(home)], cwd=root, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert studio.stdout is not None
    id = studio.stdout.readline().strip()
    os.killpg(studio.pid, signal.SIGKILL)
    studio.communicate()
    jobs = Jobs(Settings(home=str(home)))
    job = jobs.get(id)
    assert job.state == "running"
    counted(job, 3)
    jobs.stop(id)
    assert until(jobs, id, "stopped").attempt == 1


def test_another_studio_sees_the_same_jobs_and_may_stop_them(jobs: Jobs, counts: Counts, home: Path) -> None:
    other = Jobs(Settings(home=str(home)))
    job = counts(1000, 0.02)
    counted(job, 2)
    assert other.get(job.id).state == "running" and other.history(job).count[0] >= 1
    other.stop(job.id)
    assert until(jobs, job.id, "stopped")


def test_what_is_done_cannot_be_stopped_or_resumed_and_what_runs_cannot_be_removed(jobs: Jobs, counts: Counts) -> None:
    job = until(jobs, counts().id, "done")
    with pytest.raises(JobError, match="nothing to stop"):
        jobs.stop(job.id)
    with pytest.raises(JobError, match="nothing to resume"):
        jobs.resume(job.id)
    running = counts(1000, 0.02)
    with pytest.raises(JobError, match="stop it first"):
        jobs.remove(running.id)
    jobs.remove(job.id)
    assert not job.folder.exists() and [one.id for one in jobs.all()] == [running.id]
    with pytest.raises(UnknownName):
        jobs.get(job.id)


def test_a_folder_of_the_users_own_is_left_where_it_is(jobs: Jobs, tmp_path: Path) -> None:
    own = tmp_path / "mine"
    job = jobs.submit("count", "Counting", lambda folder: command(folder, 1, 0.01), folder=own)
    until(jobs, job.id, "done")
    jobs.remove(job.id)
    assert (own / "count.txt").read_text() == "1"


def test_the_machine_is_switched_off_and_the_job_stops_with_what_it_did(jobs: Jobs, counts: Counts) -> None:
    job = counts(1000, 0.02)
    counted(job)
    os.kill(jobs.get(job.id).pid, signal.SIGTERM)
    assert until(jobs, job.id, "stopped").message == ""
