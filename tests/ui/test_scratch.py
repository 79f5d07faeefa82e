"""The page's own files: private, deleted at the end, and by age after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmdemo.ui.scratch import AGE, PREFIX, Scratch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    return Scratch()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a user's folders private by other means")
def test_nobody_else_on_the_machine_may_look(scratch: Scratch) -> None:
    one, thumbnail = scratch.place("holiday.srt"), scratch.shared("small", "a.jpg")
    assert mode(scratch.run) == mode(scratch.run.parent) == 0o700
    assert mode(one.parent) == mode(thumbnail.parent) == 0o700


def test_every_file_lies_in_the_folder_of_the_run(scratch: Scratch, tmp_path: Path) -> None:
    first, second = scratch.place("a.srt"), scratch.place("a.srt")
    assert first != second and first.name == second.name == "a.srt"
    assert scratch.shared("small", "b.jpg") == scratch.shared("small", "b.jpg")
    assert scratch.place("../../elsewhere.txt").is_relative_to(scratch.run)
    assert scratch.run.parent == tmp_path / "cache"


def test_the_folder_goes_when_the_program_ends(tmp_path: Path) -> None:
    code = (
        "from mmdemo.ui.scratch import scratch; scratch.place('a.txt').write_text('x'); print(scratch.run.is_dir());"
        "print(scratch.run)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120,
        env={**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)},
    )  # fmt: skip
    there, run = done.stdout.split()
    assert there == "True" and Path(run).name.startswith(PREFIX)
    assert list(tmp_path.iterdir()) == []


def aged(path: Path) -> Path:
    long_ago = time.time() - AGE - 60
    os.utime(path, (long_ago, long_ago))
    return path


def test_what_a_killed_program_left_goes_by_age_at_the_next_start(tmp_path: Path, scratch: Scratch) -> None:
    cache = tmp_path / "cache"
    for name in (PREFIX + "killed", PREFIX + "running", "of-another-program"):
        (cache / name).mkdir(parents=True)
        (cache / name / "a.jpg").write_text("x")
    aged(cache / (PREFIX + "killed") / "a.jpg")
    aged(cache / (PREFIX + "killed"))
    aged(cache / "of-another-program" / "a.jpg")
    aged(cache / "of-another-program")
    scratch.place("new.txt")
    names = {path.name for path in cache.iterdir()} - {scratch.run.name}
    assert names == {PREFIX + "running", "of-another-program"}


def test_uploads_of_a_run_that_is_over_go_at_the_next_start_and_those_of_a_running_one_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = subprocess.Popen([sys.executable, "-c", ""])
    over.wait()
    own = tmp_path / "page"
    running, ours = f"{os.getppid()}-running", f"{os.getpid()}-ours"
    for name in (f"{over.pid}-over", running, ours, "of-another-program"):
        (own / name / "0ld").mkdir(parents=True)
        (own / name / "0ld" / "upload.mp4").write_text("x")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(own / ours))
    scratch = Scratch()
    scratch.begin(tmp_path)
    assert (own / f"{over.pid}-over").is_dir(), "another program may share that folder"
    scratch.begin(own)
    assert {path.name for path in own.iterdir()} == {running, ours, "of-another-program"}
    assert scratch.run.parent == own / ours


def test_in_a_long_run_old_files_go_and_new_ones_stay(scratch: Scratch) -> None:
    old, new = scratch.place("old.srt"), scratch.place("new.srt")
    thumbnail = scratch.shared("small", "old.jpg")
    for path in (old, new, thumbnail):
        path.write_text("x")
    aged(old)
    aged(thumbnail)
    scratch.tidy(every=0.0)
    assert not old.exists() and not old.parent.exists() and not thumbnail.exists()
    assert new.read_text() == "x"
    scratch.shared("small", "again.jpg").write_text("x")
