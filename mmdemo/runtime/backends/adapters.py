"""PEFT adapters on a loaded model: several at once, one or none in use, switched without loading the base again.

Only LoRA adapters of safetensors files are read (Hu et al. 2021, LoRA). What an adapter says of its base is a name that
may be anything; whether it fits is told by the names and sizes of its matrices.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from mmdemo.catalog import ModelSpec
from mmdemo.errors import Unsupported, WeightsError
from mmdemo.runtime import headers, trust
from mmdemo.runtime.backends import checkpoint

MOST = 8
"""Adapters that stay on a model; the one that was not used for longest makes room."""
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
"""What PEFT writes before the name of every weight."""
HOMES = ("transformers.", "peft.", "torch.")
"""Beginnings of modules that `auto_mapping` may name: PEFT imports whatever stands there."""


class Adapters:
    """The adapters of one model, by folder."""

    def __init__(self, spec: ModelSpec, model: Any) -> None:
        """None yet."""
        self._spec, self._model = spec, model
        self._names: OrderedDict[str, str] = OrderedDict()
        self._loaded = 0
        self._active = ""

    def use(self, folder: str) -> None:
        """Answer with the adapter in `folder` from now on, which is read if it has not been; empty: without one.

        Raises:
            WeightsError: there is none, or it cannot be read.
            Unsupported: it is of another kind, or for another base.
        """
        if folder == self._active:
            return
        if folder and folder not in self._names:
            self._read(folder)
        for layer in self._layers():
            layer.enable_adapters(bool(folder))
            if folder:
                layer.set_adapter(self._names[folder])
        if folder:
            self._names.move_to_end(folder)
        self._active = folder
        self._model.requires_grad_(False)

    def close(self) -> None:
        """Let go of the model."""
        self._names.clear()
        self._model = None

    def _read(self, folder: str) -> None:
        place, title = Path(folder).expanduser(), self._spec.title
        settings = config_of(place)
        sizes = sizes_in(place)
        kind = str(settings.get("peft_type", ""))
        if kind != "LORA" or settings.get("modules_to_save"):
            raise Unsupported(
                f"The adapter in {folder} is of the kind {kind or 'that its file does not name'} or replaces whole "
                "modules: choose a LoRA adapter."
            )
        base = str(settings.get("base_model_name_or_path") or "a model that it does not name")
        modules = dict(self._model.named_modules())
        for name, shape in sizes.items():
            if not fits(modules, name, shape):
                raise Unsupported(
                    f"The adapter in {folder} was made for {base} and does not fit {title} ({name} differs): choose "
                    "its own base or another adapter."
                )
        if not all(isinstance(_bare(modules, name), torch.nn.Linear) for name in sizes):
            raise Unsupported(
                f"{title} takes no adapters as it is loaded: leave the adapter out, or choose a vision-language or "
                "language model in bf16 or fp32."
            )
        named = f"adapter{self._loaded}"
        self._loaded += 1
        checkpoint.opened("The adapter", place, lambda: self._inject(place, named))
        self._names[folder] = named
        while len(self._names) > MOST:
            _, gone = self._names.popitem(last=False)
            for layer in self._layers():
                layer.delete_adapter(gone)
            self._model.peft_config.pop(gone, None)

    def _inject(self, folder: Path, name: str) -> None:
        from peft import PeftConfig, inject_adapter_in_model, set_peft_model_state_dict
        from safetensors.torch import load_file

        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True
        with warnings.catch_warnings():  # several adapters on one model are what is wanted
            warnings.filterwarnings("ignore", "Already found a `peft_config` attribute")
            inject_adapter_in_model(config, self._model, name)
        weights = {key.removeprefix(PREFIX): value for key, value in load_file(folder / WEIGHTS).items()}
        set_peft_model_state_dict(self._model, weights, adapter_name=name)

    def _layers(self) -> list[Any]:
        """The layers that have adapters."""
        if not self._names:
            return []
        from peft.tuners.tuners_utils import BaseTunerLayer

        return [module for module in self._model.modules() if isinstance(module, BaseTunerLayer)]


def config_of(folder: Path) -> dict[str, Any]:
    """What an adapter says of itself: data, and no module of somebody's own to import.

    Raises:
        WeightsError: there is no adapter in the folder, its configuration cannot be read, or it names code.
    """
    if not (folder / CONFIG).is_file():
        raise WeightsError(f"There is no adapter in {folder}: choose a folder with {CONFIG} and {WEIGHTS}.")
    settings = trust.read(folder / CONFIG)
    mapping = settings.get("auto_mapping")
    library = str(mapping.get("parent_library") or "") if isinstance(mapping, dict) else ""
    named = [library] if library and not library.startswith(HOMES) else [value for _, value in trust.named(settings)]
    if named:
        raise WeightsError(
            f"The adapter in {folder} names a Python module to import ({named[0][:80]}), which could run any code: "
            "choose another adapter."
        )
    return settings


def sizes_in(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of an adapter's weights, by name.

    Raises:
        WeightsError: it has no safetensors file, or one whose header lies.
    """
    if not (folder / WEIGHTS).is_file():
        raise WeightsError(f"The adapter in {folder} has no {WEIGHTS}: save it as safetensors and try again.")
    return {name.removeprefix(PREFIX): shape for name, shape in headers.check(folder / WEIGHTS).items()}


def fits(modules: dict[str, Any], name: str, shape: tuple[int, ...]) -> bool:
    """Whether a matrix of an adapter, A (rank, in) or B (out, rank), belongs to a linear layer of the model."""
    for ending, place, side in ((".lora_A.weight", 1, "in_features"), (".lora_B.weight", 0, "out_features")):
        if name.endswith(ending):
            return len(shape) == 2 and getattr(_bare(modules, name), side, None) == shape[place]
    return False


def _bare(modules: dict[str, Any], name: str) -> Any:
    """The layer that a matrix of an adapter belongs to, without the adapters that it has already; None if none."""
    layer = modules.get(name.removesuffix(".weight").removesuffix(".lora_A").removesuffix(".lora_B"))
    return getattr(layer, "base_layer", layer)
