"""The header of a GGUF file: its metadata and what it says of its tensors, with every number held against the file.

Format: ggml-org/ggml, docs/gguf.md. `gguf.GGUFReader` makes an array of each of the 50,000 tokens of a vocabulary,
which takes seconds; here they are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value of each type in the metadata of a GGUF file that has a fixed size."""
SIGNED, WITHOUT = (1, 3, 5, 11), (6, 7, 12)
"""Types of whole numbers that may be negative, and types that are no whole numbers."""
STRING, ARRAY, COUNT, ALIGNMENT = 8, 9, 4, "general.alignment"
NAME = 65_535
"""Bytes of a key, and of a tensor's name, at most."""
DIMENSIONS = 4
NESTED = 3
"""Arrays in arrays, at most."""
WORD = 1000
"""Bytes of a string in the metadata that is kept; a longer one, such as a chat template, is passed over."""
TENSOR = 24
"""Bytes that the description of a tensor takes at least; an entry of the metadata takes 12 or more."""


class Lie(Exception):
    """What is wrong with a header, as the end of a sentence."""


@dataclass(frozen=True)
class Header:
    """What the front of a file says.

    Attributes:
        values: whole numbers and short strings of the metadata.
        shapes: of each tensor, rows first, as torch has them.
        types: of each tensor, such as `Q4_1`.
    """

    values: Mapping[str, int | str]
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, str]

    def trait(self, name: str, default: int) -> int:
        """A whole number of its architecture, such as `context_length`."""
        found = self.values.get(f"{self.values.get('general.architecture')}.{name}")
        return found if isinstance(found, int) else default


def product(shape: list[int], most: int) -> int:
    """Values of a tensor; not multiplied on once there are more than `most`, unless one dimension is 0."""
    if 0 in shape:
        return 0
    total = 1
    for length in shape:
        total *= length
        if total > most:
            raise Lie(f"a tensor claims {total:,} values or more")
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
            raise Lie(f"it claims {count:,} bytes where {self.left():,} are left")
        self.at += count
        data = self.file.read(count)
        if len(data) != count:
            raise Lie("the file ends in it")
        return data

    def skip(self, count: int) -> None:
        """Go on behind the next bytes, which are not read."""
        if count > self.left():
            raise Lie(f"it claims {count:,} bytes where {self.left():,} are left")
        self.at += count
        self.file.seek(count, 1)

    def number(self, size: int = 8) -> int:
        """An unsigned number."""
        return int.from_bytes(self.take(size), "little")

    def name(self) -> str:
        """A key, or the name of a tensor."""
        length = self.number()
        if length > NAME:
            raise Lie(f"a name in it claims {length:,} bytes")
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> int | str | None:
        """A value of the metadata: a whole number or a word is given back, all else is passed over."""
        if kind == STRING:
            length = self.number()
            if depth == 0 and length <= WORD:
                return self.take(length).decode("utf-8", "replace")
            self.skip(length)
        elif kind == ARRAY:
            self.array(depth)
        elif kind in SIZES:
            data = self.take(SIZES[kind])
            return None if kind in WITHOUT else int.from_bytes(data, "little", signed=kind in SIGNED)
        else:
            raise Lie(f"it has a value of the type {kind}, which there is not")
        return None

    def array(self, depth: int) -> None:
        """Pass over an array."""
        kind, count = self.number(4), self.number()
        if depth >= NESTED:
            raise Lie("its arrays are nested too deeply")
        if kind in SIZES:
            self.skip(count * SIZES[kind])
            return
        if kind not in (STRING, ARRAY) or count * 8 > self.left():  # a length takes eight bytes
            raise Lie(f"an array in it claims {count:,} values")
        for _ in range(count):
            self.value(kind, depth + 1)


def read(file: BinaryIO, size: int) -> Header:
    """Magic number, version, counts, metadata, descriptions of the tensors; then, aligned, their data.

    Raises:
        Lie: it does not agree with the file.
    """
    from gguf.constants import GGML_QUANT_SIZES

    reader = _Reader(file, size)
    if size < 24 or reader.take(4) != b"GGUF":
        raise Lie("it is no GGUF file")
    version = reader.number(4)
    if version not in (2, 3):
        raise Lie(f"it is of the version {version}, and only 2 and 3 are known")
    tensors, entries = reader.number(), reader.number()
    if tensors * TENSOR + entries * (COUNT + 8) > reader.left():
        raise Lie(f"it claims {tensors:,} tensors and {entries:,} entries in {size:,} bytes")
    values: dict[str, int | str] = {}
    for _ in range(entries):
        key = reader.name()
        value = reader.value(reader.number(4))
        if value is not None:
            values[key] = value
    found = values.get(ALIGNMENT, 32)
    alignment = found if isinstance(found, int) else 0
    if alignment < 1 or alignment & (alignment - 1) or alignment > size:
        raise Lie(f"its alignment is {alignment:,}")
    kinds = {int(kind): (kind.name, *sizes) for kind, sizes in GGML_QUANT_SIZES.items()}
    shapes: dict[str, tuple[int, ...]] = {}
    types: dict[str, str] = {}
    places: list[tuple[str, int, int]] = []
    for _ in range(tensors):
        name, dimensions = reader.name(), reader.number(4)
        if not 1 <= dimensions <= DIMENSIONS:
            raise Lie(f"the tensor {name[:80]!r} has {dimensions:,} dimensions")
        shape = list(struct.unpack(f"<{dimensions}Q", reader.take(8 * dimensions)))
        kind, offset = reader.number(4), reader.number()
        if kind not in kinds:
            raise Lie(f"the tensor {name[:80]!r} is of the type {kind}, which there is not")
        if name in shapes:
            raise Lie(f"two tensors are called {name[:80]!r}")
        types[name], block, taken = kinds[kind]
        if shape[0] % block:
            raise Lie(f"the tensor {name[:80]!r} has rows that are not whole blocks")
        places.append((name, offset, product(shape, 64 * size) // block * taken))
        shapes[name] = tuple(reversed(shape))
    begin = -(-reader.at // alignment) * alignment
    for name, offset, length in places:
        if offset % alignment or begin + offset + length > size:
            raise Lie(
                f"the tensor {name[:80]!r} claims bytes up to {begin + offset + length:,}, and the file has {size:,}"
            )
    return Header(values, shapes, types)
