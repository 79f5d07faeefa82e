"""Two processes under `accelerate launch` learn as one process does with the same rows a step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdemo.settings import Settings
from mmdemo.training.run import run
from tests.training import toys

ROOT = Path(__file__).parents[2]


def losses(folder: Path) -> list[float]:
    return [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")]


def test_the_loss_curve_is_that_of_one_process_with_the_double_batch(tmp_path: Path, free_port: int) -> None:
    model = toys.bert(tmp_path / "bert")
    data = toys.table(tmp_path / "rows.jsonl", toys.sentences(66))
    common = {"task": "text-classification", "data": str(data), "model": str(model), "steps": 10, "dropout": 0.0,
              "learning_rate": 3e-3, "evaluate_every": 5}  # fmt: skip
    one = toys.a_run(tmp_path / "one", **common, batch=8)
    assert run(one, Settings(home=str(tmp_path / "home"), threads=1)) == 0
    two = toys.a_run(tmp_path / "two", **common, batch=4)
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines",
         "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(free_port),
         "-m", "mmdemo.training", str(two / "run.json")],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "MMDEMO_HOME": str(tmp_path / "home"), "MMDEMO_DEVICE": "cpu", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(two)[0] == pytest.approx(losses(one)[0], abs=1e-4)
    assert losses(two)[-1] == pytest.approx(losses(one)[-1], abs=2e-3)
    assert toys.events_of(two)[-1]["kind"] == "done"
    assert len([event for event in toys.events_of(two) if event["kind"] == "done"]) == 1
