"""Fine-tuning: this program's one loop, and `transformers.Trainer` (for chat also `trl.SFTTrainer`) on the same things.

Samples a second from the second epoch on, and the most memory of the process; `training_sides` tells what is the same.
The sides take turns, each time in a new process, so that what else the machine does falls on all; medians. The rows are
made here: sentences of drawn words, crops of the sample pictures, pieces of the sample recording.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.serving import ROOT, pictures
from benchmarks.table import Row, at_least
from benchmarks.training_sides import CASES, Case

TURNS = 3
SECONDS = 2
"""Of a recording."""
LABELS = 20
NAMES = {"trainer": "transformers.Trainer", "trl": "trl.SFTTrainer"}
SAID = (
    "card money account transfer payment when does my new arrive why was it declined please tell how long the top up "
    "takes exchange rate cash machine abroad fee charged twice refund identity verify phone lost stolen pin change"
)


def run(turns: int = TURNS, cases: Sequence[str] = tuple(CASES), rows: int = 0) -> list[Row]:
    """Speed and memory of each case against its references.

    Args:
        rows: of an epoch, a multiple of the batch; 0 for what the case says.
    """
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in cases:
            case = CASES[name]
            data = Path(folder) / case.task
            data.mkdir()
            _write(data, made(case, data, rows or case.rows))
            sides = ["ours", "trainer"] + (["trl"] if case.task == "text-generation" and find_spec("trl") else [])
            told: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
            for _ in range(turns):
                for side in sides:
                    told[side].append(_measured(side, name, data))
                    print(f"  {name}, {side}: {told[side][-1]}", file=sys.stderr, flush=True)
            found += _rows(name, case, told)
    return found


def _rows(name: str, case: Case, told: dict[str, list[dict[str, float]]]) -> Iterator[Row]:
    medians = {
        side: {what: statistics.median(one[what] for one in values) for what in ("speed", "memory")}
        for side, values in told.items()
    }
    ours = medians.pop("ours")
    for side, theirs in medians.items():
        yield at_least(
            f"{name}: samples a second, batch {case.batch}", f"{ours['speed']:.1f} /s",
            f"{theirs['speed']:.1f} /s, {NAMES[side]}", ours["speed"] / theirs["speed"], case.goal,
        )  # fmt: skip
        yield Row(
            f"{name}: peak memory", f"{ours['memory'] / 2**20:.0f} MiB",
            f"{theirs['memory'] / 2**20:.0f} MiB, {NAMES[side]}", ours["memory"] / theirs["memory"], "–", None,
        )  # fmt: skip
    if case.task == "text-generation" and "trl" not in medians:
        yield Row(f"{name}: trl", "–", "not installed", None, "–", None)


def _measured(side: str, name: str, data: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.training_sides", side, name, str(data)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name}, {side}, failed: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def made(case: Case, folder: Path, count: int) -> list[dict[str, Any]]:
    """Rows for a task, as `metadata.jsonl` has them; their media are written into the folder."""
    draw = random.Random(0)

    def words(most: int = 60) -> list[str]:
        """As many as people write: half of them up to 11, few up to `most`."""
        return draw.choices(SAID.split(), k=max(2, min(most, round(draw.lognormvariate(2.4, 0.6)))))

    labels = [f"kind {number % LABELS}" for number in range(count)]
    if case.task == "text-classification":
        return [{"text": " ".join(words()), "label": label} for label in labels]
    if case.task == "token-classification":
        tags = ("O", "O", "O", "B-PER", "B-LOC", "B-ORG")
        return [{"tokens": one, "ner_tags": draw.choices(tags, k=len(one))} for one in (words() for _ in labels)]
    if case.task == "text-generation":
        return [
            {"messages": [{"role": "user", "content": " ".join(words())}, {"role": "assistant", "content": said}]}
            for said in (" ".join(words()) for _ in labels)
        ]
    if case.task == "image-to-text":
        files = pictures(folder, count)
        return [{"file_name": file.name, "text": " ".join(words(20))} for file in files]
    return [{"file_name": name, "label": label} for name, label in zip(sounds(folder, count), labels, strict=True)]


def sounds(folder: Path, count: int) -> Iterator[str]:
    """Names of recordings that are all different, pieces of a sample."""
    import soundfile

    samples, rate = soundfile.read(ROOT / "assets" / "samples" / "speech.flac", dtype="float32")
    step = max(1, (len(samples) - SECONDS * rate) // count)
    for number in range(count):
        soundfile.write(folder / f"{number}.wav", samples[number * step : number * step + SECONDS * rate], rate)
        yield f"{number}.wav"


def _write(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metadata.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    print(*run(int(sys.argv[1]), sys.argv[2:] or tuple(CASES)), sep="\n")
