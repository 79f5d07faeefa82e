"""The headers of weight files, read before any library sees them: a header can claim anything.

A library may allocate what a header claims before it notices that the file is smaller. Here nothing is read but the
header, nothing is allocated by a number in it, and every number must agree with the size of the file.

Formats: safetensors (huggingface/safetensors, README, "Format") and GGUF (ggml-org/ggml, docs/gguf.md).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from mmdemo.errors import WeightsError
from mmdemo.runtime import gguf_header
from mmdemo.runtime.gguf_header import Header, Lie, product

LONGEST = 100_000_000
"""Bytes of a safetensors header at most, as the library has it."""
BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32,
    "U16": 16, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
}  # fmt: skip
"""Bits of a value of each type in a safetensors file."""
HEAD = ".head"
"""Ending of what stands for a safetensors file that was not fetched: eight bytes with the file's size, then the file as
far as its header goes."""
INDEX = "model.safetensors.index.json"
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Tensor:
    """What a safetensors header says of a tensor: its type, such as `BF16`, its shape, and its bytes in the file."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int


def check(path: Path) -> Shapes:
    """The shapes of the tensors in a `.safetensors` file, its `.head`, or a `.gguf` file; the header agrees with it.

    A file is read once, and again if its size or its time changes.

    Raises:
        WeightsError: it does not: what it claims, in a sentence.
    """
    found = _current(path)
    return found.shapes if isinstance(found, Header) else {name: tensor.shape for name, tensor in found.items()}


def tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint in safetensors, by name; of one that was only looked at, by the headers kept of it.

    Raises:
        WeightsError: as `check`.
    """
    found: dict[str, Tensor] = {}
    for path in _files(folder):
        header = _current(path)
        assert not isinstance(header, Header)
        found |= header
    return found


def _files(folder: Path) -> Iterable[Path]:
    """The files that make one checkpoint, each weight once: the whole one, or those in the list, or all."""
    there = {path.name.removesuffix(HEAD): path for path in sorted(folder.glob(f"*.safetensors{HEAD}"))}
    there |= {path.name: path for path in sorted(folder.glob("*.safetensors"))}
    if "model.safetensors" in there:
        return [there["model.safetensors"]]
    try:
        listed = set(json.loads((folder / INDEX).read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        listed = set()  # whether it lists files is looked at elsewhere
    return [path for name, path in there.items() if name in listed] or there.values()


def gguf(path: Path) -> Header:
    """What the header of a `.gguf` file says, and the file agrees with.

    Raises:
        WeightsError: as `check`.
    """
    found = _current(path)
    assert isinstance(found, Header)
    return found


def _current(path: Path) -> Mapping[str, Tensor] | Header:
    try:
        state = path.stat()
        return _checked(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read ({error.strerror}): fetch the model again.") from None


@lru_cache(maxsize=512)
def _checked(path: Path, size: int, changed: int) -> Mapping[str, Tensor] | Header:
    try:
        with path.open("rb") as file:
            if path.suffix == HEAD:
                size = int.from_bytes(file.read(8), "little")
                return _safetensors(io.BytesIO(file.read()), size)
            return gguf_header.read(file, size) if path.suffix == ".gguf" else _safetensors(file, size)
    except Lie as lie:
        name = path.name.removesuffix(HEAD)
        raise WeightsError(
            f"The header of {path.parent.name}/{name} is broken, or lies: {lie}; nothing of it was loaded, fetch "
            "it again."
        ) from None


def _safetensors(file: BinaryIO, size: int) -> dict[str, Tensor]:
    """Eight bytes with the length of the header, the header as JSON, then the data."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(LONGEST, size - 8):
        raise Lie(f"it claims {length:,} bytes, of which the file has {max(0, size - 8):,}")
    try:
        header = json.loads(file.read(length).decode("utf-8"))
    except (ValueError, RecursionError):
        raise Lie("it is no JSON") from None
    if not isinstance(header, dict):
        raise Lie("it is no JSON object")
    room, found, spans = size - 8 - length, {}, []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape, begin, end = _entry(entry, name)
        if not 0 <= begin <= end <= room:
            raise Lie(f"the tensor {name[:80]!r} claims bytes up to {end:,}, and there are {room:,}")
        bits = BITS[entry["dtype"]] * product(shape, 8 * room)
        if bits != 8 * (end - begin):
            raise Lie(f"the tensor {name[:80]!r} has another size than its shape")
        found[name] = Tensor(entry["dtype"], tuple(shape), end - begin)
        spans.append((begin, end))
    reached = 0
    for begin, end in sorted(spans):
        if begin < reached:
            raise Lie("two tensors claim the same bytes")
        reached = end
    return found


def _entry(entry: object, name: str) -> tuple[list[int], int, int]:
    """Shape, begin and end of a tensor, as far as they are numbers."""
    if not isinstance(entry, dict):
        raise Lie(f"the tensor {name[:80]!r} is not described")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    lists = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    if not lists or any(type(number) is not int or number < 0 for number in (*shape, *offsets)):
        raise Lie(f"the tensor {name[:80]!r} has a shape or place that is none")
    if entry.get("dtype") not in BITS:
        raise Lie(f"the tensor {name[:80]!r} is of a type that there is not")
    return shape, offsets[0], offsets[1]
