"""Classes of texts with pictures, and tags of words with a picture: what a text classifier or tagger learns, and looks.

The network that sees stays as it is and looks once; how words look at it is learned with the encoder of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, Unsupported
from mmdemo.fusion import classes, reading
from mmdemo.fusion.config import ClassesConfig
from mmdemo.fusion.encoders import fingerprint
from mmdemo.training import models
from mmdemo.training.features import Features
from mmdemo.training.recipes.base import Batch, Example
from mmdemo.training.recipes.labelled import Labelled
from mmdemo.training.recipes.seeing import picture
from mmdemo.training.recipes.text_classification import TARGETS, Reader, TextClassification
from mmdemo.training.recipes.token_classification import TokenClassification

EYE = "efficientnet-lite2"
"""The key of the network that sees."""
BETWEEN = ("looking", "classifier")
"""What stands between the encoders and the classes."""


class WithPictures(Reader):
    """A `ClassesModel`; rows without a picture are read as text alone.

    Attributes:
        alone: the task of texts without pictures.
    """

    alone: ClassVar[str]

    def _made(self, named: dict[str, Any]) -> Any:
        given = self.given
        if given.learning and not any(row.image for row in given.rows):
            raise InputError(f"No row has a picture: choose {self.alone}, which learns from text alone.")
        model = self._opened(named)
        model.vision.freeze()
        self.looks = model.config.vision_config
        side = model.config.looks
        self.features = Features(
            given.settings, f"places {side} {fingerprint(model.vision)[:16]} {self.looks.image_size}", self._looked
        )
        self.seeing = model.look
        if given.learning and given.options.method == "lora":
            model = models.adapted(model, given.options, rf"text\.{TARGETS}", whole=BETWEEN)
        elif given.learning and given.options.method == "head":
            model.text.requires_grad_(False)
        for name, weight in model.named_parameters():
            if ".pooler." in name:  # nothing reads it here
                weight.requires_grad_(False)
        return model.to(given.device).eval()

    def _opened(self, named: dict[str, Any]) -> Any:
        """One that has learned, or a fresh one on two encoders."""
        import transformers

        given = self.given
        config: Any = models.processor(transformers.AutoConfig, given.base)
        share = {"dropout": given.options.dropout} if given.learning and given.options.dropout >= 0 else {}
        if isinstance(config, ClassesConfig):
            return models.opened(getattr(transformers, f"AutoModel{self.ending}"), given.base, **share, **named)
        if "embed" not in (given.base.spec.tasks or ("embed",)):
            raise Unsupported(
                f"{given.base.spec.title} is no encoder of text: choose all-MiniLM-L6-v2, or the folder of a text "
                "encoder."
            )
        eye = models.base_of(EYE, given.settings)
        named.pop("ignore_mismatched_sizes", None)
        model = classes.begun(self.ending, eye.folder, given.base.folder, **share, **named)
        for module in model.text.modules() if share else ():
            if isinstance(module, nn.Dropout):
                module.p = share["dropout"]
        return model

    def prepare(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> None:
        """Look at every picture once."""
        self.features.prepare([row for row in rows if row.image], progress)

    @torch.inference_mode()
    def _looked(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """(rows, places, channels)."""
        images = [picture(row, self.given.settings, self.looks.image_size) for row in rows]
        values = torch.from_numpy(reading.pictures(images, self.looks)).to(self.given.device)
        found: NDArray[np.float32] = self.seeing(values).float().cpu().numpy()
        return found

    def encode(self, row: Row) -> Example:
        """As of the text alone, with what is seen."""
        made = super().encode(row)  # type: ignore[safe-super]  # the recipe that this goes before has it
        return {**made, "seen": self.features(row) if row.image else None}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """As of texts alone, with features (rows, places, channels) and picture_mask (rows)."""
        batch = super().collate(examples)  # type: ignore[safe-super]
        seen = [one["seen"] for one in examples]
        blank = next((np.zeros_like(one) for one in seen if one is not None), None)
        if blank is not None:
            stacked = np.stack([blank if one is None else one for one in seen])
            batch["features"] = torch.from_numpy(stacked).float()
            batch["picture_mask"] = torch.tensor([one is not None for one in seen])
        return batch


class ImageTextClassification(WithPictures, TextClassification):
    """A text with its picture, one label."""

    epochs = 12
    alone = "text-classification"

    @staticmethod
    def lacks(row: Row) -> str:
        """A label, or both a text and a picture."""
        return Labelled.lacks(row) or ("" if row.text.strip() or row.image else "a text or a picture")


class ImageTextTokenClassification(WithPictures, TokenClassification):
    """Words with a tag each, beside a picture."""

    alone = "token-classification"
