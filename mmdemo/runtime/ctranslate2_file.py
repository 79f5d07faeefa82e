"""The `model.bin` of CTranslate2: a reader that believes nothing the file says of itself.

Layout (ctranslate2/specs/model_spec.py, `ModelSpec._serialize`, binary versions 4 to 6), little-endian: version u32,
name, revision u32, number of tensors u32; for each: name, rank u8, dimensions u32, type u8, bytes u32, data; number of
aliases u32; for each: name, name of the tensor it stands for. A name is its length with the closing zero, u16, then
the bytes. The file is mapped, not read: a tensor costs no memory until it is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.errors import WeightsError

VERSIONS = range(4, 7)
TYPES: tuple[Any, ...] = (np.float32, np.int8, np.int16, np.int32, np.float16, np.uint16)
"""By type number; the last is bfloat16, which NumPy does not have and `_Reader` widens."""
BFLOAT16 = 5
MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Model:
    """What a file holds. `tensors` has the aliases too, under their own names."""

    name: str
    revision: int
    tensors: Mapping[str, NDArray[Any]]
    aliases: Mapping[str, str]


def read(path: Path) -> Model:
    """Read a file.

    Raises:
        WeightsError: it is absent, cut off, or says something of itself that is not so.
    """
    try:
        data = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path.name} cannot be read ({error}): fetch the model again.") from error
    reader = _Reader(data, path.name)
    version = reader.number(4)
    if version not in VERSIONS:
        raise reader.wrong(f"its format version is {version}, not 4 to 6")
    name, revision = reader.text(), reader.number(4)
    tensors: dict[str, NDArray[Any]] = {}
    for _ in range(reader.number(4)):
        key, tensor = reader.text(), reader.tensor()
        if key in tensors:
            raise reader.wrong(f"it has {key} twice")
        tensors[key] = tensor
    aliases: dict[str, str] = {}
    for _ in range(reader.number(4)):
        alias, target = reader.text(), reader.text()
        if alias in tensors or target not in tensors:
            raise reader.wrong(f"{alias} stands for {target}")
        aliases[alias], tensors[alias] = target, tensors[target]
    if reader.left:
        raise reader.wrong(f"{reader.left:,} bytes are left over")
    return Model(name, revision, tensors, aliases)


class _Reader:
    """Walks over the bytes; every step is checked against what is left."""

    def __init__(self, data: NDArray[np.uint8], name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._at

    def wrong(self, why: str) -> WeightsError:
        """The error for this file."""
        return WeightsError(f"{self._name} is no sound CTranslate2 file ({why}): fetch the model again.")

    def take(self, count: int) -> NDArray[np.uint8]:
        """The next bytes, as a view of the mapped file."""
        if count > self.left:
            raise self.wrong(f"{count:,} bytes are announced and {self.left:,} are there")
        part = self._data[self._at : self._at + count]
        self._at += count
        return part

    def number(self, size: int) -> int:
        """An unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size).tobytes(), "little")

    def text(self) -> str:
        """A name."""
        data = self.take(self.number(2)).tobytes()
        try:
            if data[-1:] != b"\0":
                raise ValueError
            return data[:-1].decode()
        except ValueError:
            raise self.wrong("a name is not text") from None

    def tensor(self) -> NDArray[Any]:
        """A tensor without its name."""
        rank = self.number(1)
        if rank > MOST_DIMENSIONS:
            raise self.wrong(f"a tensor has {rank} dimensions")
        shape = tuple(self.number(4) for _ in range(rank))
        kind, size = self.number(1), self.number(4)
        if kind >= len(TYPES):
            raise self.wrong(f"a tensor has type {kind}")
        if size != math.prod(shape) * np.dtype(TYPES[kind]).itemsize:
            raise self.wrong(f"a tensor of shape {shape} has {size:,} bytes")
        values = np.frombuffer(self.take(size), np.dtype(TYPES[kind]).newbyteorder("<"))
        if kind == BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.reshape(shape)
