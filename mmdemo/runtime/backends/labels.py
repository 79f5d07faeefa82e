"""The encoder alone: what is in the picture, as ImageNet labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from mmdemo.results import Label
from mmdemo.runtime.base import Load, Seen
from mmdemo.runtime.classifying import Found
from mmdemo.runtime.estimates import Estimate, Part


def label_names(folder: Path) -> list[str]:
    """The class names of the encoder in `folder`, of each the first of its synonyms."""
    names: list[str] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return [name.split(",")[0] for name in names]


def encoder_bytes(folder: Path) -> int:
    """Bytes of the encoder's weights, float32 as published and as converted; not of graphs that lie beside them."""
    return max((file.stat().st_size for file in folder.iterdir() if file.suffix in (".pth", ".safetensors")), default=0)


WORKING = 430_000_000
"""Bytes of the activations of sixteen pictures in torch, as measured."""


class LabelsBackend:
    """Names the thing in a photo with the classifier head of the starter's encoder."""

    takes = "image"

    def __init__(self, request: Load) -> None:
        request.go_on()
        from mmdemo.fusion.checkpoint import load_encoder

        folder = request.folders[request.spec.key]
        self.spec, self.device = request.spec, request.device
        self._encoder = load_encoder(folder).to(request.device)
        self._threads = request.threads
        self._names = label_names(folder)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, in float32."""
        size = encoder_bytes(request.folders[request.spec.key])
        return Estimate((Part("encoder", size // 4, size),), activations=WORKING, dtype="float32")

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        """One `Seen` a picture: its likeliest label as text, and the twenty likeliest with probabilities."""
        import torch

        from mmdemo.fusion.config import FusionVisionConfig
        from mmdemo.fusion.pixels import pixels
        from mmdemo.runtime.backends import checkpoint

        checkpoint.use_threads(self._threads)
        config = FusionVisionConfig()
        batch = torch.from_numpy(pixels(images, config.image_size, config.image_mean, config.image_std))
        with torch.inference_mode():
            _, logits = self._encoder(batch.to(self.device))
        best = logits.softmax(-1).topk(20)
        for index, (values, classes) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            labels = tuple(Label(self._names[c], round(v, 4)) for c, v in zip(classes, values, strict=True))
            yield Seen(index, labels[0].name, labels, done=True)

    def classify(self, inputs: Sequence[Image.Image]) -> list[Found]:
        """See `classifying.Classifier`."""
        seen = self.describe(inputs, style="tags", question="", max_words=1)
        return [Found(labels=one.labels) for one in seen]

    def close(self) -> None:
        """Free the weights."""
        del self._encoder
