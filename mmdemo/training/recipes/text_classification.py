"""Text classification: intents, sentiment, topics. An encoder with a head on its first token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


class TextClassification(Labelled):
    """Any encoder of `transformers` that has a sequence classifier."""

    starter = "all-minilm-l6-v2"
    methods = {"full": 2e-4, "lora": 1e-3, "head": 5e-3}  # noqa: RUF012  # read only
    epochs = 6

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        torchvision_ops.prepare()
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.processor = models.processor(AutoTokenizer, given.base)
        named = self.decide_labels([row.label for row in given.rows], "ForSequenceClassification")
        self.model = trainable(
            models.opened(
                AutoModelForSequenceClassification,
                given.base,
                **dropped(given, AutoModelForSequenceClassification),
                **named,
            ),
            given,
            "SEQ_CLS",
        )

    @staticmethod
    def lacks(row: Row) -> str:
        """A label or a text."""
        return Labelled.lacks(row) or ("" if row.text.strip() else "a text")

    def encode(self, row: Row) -> Example:
        """Token ids and the number of the label."""
        longest = min(self.options.max_length or LONGEST, self.model.config.max_position_embeddings)
        ids = self.processor(row.text, truncation=True, max_length=longest)["input_ids"]
        return {"input_ids": ids, "label": self.place(row.label)}

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
