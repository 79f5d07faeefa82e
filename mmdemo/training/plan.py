"""From options to numbers: how many steps, how many rows at once, by trying a step before anything is learned."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mmdemo.datasets.rows import Row
from mmdemo.runtime import memory as machine
from mmdemo.training import numbers, order
from mmdemo.training.memory import out_of_memory, too_large, used

if TYPE_CHECKING:
    from mmdemo.training.config import TrainOptions
    from mmdemo.training.recipes.base import Recipe

PLAN_FILE = "plan.json"
MANY_ROWS = 1000
"""From so many rows on, a recipe's epochs are what it says; half of them are seen 1.4 times as often."""
MOST_OFTEN = 4.0
FLOOR = 0.05
"""What is left of the learning rate at the end."""
LEARNING_SHARE = 0.3
"""Of the minutes that the user gives, at least so much is for learning, however long all else takes."""


@dataclass(frozen=True)
class Plan:
    """What a run does; written down, so that it goes on as it began.

    Attributes:
        rows: rows of a step, over all batches and processes.
        batch: rows computed at once.
        seconds: for learning at most; 0 for no limit.
        patience: evaluations without a better one after which it stops; 0 for none.
        step_seconds, step_memory: of one step as it was tried, the bytes with the longest row.
        precision: `fp32` or `bf16`, as `numbers` has it; of a GPU `Accelerator` decides.
    """

    steps: int
    per_epoch: int
    rows: int
    batch: int
    learning_rate: float
    schedule: str
    warmup: int
    weight_decay: float
    seed: int
    evaluate_every: int
    checkpoint_every: int
    seconds: float = 0.0
    patience: int = 0
    step_seconds: float = 0.0
    step_memory: int = 0
    precision: str = "fp32"


def rate(step: int, plan: Plan, seconds: float = 0.0) -> float:
    """The share of the highest learning rate at a step: it rises for `warmup` steps, then falls to `FLOOR`.

    Args:
        seconds: that have gone; with a limit on them it has fallen when they are over, however many steps there were.
    """
    if step < plan.warmup:
        return (step + 1) / plan.warmup
    if plan.schedule == "constant":
        return 1.0
    done = min(1.0, (step - plan.warmup) / max(1, plan.steps - plan.warmup))
    if plan.seconds:
        done = min(1.0, max(done, seconds / plan.seconds))
    left = 0.5 * (1 + math.cos(math.pi * done)) if plan.schedule == "cosine" else 1 - done
    return FLOOR + (1 - FLOOR) * left


def decide(
    options: TrainOptions,
    recipe: Recipe,
    rows: Sequence[Row],
    processes: int,
    spent: float,
    note: Callable[[str], None],
    learner: nn.Module,
) -> Plan:
    """Try a step and decide; a recipe that is fitted already takes none.

    Args:
        learner: what steps are taken with, on several processes perhaps a part of the model.
        spent: seconds that have gone, and will go, for all but learning.

    Raises:
        DoesNotFit: not even the longest row fits into memory.
    """
    if recipe.fitted:
        note(f"It was fitted to all {len(rows)} rows at once: there are no steps to take.")
        return Plan(
            steps=0, per_epoch=1, rows=len(rows), batch=len(rows), learning_rate=0.0, schedule=options.schedule,
            warmup=0, weight_decay=0.0, seed=options.seed, evaluate_every=1, checkpoint_every=0,
        )  # fmt: skip
    wanted = options.batch * max(1, options.accumulate) * processes if options.batch else recipe.step_rows
    if options.accumulate and not options.batch:
        wanted = recipe.step_rows * options.accumulate
    wanted = min(wanted, len(rows))
    seconds, taken = tried(recipe, learner, rows, 1, longest=True)
    batch = min(options.batch or -(-wanted // processes), _fitting(taken, recipe))
    per_step, taken = tried(recipe, learner, rows, min(wanted, batch), longest=False)
    precision = "fp32"
    if (
        recipe.given.device == "cpu" and learner is not recipe.model
    ):  # processes may not measure by a clock of their own
        precision = options.precision if options.precision != "auto" else precision
    elif recipe.given.device == "cpu":
        precision = numbers.chosen(recipe, _some(recipe, rows, min(wanted, batch), longest=False), per_step, note)
    if precision == "bf16":
        per_step, taken = tried(recipe, learner, rows, min(wanted, batch), longest=False, precision=precision)
    per_step *= wanted / min(wanted, batch) / processes
    per_epoch = order.per_epoch(len(rows), wanted)
    epochs = options.epochs or usual_epochs(type(recipe), len(rows))
    steps = epochs * per_epoch
    if options.steps:
        steps = min(options.steps, steps) if options.epochs else options.steps
    limit, expected = 0.0, steps
    if options.minutes:  # the clock decides, not this guess: the machine may be busy just now
        limit = max(options.minutes * 60 - spent, LEARNING_SHARE * options.minutes * 60)
        expected = max(1, min(steps, int(limit / max(per_step, 1e-4))))
    note(
        f"The longest row took {seconds:.2f} s and {taken / 1e6:,.0f} MB; {expected} steps of {wanted} rows "
        f"({batch} at once) will take about {spoken(expected * per_step)}."
    )
    return Plan(
        steps=steps,
        per_epoch=per_epoch,
        rows=wanted,
        batch=batch,
        learning_rate=options.learning_rate or recipe.rate,
        schedule=options.schedule,
        warmup=min(math.ceil(expected * options.warmup), steps - 1),
        weight_decay=options.weight_decay,
        seed=options.seed,
        evaluate_every=min(options.evaluate_every or min(per_epoch, -(-expected // 2)), steps),
        checkpoint_every=options.checkpoint_every,
        seconds=limit,
        patience=options.early_stopping,
        step_seconds=round(per_step, 4),
        step_memory=taken,
        precision=precision,
    )


def usual_epochs(kind: type[Recipe], rows: int) -> int:
    """Times through so many rows to learn from, where nobody says how often."""
    often: float = kind.epochs * min(MOST_OFTEN, max(1.0, (MANY_ROWS / rows) ** 0.5))
    return max(1, round(often))


def tried(
    recipe: Recipe, learner: nn.Module, rows: Sequence[Row], count: int, longest: bool, precision: str = "fp32"
) -> tuple[float, int]:
    """Seconds and bytes of one pass forth and back, which changes no weight: the longest rows, or middling ones.

    Raises:
        DoesNotFit: memory does not suffice.
    """
    some = _some(recipe, rows, count, longest)
    learner.train()
    before, began = used(recipe.given.device), time.monotonic()
    try:
        batch = recipe.batch(some)
        with numbers.computed_in(precision):
            loss = recipe.loss(learner, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        taken = max(0, used(recipe.given.device) - before)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise too_large() from error
    finally:
        learner.zero_grad(set_to_none=True)
        learner.eval()
    if recipe.given.device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.monotonic() - began, taken


def _some(recipe: Recipe, rows: Sequence[Row], count: int, longest: bool) -> Sequence[Row]:
    """The longest rows, or middling ones."""
    ranked = sorted(rows, key=recipe.size)
    middle = max(0, (len(ranked) - count) // 2)
    return ranked[-count:] if longest else ranked[middle : middle + count]


def _fitting(taken: int, recipe: Recipe) -> int:
    """Rows at once that memory allows, if the longest takes `taken` bytes; a power of two, so that it is as it was."""
    free = machine.now(recipe.given.settings.memory_gb).free
    if recipe.given.device.startswith("cuda"):
        free = int(torch.cuda.mem_get_info()[0])
    most = max(1, int(0.5 * free / max(taken, 1_000_000)))
    return 1 << (most.bit_length() - 1)


def spoken(seconds: float) -> str:
    """About how long, in words."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def write(plan: Plan, folder: Path) -> None:
    """Write the plan into a run's folder."""
    partial = folder / f"{PLAN_FILE}.partial"
    partial.write_text(json.dumps(dataclasses.asdict(plan), indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / PLAN_FILE)


def read(folder: Path) -> Plan | None:
    """The plan of a run that has begun; None if it has not."""
    file = folder / PLAN_FILE
    return Plan(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None
