"""What a recipe is: how the rows of one task become batches, a loss, predictions and scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from mmdemo.datasets.rows import Row
from mmdemo.settings import Settings
from mmdemo.training.metrics import Scores
from mmdemo.training.models import Base

if TYPE_CHECKING:
    from mmdemo.training.config import TrainOptions

Example = dict[str, Any]
"""A row as the model takes it: lists of numbers, or arrays."""
Batch = dict[str, Tensor]
IGNORED = -100
"""The label of a position that the loss passes over."""
AT_ONCE = 16
"""Rows predicted together."""


@dataclass(frozen=True)
class Given:
    """What a recipe is made from.

    Attributes:
        rows: what it will learn from, so that it knows the labels; empty to use a model that has learned already.
        note: tells the user a sentence.
    """

    options: TrainOptions
    base: Base
    settings: Settings
    device: str = "cpu"
    rows: Sequence[Row] = ()
    note: Callable[[str], None] = field(default=lambda sentence: None)

    @property
    def learning(self) -> bool:
        """Whether the model is to learn, and not only to be used."""
        return bool(self.rows)


class Recipe(ABC):
    """One task. The constructor loads the model; everything else is called by the one loop.

    Attributes:
        starter: the key of the model that is used if none is named.
        metric: the name of the score that decides which weights are kept; `lower` if less of it is better.
        methods: how it can be trained, and the learning rate that suits each; the first is what `auto` means. A rate of
            0 is that of what is fitted at once, in `prepare`, and takes no steps.
        step_rows: rows of one step, if the user does not say.
        epochs: times through the data, likewise, for a thousand rows; fewer rows are seen more often.
        drops: whether dropout does anything here.
        model: what is trained, in evaluation mode.
        baseline: what stands in for an answer before anything was learned; empty: the model's own answers.
    """

    starter: ClassVar[str]
    metric: ClassVar[str]
    lower: ClassVar[bool] = False
    methods: ClassVar[Mapping[str, float]]
    step_rows: ClassVar[int] = 32
    epochs: ClassVar[int] = 5
    drops: ClassVar[bool] = True
    model: nn.Module
    baseline: str = ""

    def __init__(self, given: Given) -> None:
        self.given = given
        self.options = given.options

    @staticmethod
    @abstractmethod
    def lacks(row: Row) -> str:
        """What keeps a row from being used, as a noun ("a label"); empty if nothing does."""

    @staticmethod
    def usual(model: Path) -> str:
        """The method that `auto` means for the checkpoint in a folder; empty: the first of `methods`."""
        return ""

    @property
    def fitted(self) -> bool:
        """Whether `prepare` leaves nothing to learn by steps."""
        return self.methods.get(self.options.method) == 0

    @property
    def rate(self) -> float:
        """The learning rate that suits the method and the model."""
        return self.methods[self.options.method]

    def prepare(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> None:  # noqa: B027
        """Compute once what frozen parts make of the rows; `progress` is told how many are done, of how many.

        Raises:
            StudioError: naming the row whose media cannot be read.
        """

    def size(self, row: Row) -> int:
        """How long a row is, in any unit: rows of about the same size share a batch."""
        return len(row.text)

    @abstractmethod
    def encode(self, row: Row) -> Example:
        """A row as the model takes it, with what it should answer."""

    @abstractmethod
    def collate(self, examples: Sequence[Example]) -> Batch:
        """Examples as one batch, padded."""

    def count(self, batch: Batch) -> int:
        """How many labels of a batch count for the loss."""
        return int((batch["labels"] != IGNORED).sum())

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss *summed* over the labels that count: a step divides by all of them, however it was cut into batches.

        Args:
            model: `self.model`, perhaps wrapped for several processes.
        """

    @abstractmethod
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """What the model answers to each row, as text. No gradient, no dropout, no chance."""

    @abstractmethod
    def scores(self, rows: Sequence[Row], answers: Sequence[str]) -> Scores:
        """How good answers are."""

    @staticmethod
    @abstractmethod
    def target(row: Row) -> str:
        """What should be answered, as a reader would write it."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what can be used without training: adapters are merged into their model."""

    def batch(self, rows: Sequence[Row]) -> Batch:
        """Rows as one batch on the model's device."""
        made = self.collate([self.encode(row) for row in rows])
        return {name: tensor.to(self.given.device) for name, tensor in made.items()}

    def pieces(self, rows: Sequence[Row], most: int = AT_ONCE) -> Iterator[tuple[list[int], list[Row]]]:
        """Places and rows to predict together: of about the same size, the longest first."""
        order = sorted(range(len(rows)), key=lambda place: -self.size(rows[place]))
        for start in range(0, len(order), most):
            places = order[start : start + most]
            yield places, [rows[place] for place in places]


def padded(lists: Sequence[Sequence[int]], value: int, left: bool = False) -> Tensor:
    """Lists of different lengths as (lists, longest)."""
    longest = max(1, *(len(one) for one in lists))
    filled = torch.full((len(lists), longest), value, dtype=torch.long)
    for place, one in enumerate(lists):
        if one:
            filled[place, longest - len(one) if left else 0 : longest if left else len(one)] = torch.tensor(one)
    return filled


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy summed over the labels that count, with label smoothing (arXiv:1512.00567).

    Args:
        logits: (…, classes); labels: (…), `IGNORED` where there is none.
        weight: (classes), 1 on average over the labels, so that the sum stays comparable.
    """
    kept = labels != IGNORED  # what does not count is not computed: a vocabulary is wide
    return nn.functional.cross_entropy(
        logits[kept].float(), labels[kept], weight=weight, label_smoothing=smoothing, reduction="sum"
    )
