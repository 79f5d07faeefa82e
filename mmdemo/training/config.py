"""What decides a training run: one frozen dataclass that is the form, the flags and `run.json`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from mmdemo.errors import InputError
from mmdemo.options import build, option
from mmdemo.training.recipes import RECIPES

RUN_FILE = "run.json"
METHODS = ("auto", "lora", "qlora", "full", "head", "svm")
"""Low-rank adapters (arXiv:2106.09685), the same on 4-bit weights (arXiv:2305.14314), all weights, only the head,
and an SVM in its place."""
SCHEDULES = ("cosine", "linear", "constant")


@dataclass(frozen=True)
class TrainOptions:
    """How to train. A 0 where a number is asked for means: what suits the task, the data and the machine."""

    task: str = option("text-classification", "Task", "What is to be learned.", choices=tuple(RECIPES), advanced=False)
    data: str = option("", "Data set", "A folder, a file or a zip.", advanced=False)
    model: str = option("", "Model", "What to start from: a key, or a folder. Empty: the starter.", advanced=False)
    also: str = option(
        "", "Other data", "A data set of another kind, never learned from: scored before and after, so that forgetting "
        "shows.",
    )  # fmt: skip
    method: str = option(
        "auto",
        "Method",
        "Adapters, all weights, or the head alone, learned or an SVM.",
        choices=METHODS,
        advanced=False,
    )
    epochs: int = option(0, "Epochs", "Times through the data; 0: by the size of the data.", minimum=0, maximum=1000)
    minutes: float = option(
        0.0, "Minutes", "Learn as well as possible in so long; 0: no limit.", minimum=0, maximum=10_000, advanced=False,
    )  # fmt: skip
    steps: int = option(
        0, "Steps", "So many steps, if the epochs do not end before; 0: by the epochs.", minimum=0, maximum=10_000_000
    )
    batch: int = option(0, "Batch", "Rows computed at once; 0: tried out.", minimum=0, maximum=4096)
    accumulate: int = option(
        0, "Accumulate", "Batches of one step; 0: until a step has as many rows as suit the task.", minimum=0,
        maximum=4096,
    )  # fmt: skip
    learning_rate: float = option(
        0.0, "Learning rate", "At its highest; 0: what suits the method.", minimum=0, maximum=1
    )
    schedule: str = option("cosine", "Schedule", "How the learning rate falls.", choices=SCHEDULES)
    warmup: float = option(0.06, "Warm-up", "Share of the steps in which it rises.", minimum=0, maximum=1)
    weight_decay: float = option(0.01, "Weight decay", "Of matrices, per step (AdamW).", minimum=0, maximum=1)
    label_smoothing: float = option(0.0, "Label smoothing", "arXiv:1512.00567.", minimum=0, maximum=0.5)
    class_weights: bool = option(False, "Class weights", "Rare classes count as much as common ones.")
    dropout: float = option(-1.0, "Dropout", "In the model; -1: as it was made.", minimum=-1, maximum=0.9)
    early_stopping: int = option(
        0, "Early stopping", "Stop after so many evaluations without a better one; 0: never.", minimum=0, maximum=100
    )
    max_length: int = option(0, "Longest text", "In tokens; 0: what suits the task.", minimum=0, maximum=131_072)
    seed: int = option(0, "Seed", "The same seed and data give the same model on a CPU.", minimum=0, maximum=2**31)
    precision: str = option(
        "auto", "Precision", "Of numbers; auto: bf16 where a GPU has it, or a tried step is faster on this CPU.",
        choices=("auto", "fp32", "bf16"),
    )  # fmt: skip
    validation: float = option(
        0.1, "Held out", "Share of the rows that are only for measuring, where the data say nothing.", minimum=0.01,
        maximum=0.9,
    )  # fmt: skip
    evaluate_every: int = option(0, "Evaluate every", "So many steps; 0: after each epoch.", minimum=0, maximum=10**7)
    evaluate_rows: int = option(
        200, "Rows of an evaluation", "While it learns; in the end all are used.", minimum=1, maximum=10**7
    )
    checkpoint_every: int = option(
        0, "Checkpoint every", "So many steps; 0: every two minutes.", minimum=0, maximum=10**7
    )
    lora_rank: int = option(16, "LoRA rank", "Of the adapters' matrices.", minimum=1, maximum=1024)
    lora_alpha: int = option(32, "LoRA alpha", "The adapters count alpha / rank.", minimum=1, maximum=4096)
    frozen_encoder: bool = option(
        True, "Frozen encoder", "The part that sees or hears stays as it is; what it computes is kept, which is faster."
    )
    contrastive: str = option(
        "info-nce", "Contrastive loss", "Of retrieval: each row against all others, or each pair by itself.",
        choices=("info-nce", "siglip"),
    )  # fmt: skip
    language: str = option("", "Language", "Of the speech, where the data do not say.", language=True)
    device: str = option("auto", "Device", "auto, cpu, cuda or mps.", choices=("auto", "cpu", "cuda", "mps"))


def read(file: Path) -> TrainOptions:
    """The options in a run file.

    Raises:
        InputError: it cannot be read, or a value is wrong.
        UnknownName: it has a field that does not exist; lists those that do.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The run file {file} cannot be read ({error}).") from error
    if not isinstance(values, dict):
        raise InputError(f"The run file {file} must hold one JSON object with the fields of a run.")
    return build(TrainOptions, values)


def write(options: TrainOptions, folder: Path) -> Path:
    """Write `run.json` into a run's folder, which is made; the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / RUN_FILE
    partial = folder / f"{RUN_FILE}.partial"
    text = json.dumps(dataclasses.asdict(options), ensure_ascii=False, indent=2) + "\n"
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
    return file
