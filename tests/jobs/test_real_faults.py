"""What breaks a real training off, done for real, ends in one sentence of its job; and it goes on from there."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmdemo.jobs import Jobs
from mmdemo.options import build
from mmdemo.settings import Settings
from mmdemo.training import config
from mmdemo.training.config import TrainOptions
from mmdemo.training.submit import training
from tests.jobs.conftest import until
from tests.training import toys

LONG = 120.0


@pytest.fixture
def jobs(home: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    for name, value in {"DEVICE": "cpu", "THREADS": "1", "OFFLINE": "yes"}.items():
        monkeypatch.setenv(f"MMDEMO_{name}", value)
    return Jobs(Settings(home=str(home), grace_seconds=5))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.name == "posix" and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def submit(jobs: Jobs, model: Path, tmp_path: Path, folder: Path | None = None, **more: Any) -> Any:
    data = tmp_path / "rows.jsonl"
    toys.table(data, toys.sentences(40))
    given = {"task": "text-classification", "data": str(data), "model": str(model), "batch": 8, "steps": 6,
             "checkpoint_every": 2, "device": "cpu", "dropout": 0.0} | more  # fmt: skip
    options = build(TrainOptions, given)
    if folder is None:
        return training(options, jobs)
    return jobs.submit(
        "train", "Full", lambda place: [sys.executable, "-m", "mmdemo.training", str(config.write(options, place))],
        folder=folder,
    )  # fmt: skip


def test_a_full_disk_is_said_and_with_room_it_goes_on(jobs: Jobs, tmp_path: Path, small_disk: Path) -> None:
    model = toys.bert(tmp_path / "bert")
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 900_000)
    job = submit(jobs, model, tmp_path, small_disk / "run")
    ended = until(jobs, job.id, "failed", patience=LONG)
    assert "disk" in ended.message and "is full" in ended.message, (ended.message, job.log.read_text()[-2000:])
    with contextlib.suppress(OSError), (small_disk / "more").open("wb", buffering=0) as file:
        while file.write(b"x" * 512):
            pass
    with contextlib.suppress(OSError), (small_disk / "run" / "events.jsonl").open("ab", buffering=0) as file:
        while file.write(b"\n"):  # up to the last byte of its page: there is no room even to say so
            pass
    jobs.resume(job.id)
    ended = until(jobs, job.id, "failed", patience=LONG)
    assert ended.attempt == 2 and "The disk is full: make room, then resume." in ended.message, ended.message
    ballast.unlink()
    (small_disk / "more").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    jobs.resume(job.id)
    assert until(jobs, job.id, "done", patience=LONG).message == ""


def test_weights_that_overflow_name_the_rows(jobs: Jobs, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    model = toys.bert(tmp_path / "bert")
    weights = load_file(model / "model.safetensors")
    weights["encoder.layer.1.output.dense.weight"] = torch.full_like(
        weights["encoder.layer.1.output.dense.weight"], 3e38
    )
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    ended = until(jobs, submit(jobs, model, tmp_path).id, "failed", patience=LONG)
    assert "no number any more at step 1" in ended.message and "rows.jsonl" in ended.message, ended.message
