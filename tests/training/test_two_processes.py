"""Two processes under `accelerate launch` learn as one process does with the same rows a step."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mmdemo.settings import Settings
from mmdemo.training.clock import CLOCK_FILE
from mmdemo.training.run import run
from tests.training import toys

ROOT = Path(__file__).parents[2]
WHOLE = ("--multi_gpu",)
"""How accelerate is told that every process has the whole model."""
LEARNED = 61
"""Of 66 rows five are held out."""


def losses(folder: Path) -> list[float]:
    return [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")]


def started(folder: Path, home: Path, port: int, how: Sequence[str] = WHOLE) -> subprocess.Popen[str]:
    """Two processes begin a run, or go on with it."""
    return subprocess.Popen(
        [sys.executable, "-m", "accelerate.commands.launch", *how, "--num_processes", "2", "--num_machines",
         "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(port),
         "-m", "mmdemo.training", str(folder / "run.json")],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "MMDEMO_HOME": str(home), "MMDEMO_DEVICE": "cpu", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def launched(folder: Path, home: Path, port: int, how: Sequence[str] = WHOLE) -> None:
    """Two processes do a run to its end."""
    process = started(folder, home, port, how)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]


def test_the_loss_curve_is_that_of_one_process_with_the_double_batch(tmp_path: Path, free_port: int) -> None:
    model = toys.bert(tmp_path / "bert")
    data = toys.table(tmp_path / "rows.jsonl", toys.sentences(66))
    common = {"task": "text-classification", "data": str(data), "model": str(model), "steps": 10, "dropout": 0.0,
              "learning_rate": 3e-3, "evaluate_every": 5}  # fmt: skip
    one = toys.a_run(tmp_path / "one", **common, batch=12)
    assert run(one, Settings(home=str(tmp_path / "home"), threads=1)) == 0
    two = toys.a_run(tmp_path / "two", **common, batch=6)
    launched(two, tmp_path / "home", free_port)
    assert LEARNED % 12 == 1, "the last step of an epoch has a row for one process only"
    assert losses(two)[0] == pytest.approx(losses(one)[0], abs=1e-4)
    assert losses(two)[-1] == pytest.approx(losses(one)[-1], abs=2e-3)
    assert toys.events_of(two)[-1]["kind"] == "done"
    assert len([event for event in toys.events_of(two) if event["kind"] == "done"]) == 1


def test_two_processes_go_by_one_clock(tmp_path: Path, free_port: int) -> None:
    model, data = toys.bert(tmp_path / "bert"), toys.table(tmp_path / "rows.jsonl", toys.sentences(66))
    folder = toys.a_run(
        tmp_path / "run", task="text-classification", data=str(data), model=str(model), batch=4, epochs=1000,
        minutes=0.05, evaluate_every=1000,
    )  # fmt: skip
    launched(folder, tmp_path / "home", free_port)
    steps = [int(line.split()[0]) for line in (folder / CLOCK_FILE).read_text().splitlines()]
    assert steps == list(range(len(steps))) and len(steps) > 2, "one reading a step, whichever process asks"
    assert any("The time is up" in note["message"] for note in toys.events_of(folder, "note"))
