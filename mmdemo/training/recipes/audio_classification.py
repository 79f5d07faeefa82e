"""Audio classification: commands, digits, speakers. A head, stepped or an SVM, on what Whisper's frozen ear hears."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmdemo import torchvision_ops
from mmdemo.datasets.rows import Row
from mmdemo.fusion.spread import spread
from mmdemo.training import models
from mmdemo.training.features import Features
from mmdemo.training.recipes import hearing
from mmdemo.training.recipes.base import Batch, Example, Given, cross_entropy
from mmdemo.training.recipes.labelled import Labelled

AT_ONCE = 64


class AudioClassification(Labelled):
    """A `WhisperForAudioClassification`: encoder → projector → mean over the places → classifier."""

    starter = "whisper-base"
    methods = {"head": 2e-3, "svm": 0.0}  # noqa: RUF012  # read only
    epochs = 20
    drops = False

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        torchvision_ops.prepare()
        from transformers import AutoConfig, AutoFeatureExtractor, WhisperForAudioClassification

        self.processor: Any = models.processor(AutoFeatureExtractor, given.base)
        named = self.decide_labels([row.label for row in given.rows], "ForAudioClassification")
        if given.learning and self.fitted:  # there each class has a place of the projector's to itself
            config: Any = models.processor(AutoConfig, given.base)
            named["classifier_proj_size"] = max(config.classifier_proj_size, len(self.labels))
        self.whole: Any = models.opened(WhisperForAudioClassification, given.base, **named).to(given.device)
        self.whole.encoder.requires_grad_(False)
        head = {"projector": self.whole.projector, "classifier": self.whole.classifier}
        self.model = nn.Sequential(OrderedDict(head))
        width = self.whole.config.d_model
        made_by = f"whisper mean {given.base.spec.key} {width}"
        self.features = Features(given.settings, made_by, self._encoded, np.float32)
        self.shift, self.scale = torch.zeros(width), torch.ones(width)

    @staticmethod
    def lacks(row: Row) -> str:
        """A label and a recording."""
        return Labelled.lacks(row) or ("" if row.audio or row.video else "a recording")

    def size(self, row: Row) -> int:
        """All take the same."""
        return 1

    def prepare(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> None:
        """Listen to every recording once; then learn how what was heard spreads, and fit an SVM to it.

        A word of half a second hardly moves a mean over thirty: what is learned from is standardised.
        """
        self.features.prepare(rows, progress)
        if self.given.learning:
            all_of_them = np.stack(list(self.features.many(self.given.rows)))
            if self.fitted:
                self._fit(all_of_them)
            else:
                self.shift, self.scale = map(torch.from_numpy, spread(all_of_them))

    @torch.no_grad()
    def _fit(self, features: NDArray[np.float32]) -> None:
        """Hyperplanes over features, (rows, width), as the projector; the classifier hands them on."""
        projector, classifier = self.whole.projector, self.whole.classifier
        weights, bias = self.hyperplanes(features)
        projector.weight.zero_()[: len(weights)] = weights
        projector.bias.zero_()
        classifier.weight.copy_(torch.eye(*classifier.weight.shape))
        classifier.bias.copy_(bias)

    @torch.inference_mode()
    def _encoded(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """(rows, width): the mean over the half minute, which the projector, being linear, may follow as well."""
        spectra = hearing.spectra(rows, self.processor, self.given.settings)
        hidden = self.whole.encoder(torch.from_numpy(spectra).to(self.given.device)).last_hidden_state
        found: NDArray[np.float32] = hidden.mean(1).float().cpu().numpy()
        return found

    def encode(self, row: Row) -> Example:
        """The features and the number of the label."""
        return {"features": self.features(row), "label": self.place(row.label)}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """features (rows, width), labels (rows)."""
        return {
            "features": (torch.from_numpy(np.stack([one["features"] for one in examples])) - self.shift) / self.scale,
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
        """The whole classifier with its feature extractor, as plain `transformers` loads it.

        The projector takes in the standardisation, being linear: W (x − m) / s + b = (W / s) x + (b − W m / s).
        """
        projector = self.whole.projector
        with torch.no_grad():
            shift, scale = self.shift.to(projector.weight.device), self.scale.to(projector.weight.device)
            projector.weight.div_(scale)
            projector.bias.sub_(projector.weight @ shift)
        self.shift, self.scale = torch.zeros_like(self.shift), torch.ones_like(self.scale)
        self.whole.save_pretrained(folder)
        self.processor.save_pretrained(folder)
