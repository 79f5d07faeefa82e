"""Chat and completion: a language model learns to answer as the rows do. Only answers count for the loss."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmdemo import torchvision_ops
from mmdemo.datasets.rows import Row
from mmdemo.training import metrics, models
from mmdemo.training.recipes.base import IGNORED, Batch, Example, Given, Recipe, cross_entropy, padded
from mmdemo.training.recipes.text_classification import text_batch

LONGEST = 512
ANSWER = 128
"""Tokens of an answer at most, when it is measured."""
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
AT_ONCE = 8


class TextGeneration(Recipe):
    """Any causal language model of `transformers`."""

    starter = "smollm2-135m-instruct"
    metric = "rouge_l"
    methods = {"lora": 5e-4, "qlora": 5e-4, "full": 2e-5, "head": 1e-3}  # noqa: RUF012  # read only
    step_rows = 16
    epochs = 3

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        torchvision_ops.prepare()
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer: Any = models.processor(AutoTokenizer, given.base)
        method = self.options.method if given.learning else ""
        model: Any = (
            models.packed(AutoModelForCausalLM, given.base, given.settings, given.device)
            if method == "qlora"
            else models.opened(AutoModelForCausalLM, given.base)
        )
        self.keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        if method in ("lora", "qlora"):
            names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
            targets = [name for name in TARGETS if name in names] or "all-linear"
            model = models.adapted(model, self.options, targets, "CAUSAL_LM")
        elif method == "head":
            model.requires_grad_(False)
            model.get_output_embeddings().requires_grad_(True)
        self.model = (model if method == "qlora" else model.to(given.device)).eval()

    @staticmethod
    def lacks(row: Row) -> str:
        """An answer."""
        return "" if row.dialogue or (row.targets and not row.messages) else "an answer"

    @staticmethod
    def target(row: Row) -> str:
        """The last answer."""
        return row.answer

    def size(self, row: Row) -> int:
        """Letters."""
        return len(row.text) + len(self.target(row)) + sum(len(one["content"]) for one in row.messages)

    @staticmethod
    def _talk(row: Row) -> list[dict[str, str]]:
        """The row as a conversation that ends with an answer."""
        if row.dialogue:
            return [dict(one) for one in row.dialogue]
        return [{"role": "user", "content": row.text}, {"role": "assistant", "content": row.targets[0]}]

    def _ids(self, talk: list[dict[str, str]], ask: bool) -> list[int]:
        """A conversation as tokens, by the model's own template; without one, plain text."""
        if self.tokenizer.chat_template:
            made = self.tokenizer.apply_chat_template(talk, add_generation_prompt=ask, return_dict=True)["input_ids"]
            return [int(one) for one in made]
        text = "\n".join(one["content"] for one in talk) + ("\n" if ask and talk else "")
        ids: list[int] = self.tokenizer(text)["input_ids"]
        return ids if ask else [*ids, self.tokenizer.eos_token_id]

    def encode(self, row: Row) -> Example:
        """Tokens of the conversation, and as labels those of its answers.

        A conversation that is too long loses its beginning, never its last answer.
        """
        talk = self._talk(row)
        ids = self._ids(talk, ask=False)
        labels = [IGNORED] * len(ids)
        for place, message in enumerate(talk):
            if message["role"] == "assistant":
                start, end = len(self._ids(talk[:place], ask=True)), len(self._ids(talk[: place + 1], ask=False))
                labels[start:end] = ids[start:end]
        longest = self.options.max_length or LONGEST
        return {"input_ids": ids[-longest:], "labels": labels[-longest:]}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """input_ids, attention_mask, labels: (rows, length); a label stands at its own token."""
        return {
            **text_batch(self.tokenizer, examples),
            "labels": padded([one["labels"] for one in examples], IGNORED),
        }

    def count(self, batch: Batch) -> int:
        """The first token of a row is never predicted."""
        return int((batch["labels"][:, 1:] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of each token of the answers after those before it.

        A vocabulary is wide: only places where some row has an answer's token are given scores.
        """
        labels = batch["labels"][:, 1:]
        places = (labels != IGNORED).any(0).nonzero().flatten()
        given = {name: batch[name] for name in ("input_ids", "attention_mask")}
        if self.keeps:
            logits = model(**given, use_cache=False, logits_to_keep=places).logits
        else:
            logits = model(**given, use_cache=False).logits[:, places]
        return cross_entropy(logits, labels[:, places], self.options.label_smoothing)

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """The answer to all that stands before the last one, greedily."""
        answers = [""] * len(rows)
        longest = self.options.max_length or LONGEST
        for places, some in self.pieces(rows, AT_ONCE):
            asked = [self._ids(self._talk(row)[:-1], ask=True)[-longest:] for row in some]
            ids = padded(asked, self.tokenizer.pad_token_id, left=True).to(self.given.device)
            mask = padded([[1] * len(one) for one in asked], 0, left=True).to(self.given.device)
            model: Any = self.model
            written = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=ANSWER, do_sample=False, num_beams=1,
                pad_token_id=self.tokenizer.pad_token_id,
            )  # fmt: skip
            texts = self.tokenizer.batch_decode(written[:, ids.shape[1] :], skip_special_tokens=True)
            for place, text in zip(places, texts, strict=True):
                answers[place] = text.strip()
        return answers

    def scores(self, rows: Sequence[Row], answers: Sequence[str]) -> metrics.Scores:
        """ROUGE-L, BLEU-4 and CIDEr against the row's own answers."""
        return metrics.captions([row.targets or (self.target(row),) for row in rows], answers)

    def save(self, folder: Path) -> None:
        """A language model of `transformers` with its tokenizer, and its adapters alone."""
        models.save_adapter(self.model, folder)
        models.merged(self.model).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
