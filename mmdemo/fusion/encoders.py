"""Encoders: one modality in, a sequence of feature vectors out. Frozen unless a recipe says otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import reduce
from typing import Any

from torch import Tensor, nn

from mmdemo.fusion.config import FusionPatchesConfig, FusionVisionConfig

TOWERS = {
    "clip": "vision_model",
    "siglip": "vision_model",
    "siglip2": "vision_model",
    "whisper": "encoder",
    "t5": "encoder",
    "bart": "encoder",
}
"""Where the encoder is in a model of several parts, by its model type; other models are encoders as a whole."""


class Encoder(nn.Module):
    """What reads one modality."""

    def read(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features of a batch, (batch, positions, channels)."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Stop gradients and keep batch statistics as they are."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Encoder:
        """Follow the parent's mode unless frozen: a frozen network must not update its batch statistics."""
        frozen = not any(parameter.requires_grad for parameter in self.parameters())
        return super().train(mode and not frozen)


class VisionEncoder(Encoder):
    """A timm image network, read at its last feature map.

    The classifier head stays: its labels are shown beside the sentence.
    """

    def __init__(self, config: FusionVisionConfig) -> None:
        super().__init__()
        import timm

        self.network = timm.create_model(config.architecture, pretrained=False, num_classes=config.num_classes)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Features and label scores of a batch of pictures.

        Args:
            pixel_values: (batch, 3, height, width), normalised.

        Returns:
            features (batch, positions, hidden_size), row by row from the top left; class logits (batch, num_classes).
        """
        grid = self.network.forward_features(pixel_values)
        return self._positions(grid), self.network.forward_head(grid)

    def read(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features alone, (batch, positions, hidden_size)."""
        return self._positions(self.network.forward_features(values))

    def _positions(self, grid: Tensor) -> Tensor:
        """A feature map as a sequence: some networks, Swin among them, put the channels last."""
        last = grid.ndim == 4 and grid.shape[1] != self.network.num_features == grid.shape[-1]
        return grid.flatten(1, 2) if last else positions(grid)


class PatchEncoder(Encoder):
    """Each patch of a picture or spectrogram by one matrix, and a learned vector for its place (arXiv:2010.11929).

    A layer for each patch by itself then joins the two: what is there, and where.
    """

    def __init__(self, config: FusionPatchesConfig) -> None:
        super().__init__()
        size = (config.patch_height, config.patch_width)
        self.patches = nn.Conv2d(config.channels, config.hidden_size, size, stride=size)
        places = (config.height // size[0]) * (config.width // size[1])
        self.places = nn.Embedding(places, config.hidden_size)
        start_with(self.patches, (config.channels * size[0] * size[1]) ** -0.5)
        start_with(self.places, 0.5)
        self.feed_forward = feed_forward(config.hidden_size)

    def read(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, channels, height, width) → (batch, patches, hidden_size), row by row from the top left.

        A spectrogram, (batch, height, width), has one channel.
        """
        if values.ndim == 3:
            values = values[:, None]
        found = positions(self.patches(values))
        found = found + self.places.weight[: found.shape[1]]
        return found + self.feed_forward(found)  # type: ignore[no-any-return]


class TowerEncoder(Encoder):
    """Any encoder of `transformers`, read at its last layer: ViT, CLIP, SigLIP, DINOv2; Whisper, HuBERT; BERT."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        from transformers import AutoModel

        self.network = tower(AutoModel.from_config(config))

    @classmethod
    def around(cls, network: nn.Module) -> TowerEncoder:
        """Of a network that is there, with its weights."""
        new = cls.__new__(cls)
        nn.Module.__init__(new)
        new.network = network
        return new

    def read(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pixels, log-mel, samples or token ids as the network takes them → (batch, positions, channels).

        Args:
            mask: (batch, length), 1 where there is a token, of a batch of texts.
        """
        given = {self.network.main_input_name: values}
        if mask is not None and self.network.main_input_name == "input_ids":
            given["attention_mask"] = mask
        return positions(self.network(**given).last_hidden_state)


def start_with(module: nn.Module, deviation: float) -> None:
    """Let a fresh matrix begin with this standard deviation: what is usual in a deep decoder is too small to see by."""
    module.__dict__["initial_deviation"] = deviation


def initialize(module: nn.Module) -> None:
    """Begin as `start_with` said, unless the weights were loaded; for `_init_weights` of a model that has encoders."""
    from transformers import initialization

    deviation = module.__dict__.get("initial_deviation")
    if deviation:
        initialization.normal_(module.get_parameter("weight"), std=deviation)


def feed_forward(hidden: int) -> nn.Module:
    """(…, hidden) → (…, hidden), four times as wide inside."""
    wide, narrow = nn.Linear(hidden, 4 * hidden, bias=False), nn.Linear(4 * hidden, hidden, bias=False)
    start_with(wide, hidden**-0.5)
    start_with(narrow, (4 * hidden) ** -0.5)
    return nn.Sequential(nn.LayerNorm(hidden), wide, nn.GELU(), narrow)


KINDS: dict[str, Callable[[Any], Encoder]] = {"fusion_vision": VisionEncoder, "fusion_patches": PatchEncoder}
"""Encoders by the model type of their configuration; all others are towers of `transformers`."""


def build(config: Any) -> Encoder:
    """The encoder of a configuration, with fresh weights."""
    return KINDS.get(config.model_type, TowerEncoder)(config)


def tower(model: Any) -> Any:
    """The part of a model that encodes: of Whisper the encoder, of CLIP the vision tower, of a ViT all of it."""
    return reduce(getattr, filter(None, TOWERS.get(model.config.model_type, "").split(".")), model)


def positions(grid: Tensor) -> Tensor:
    """A feature map, (batch, channels, height, width), as a sequence row by row; a sequence as it is."""
    return grid.flatten(2).transpose(1, 2) if grid.ndim == 4 else grid


def fingerprint(encoder: nn.Module) -> str:
    """SHA-256 over the names and values of all weights: what tells the features of one encoder from another's."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
