"""Token classification: names in a sentence, as BIO tags. A word's tag is read at its first piece."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mmdemo.datasets.rows import Row
from mmdemo.training import metrics
from mmdemo.training.recipes.base import IGNORED, Batch, Example, padded
from mmdemo.training.recipes.text_classification import Reader, text_batch

OUTSIDE = "O"


class TokenClassification(Reader):
    """Any encoder of `transformers` that has a token classifier."""

    metric = "micro_f1"
    epochs = 4
    ending = "ForTokenClassification"
    adapters = "TOKEN_CLS"

    def _found(self, rows: Sequence[Row]) -> list[str]:
        self.baseline = OUTSIDE if rows else ""
        return [tag for row in rows for tag in row.tags]

    @staticmethod
    def lacks(row: Row) -> str:
        """Words with a tag each."""
        return "" if row.tokens and len(row.tokens) == len(row.tags) else "words with a tag each"

    @staticmethod
    def target(row: Row) -> str:
        """The tags, with spaces."""
        return " ".join(row.tags)

    def size(self, row: Row) -> int:
        """Letters, which pieces of words follow more closely than words do."""
        return sum(map(len, row.tokens)) + len(row.tokens)

    def encode(self, row: Row) -> Example:
        """Token ids; the tag of each word at its first piece, `IGNORED` at the others; that piece's place."""
        made = self.ids(list(row.tokens), is_split_into_words=True)
        words = made.word_ids()
        labels, first = [IGNORED] * len(words), {}
        for place, word in enumerate(words):
            if word is not None and word not in first:
                first[word] = place
                labels[place] = self.place(row.tags[word])
        return {"input_ids": made["input_ids"], "labels": labels, "first": first}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """input_ids, attention_mask and labels, (rows, length)."""
        return {
            **text_batch(self.processor, examples),
            "labels": padded([one["labels"] for one in examples], IGNORED),
        }

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """The tags of each row's words, with spaces; `O` for words beyond the longest text."""
        answers = [""] * len(rows)
        for places, some in self.pieces(rows, 64):
            examples = [self.encode(row) for row in some]
            batch = {name: tensor.to(self.given.device) for name, tensor in self.collate(examples).items()}
            batch.pop("labels")
            best = self.model(**batch).logits.argmax(-1).tolist()
            for place, row, example, line in zip(places, some, examples, best, strict=True):
                first = example["first"]
                answers[place] = " ".join(
                    self.labels[line[first[word]]] if word in first else OUTSIDE for word in range(len(row.tokens))
                )
        return answers

    def scores(self, rows: Sequence[Row], answers: Sequence[str]) -> metrics.Scores:
        """Entities, as seqeval counts them."""
        given = [answer.split(" ") for answer in answers]
        guess = [
            tags if len(tags) == len(row.tags) else [OUTSIDE] * len(row.tags)
            for row, tags in zip(rows, given, strict=True)
        ]
        return metrics.tags([row.tags for row in rows], guess)
