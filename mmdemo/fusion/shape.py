"""What a chain looks like before it is made: its parts in order, their shapes, parameters and memory.

Everything is found on tensors without values (torch's meta device): nothing is loaded and nothing computed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from mmdemo.fusion import check
from mmdemo.fusion.compose import projections
from mmdemo.fusion.config import MODALITIES, FusionConfig, width
from mmdemo.fusion.model import FusionModel

WORDS = 16
"""Tokens of a text that the shapes are shown for."""
FLOAT = 4
"""Bytes of a weight in float32."""


@dataclass(frozen=True)
class Part:
    """One link of the chain.

    Attributes:
        role: `input`, `encoder`, `projector`, `fusion` or `language model`; `space` of two towers, `class` of an SVM,
            which has as many parameters for each class.
        modality: `vision`, `audio` or `text`; empty for what all share.
        kind: which one: a model type or architecture, the name of a projector or fusion.
        output: shape of what it gives for one row, without the batch.
        trainable, frozen: parameters.
    """

    role: str
    modality: str
    kind: str
    output: tuple[int, ...]
    trainable: int = 0
    frozen: int = 0

    @property
    def bytes(self) -> int:
        """Memory of its weights in float32."""
        return FLOAT * (self.trainable + self.frozen)

    @property
    def training_bytes(self) -> int:
        """The same while it is trained: what is trained has a gradient and Adam's two moments beside it."""
        return self.bytes + 3 * FLOAT * self.trainable


@dataclass(frozen=True)
class Chain:
    """All parts, in the order in which a row goes through them, or why there is no such chain."""

    parts: tuple[Part, ...]
    problems: tuple[str, ...] = ()

    @property
    def trainable(self) -> int:
        """Parameters that are learned."""
        return sum(one.trainable for one in self.parts)

    @property
    def frozen(self) -> int:
        """Parameters that stay as they are."""
        return sum(one.frozen for one in self.parts)

    @property
    def bytes(self) -> int:
        """Memory of all weights in float32."""
        return sum(one.bytes for one in self.parts)

    @property
    def training_bytes(self) -> int:
        """Memory of weights, gradients and moments while it is trained."""
        return sum(one.training_bytes for one in self.parts)


def chain(config: FusionConfig, frozen: Collection[str] = MODALITIES, lora: int = 0) -> Chain:
    """The chain of a configuration, for a text of `WORDS` tokens.

    Args:
        frozen: modalities whose encoder is frozen, and `language_model` if that is.
        lora: rank of a LoRA adapter on a frozen language model; 0 for none.
    """
    wrong = check.problems(config)
    if wrong:
        return Chain((), tuple(wrong))
    with torch.device("meta"):
        model = FusionModel(config)
    return Chain(tuple(_parts(model, frozen, lora)))


def _parts(model: FusionModel, frozen: Collection[str], lora: int) -> Iterator[Part]:
    config, hidden = model.config, model.config.text_config.hidden_size
    counts = check.tokens(config) | ({"text": WORDS} if config.text_encoder_config is not None else {})
    for modality in config.modalities:
        about = config.encoder(modality)
        given = (WORDS,) if modality == "text" else check.reads(modality, about)
        positions = WORDS if modality == "text" else check.shape_of(modality, about)[0]
        if modality == "vision" and config.frames > 1:
            given, positions = (config.frames, *given), positions * config.frames
        yield Part("input", modality, INPUTS[modality], given)
        encoder = getattr(model, modality)
        kind = getattr(about, "architecture", about.model_type)
        yield counted("encoder", modality, kind, (positions, width(about)), [encoder], modality in frozen)
        between = [getattr(model, f"{modality}_{name}") for name in ("projector", "norm")]
        yield counted("projector", modality, config.projector, (counts[modality], hidden), between, False)
    modal = config.queries if model.fusion.resamples else sum(counts.values())
    sequence = WORDS if model.fusion.crosses or model.fusion.gates else modal + WORDS
    fusing = [getattr(model, name) for name in ("resampler", "gates") if hasattr(model, name)]
    yield counted("fusion", "", config.fusion, (sequence, hidden), fusing, False)
    text = config.text_config
    decoder = counted(
        "language model", "", text.model_type, (WORDS, text.vocab_size), [model.language_model],
        "language_model" in frozen,
    )  # fmt: skip
    if lora and decoder.frozen:
        added = lora * sum(sum(module.get_parameter("weight").shape) for module in projections(model).values())
        decoder = Part(decoder.role, "", decoder.kind, decoder.output, added, decoder.frozen)
    yield decoder


INPUTS = {"vision": "pixels", "audio": "sound", "text": "tokens"}
"""What goes in, by modality."""


def counted(
    role: str, modality: str, kind: str, output: tuple[int, ...], modules: list[nn.Module], frozen: bool
) -> Part:
    """A link with the parameters of its modules, each counted once."""
    count = sum(p.numel() for p in {id(p): p for module in modules for p in module.parameters()}.values())
    return Part(role, modality, kind, output, *((0, count) if frozen else (count, 0)))
