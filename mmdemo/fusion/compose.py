"""A chain put together from checkpoints of its parts, or from fresh ones; language models tuned with LoRA."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors.torch import load_file
from torch import nn

from mmdemo.errors import StudioError, WeightsError
from mmdemo.fusion import check, encoders
from mmdemo.fusion.checkpoint import is_starter, load_encoder
from mmdemo.fusion.config import ENCODER_FIELDS, FusionConfig, FusionVisionConfig
from mmdemo.fusion.model import FusionModel

# isort: split
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig
from transformers.pytorch_utils import Conv1D

Part: TypeAlias = "Path | PreTrainedConfig"
"""A folder with a checkpoint, or the configuration of a fresh part."""


def compose(language_model: Part, parts: Mapping[str, Part], /, **choices: Any) -> FusionModel:
    """A fusion model of the given parts. Encoders with weights are frozen; what is fresh is to be learned.

    Args:
        language_model: a folder with a causal language model (safetensors or GGUF), or a configuration.
        parts: by modality (`vision`, `audio`, `text`), an encoder: a folder of `transformers` or timm, or of the
            starter's encoder, or a configuration.
        choices: other fields of `FusionConfig`: `fusion`, `projector`, …

    Raises:
        InputError: the parts do not go together: says why.
        WeightsError: a folder cannot be read as what it is given for.
    """
    decoder: Any = _decoder(language_model) if isinstance(language_model, Path) else None
    read = {modality: encoder(one) for modality, one in parts.items() if isinstance(one, Path)}
    found: dict[str, Any] = {**parts} | {modality: config for modality, (_, config) in read.items()}
    fields = {ENCODER_FIELDS[modality]: config.to_dict() for modality, config in found.items()}
    text: Any = language_model if decoder is None else decoder.config
    config = FusionConfig(text_config=text.to_dict(), **fields, **choices)
    config.encoders = {modality: encoders.fingerprint(network) for modality, (network, _) in read.items()}
    wrong = check.refusals(config)
    if wrong:
        raise wrong[0]
    model = FusionModel(config)
    for modality, (network, _) in read.items():
        setattr(model, modality, network)
        network.freeze()
    if decoder is not None:
        own = model.language_model.load_state_dict(decoder.state_dict(), strict=False)
        if own.unexpected_keys:
            raise WeightsError(f"The language model has a tensor that has no place here: {own.unexpected_keys[0]!r}.")
    return model


def _decoder(folder: Path) -> Any:
    """A causal language model with its weights, in float32."""
    gguf = next(iter(sorted(folder.glob("*.gguf"))), None)

    def read() -> Any:
        options = {} if gguf is None else {"gguf_file": gguf.name}
        return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="float32", **options)

    return _opened(folder, "a causal language model", read)


def encoder(folder: Path) -> tuple[encoders.Encoder, Any]:
    """An encoder with its weights, and its configuration.

    What pictures must look like is read from `preprocessor_config.json` and kept in the configuration.

    Raises:
        WeightsError: the folder holds no encoder that can be read.
    """
    if is_starter(folder):
        return load_encoder(folder), FusionVisionConfig()
    found = _about(folder)
    if "architecture" in found:
        return _timm(folder, found)

    def read() -> Any:
        return AutoModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False, dtype="float32")

    network = encoders.tower(_opened(folder, "an encoder", read))
    config = network.config
    _looks(config, folder)
    return encoders.TowerEncoder.around(network), config


def _looks(config: Any, folder: Path) -> None:
    """Keep in an encoder's configuration what pictures must look like."""
    looks = folder / "preprocessor_config.json"
    for name, value in (json.loads(looks.read_text(encoding="utf-8")) if looks.exists() else {}).items():
        if name in ("image_mean", "image_std"):
            setattr(config, name, value)


def encoder_config(folder: Path) -> Any:
    """The configuration of the encoder in a folder; no weights are read.

    Raises:
        WeightsError: the folder holds no encoder.
    """
    if is_starter(folder):
        return FusionVisionConfig()
    found = _about(folder)
    if "architecture" in found:
        config = _timm_config(found)
        with torch.device("meta"):
            network = encoders.VisionEncoder(config)
        config.hidden_size, config.grid_size = int(network.network.num_features), check.grid(config)
        return config
    config = _opened(folder, "an encoder", lambda: AutoConfig.from_pretrained(folder, local_files_only=True))
    _looks(getattr(config, "vision_config", config), folder)
    return config


def decoder_config(folder: Path) -> Any:
    """The configuration of the language model in a folder; no weights are read.

    Raises:
        WeightsError: the folder holds no language model.
    """
    gguf = next(iter(sorted(folder.glob("*.gguf"))), None)
    options = {} if gguf is None else {"gguf_file": gguf.name}

    def read() -> Any:
        return AutoConfig.from_pretrained(folder, local_files_only=True, **options)

    return _opened(folder, "a causal language model", read)


def _about(folder: Path) -> dict[str, Any]:
    about = folder / "config.json"
    if not about.exists():
        raise WeightsError(f"{folder} has no config.json: choose the folder of an encoder of transformers or timm.")
    found: dict[str, Any] = json.loads(about.read_text(encoding="utf-8"))
    return found


def _timm_config(found: dict[str, Any]) -> FusionVisionConfig:
    """Of a model as timm saves it: `architecture` and `pretrained_cfg` in its configuration."""
    looks = found.get("pretrained_cfg", {})
    return FusionVisionConfig(
        architecture=found["architecture"],
        num_classes=found.get("num_classes", looks.get("num_classes", 1000)),
        image_size=looks.get("input_size", (3, 224, 224))[-1],
        image_mean=list(looks.get("mean", (0.485, 0.456, 0.406))),
        image_std=list(looks.get("std", (0.229, 0.224, 0.225))),
    )


def _timm(folder: Path, found: dict[str, Any]) -> tuple[encoders.Encoder, FusionVisionConfig]:
    config = _timm_config(found)

    def read() -> encoders.VisionEncoder:
        network = encoders.VisionEncoder(config)
        network.network.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
        return network

    network = _opened(folder, "an encoder of timm", read)
    config.hidden_size, config.grid_size = int(network.network.num_features), check.grid(config)
    return network, config


def _opened(folder: Path, what: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except StudioError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise WeightsError(f"{folder} cannot be read as {what}: {reason}.") from error


def projections(model: FusionModel) -> dict[str, nn.Module]:
    """Every matrix in the language model's layers, by its full name: what an adapter is put on."""
    output = model.get_output_embeddings()
    return {
        f"language_model.{name}": module
        for name, module in model.language_model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not output
    }


def with_lora(model: FusionModel, rank: int = 8, alpha: int = 16, dropout: float = 0.0) -> Any:
    """The model with a LoRA adapter (arXiv:2106.09685) on every projection of its language model's layers.

    What stands between encoders and language model is trained whole and saved with the adapter. `save_pretrained` of
    the result writes the adapter alone; `peft.PeftModel.from_pretrained(model, folder)` puts it on again.

    Returns:
        A `peft.PeftModel`.
    """
    from peft import LoraConfig, get_peft_model

    linear = projections(model)
    between = [f"{modality}_{name}" for modality in model.config.modalities for name in ("projector", "norm")]
    between += ["resampler"] * model.fusion.resamples
    between += [f"gates.{index}" for index in range(len(model.gates))] if model.fusion.gates else []
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=sorted(linear),
        modules_to_save=between,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in linear.values()),
    )
    with warnings.catch_warnings():  # peft asks transformers in a way that is going to change
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return get_peft_model(model, config)
