"""One side of one training, in a process of its own: `python -m benchmarks.training_sides SIDE CASE DATA` prints JSON.

All sides learn from the same rows, as many at once, with the same model in float32, made by the same lines, with AdamW
and gradients cut to the same length. They differ in which rows they put together. Plain `transformers` is `Trainer` as
its own examples use it: text as tokens before it begins, padded to the longest of a batch; pictures and recordings read
as they are needed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RATE = 1e-4
LONGEST = 512


@dataclass(frozen=True)
class Case:
    """What is learned.

    Attributes:
        rows: in an epoch; a multiple of the batch.
        goal: how many times as fast as `Trainer` this program has to be.
        frozen: an encoder stays as it is.
    """

    task: str
    method: str
    rows: int
    batch: int
    goal: float
    frozen: bool = False


CASES = {
    "text classification": Case("text-classification", "full", 512, 32, 1),
    "token classification": Case("token-classification", "full", 512, 32, 1),
    "chat, LoRA": Case("text-generation", "lora", 16, 4, 1),
    "captions, eye frozen": Case("image-to-text", "full", 64, 16, 2, frozen=True),
    "sounds, ear frozen": Case("audio-classification", "head", 16, 8, 2, frozen=True),
}
EPOCHS = 3
"""The first one is not counted: it warms up."""


def main(side: str, name: str, data: Path) -> dict[str, float]:
    """Train; samples a second from the second epoch on, and the most bytes the process had."""
    import torch

    from mmdemo.runtime import device

    torch.set_num_threads(device.cores())
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        recipe, rows = _made(case, data, Path(folder))
        times = {"ours": _ours, "trainer": _trainer, "trl": _trl}[side](case, recipe, rows, Path(folder))
    first = len(rows) // case.batch
    assert len(times) == EPOCHS * first, f"{len(times)} steps"
    speed = len(rows) * (EPOCHS - 1) / (times[-1] - times[first - 1])
    return {"speed": speed, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def _made(case: Case, data: Path, folder: Path) -> tuple[Any, Sequence[Any]]:
    """The recipe with its model, and the rows."""
    from mmdemo.datasets import read
    from mmdemo.settings import Settings
    from mmdemo.training import models, recipes
    from mmdemo.training.config import TrainOptions
    from mmdemo.training.models import settled
    from mmdemo.training.recipes.base import Given

    settings = Settings.load()
    kind = recipes.get(case.task)
    options = settled(TrainOptions(task=case.task, data=str(data), method=case.method, device="cpu"), kind)
    base = models.base_of(options.model, settings)
    settings = dataclasses.replace(settings, home=str(folder))  # what is seen once is kept there, and seen this time
    rows = read(data, settings).rows
    recipe: Any = kind(Given(options, base, settings, "cpu", rows))
    return recipe, rows


def _ours(case: Case, recipe: Any, rows: Sequence[Any], folder: Path, precision: str = "fp32") -> list[float]:
    """When each step was over, in the one loop of this program."""
    from accelerate import Accelerator

    from mmdemo.training import shards
    from mmdemo.training.events import Events
    from mmdemo.training.loop import Loop
    from mmdemo.training.plan import Plan

    recipe.prepare(rows, lambda done, total: None)
    per_epoch = len(rows) // case.batch
    plan = Plan(
        steps=EPOCHS * per_epoch, per_epoch=per_epoch, rows=case.batch, batch=case.batch, learning_rate=RATE,
        schedule="linear", warmup=0, weight_decay=0.01, seed=0, evaluate_every=0, checkpoint_every=10**9,
        precision=precision,
    )  # fmt: skip
    times: list[float] = []
    events = Events(folder, lambda event: None)
    model = shards.lay(Accelerator(cpu=True), recipe.model, plan.weight_decay, lambda sentence: None)
    Loop(recipe, model, rows, plan, folder, events, None, _clock(times)).run()
    return times


def _clock(times: list[float]) -> Callable[[], bool]:
    def stopping() -> bool:
        times.append(time.monotonic())
        return False

    return stopping


def _arguments(kind: type[Any], case: Case, folder: Path, **more: Any) -> Any:
    return kind(
        output_dir=str(folder), per_device_train_batch_size=case.batch, num_train_epochs=EPOCHS, learning_rate=RATE,
        weight_decay=0.01, max_grad_norm=1.0, lr_scheduler_type="linear", use_cpu=True, report_to=[],
        save_strategy="no", logging_strategy="no", disable_tqdm=True, optim="adamw_torch", seed=0,
        dataloader_pin_memory=False, **more,
    )  # fmt: skip


def _trainer(case: Case, recipe: Any, rows: Sequence[Any], folder: Path) -> list[float]:
    """The same in `transformers.Trainer`."""
    from transformers import Trainer, TrainingArguments

    model = getattr(recipe, "whole", recipe.model)
    examples, collate = _examples(case, recipe, rows)
    times: list[float] = []
    Trainer(
        model=model, args=_arguments(TrainingArguments, case, folder, remove_unused_columns=False),
        train_dataset=examples, data_collator=collate, callbacks=[_callback(times)],
    ).train()  # fmt: skip
    return times


def _callback(times: list[float]) -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            times.append(time.monotonic())

    return Clock()


def _examples(case: Case, recipe: Any, rows: Sequence[Any]) -> tuple[list[Any], Callable[[Any], Any]]:
    """What `Trainer` goes through, and how it becomes a batch."""
    import torch

    if case.task == "image-to-text":
        from mmdemo.training.recipes import seeing

        def seen(batch: Sequence[Any]) -> dict[str, Any]:
            given = recipe.collate([{"ids": recipe.encode(row)["ids"]} for row in batch])
            values = [seeing.values(row, "vision", recipe.config, recipe.given.settings) for row in batch]
            return {**given, "pixel_values": torch.from_numpy(np.stack(values))}

        return list(rows), seen
    if case.task == "audio-classification":
        from mmdemo.training.recipes import hearing

        def listened(batch: Sequence[Any]) -> dict[str, Any]:
            spectra = hearing.spectra(batch, recipe.processor, recipe.given.settings)
            labels = torch.tensor([recipe.place(row.label) for row in batch])
            return {"input_features": torch.from_numpy(spectra), "labels": labels}

        return list(rows), listened
    return [recipe.encode(row) for row in rows], recipe.collate


def _trl(case: Case, recipe: Any, rows: Sequence[Any], folder: Path) -> list[float]:
    """The same in `trl.SFTTrainer`: prompts and completions, of which only these count."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    talks = [[dict(one) for one in row.messages] for row in rows]
    times: list[float] = []
    SFTTrainer(
        model=recipe.model, args=_arguments(SFTConfig, case, folder, max_length=LONGEST),
        train_dataset=Dataset.from_list([{"prompt": talk[:-1], "completion": talk[-1:]} for talk in talks]),
        processing_class=recipe.tokenizer, callbacks=[_callback(times)],
    ).train()  # fmt: skip
    return times


if __name__ == "__main__":
    from mmdemo import torchvision_ops

    torchvision_ops.prepare()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    print(json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))), flush=True)
