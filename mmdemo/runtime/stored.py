"""The weights of a checkpoint as they lie in its files, by module and type, from the headers of safetensors alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmdemo.folders import bytes_in
from mmdemo.runtime import headers
from mmdemo.runtime.estimates import Stored

BODIES = ("model", "language_model", "base_model")
"""Modules that hold all others: those in them are named."""


def weights_in(folders: Mapping[str, Path]) -> Iterator[Stored]:
    """What lies in the folders of a checkpoint and its parts, by name; a part's modules under its key.

    Raises:
        WeightsError: a header is broken, or lies.
    """
    for place, (key, folder) in enumerate(folders.items()):
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for name, tensor in headers.tensors(folder).items():
            one = module(name), tensor.dtype
            numbers, size = found.get(one, (0, 0))
            found[one] = numbers + math.prod(tensor.shape), size + tensor.bytes
        for (name, dtype), (numbers, size) in sorted(found.items()):
            yield Stored(f"{key}: {name}" if place else name, dtype, numbers, size)


def module(name: str) -> str:
    """The module that a tensor belongs to: `lm_head`, `model.vision_model`."""
    top, _, rest = name.partition(".")
    inner = rest.partition(".")[0]
    return f"{top}.{inner}" if top in BODIES and "." in rest else top


def bytes_of(folder: Path) -> int:
    """Bytes of the tensors of a folder with safetensors, fetched or only looked at; else of all its files."""
    return sum(tensor.bytes for tensor in headers.tensors(folder).values()) or bytes_in(folder)
