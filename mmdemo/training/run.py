"""A run from its file to its report: read, prepare, measure, learn, measure again, save."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mmdemo import __version__
from mmdemo.datasets.rows import Row
from mmdemo.errors import Cancelled, StudioError
from mmdemo.folders import REPORT
from mmdemo.runtime import device
from mmdemo.settings import Settings
from mmdemo.training import ballot, compare, config, data, models, plan, recipes, shards
from mmdemo.training.checkpoints import State, synchronise
from mmdemo.training.config import TrainOptions
from mmdemo.training.ending import told
from mmdemo.training.events import Events, Listener
from mmdemo.training.loop import Loop, seed
from mmdemo.training.recipes.base import Given, Recipe

BEFORE_FILE, BEFORE_OTHERS = "before.json", "before-others.json"
SAMPLES = 3
"""Answers that are shown at each evaluation."""


def run(
    folder: Path,
    settings: Settings | None = None,
    listener: Listener = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Do what `run.json` in the folder says, or go on with it; the exit status.

    Nothing is raised: what went wrong is the last event.
    """
    from accelerate import PartialState

    if shards.asked_for("DEEPSPEED"):  # which will be refused; accelerate would look for it first
        main = os.environ.get("RANK", "0") == "0"
    else:
        main = PartialState(cpu=_wants_cpu(folder)).is_main_process
    events = Events(folder, listener, silent=not main)
    return told(folder, events, lambda: Run(folder, settings or Settings.load(), events, stopping).whole())


def _wants_cpu(folder: Path) -> bool:
    """Whether the run is for a CPU: `accelerate` wants to know first."""
    try:
        return device.choose(config.read(folder / config.RUN_FILE).device) == "cpu"
    except StudioError:
        return True  # it will be said


@dataclass(frozen=True)
class Ready:
    """What a run needs before it learns: everything is read, loaded and encoded.

    Attributes:
        others: rows of another data set, which are only measured.
    """

    recipe: Recipe
    parts: data.Parts
    accelerator: Any
    others: tuple[Row, ...] = ()


class Run:
    """One run, in this process."""

    def __init__(self, folder: Path, settings: Settings, events: Events, stopping: Callable[[], bool]) -> None:
        self.folder, self.settings, self.events, self.stopping = folder, settings, events, stopping
        self.options: TrainOptions = config.read(folder / config.RUN_FILE)
        self.began = time.monotonic()

    def note(self, sentence: str) -> None:
        """Tell the user something."""
        self.events("note", message=sentence)

    def whole(self) -> None:
        """Everything, in its order."""
        ready = self._ready()
        began = time.monotonic()
        before = self._before(ready.recipe, ready.parts.final)
        there = self._before(ready.recipe, ready.others, BEFORE_OTHERS, "other") if ready.others else {}
        measuring = time.monotonic() - began
        state = self._learn(ready, before, 2 * measuring)
        if ready.accelerator.is_main_process:
            self._finish(ready, before, there, state.step)
        ready.accelerator.wait_for_everyone()

    def trial(self, reached: Callable[[float, float], None]) -> float | None:
        """Learn only: nothing is measured before or in the end, and no model is written.

        Args:
            reached: told after each evaluation of the epochs so far and the score; what it raises ends the run.

        Returns:
            The best score on the held-out rows; None if there were none.
        """
        return self._learn(self._ready(learning_only=True), {}, 0.0, reached).best

    def _ready(self, learning_only: bool = False) -> Ready:
        """Read the data, load the model, and compute what frozen parts make of the rows."""
        from accelerate import Accelerator

        kind = recipes.get(self.options.task)
        self.options = models.settled(self.options, kind)
        place = device.choose(self.options.device)
        models.check_method(self.options.method, place)
        shards.check(self.options.method)
        half = place != "cpu" and self.options.precision == "bf16"  # of a CPU the plan decides
        half |= place == "cuda" and self.options.precision == "auto" and torch.cuda.is_bf16_supported()
        accelerator = Accelerator(cpu=place == "cpu", mixed_precision="bf16" if half else "no")
        if accelerator.num_processes == 1:
            torch.set_num_threads(self.settings.threads or device.cores())
        parts = data.parts_of(self.options, kind, self.settings, self.note)
        others = () if learning_only else data.others(self.options, kind, self.settings, parts, self.note)
        self._environment(parts.fingerprint)
        seed(self.options.seed, 0)  # new heads begin with the same weights each time
        base = models.base_of(self.options.model, self.settings)
        recipe = kind(Given(self.options, base, self.settings, str(accelerator.device), parts.train, self.note))
        final = () if learning_only or parts.final is parts.held else parts.final
        recipe.prepare((*parts.train, *parts.held, *final, *others), self._progress)
        return Ready(recipe, parts, accelerator, others)

    def _learn(
        self,
        ready: Ready,
        before: dict[str, str],
        measuring: float,
        reached: Callable[[float, float], None] = lambda epochs, score: None,
    ) -> State:
        """Decide what to do, and take the steps that are left.

        Args:
            before: answers to show beside the new ones, by origin.
            measuring: seconds that measuring takes besides.
        """
        recipe, accelerator = ready.recipe, ready.accelerator
        from accelerate.utils import broadcast_object_list

        model = shards.lay(accelerator, recipe.model, self.options.weight_decay, self.note)
        chosen = plan.read(self.folder)
        if chosen is None:
            spent = time.monotonic() - self.began + measuring
            chosen = plan.decide(
                self.options, recipe, ready.parts.train, accelerator.num_processes, spent, self.note, model.learner
            )
            chosen = broadcast_object_list([chosen])[0]  # the first process's, for all
            if accelerator.is_main_process:
                plan.write(chosen, self.folder)
        held = data.some(ready.parts.held, self.options.evaluate_rows, self.options.seed)
        per_epoch = chosen.per_epoch

        def evaluate(step: int) -> float:
            score = self._evaluate(recipe, held, before, step)
            reached(step / per_epoch, score)
            return score

        return Loop(
            recipe, model, ready.parts.train, chosen, self.folder, self.events, evaluate if held else None,
            self.stopping,
        ).run()  # fmt: skip

    def _progress(self, done: int, total: int) -> None:
        if self.stopping():
            raise Cancelled("Stopped before anything was learned.")
        self.events("progress", step=0, steps=0, epoch=0.0, message=f"Reading the media: {done} of {total}")

    def _before(
        self, recipe: Recipe, rows: Sequence[Row], name: str = BEFORE_FILE, split: str = "validation"
    ) -> dict[str, str]:
        """What is answered before anything is learned, by origin; it is kept for the end, and for going on."""
        file = self.folder / name
        if file.exists():
            found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
            return found
        if recipe.baseline:
            answers = [_baseline(recipe, row) for row in rows]
        else:
            self.events("progress", step=0, steps=0, epoch=0.0, message="Measuring before")
            answers = recipe.predict(rows)
        before = {row.origin: answer for row, answer in zip(rows, answers, strict=True)}
        if rows:
            values = recipe.scores(rows, answers).values
            self.events("metric", step=0, values=values, split=split)
        _write(file, before)
        return before

    def _evaluate(self, recipe: Recipe, rows: Sequence[Row], before: dict[str, str], step: int) -> float:
        """Score the weights as they are, and show a few answers; the score that decides."""
        answers = recipe.predict(rows)
        values = recipe.scores(rows, answers).values
        self.events("metric", step=step, values=values, split="validation")
        for row, answer in list(zip(rows, answers, strict=True))[:SAMPLES]:
            more: dict[str, Any] = {"before": before[row.origin]} if row.origin in before else {}
            if row.media:
                more["media"] = str(row.media[0])
            self.events("sample", step=step, origin=row.origin, target=recipe.target(row), text=answer, **more)
        return values[recipe.metric]

    def _finish(self, ready: Ready, before: dict[str, str], there: dict[str, str], step: int) -> None:
        """Measure again, write the report and put the model in place.

        Args:
            before, there: answers before, to the rows of before and after and to those of the other data set.
        """
        recipe, rows = ready.recipe, ready.parts.final
        told = "It has learned; no rows were held out to tell how well."
        if rows:
            self.events("progress", step=step, steps=step, message="Measuring after")
            found, answers = self._compared(recipe, rows, before, step, "final")
            found["baseline"] = recipe.baseline and f"before: always {recipe.baseline!r}"
            if not recipe.baseline:
                _write(self.folder / ballot.ANSWERS_FILE, ballot.asked(rows, *answers))
            old, new = (found[side]["metrics"][recipe.metric] for side in ("before", "after"))
            told = f"{recipe.metric} {old:.3f} before, {new:.3f} after, on {len(rows)} rows: {found['verdict']}."
            if ready.others:
                other, _ = self._compared(recipe, ready.others, there, step, "other")
                name = Path(self.options.also).name
                found["also"] = {"data": name, **other}
                old, new = (other[side]["metrics"][recipe.metric] for side in ("before", "after"))
                told += f" On {name}: {old:.3f} before, {new:.3f} after, {other['verdict']}."
            _write(self.folder / REPORT, found)
        result = self.folder / models.RESULT
        partial = result.with_name(f".{models.RESULT}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        recipe.save(partial)
        for file in partial.rglob("*"):
            synchronise(file)
        shutil.rmtree(result, ignore_errors=True)
        partial.rename(result)
        self.events("done", message=told)

    def _compared(
        self, recipe: Recipe, rows: Sequence[Row], before: dict[str, str], step: int, split: str
    ) -> tuple[dict[str, Any], tuple[list[str], list[str]]]:
        """The report of before and after on some rows, and both answers."""
        answers = [before[row.origin] for row in rows], recipe.predict(rows)
        found = compare.report(rows, answers, recipe.scores, recipe.target, recipe.metric, recipe.lower)
        self.events("metric", step=step, values=found["after"]["metrics"], split=split)
        return found, answers

    def _environment(self, fingerprint: str) -> None:
        """Write down what the run stands on."""
        names = ("torch", "transformers", "accelerate", "peft", "numpy")
        found = {
            "mmdemo": __version__,
            "python": platform.python_version(),
            "system": platform.platform(),
            "device": device.describe(device.choose(self.options.device)),
            "threads": torch.get_num_threads(),
            "data": fingerprint,
            "packages": {name: version(name) for name in names},
        }
        _write(self.folder / "environment.json", found)


def _baseline(recipe: Recipe, row: Row) -> str:
    return " ".join([recipe.baseline] * len(row.tokens)) if row.tokens else recipe.baseline


def _write(file: Path, values: Any) -> None:
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")  # every process of a run writes some of them
    partial.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)
