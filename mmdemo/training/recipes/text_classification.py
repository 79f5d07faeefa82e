"""Text classification: intents, sentiment, topics. An encoder with a head on its first token."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from mmdemo import torchvision_ops
from mmdemo.datasets.rows import Row
from mmdemo.training import models
from mmdemo.training.recipes.base import Batch, Example, Given, padded
from mmdemo.training.recipes.labelled import Labelled

LONGEST = 256
"""Tokens of a text that are read, if the user does not say."""
TARGETS = r".*(query|key|value|q_proj|k_proj|v_proj|q_lin|k_lin|v_lin|dense|fc1|fc2|lin1|lin2)$"
"""The layers that adapters stand beside, under the names that usual encoders give them."""


class Reader(Labelled):
    """An encoder of text with classes on it: what classifiers and taggers share, their methods among it.

    Attributes:
        ending: how the name of such an architecture ends.
        adapters: the name that peft has for it.
    """

    starter = "all-minilm-l6-v2"
    methods = {"full": 2e-4, "lora": 1e-3, "head": 5e-3}  # noqa: RUF012  # read only
    ending: ClassVar[str]
    adapters: ClassVar[str]

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        torchvision_ops.prepare()
        from transformers import AutoTokenizer

        self.processor = models.processor(AutoTokenizer, given.base)
        self.model = self._made(self.decide_labels(self._found(given.rows), self.ending))

    @abstractmethod
    def _found(self, rows: Sequence[Row]) -> list[str]:
        """Every class of the rows, as often as it comes."""

    def _made(self, named: dict[str, Any]) -> Any:
        """The model with classes of these names, on its device."""
        import transformers

        automodel = getattr(transformers, f"AutoModel{self.ending}")
        model = models.opened(automodel, self.given.base, **dropped(self.given, automodel), **named)
        return trainable(model, self.given, self.adapters)

    def ids(self, text: Any, **how: Any) -> Any:
        """A text, or its words, as the tokenizer cuts it; what is too long ends early."""
        longest = min(self.options.max_length or LONGEST, self.model.config.max_position_embeddings)
        return self.processor(text, truncation=True, max_length=longest, **how)


class TextClassification(Reader):
    """Any encoder of `transformers` that has a sequence classifier."""

    epochs = 6
    ending = "ForSequenceClassification"
    adapters = "SEQ_CLS"

    def _found(self, rows: Sequence[Row]) -> list[str]:
        return [row.label for row in rows]

    @staticmethod
    def lacks(row: Row) -> str:
        """A label or a text."""
        return Labelled.lacks(row) or ("" if row.text.strip() else "a text")

    def encode(self, row: Row) -> Example:
        """Token ids and the number of the label."""
        return {"input_ids": self.ids(row.text)["input_ids"], "label": self.place(row.label)}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """input_ids and attention_mask (rows, length), labels (rows)."""
        return {**text_batch(self.processor, examples), "labels": torch.tensor([one["label"] for one in examples])}


def text_batch(tokenizer: Any, examples: Sequence[Example]) -> Batch:
    """input_ids and attention_mask, (rows, longest)."""
    lists = [one["input_ids"] for one in examples]
    return {
        "input_ids": padded(lists, tokenizer.pad_token_id or 0),
        "attention_mask": padded([[1] * len(ids) for ids in lists], 0),
    }


def dropped(given: Given, automodel: Any) -> dict[str, Any]:
    """The configuration with the dropout that is wanted, as an argument of `from_pretrained`; empty if none is."""
    if given.options.dropout < 0 or not given.learning:
        return {}
    names = (
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "dropout",
        "attention_dropout",
    )
    from transformers import AutoConfig

    config: Any = models.processor(AutoConfig, given.base)
    return {name: given.options.dropout for name in names if hasattr(config, name)}


def trainable(model: Any, given: Given, task: str, targets: str = TARGETS) -> Any:
    """The model on its device, with what the method trains unfrozen."""
    options = given.options
    if given.learning and options.method == "lora":
        model = models.adapted(model, options, targets, task)
    elif given.learning and options.method == "head":
        body = model.base_model
        body.requires_grad_(False)
    return model.to(given.device).eval()
