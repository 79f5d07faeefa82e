"""Fusion checkpoints on disk: whole, or without the encoder, whose weights have a source of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mmdemo.errors import WeightsError
from mmdemo.fusion.config import FusionConfig
from mmdemo.fusion.encoders import VisionEncoder
from mmdemo.fusion.model import IN_FILES, FusionModel

ENCODER = "vision."
ENCODER_FILE = "encoder.safetensors"
LABELS_FILE = "labels.json"


def save(model: FusionModel, folder: Path) -> None:
    """Write the config and, in float16, all weights but the encoder's; what is tied is written once."""
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(ENCODER)}
    first = {tensor.data_ptr(): name for name, tensor in reversed(own.items())}
    weights = {name: tensor.half() for name, tensor in own.items() if first[tensor.data_ptr()] == name}
    model.save_pretrained(folder, state_dict=weights)


def keep(model: FusionModel, folder: Path) -> None:
    """Write the config and all weights as they are, the encoders' too: `opened` reads it, and plain `transformers`."""
    model.save_pretrained(folder)


def assemble(folder: Path, encoder_folder: Path) -> FusionModel:
    """A fusion model in float32 from its own folder and its encoder's.

    Raises:
        WeightsError: naming the tensor that is missing or too many.
    """
    model = FusionModel(FusionConfig.from_pretrained(folder))
    model.vision.network.load_state_dict(load_file(convert_encoder(encoder_folder)), strict=True)
    found = {_own(name): tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    absent, extra = model.load_state_dict({name: tensor.float() for name, tensor in found.items()}, strict=False)
    tied = set(model.all_tied_weights_keys) | {"language_model.lm_head.weight"}
    wrong = [name for name in absent if not name.startswith(ENCODER) and name not in tied] + list(extra)
    if wrong:
        raise WeightsError(f"The checkpoint in {folder} does not fit its config: look at {wrong[0]!r}.")
    model.tie_weights()
    model.eval()
    return model


def opened(folder: Path, **options: Any) -> FusionModel:
    """A whole fusion model from its folder, every tensor of it.

    Args:
        options: as for `from_pretrained`: `dtype`, `device_map`, …

    Raises:
        WeightsError: there is no such model, or naming the tensor that is missing, has no place or another shape.
    """
    try:
        model, found = FusionModel.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise WeightsError(f"{folder} cannot be read as a fusion model: {reason}.") from error
    if found["missing_keys"]:
        raise WeightsError(f"A tensor of the checkpoint in {folder} is missing: {min(found['missing_keys'])!r}.")
    if found["unexpected_keys"]:
        raise WeightsError(f"A tensor of the checkpoint in {folder} has no place: {min(found['unexpected_keys'])!r}.")
    for name, *_ in sorted(found["mismatched_keys"]):
        raise WeightsError(
            f"A tensor of the checkpoint in {folder} has a shape that its config does not say: {name!r}."
        )
    model.eval()
    return model  # type: ignore[no-any-return]


def _own(name: str) -> str:
    """The model's name of a tensor of a file."""
    return next((new + name.removeprefix(old) for old, new in IN_FILES.items() if name.startswith(old)), name)


def convert_encoder(folder: Path, architecture: str = "tf_efficientnet_lite2") -> Path:
    """The encoder's weights as safetensors under timm's names, converted once from the published `.pth`.

    The published file has the same tensors in the same order as timm's network, under other names.

    Raises:
        WeightsError: if the tensors are not those of the architecture.
    """
    target = folder / ENCODER_FILE
    if target.exists():
        return target
    import timm

    published = torch.load(folder / "efficientnet-lite2.pth", weights_only=True, map_location="cpu")
    expected = timm.create_model(architecture, pretrained=False).state_dict()
    if [t.shape for t in published.values()] != [t.shape for t in expected.values()]:
        raise WeightsError(
            f"{folder / 'efficientnet-lite2.pth'} does not hold {architecture}: remove and fetch it again."
        )
    renamed = {name: tensor.contiguous() for name, tensor in zip(expected, published.values(), strict=True)}
    partial = folder / f"{ENCODER_FILE}.partial"
    save_file(renamed, partial)
    write_labels(folder)
    partial.replace(target)
    return target


def is_starter(folder: Path) -> bool:
    """Whether the folder holds the starter's image encoder."""
    return (folder / ENCODER_FILE).exists() or (folder / "efficientnet-lite2.pth").exists()


def write_labels(folder: Path) -> None:
    """The ImageNet class names in the order of the logits, as a JSON list, so that reading them needs no timm."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    names = [info.index_to_description(index) for index in range(info.num_classes())]
    (folder / LABELS_FILE).write_text(json.dumps(names), encoding="utf-8")


def load_encoder(folder: Path) -> VisionEncoder:
    """The frozen encoder alone."""
    from mmdemo.fusion.config import FusionVisionConfig

    encoder = VisionEncoder(FusionVisionConfig())
    encoder.network.load_state_dict(load_file(convert_encoder(folder)), strict=True)
    encoder.freeze()
    return encoder
