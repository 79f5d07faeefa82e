"""The one loop of all recipes: plain torch, with `accelerate` for devices and processes.

A step is fixed by the seed and its number alone: which rows it sees (`order`), the learning rate, the random numbers
of dropout. So a run that goes on from a checkpoint takes the very steps it would have taken. With a limit of time the
learning rate follows the clock too, whose readings are kept (`clock`).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mmdemo.datasets.rows import Row
from mmdemo.errors import JobError, StudioError
from mmdemo.training import checkpoints, numbers, order
from mmdemo.training.checkpoints import State
from mmdemo.training.clock import Clock
from mmdemo.training.memory import out_of_memory, too_large, too_many, used
from mmdemo.training.plan import Plan, rate

if TYPE_CHECKING:
    from pathlib import Path

    from mmdemo.training.events import Events
    from mmdemo.training.recipes.base import Recipe
    from mmdemo.training.shards import Whole

NORM = 1.0
"""Gradients are cut to this length."""
TOLD_EVERY = 1.0
"""Seconds between two lines of progress."""
CHECKPOINT_SECONDS = 120.0
MANY = 1_000_003


class Stopped(Exception):  # not an error: the user's wish
    """The user stopped the run; its last step is kept."""


class Diverged(StudioError):
    """The loss is no number any more."""


@dataclass
class Loop:
    """A run that is under way.

    Attributes:
        model: what learns, as it lies on the processes; the recipe's.
        evaluate: scores the weights as they are on held-out rows; None without such rows.
        stopping: whether the user has stopped; asked after each step.
    """

    recipe: Recipe
    model: Whole
    rows: Sequence[Row]
    plan: Plan
    folder: Path
    events: Events
    evaluate: Callable[[int], float] | None
    stopping: Callable[[], bool]

    @property
    def accelerator(self) -> Any:
        """Of the device and the processes."""
        return self.model.accelerator

    def run(self) -> State:
        """Take the steps that are left; the best weights are in the recipe's model then.

        Raises:
            Stopped: a checkpoint of the last step was written.
            Diverged: the loss is not a number; names the rows of the step.
            DoesNotFit: not even one row at a time fits into memory.
            OSError: the disk is full.
        """
        state = self.model.begin(self.folder)
        state.batch = state.batch or self.plan.batch
        sizes = [self.recipe.size(row) for row in self.rows]
        saved = told = time.monotonic()
        seen, since = 0, state.seconds
        epoch, steps = -1, []
        clock = Clock(self.folder) if self.plan.seconds else None
        state.seconds = self._agreed(clock, state)
        while state.step < self.plan.steps and not self._enough(state):
            began = time.monotonic()
            now, place = divmod(state.step, self.plan.per_epoch)
            if now != epoch:
                epoch, steps = now, order.steps_of(now, sizes, self.plan.rows, self.plan.seed)
            loss = self._step(steps[place], state)
            state.step += 1
            state.seconds += time.monotonic() - began
            state.seconds = self._agreed(clock, state)  # before a checkpoint, which keeps what was read
            seen += len(steps[place])
            last = state.step == self.plan.steps
            if last or state.step == 1 or time.monotonic() - told > TOLD_EVERY:
                rate_now = self.model.optimizer.param_groups[0]["lr"]
                self._tell(state, loss, rate_now, seen / max(state.seconds - since, 1e-6))
                told, seen, since = time.monotonic(), 0, state.seconds
            if self.evaluate and (last or state.step % self.plan.evaluate_every == 0):
                self._evaluate(state)
            stop = self._anyone(self.stopping())
            if stop or self._due(state, saved):
                self.model.save(self.folder, state)
                saved = time.monotonic()
            if stop and not last:
                raise Stopped
        early = state.step < self.plan.steps and state.step % self.plan.evaluate_every
        if self.evaluate and (early or not self.plan.steps):
            self._evaluate(state)  # the last weights count too, and those that were fitted before
        self.model.save(self.folder, state)
        self.model.end()
        checkpoints.load_best(self.folder, state, self.recipe.model)
        self.recipe.model.eval()
        return state

    def _step(self, places: list[int], state: State) -> float:
        """One step; if memory does not suffice, it is taken again with half as many rows at once.

        Of several processes the others would not know.
        """
        while True:
            try:
                return self._try_step(places, state)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if self.accelerator.num_processes > 1:
                    raise too_many(state.batch) from error
            self.model.optimizer.zero_grad(set_to_none=True)
            if state.batch == 1:
                raise too_large()
            state.batch = max(1, state.batch // 2)
            self.events(
                "note",
                message=f"Memory did not suffice: only {state.batch} rows are computed at once from now on.",
            )

    def _try_step(self, places: list[int], state: State) -> float:
        processes, learner, optimizer = self.accelerator.num_processes, self.model.learner, self.model.optimizer
        seed(self.plan.seed, state.step * processes + self.accelerator.process_index)
        for group in optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * rate(state.step, self.plan, state.seconds)
        mine = order.shares(places, state.batch, processes)[self.accelerator.process_index]
        learner.train()
        # as many batches in each process: one that has no rows for a batch computes some that do not count
        batches = [
            (self.recipe.batch([self.rows[place] for place in piece or places[:1]]), bool(piece)) for piece in mine
        ]
        labels = self._sum(float(sum(self.recipe.count(batch) for batch, counts in batches if counts)))
        total = 0.0
        for number, (batch, counts) in enumerate(batches):
            with self.model.quiet(number == len(batches) - 1):
                with self.accelerator.autocast(), numbers.computed_in(self.plan.precision):
                    loss = self.recipe.loss(learner, batch) * float(counts)
                # the mean over all labels of the step, on all processes, whose gradients are averaged
                self.accelerator.backward(loss * (processes / max(labels, 1.0)))
            total += float(loss.detach())
        mean = self._sum(total) / max(labels, 1.0)
        if not math.isfinite(mean):
            optimizer.zero_grad(set_to_none=True)
            own = [place for piece in mine for place in piece]
            names = "; ".join(self.rows[place].origin for place in self._odd(own or places)[:3])
            why = JobError(
                f"The loss is no number any more at step {state.step + 1} (rows: {names}, …): lower the learning rate, "
                "or look at these rows."
            )
            raise Diverged(str(why))
        self.accelerator.clip_grad_norm_(learner.parameters(), NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return mean

    @torch.no_grad()
    def _odd(self, places: list[int]) -> list[int]:
        """Those rows of a step whose own loss is no number; all of them if that tells nothing."""
        with self.model.gathered():
            model = self.recipe.model.eval()
            losses = {place: self.recipe.loss(model, self.recipe.batch([self.rows[place]])) for place in places}
        odd = [place for place, loss in losses.items() if not bool(torch.isfinite(loss))]
        return odd or places

    def _sum(self, value: float) -> float:
        """A number added up over all processes."""
        if self.accelerator.num_processes == 1:
            return value
        tensor: Tensor = self.accelerator.reduce(
            torch.tensor(value, device=self.accelerator.device, dtype=torch.float64)
        )
        return float(tensor)

    def _anyone(self, wish: bool) -> bool:
        return self._sum(float(wish)) > 0

    def _agreed(self, clock: Clock | None, state: State) -> float:
        """What the clock says before a step, to all processes: the first one's counts; as it is without a limit."""
        if clock is None:
            return state.seconds
        first = self.accelerator.is_main_process
        return self._sum(clock.before(state.step, state.seconds) if first else 0.0)

    def _enough(self, state: State) -> bool:
        """Whether the time is up, or nothing became better for long."""
        if self.plan.seconds and state.seconds > self.plan.seconds:
            self.events("note", message=f"The time is up after step {state.step} of {self.plan.steps}.")
            return True
        if self.plan.patience and state.waited >= self.plan.patience:
            self.events("note", message=f"Nothing became better for {state.waited} evaluations: stopped early.")
            return True
        return False

    def _due(self, state: State, saved: float) -> bool:
        if self.plan.checkpoint_every:
            return state.step % self.plan.checkpoint_every == 0
        return time.monotonic() - saved > CHECKPOINT_SECONDS

    def _evaluate(self, state: State) -> None:
        """Score the weights, and keep them if they are the best so far."""
        assert self.evaluate is not None
        with self.model.gathered():
            self.recipe.model.eval()
            value = self.evaluate(state.step)
            better = state.best is None or (value < state.best if self.recipe.lower else value > state.best)
            state.waited = 0 if better else state.waited + 1
            if better:
                state.best, state.best_step = value, state.step
                if self.accelerator.is_main_process:
                    checkpoints.save_best(self.folder, state, self.recipe.model)

    def _tell(self, state: State, loss: float, learning_rate: float, speed: float) -> None:
        self.events(
            "progress",
            step=state.step,
            steps=self.plan.steps,
            loss=round(loss, 5),
            learning_rate=learning_rate,
            samples_per_second=round(speed, 2),
            memory=used(str(self.accelerator.device)),
            epoch=round(state.step / self.plan.per_epoch, 3),
        )


def seed(number: int, step: int) -> None:
    """Make all random numbers of a step follow from the run's seed and the step."""
    value = (number * MANY + step) % 2**32
    random.seed(value)
    np.random.seed(value)  # what a library may draw from
    torch.manual_seed(value)
