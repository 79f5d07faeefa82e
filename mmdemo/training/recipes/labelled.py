"""What all classifiers share: labels, their weights, cross-entropy, accuracy and F1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError
from mmdemo.fusion import svm
from mmdemo.training import metrics, models
from mmdemo.training.recipes.base import Batch, Given, Recipe, cross_entropy


class Labelled(Recipe):
    """One label a row. A recipe of it sets `model`, whose configuration has `id2label`, after `decide_labels`."""

    metric = "accuracy"
    model: Any

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        self.labels: tuple[str, ...] = ()
        self.weight: Tensor | None = None

    @staticmethod
    def lacks(row: Row) -> str:
        """A label."""
        return "" if row.label else "a label"

    @staticmethod
    def target(row: Row) -> str:
        """The label."""
        return row.label

    def named(self, kinds: Sequence[str]) -> dict[str, Any]:
        """Arguments of `from_pretrained` for a new head with one output for each of `kinds`."""
        return {
            "num_labels": len(kinds),
            "id2label": dict(enumerate(kinds)),
            "label2id": {kind: place for place, kind in enumerate(kinds)},
            "ignore_mismatched_sizes": True,
        }

    def decide_labels(self, found: Sequence[str], head: str) -> dict[str, Any]:
        """Settle the labels: those of the rows to learn from, else those that the model has learned.

        Args:
            found: every label of those rows, as often as it comes.
            head: how the name of an architecture with such a head ends.

        Raises:
            InputError: there is only one label, or a model that is to be used has learned none.
        """
        if not self.given.learning:
            self.labels = learned_labels(self.given, head)
            return {}
        count = Counter(found)
        if len(count) < 2:
            raise InputError(
                f"Every row has the label {next(iter(count), '')!r}: a classifier needs rows of two labels or more."
            )
        self.labels = tuple(sorted(count))
        alone = [label for label in self.labels if count[label] == 1]
        if alone:
            self.given.note(
                f"{len(alone)} labels have one row each to learn from, such as {alone[0]!r}: give them more, or leave "
                "them out."
            )
        self.baseline = self.baseline or count.most_common(1)[0][0]
        if self.options.class_weights:
            each = torch.tensor([1.0 / count[label] for label in self.labels])
            self.weight = (each * len(found) / len(self.labels)).to(self.given.device)
        return self.named(self.labels)

    def place(self, label: str) -> int:
        """The number of a label; one that was not there to learn counts for nothing."""
        return self._places.get(label, -100)

    def hyperplanes(self, features: NDArray[Any]) -> tuple[Tensor, Tensor]:
        """A linear SVM over what a frozen encoder made of the rows to learn from: see `svm.fit`.

        Args:
            features: (rows, channels).

        Raises:
            InputError: some are no numbers; names the rows.
        """
        rows = self.given.rows
        odd = [row.origin for row, fine in zip(rows, np.isfinite(features).all(1), strict=True) if not fine]
        if odd:
            raise InputError(
                f"What the encoder makes of some rows is no number ({'; '.join(odd[:3])}): leave them out."
            )
        numbers = np.array([self.place(row.label) for row in rows])
        weights, bias = svm.fit(features, numbers, self.options.class_weights)
        return torch.from_numpy(weights).to(self.given.device), torch.from_numpy(bias).to(self.given.device)

    @property
    def _places(self) -> dict[str, int]:
        if not hasattr(self, "_numbers"):
            self._numbers = {label: number for number, label in enumerate(self.labels)}
        return self._numbers

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy, weighted by class where that is wanted."""
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        logits = model(**inputs).logits
        return cross_entropy(logits, batch["labels"], self.options.label_smoothing, self.weight)

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """The likeliest label of each."""
        answers = [""] * len(rows)
        for places, some in self.pieces(rows, 64):
            batch = self.batch(some)
            batch.pop("labels")
            for place, best in zip(places, self.model(**batch).logits.argmax(-1).tolist(), strict=True):
                answers[place] = self.labels[best]
        return answers

    def scores(self, rows: Sequence[Row], answers: Sequence[str]) -> metrics.Scores:
        """Accuracy and F1."""
        return metrics.classes([row.label for row in rows], answers)

    def save(self, folder: Path) -> None:
        """The classifier of `transformers` with its processor, and its adapters alone."""
        models.save_adapter(self.model, folder)
        models.merged(self.model).save_pretrained(folder)
        self.processor.save_pretrained(folder)

    processor: Any


def learned_labels(given: Given, head: str) -> tuple[str, ...]:
    """The labels of a model that was trained as a classifier.

    Raises:
        InputError: it was not.
    """
    from transformers import AutoConfig

    config: Any = models.processor(AutoConfig, given.base)
    names = dict(config.id2label)
    if not str((config.architectures or [""])[0]).endswith(head):
        raise InputError(
            f"{given.base.spec.title} has not learned any labels: train it first, and give the folder of that run."
        )
    return tuple(str(names[number]) for number in sorted(names))
