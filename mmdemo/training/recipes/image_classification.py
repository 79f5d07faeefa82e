"""Image classification: a linear head on what a frozen network sees, stepped or an SVM (arXiv:1403.6382)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmdemo import torchvision_ops
from mmdemo.datasets.rows import Row
from mmdemo.errors import Unsupported
from mmdemo.fusion.config import FusionVisionConfig
from mmdemo.fusion.pixels import pixels
from mmdemo.training import models
from mmdemo.training.features import Features
from mmdemo.training.recipes.base import Batch, Example, Given, cross_entropy
from mmdemo.training.recipes.labelled import Labelled
from mmdemo.training.recipes.seeing import picture

AT_ONCE = 256


class ImageClassification(Labelled):
    """EfficientNet-Lite2, or a classifier that came of it: a `TimmWrapperForImageClassification`."""

    starter = "efficientnet-lite2"
    methods = {"head": 1e-2, "svm": 0.0}  # noqa: RUF012  # read only
    step_rows = 64
    epochs = 20
    drops = False

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        torchvision_ops.prepare()
        from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

        vision = FusionVisionConfig()
        named = self.decide_labels([row.label for row in given.rows], "ForImageClassification")
        if given.base.spec.backend == "labels":
            from mmdemo.fusion.checkpoint import load_encoder

            config = TimmWrapperConfig(architecture=vision.architecture, num_labels=len(self.labels))
            config.id2label, config.label2id = named["id2label"], named["label2id"]
            config.pretrained_cfg = {
                "input_size": [3, vision.image_size, vision.image_size], "mean": list(vision.image_mean),
                "std": list(vision.image_std), "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "squash",
            }  # fmt: skip
            whole: Any = TimmWrapperForImageClassification(config)
            body = {
                name: tensor
                for name, tensor in load_encoder(given.base.folder).network.state_dict().items()
                if not name.startswith("classifier.")
            }
            whole.timm_model.load_state_dict(body, strict=False)
        elif not given.learning:
            whole = models.opened(TimmWrapperForImageClassification, given.base)
        else:
            raise Unsupported("Image classification is learned from EfficientNet-Lite2: choose that model.")
        self.size_of = vision.image_size
        self.vision = vision
        self.whole = whole.to(given.device).eval()
        self.whole.requires_grad_(False)
        self.model = self.whole.timm_model.get_classifier()
        self.model.requires_grad_(True)
        self.features = Features(given.settings, f"pooled {vision.architecture} {vision.image_size}", self._encoded)

    @staticmethod
    def lacks(row: Row) -> str:
        """A label and a picture."""
        return Labelled.lacks(row) or ("" if row.image else "a picture")

    def size(self, row: Row) -> int:
        """All are the same size."""
        return 1

    def prepare(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> None:
        """Look at every picture once; an SVM is fitted then, whose hyperplanes are the head."""
        self.features.prepare(rows, progress)
        if self.given.learning and self.fitted:
            weights, bias = self.hyperplanes(np.stack(list(self.features.many(self.given.rows))))
            with torch.no_grad():
                self.model.weight.copy_(weights)
                self.model.bias.copy_(bias)

    @torch.inference_mode()
    def _encoded(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """(rows, channels): what the network sees, before its head."""
        images = [picture(row, self.given.settings, self.size_of) for row in rows]
        made = pixels(images, self.size_of, self.vision.image_mean, self.vision.image_std)
        network = self.whole.timm_model
        grid = network.forward_features(torch.from_numpy(made).to(self.given.device))
        found: NDArray[np.float32] = network.forward_head(grid, pre_logits=True).float().cpu().numpy()
        return found

    def encode(self, row: Row) -> Example:
        """The features and the number of the label."""
        return {"features": self.features(row), "label": self.place(row.label)}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """features (rows, channels), labels (rows)."""
        return {
            "features": torch.from_numpy(np.stack([one["features"] for one in examples])).float(),
            "labels": torch.tensor([one["label"] for one in examples]),
        }

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of the head."""
        return cross_entropy(model(batch["features"]), batch["labels"], self.options.label_smoothing, self.weight)

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> list[str]:
        """The likeliest label of each."""
        answers: list[str] = []
        for start in range(0, len(rows), AT_ONCE):
            features = self.collate([self.encode(row) for row in rows[start : start + AT_ONCE]])["features"]
            best = self.model(features.to(self.given.device)).argmax(-1).tolist()
            answers += [self.labels[one] for one in best]
        return answers

    def save(self, folder: Path) -> None:
        """The whole classifier, as plain `transformers` loads it."""
        self.whole.save_pretrained(folder)
