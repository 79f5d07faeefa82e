"""Weights of `transformers` models in fewer bits: what `from_pretrained` is told, and what is done afterwards."""

from __future__ import annotations

from typing import Any

import torch

from mmdemo.runtime.backends import linear8

WHOLE = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def best_dtype(device: str) -> torch.dtype:
    """bfloat16 where the device computes in it, else float32.

    On a CPU that is AVX512-BF16 or AMX: it halves the memory that each token has to read. Without them a CPU emulates
    bfloat16, which is slower than float32.
    """
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "mps":
        return torch.float16
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def dtype_of(quantization: str, device: str) -> torch.dtype:
    """What the weights that stay whole are held as, and what is computed in."""
    return WHOLE.get(quantization) or best_dtype(device)


def arguments(quantization: str, device: str) -> dict[str, Any]:
    """Arguments of `from_pretrained`.

    8 bits on a GPU: LLM.int8 (Dettmers et al. 2022); 4 bits: NF4 with doubly quantized scales (Dettmers et al. 2023).
    """
    chosen: dict[str, Any] = {"dtype": dtype_of(quantization, device)}
    if quantization not in ("int8", "int4") or (quantization == "int8" and device == "cpu"):
        return chosen
    from transformers import BitsAndBytesConfig

    chosen["quantization_config"] = (
        BitsAndBytesConfig(load_in_8bit=True, llm_int8_enable_fp32_cpu_offload=True)
        if quantization == "int8"
        else BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=chosen["dtype"],
        )
    )
    return chosen


def packed_arguments(kind: str, device: str) -> dict[str, Any]:
    """Arguments of `from_pretrained` for weights that come packed, by their `packings.PACKINGS`.

    Eight- and four-bit floats become bfloat16: their kernels would be fetched from a repository, and run here.
    """
    if kind in ("fp8", "mxfp4"):
        from transformers import FineGrainedFP8Config, Mxfp4Config

        made: Any = FineGrainedFP8Config if kind == "fp8" else Mxfp4Config
        return {"dtype": torch.bfloat16, "quantization_config": made(dequantize=True)}
    return {"dtype": torch.float16 if kind in ("awq", "gptq") else best_dtype(device)}


def finished(model: Any, quantization: str, device: str) -> Any:
    """The model with the weights of its linear layers in 8 bits, where that was asked for on a CPU; else as it is.

    An output layer that shares its weights with the embedding gets a copy in 8 bits.
    """
    return linear8.packed(model) if quantization == "int8" and device == "cpu" else model
