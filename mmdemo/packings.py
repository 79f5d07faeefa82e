"""Checkpoints that come with their weights packed (`quantization_config`): what opens each kind. Pure data.

Source: `validate_environment` of the quantizers of `transformers` 5.23.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from mmdemo.errors import Unsupported
from mmdemo.specs import ModelSpec


@dataclass(frozen=True)
class Packing:
    """What one kind needs.

    Attributes:
        needs: packages, each by the name that is installed and the one that is imported.
        unpacked: it is held in bfloat16 and runs anywhere; its own kernels would be compiled code of a repository.
        gpu: it runs on a CUDA GPU alone.
    """

    needs: tuple[tuple[str, str], ...] = ()
    unpacked: bool = False
    gpu: bool = False


PACKINGS: Mapping[str, Packing] = {
    "fp8": Packing(unpacked=True),
    "mxfp4": Packing(unpacked=True),
    "bitsandbytes": Packing((("bitsandbytes", "bitsandbytes"),)),
    "awq": Packing((("gptqmodel", "gptqmodel"),), gpu=True),
    "gptq": Packing((("optimum", "optimum"), ("gptqmodel", "gptqmodel")), gpu=True),
    "compressed-tensors": Packing((("compressed-tensors", "compressed_tensors"),)),
    "fbgemm_fp8": Packing((("fbgemm-gpu", "fbgemm_gpu"),), gpu=True),
}
"""By `quant_method`. `gptqmodel` has kernels for a CPU too, which nobody has tried here."""


def kind_of(config: Mapping[str, Any]) -> str:
    """The kind that a `config.json` names, or empty; that of a vision-language model may stand with its text model."""
    for part in (config, config.get("text_config")):
        found = part.get("quantization_config") if isinstance(part, Mapping) else None
        if isinstance(found, Mapping):
            bits = any(found.get(name) for name in ("load_in_4bit", "load_in_8bit"))
            return str(found.get("quant_method") or ("bitsandbytes" if bits else "unknown"))
    return ""


def is_unpacked(kind: str) -> bool:
    """Whether weights of this kind are held in bfloat16."""
    return kind in PACKINGS and PACKINGS[kind].unpacked


def check(spec: ModelSpec, device: str) -> None:
    """Look whether a row's weights can be opened here as they are, before anything is fetched or loaded.

    Raises:
        Unsupported: what is needed, and the way out.
    """
    if not spec.packed:
        return
    packing = PACKINGS.get(spec.packed)
    if packing is None:
        raise Unsupported(
            f"{spec.title} comes with its weights packed ({spec.packed}), which nothing here opens: choose the same "
            "model with whole weights, or as a GGUF file."
        )
    if packing.gpu and device != "cuda":
        raise Unsupported(
            f"{spec.title} comes with its weights packed ({spec.packed}), which needs a CUDA GPU and "
            f"{', '.join(package for package, _ in packing.needs)}: choose the same model with whole weights, or as a "
            "GGUF file."
        )
    absent = [package for package, module in packing.needs if find_spec(module) is None]
    if absent:
        raise Unsupported(
            f"{spec.title} comes with its weights packed ({spec.packed}), which needs {', '.join(absent)}: install "
            "that, or choose the same model with whole weights, or as a GGUF file."
        )
