"""Captions: the fusion describer learns to say what these captions say. Its eye stays as it is and looks once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, StudioError, Unsupported
from mmdemo.fusion import checkpoint
from mmdemo.fusion.model import FusionModel
from mmdemo.fusion.pixels import pixels
from mmdemo.media.images import open_image
from mmdemo.training import metrics, models
from mmdemo.training.features import Features
from mmdemo.training.recipes.base import IGNORED, Batch, Example, Given, Recipe, cross_entropy, padded

TARGETS = r".*(c_attn|q_attn|c_proj|c_fc)$"
"""The linear layers of GPT-2, those of its cross-attention among them."""
LONGEST = 40
AT_ONCE = 50
GENERATION = "generation_config.json"


class ImageToText(Recipe):
    """A fusion checkpoint: projector and language model learn, or adapters in the language model."""

    starter = "starter-describer"
    metric = "cider"
    methods = {"full": 3e-4, "lora": 1e-3, "head": 5e-4}  # noqa: RUF012  # read only
    epochs = 10

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        from transformers import AutoTokenizer

        if given.base.spec.backend != "fusion":
            raise Unsupported(
                f"{given.base.spec.title} cannot be trained to describe here: choose the starter describer."
            )
        self.eye = given.base.parts[given.base.spec.parts[0]]
        fusion: FusionModel = checkpoint.assemble(given.base.folder, self.eye)
        models.drop_out(fusion.config.text_config, self.options.dropout)
        fusion.vision.freeze()
        self.fusion = fusion.to(given.device)
        self.tokenizer: Any = models.processor(AutoTokenizer, given.base)
        self.vision = fusion.config.vision_config
        if given.learning and self.options.method == "lora":
            fusion.requires_grad_(False)
            fusion.language_model = models.adapted(fusion.language_model, self.options, TARGETS).eval()
        elif given.learning and self.options.method == "head":
            fusion.language_model.requires_grad_(False)
        self.model = self.fusion
        found = given.base.folder / GENERATION
        search = json.loads(found.read_text(encoding="utf-8")) if found.exists() else {}
        self.search = {name: search[name] for name in ("num_beams", "no_repeat_ngram_size") if name in search}
        made_by = (
            f"{self.vision.architecture} {self.vision.image_size} {self.vision.image_mean} {self.vision.image_std}"
        )
        self.features = Features(given.settings, made_by, self._encoded)

    @staticmethod
    def lacks(row: Row) -> str:
        """A picture and a caption."""
        if row.image is None:
            return "a picture"
        return "" if row.targets else "a caption"

    @staticmethod
    def target(row: Row) -> str:
        """The preferred caption."""
        return row.targets[0]

    def size(self, row: Row) -> int:
        """Letters of the caption."""
        return len(row.targets[0])

    def prepare(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> None:
        """Look at every picture once."""
        self.features.prepare(rows, progress)

    @torch.inference_mode()
    def _encoded(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """(rows, positions, channels): what the eye makes of the pictures."""
        images = [picture(row, self.given.settings, self.vision.image_size) for row in rows]
        made = pixels(images, self.vision.image_size, self.vision.image_mean, self.vision.image_std)
        features, _ = self.fusion.vision(torch.from_numpy(made).to(self.given.device))
        found: NDArray[np.float32] = features.float().cpu().numpy()
        return found

    def encode(self, row: Row) -> Example:
        """A caption as tokens, with begin and end; which of several changes with the random numbers of the step."""
        place = int(torch.randint(len(row.targets), ()))
        ids = self.tokenizer(row.targets[place].strip())["input_ids"][: self.options.max_length or LONGEST]
        return {
            "ids": [self.tokenizer.bos_token_id, *ids, self.tokenizer.eos_token_id],
            "features": self.features(row),
        }

    def collate(self, examples: Sequence[Example]) -> Batch:
        """features (rows, positions, channels), input_ids and attention_mask and labels (rows, length)."""
        lists = [one["ids"] for one in examples]
        return {
            "features": torch.from_numpy(np.stack([one["features"] for one in examples])).float(),
            "input_ids": padded([ids[:-1] for ids in lists], self.tokenizer.pad_token_id),
            "attention_mask": padded([[1] * (len(ids) - 1) for ids in lists], 0),
            "labels": padded([ids[1:] for ids in lists], IGNORED),
        }

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of the words and of the end."""
        given = {name: batch[name] for name in ("features", "input_ids", "attention_mask")}
        return cross_entropy(model(**given).logits, batch["labels"], self.options.label_smoothing)

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """A caption of each, searched for as the studio does."""
        answers: list[str] = []
        for start in range(0, len(rows), AT_ONCE):
            stack = np.stack(list(self.features.many(rows[start : start + AT_ONCE])))
            ids = self.fusion.generate(
                features=torch.from_numpy(stack).float().to(self.given.device), max_new_tokens=LONGEST, do_sample=False,
                **self.search,
            )  # fmt: skip
            answers += [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]
        return answers

    def scores(self, rows: Sequence[Row], answers: Sequence[str]) -> metrics.Scores:
        """CIDEr, BLEU-4, ROUGE-L against all captions of each picture."""
        return metrics.captions([row.targets for row in rows], answers)

    def save(self, folder: Path) -> None:
        """A fusion checkpoint as the studio opens it, its eye elsewhere; and the adapters alone."""
        models.save_adapter(self.fusion.language_model, folder)
        self.fusion.language_model = models.merged(self.fusion.language_model)
        checkpoint.save(self.fusion, folder)
        self.tokenizer.save_pretrained(folder)
        if (self.given.base.folder / GENERATION).exists():
            shutil.copyfile(self.given.base.folder / GENERATION, folder / GENERATION)


def picture(row: Row, settings: Any, side: int) -> Any:
    """The picture of a row.

    Raises:
        InputError: it cannot be read; names the row.
    """
    assert row.image is not None
    try:
        return open_image(row.image, settings, fit=2 * side)
    except StudioError as error:
        raise InputError(f"What {row.origin} names cannot be used: {error}") from error
