"""The command `jobs` over real jobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mmdemo.jobs import Jobs
from mmdemo.settings import Settings
from tests.jobs.conftest import command as counting
from tests.jobs.conftest import counted, home, until

__all__ = ["home"]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def jobs(home: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    monkeypatch.setenv("MMDEMO_HOME", str(home))
    return Jobs(Settings.load())


@pytest.fixture
def mmdemo(capsys: pytest.CaptureFixture[str]) -> Command:
    from mmdemo import cli

    def run(*argv: str) -> tuple[int, str, str]:
        status = cli.main(argv)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_without_a_job_there_is_nothing_to_list(jobs: Jobs, mmdemo: Command) -> None:
    assert mmdemo("jobs", "list") == (0, "", "There is no job yet.\n")
    assert mmdemo("jobs", "list", "--json") == (0, "", "")
    assert not jobs.store.path.exists()


def test_a_job_is_shown_stopped_resumed_and_removed(jobs: Jobs, mmdemo: Command) -> None:
    job = jobs.submit("count", "Counting sheep", lambda folder: counting(folder, 60, 0.05))
    counted(job, 2)
    status, out, _ = mmdemo("jobs", "show", job.id, "--json")
    shown = json.loads(out)
    assert status == 0 and shown["state"] == "running" and shown["steps"] == 60 and shown["attempt"] == 1
    assert shown["metrics"]["validation"]["wer"] <= 1
    assert "title:      Counting sheep\n" in mmdemo("jobs", "show", job.id)[1]
    assert mmdemo("jobs", "remove", job.id)[0] == 1
    assert mmdemo("jobs", "stop", job.id) == (0, "", f"{job.id}: stopping\n")
    until(jobs, job.id, "stopped")
    lines = mmdemo("jobs", "list")[1].splitlines()
    assert lines[0].split() == ["id", "state", "done", "started", "title"]
    assert lines[1].startswith(f"{job.id}  stopped") and lines[1].endswith("Counting sheep")
    assert json.loads(mmdemo("jobs", "resume", job.id, "--json")[1])["state"] == "running"
    until(jobs, job.id, "done")
    assert mmdemo("jobs", "remove", job.id) == (0, "", f"{job.id}: removed\n")
    assert not job.folder.exists() and jobs.all() == []


def test_a_job_that_is_not_there_is_told_and_the_others_are_done(jobs: Jobs, mmdemo: Command) -> None:
    job = jobs.submit("count", "Counting", lambda folder: counting(folder, 1, 0.01))
    until(jobs, job.id, "done")
    status, out, err = mmdemo("jobs", "remove", "nothing", job.id, "--json")
    first, second = map(json.loads, out.splitlines())
    assert status == 1 and "There is no job 'nothing'" in first["error"] and second == {"id": job.id, "removed": True}
    assert err.count("\n") == 1
