"""A chain whose eye is frozen: our loop on kept features, a plain loop that looks again each epoch, and `Trainer`.

All three learn the same captions with the starter describer, as many rows at once, AdamW, the same learning rate; the
first two also in the same order and with the same random numbers, so that their losses can be laid over one another.
`Trainer` is given the kept features too. All compute in float32; a last row says what this program's loop does in the
numbers that it would pick on this machine. Samples a second from the second epoch on; the sides take turns; medians.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import Row, at_least, at_most
from benchmarks.training import _write, made
from benchmarks.training_sides import CASES, EPOCHS, RATE, Case, _arguments, _callback, _made, _ours

CASE = replace(CASES["captions, eye frozen"], rows=64)
TURNS = 3
APART = 0.02
"""How far two losses of the same step may be apart: features are kept in float16."""
Side = Callable[[Case, Any, Sequence[Any], Path], list[float]]


def run(turns: int = TURNS, rows: int = CASE.rows) -> list[Row]:
    """Speed of the three, and how far apart the losses of the first two are.

    Args:
        rows: of an epoch, a multiple of the batch.
    """
    import torch

    from mmdemo import torchvision_ops
    from mmdemo.runtime import device

    torchvision_ops.prepare()
    torch.set_num_threads(device.cores())
    sides: dict[str, Side] = {"ours": _ours, "plain": plain, "trainer": trainer, "picked": picked}
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    losses: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        _write(data, made(CASE, data, rows))
        for turn in range(turns):
            for name, side in sides.items():
                speed, losses[name] = _timed(side, data, Path(folder) / f"{name}-{turn}")
                speeds[name].append(speed)
                print(f"  {name}: {speed:.2f} /s", file=sys.stderr, flush=True)
    return table({name: statistics.median(found) for name, found in speeds.items()}, losses["ours"], losses["plain"])


def table(speeds: dict[str, float], ours: Sequence[float], plain: Sequence[float]) -> list[Row]:
    """The rows of the benchmark.

    Args:
        speeds: samples a second of `ours`, `plain`, `trainer` and `picked`.
        ours, plain: the loss of each step.
    """
    apart = max(abs(one - other) for one, other in zip(ours, plain, strict=True))
    speed = f"{speeds['ours']:.1f} /s"
    return [
        at_least("captions, features kept: samples a second", speed, f"{speeds['plain']:.1f} /s, eye in each epoch",
                 speeds["ours"] / speeds["plain"], 5),
        at_most(f"… the same losses: furthest apart in {len(ours)} steps", f"{ours[-1]:.3f} at the end",
                f"{plain[-1]:.3f} at the end", round(apart, 4), APART),
        at_least("captions, features kept: samples a second", speed,
                 f"{speeds['trainer']:.1f} /s, transformers.Trainer on the same features",
                 speeds["ours"] / speeds["trainer"], 1),
        Row("… in the numbers that a tried step picks here", f"{speeds['picked']:.1f} /s",
            f"{speeds['plain']:.1f} /s, eye in each epoch, float32", speeds["picked"] / speeds["plain"], "–", None),
    ]  # fmt: skip


def _timed(side: Side, data: Path, folder: Path) -> tuple[float, list[float]]:
    """Samples a second from the second epoch on, and the loss of each step, where the recipe computes it."""
    folder.mkdir()
    recipe, rows = _made(CASE, data, folder)
    losses: list[float] = []
    whole = recipe.loss

    def loss(model: Any, batch: Any) -> Any:
        found = whole(model, batch)
        losses.append(float(found.detach()) / recipe.count(batch))
        return found

    recipe.loss = loss
    times = side(CASE, recipe, rows, folder)
    first = len(rows) // CASE.batch
    assert len(times) == EPOCHS * first, f"{len(times)} steps"
    return len(rows) * (EPOCHS - 1) / (times[-1] - times[first - 1]), losses


def picked(case: Case, recipe: Any, rows: Sequence[Any], folder: Path) -> list[float]:
    """When each step was over, in this program's loop as a run on this machine would have it."""
    from mmdemo.training import numbers

    recipe.prepare(rows, lambda done, total: None)
    precision = numbers.chosen(recipe, rows[: case.batch], numbers.SECONDS, _note)
    return _ours(case, recipe, rows, folder, precision)


def _note(sentence: str) -> None:
    print(f"  {sentence}", file=sys.stderr, flush=True)


def plain(case: Case, recipe: Any, rows: Sequence[Any], folder: Path) -> list[float]:
    """When each step was over, in a loop that opens the pictures and runs the encoder in each epoch."""
    import torch

    from mmdemo.training import dropout, loop, order, shards
    from mmdemo.training.plan import Plan, rate
    from mmdemo.training.recipes import seeing

    dropout.quicken(recipe.model)  # as in the loop, for the same random numbers

    per_epoch = len(rows) // case.batch
    plan = Plan(
        steps=EPOCHS * per_epoch, per_epoch=per_epoch, rows=case.batch, batch=case.batch, learning_rate=RATE,
        schedule="linear", warmup=0, weight_decay=0.01, seed=0, evaluate_every=0, checkpoint_every=0,
    )  # fmt: skip
    kept, recipe.kept = recipe.kept, {}  # a row is its caption alone; what is seen is added here
    optimizer = shards.optimizer_of(recipe.model, plan.weight_decay)
    sizes, times = [recipe.size(row) for row in rows], []
    for step in range(plan.steps):
        epoch, place = divmod(step, per_epoch)
        some = [rows[one] for one in order.steps_of(epoch, sizes, plan.rows, plan.seed)[place]]
        loop.seed(plan.seed, step)
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * rate(step, plan)
        recipe.model.train()
        batch = recipe.batch(some)
        values = np.stack([seeing.values(row, "vision", recipe.config, recipe.given.settings) for row in some])
        with torch.no_grad():
            batch["vision"] = recipe.fusion.encoded("vision", torch.from_numpy(values))
        recipe.kept = kept
        (recipe.loss(recipe.model, batch) / recipe.count(batch)).backward()
        recipe.kept = {}
        torch.nn.utils.clip_grad_norm_(recipe.model.parameters(), loop.NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.monotonic())
    return times


def trainer(case: Case, recipe: Any, rows: Sequence[Any], folder: Path) -> list[float]:
    """The same in `transformers.Trainer`, on features that are kept as in this program's loop."""
    from transformers import Trainer, TrainingArguments

    recipe.prepare(rows, lambda done, total: None)

    def batch(some: Sequence[Any]) -> dict[str, Any]:
        given = recipe.collate([recipe.encode(row) for row in some])
        words = {name: given[name] for name in ("input_ids", "attention_mask", "labels")}
        return {**words, **recipe._given(given)}

    times: list[float] = []
    Trainer(
        model=recipe.model, args=_arguments(TrainingArguments, case, folder, remove_unused_columns=False),
        train_dataset=list(rows), data_collator=batch, callbacks=[_callback(times)],
    ).train()  # fmt: skip
    return times
