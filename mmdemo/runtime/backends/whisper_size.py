"""What a Whisper of CTranslate2 takes in memory: its file has one type for all, memory has not."""

from __future__ import annotations

from mmdemo.runtime import ctranslate2_file
from mmdemo.runtime.base import Load
from mmdemo.runtime.estimates import Estimate, Part

BYTES = {"int8": 1, "float16": 2, "float32": 4}
"""Of a number of a matrix; the rest is float32."""
TOKENIZER = 24_000_000
"""Bytes of the tokenizer and of tables for mel spectra, as measured."""


def estimate(request: Load, kind: str) -> Estimate:
    """What it will take when its matrices are of type `kind`; of one that is not here, as many bytes as it has.

    An output layer that stands for the embedding gets weights of its own. Convolutions have three dimensions.

    Raises:
        WeightsError: its file cannot be read.
    """
    file, tokenizer = request.folders[request.spec.key] / "model.bin", Part("tokenizer", 0, TOKENIZER)
    if not file.is_file():
        return Estimate((Part("weights", 0, request.spec.bytes), tokenizer))
    model = ctranslate2_file.read(file)
    count = size = 0
    for name, tensor in model.tensors.items():
        matrix = tensor.ndim == 2 and "position" not in name
        count += 0 if name in model.aliases else tensor.size
        size += tensor.size * (BYTES[kind] if matrix else 4)
    return Estimate((Part("weights", count, size), tokenizer), dtype=kind)
