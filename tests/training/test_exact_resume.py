"""A run that is killed at any step and goes on ends with the very weights of one that was never disturbed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmdemo.settings import Settings
from mmdemo.training.checkpoints import FOLDER
from mmdemo.training.clock import CLOCK_FILE, Clock
from mmdemo.training.run import run
from tests.training import toys

ROOT = Path(__file__).parents[2]
STEPS = 60


def options(data: Path, model: Path) -> dict[str, object]:
    return {
        "task": "text-classification", "data": str(data), "model": str(model), "batch": 4, "accumulate": 2,
        "steps": STEPS, "evaluate_every": 7, "checkpoint_every": 3, "learning_rate": 2e-3, "dropout": 0.2, "seed": 3,
    }  # fmt: skip


def started(folder: Path, home: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MMDEMO_HOME": str(home), "MMDEMO_THREADS": "1", "MMDEMO_DEVICE": "cpu"}
    return subprocess.Popen(
        [sys.executable, "-m", "mmdemo.training", str(folder / "run.json")], cwd=ROOT, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def reached(folder: Path) -> int:
    return max((int(place.name[5:]) for place in (folder / FOLDER).glob("step-*")), default=0)


def wait_for(folder: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while reached(folder) < step:
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        assert time.monotonic() < end, "it does not come to that step"
        time.sleep(0.002)


def test_killed_again_and_again_the_weights_are_the_same_bit_for_bit(tmp_path: Path) -> None:
    model = toys.bert(tmp_path / "bert")
    data = toys.table(tmp_path / "rows.jsonl", toys.sentences(90))
    whole = toys.a_run(tmp_path / "whole", **options(data, model))
    assert run(whole, Settings(home=str(tmp_path / "home"), threads=1)) == 0

    broken = toys.a_run(tmp_path / "broken", **options(data, model))
    draw = random.Random(os.urandom(8))
    for low, high in ((3, 18), (20, 30)):
        process = started(broken, tmp_path / "home")
        wait_for(broken, draw.randint(low, high), process)
        time.sleep(draw.random() * 0.05)  # not always just after a checkpoint
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    process = started(broken, tmp_path / "home")
    wait_for(broken, reached(broken) + 3, process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said.decode()
    assert toys.events_of(broken)[-1]["kind"] == "stopped"
    assert reached(broken) < STEPS
    process = started(broken, tmp_path / "home")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()

    for file in ("model/model.safetensors", f"{FOLDER}/step-{STEPS:09d}/optimizer.safetensors", "report.json"):
        assert (broken / file).read_bytes() == (whole / file).read_bytes(), file
    assert [place.name for place in (broken / FOLDER).iterdir() if place.name.startswith(".")] == []


def test_with_a_limit_of_time_the_weights_follow_from_the_recorded_clock(tmp_path: Path) -> None:
    """Killed twice and gone on, it ends as a run that was never disturbed and read the same clock."""
    model = toys.bert(tmp_path / "bert")
    data = toys.table(tmp_path / "rows.jsonl", toys.sentences(90))
    wanted = {**options(data, model), "steps": 0, "epochs": 1000, "minutes": 0.1, "evaluate_every": 20}
    wanted["checkpoint_every"] = 1  # the last step is one of them, wherever the time is up
    broken = toys.a_run(tmp_path / "broken", **wanted)
    recorded = ""
    for least in (4, 12):  # few: on a busy machine the time is up after forty steps
        process = started(broken, tmp_path / "home")
        wait_for(broken, least, process)
        time.sleep(random.Random(os.urandom(8)).random() * 0.05)
        process.kill()
        process.communicate()
        now = (broken / CLOCK_FILE).read_text()
        assert now.startswith(recorded) and now.count("\n") > least
        recorded = now
    process = started(broken, tmp_path / "home")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    readings = [line.split() for line in (broken / CLOCK_FILE).read_text().splitlines()]
    assert (broken / CLOCK_FILE).read_text().startswith(recorded), "steps that are taken again read what they read"
    assert [int(step) for step, _ in readings] == list(range(len(readings))), "each step has one reading"
    seconds = [float(value) for _, value in readings]
    limit = json.loads((broken / "plan.json").read_text())["seconds"]
    assert seconds == sorted(seconds) and seconds[-2] <= limit < seconds[-1]
    assert any("The time is up" in note["message"] for note in toys.events_of(broken, "note"))

    whole = toys.a_run(tmp_path / "whole", **wanted)
    for name in ("plan.json", CLOCK_FILE):
        shutil.copy(broken / name, whole / name)
    assert run(whole, Settings(home=str(tmp_path / "home"), threads=1)) == 0
    last = f"{FOLDER}/step-{len(readings) - 1:09d}"
    for file in ("model/model.safetensors", f"{last}/optimizer.safetensors", f"{last}/state.json", "report.json"):
        assert (broken / file).read_bytes() == (whole / file).read_bytes(), file


def test_a_reading_that_was_cut_off_is_taken_again(tmp_path: Path) -> None:
    (tmp_path / CLOCK_FILE).write_text("0 0.0\n1 0.25\n2 0.")
    clock = Clock(tmp_path)
    assert clock.before(1, 9.0) == 0.25 and clock.before(2, 0.5) == 0.5
    assert (tmp_path / CLOCK_FILE).read_text() == "0 0.0\n1 0.25\n2 0.5\n"
    assert Clock(tmp_path).before(2, 7.0) == 0.5


@pytest.mark.parametrize("seed", [3, 4])
def test_another_seed_gives_other_weights_and_the_same_seed_the_same(tmp_path: Path, seed: int) -> None:
    model = toys.bert(tmp_path / "bert")
    data = toys.table(tmp_path / "rows.jsonl", toys.sentences(40))
    made = []
    for name, number in (("one", 3), ("other", seed)):
        folder = toys.a_run(tmp_path / name, **{**options(data, model), "steps": 4, "seed": number})
        assert run(folder, Settings(home=str(tmp_path / "home"), threads=1)) == 0
        made.append((folder / "model" / "model.safetensors").read_bytes())
    assert (made[0] == made[1]) == (seed == 3)
