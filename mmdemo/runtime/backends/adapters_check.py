"""Whether an adapter (PEFT's files) may be loaded onto a base: it is data, and it was made for this base.

An adapter of another base often loads without an error, where layers have the same names, and answers nonsense.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mmdemo.errors import Unsupported, WeightsError
from mmdemo.runtime import headers, trust
from mmdemo.runtime.headers import Shapes

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
HOMES = ("transformers.", "peft.", "torch.")
"""Beginnings of modules that `auto_mapping` may name: PEFT imports whatever stands there."""
PART = re.compile(
    r"^(?:base_model\.model\.)?(.+?)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B)(?:\.[^.]+)?(?:\.weight)?$"
)

SIDES = {"lora_A": (1, 1), "lora_B": (0, 0), "lora_embedding_A": (1, 0), "lora_embedding_B": (0, 1)}
"""For each matrix, which of its sides is as long as which side of the layer's."""


def check(adapter: Path, base: Path, title: str, base_title: str) -> dict[str, Any]:
    """The configuration of an adapter that is data and fits a base.

    Args:
        adapter: folder with `adapter_config.json` and `adapter_model.safetensors`.
        base: folder with the base's checkpoint; of one whose weights are not safetensors only names are compared.

    Raises:
        WeightsError: it is no adapter, a pickle, or brings code.
        Unsupported: it was made for another base.
    """
    if not (adapter / CONFIG).is_file():
        raise WeightsError(f"{title} in {adapter} is no adapter: it has no {CONFIG}.")
    config = trust.read(adapter / CONFIG)
    if not (adapter / WEIGHTS).is_file():
        pickle = next((path.name for path in sorted(adapter.glob("adapter_model.*"))), "")
        if pickle.endswith(trust.PICKLES):
            raise trust.pickled(title, pickle)
        raise WeightsError(f"{title} in {adapter} is no adapter: it has no {WEIGHTS}.")
    mapping = config.get("auto_mapping")
    library = str(mapping.get("parent_library") or "") if isinstance(mapping, dict) else ""
    code = [library] if library and not library.startswith(HOMES) else [value for _, value in trust.named(config)]
    if code:
        raise WeightsError(
            f"{title} names a Python module to import ({code[0][:80]}), which could run any code: choose another "
            "adapter."
        )
    wrong = misfit(headers.check(adapter / WEIGHTS), shapes_in(base))
    if wrong:
        made_for = str(config.get("base_model_name_or_path") or "another model")
        raise Unsupported(
            f"{title} was made for another base ({made_for}) and does not fit {base_title} ({wrong}): load it onto the "
            "base that it was trained on."
        )
    return config


def shapes_in(base: Path) -> Shapes:
    """The shapes of a base's weights, by their names, from its safetensors; empty if it has none."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(base.glob("*.safetensors")):
        if not path.name.startswith("adapter_"):
            shapes |= headers.check(path)
    return shapes


def misfit(adapter: Shapes, base: Shapes) -> str:
    """The first thing about low-rank matrices that does not fit a base; empty if all fit, or nothing is known.

    A layer W of (out, in) gets A of (rank, in) and B of (out, rank): Hu et al. 2021, LoRA, section 4.1. Names may begin
    otherwise in the file than in the model, so their ends are compared.
    """
    if not base or any(name.endswith((".qweight", ".weight_packed")) for name in base):
        return ""
    ends: dict[str, list[str]] = {}
    for name in base:
        ends.setdefault(_end(name.removesuffix(".weight")), []).append(name)
    for name, shape in adapter.items():
        part = PART.match(name)
        if part is None or len(shape) != 2:
            continue
        layer, side = part[1], part[2]
        targets = [base[one] for one in ends.get(_end(layer), []) if len(base[one]) == 2]
        if not targets:
            return f"that has no layer {layer}"
        own, other = SIDES[side]
        width = shape[own]
        fits = any(width == target[other] for target in targets)
        if not fits:
            sizes = " × ".join(map(str, targets[0]))
            return f"{layer} is {sizes} there, and it wants {width}"
    return ""


def _end(name: str) -> str:
    """What of a layer's name does not change with how a model is wrapped: from the last number on, or the last two."""
    parts = name.split(".")
    numbers = [index for index, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[max(0, numbers[-1] - 1) :] if numbers else parts[-1:])
