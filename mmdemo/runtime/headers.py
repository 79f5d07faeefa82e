"""The headers of weight files, read before any library sees them: a header can claim anything.

A library may allocate what a header claims before it notices that the file is smaller. Here nothing is read but the
header, nothing is allocated by a number in it, and every number must agree with the size of the file.

Formats: safetensors (huggingface/safetensors, README, "Format") and GGUF (ggml-org/ggml, docs/gguf.md).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from mmdemo.errors import WeightsError

LONGEST = 100_000_000
"""Bytes of a safetensors header at most, as the library has it."""
BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32,
    "U16": 16, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
}  # fmt: skip
"""Bits of a value of each type in a safetensors file."""
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value of each type in the metadata of a GGUF file that has a fixed size."""
STRING, ARRAY, COUNT, ALIGNMENT = 8, 9, 4, "general.alignment"
NAME = 65_535
"""Bytes of a key, and of a tensor's name, at most."""
DIMENSIONS = 4
NESTED = 3
"""Arrays in arrays, at most."""
TENSOR = 24
"""Bytes that the description of a tensor takes at least; an entry of the metadata takes 12 or more."""
Shapes = Mapping[str, tuple[int, ...]]


class _Lie(Exception):
    """What is wrong with a header, as the end of a sentence."""


def check(path: Path) -> Shapes:
    """The shapes of the tensors in a `.safetensors` or `.gguf` file, whose header agrees with the file.

    A file is read once, and again if its size or its time changes.

    Raises:
        WeightsError: it does not: what it claims, in a sentence.
    """
    try:
        state = path.stat()
        return _checked(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read ({error.strerror}): fetch the model again.") from None


@lru_cache(maxsize=512)
def _checked(path: Path, size: int, changed: int) -> Shapes:
    try:
        with path.open("rb") as file:
            return _gguf(file, size) if path.suffix == ".gguf" else _safetensors(file, size)
    except _Lie as lie:
        raise WeightsError(
            f"The header of {path.parent.name}/{path.name} is broken, or lies: {lie}; nothing of it was loaded, fetch "
            "it again."
        ) from None


def _safetensors(file: BinaryIO, size: int) -> Shapes:
    """Eight bytes with the length of the header, the header as JSON, then the data."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(LONGEST, size - 8):
        raise _Lie(f"it claims {length:,} bytes, of which the file has {max(0, size - 8):,}")
    try:
        header = json.loads(file.read(length).decode("utf-8"))
    except (ValueError, RecursionError):
        raise _Lie("it is no JSON") from None
    if not isinstance(header, dict):
        raise _Lie("it is no JSON object")
    room, shapes, spans = size - 8 - length, {}, []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape, begin, end = _entry(entry, name)
        if not 0 <= begin <= end <= room:
            raise _Lie(f"the tensor {name[:80]!r} claims bytes up to {end:,}, and there are {room:,}")
        bits = BITS[entry["dtype"]] * _product(shape, 8 * room)
        if bits != 8 * (end - begin):
            raise _Lie(f"the tensor {name[:80]!r} has another size than its shape")
        shapes[name] = tuple(shape)
        spans.append((begin, end))
    reached = 0
    for begin, end in sorted(spans):
        if begin < reached:
            raise _Lie("two tensors claim the same bytes")
        reached = end
    return shapes


def _entry(entry: object, name: str) -> tuple[list[int], int, int]:
    """Shape, begin and end of a tensor, as far as they are numbers."""
    if not isinstance(entry, dict):
        raise _Lie(f"the tensor {name[:80]!r} is not described")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    lists = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    if not lists or any(type(number) is not int or number < 0 for number in (*shape, *offsets)):
        raise _Lie(f"the tensor {name[:80]!r} has a shape or place that is none")
    if entry.get("dtype") not in BITS:
        raise _Lie(f"the tensor {name[:80]!r} is of a type that there is not")
    return shape, offsets[0], offsets[1]


def _product(shape: list[int], most: int) -> int:
    """Values of a tensor; not multiplied on once there are more than `most`, unless one dimension is 0."""
    if 0 in shape:
        return 0
    total = 1
    for length in shape:
        total *= length
        if total > most:
            raise _Lie(f"a tensor claims {total:,} values or more")
    return total


@dataclass
class _Reader:
    """Numbers and strings of a GGUF file, from the front; never more bytes than the file has left."""

    file: BinaryIO
    size: int
    at: int = 0

    def left(self) -> int:
        """Bytes behind here."""
        return self.size - self.at

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > self.left():
            raise _Lie(f"it claims {count:,} bytes where {self.left():,} are left")
        self.at += count
        data = self.file.read(count)
        if len(data) != count:
            raise _Lie("the file ends in it")
        return data

    def skip(self, count: int) -> None:
        """Go on behind the next bytes, which are not read."""
        if count > self.left():
            raise _Lie(f"it claims {count:,} bytes where {self.left():,} are left")
        self.at += count
        self.file.seek(count, 1)

    def number(self, size: int = 8) -> int:
        """An unsigned number."""
        return int.from_bytes(self.take(size), "little")

    def name(self) -> str:
        """A key, or the name of a tensor."""
        length = self.number()
        if length > NAME:
            raise _Lie(f"a name in it claims {length:,} bytes")
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> int | None:
        """A value of the metadata: a whole number is given back, all else is passed over."""
        if kind == STRING:
            self.skip(self.number())
        elif kind == ARRAY:
            self.array(depth)
        elif kind in SIZES:
            data = self.take(SIZES[kind])
            return None if kind in (6, 12) else int.from_bytes(data, "little")
        else:
            raise _Lie(f"it has a value of the type {kind}, which there is not")
        return None

    def array(self, depth: int) -> None:
        """Pass over an array."""
        kind, count = self.number(4), self.number()
        if depth >= NESTED:
            raise _Lie("its arrays are nested too deeply")
        if kind in SIZES:
            self.skip(count * SIZES[kind])
            return
        if kind not in (STRING, ARRAY) or count * 8 > self.left():  # a length takes eight bytes
            raise _Lie(f"an array in it claims {count:,} values")
        for _ in range(count):
            self.value(kind, depth + 1)


def _gguf(file: BinaryIO, size: int) -> Shapes:
    """Magic number, version, counts, metadata, descriptions of the tensors; then, aligned, their data."""
    from gguf.constants import GGML_QUANT_SIZES

    reader = _Reader(file, size)
    if size < 24 or reader.take(4) != b"GGUF":
        raise _Lie("it is no GGUF file")
    version = reader.number(4)
    if version not in (2, 3):
        raise _Lie(f"it is of the version {version}, and only 2 and 3 are known")
    tensors, entries = reader.number(), reader.number()
    if tensors * TENSOR + entries * (COUNT + 8) > reader.left():
        raise _Lie(f"it claims {tensors:,} tensors and {entries:,} entries in {size:,} bytes")
    alignment = 32
    for _ in range(entries):
        key = reader.name()
        value = reader.value(reader.number(4))
        if key == ALIGNMENT:
            alignment = value or 0
    if alignment < 1 or alignment & (alignment - 1) or alignment > size:
        raise _Lie(f"its alignment is {alignment:,}")
    kinds = {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}
    shapes: dict[str, tuple[int, ...]] = {}
    places: list[tuple[str, int, int]] = []
    for _ in range(tensors):
        name, dimensions = reader.name(), reader.number(4)
        if not 1 <= dimensions <= DIMENSIONS:
            raise _Lie(f"the tensor {name[:80]!r} has {dimensions:,} dimensions")
        shape = list(struct.unpack(f"<{dimensions}Q", reader.take(8 * dimensions)))
        kind, offset = reader.number(4), reader.number()
        if kind not in kinds:
            raise _Lie(f"the tensor {name[:80]!r} is of the type {kind}, which there is not")
        block, taken = kinds[kind]
        if shape[0] % block:
            raise _Lie(f"the tensor {name[:80]!r} has rows that are not whole blocks")
        places.append((name, offset, _product(shape, 64 * size) // block * taken))
        shapes[name] = tuple(reversed(shape))
    begin = -(-reader.at // alignment) * alignment
    for name, offset, length in places:
        if offset % alignment or begin + offset + length > size:
            raise _Lie(
                f"the tensor {name[:80]!r} claims bytes up to {begin + offset + length:,}, and the file has {size:,}"
            )
    return shapes
