"""Headers of weight files: true ones are read, lies are refused before anything is allocated, nothing crashes."""

from __future__ import annotations

import json
import random
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from mmdemo.errors import WeightsError
from mmdemo.runtime import headers

SEED = 20_240_607
ROUNDS = 400
"""Of each kind of damage, for each format."""


def safetensors(folder: Path) -> Path:
    from safetensors.numpy import save_file

    path = folder / "model.safetensors"
    tensors = {f"layers.{n}.weight": np.arange(12 * n, dtype=np.float16).reshape(n, 12) for n in range(1, 6)}
    save_file({**tensors, "empty": np.zeros((0, 3), np.float32)}, path, metadata={"format": "pt"})
    return path


def packed(folder: Path) -> Path:
    path = folder / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_float32("some.number", 0.5)
    writer.add_token_list(["<s>", "a", "b", "ü"] * 20)
    writer.add_array("nested", [[1, 2], [3, 4]])
    writer.add_tensor("token_embd.weight", np.ones((8, 64), np.float32))
    blocks = gguf.quants.quantize(np.ones((4, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("output.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


MAKERS = {"safetensors": safetensors, "gguf": packed}


def test_the_shapes_are_those_of_the_tensors(tmp_path: Path) -> None:
    shapes = headers.check(safetensors(tmp_path))
    assert shapes == {**{f"layers.{n}.weight": (n, 12) for n in range(1, 6)}, "empty": (0, 3)}
    assert headers.check(packed(tmp_path)) == {"token_embd.weight": (8, 64), "output.weight": (4, 64)}


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A safetensors file with another header before the same data."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    new = json.dumps(header).encode()
    path.write_bytes(len(new).to_bytes(8, "little") + new + data[8 + length :])
    return path


LIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "terabytes": (lambda h: h["layers.1.weight"].update(shape=[1 << 20, 1 << 20], data_offsets=[0, 1 << 41]),
                  "claims bytes up to 2,199,023,255,552"),
    "a shape of 2^60": (lambda h: h["layers.1.weight"].update(shape=[1 << 60]),
                        "claims 1,152,921,504,606,846,976 values"),
    "many dimensions": (lambda h: h["layers.1.weight"].update(shape=[1 << 60] * 1000), "values or more"),
    "another size": (lambda h: h["layers.2.weight"].update(shape=[3, 12]), "another size than its shape"),
    "backwards": (lambda h: h["layers.1.weight"].update(data_offsets=[24, 0]), "claims bytes up to 0"),
    "before the start": (lambda h: h["layers.1.weight"].update(data_offsets=[-24, 0]), "shape or place that is none"),
    "no number": (lambda h: h["layers.1.weight"].update(shape=["12"]), "shape or place that is none"),
    "a fraction": (lambda h: h["layers.1.weight"].update(shape=[12.0]), "shape or place that is none"),
    "three offsets": (lambda h: h["layers.1.weight"].update(data_offsets=[0, 1, 2]), "shape or place that is none"),
    "no type": (lambda h: h["layers.1.weight"].update(dtype="F7"), "a type that there is not"),
    "a type that is a list": (lambda h: h["layers.1.weight"].update(dtype="OBJECT"), "a type that there is not"),
    "shared bytes": (lambda h: h.update(twin=dict(h["layers.1.weight"])), "two tensors claim the same bytes"),
    "a text": (lambda h: h.update(odd="text"), "is not described"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_safetensors_header_that_lies_is_refused(lie: str, tmp_path: Path) -> None:
    change, words = LIES[lie]
    path = rewritten(safetensors(tmp_path), change)
    with pytest.raises(
        WeightsError, match=r"The header of .+/model\.safetensors is broken, or lies: .*" + words
    ) as told:
        headers.check(path)
    assert "nothing of it was loaded" in str(told.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "claims 0 bytes"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "claims 1,152,921,504,606,846,976 bytes, of which the file has 2"),
        ((2).to_bytes(8, "little") + b"[]", "no JSON object"),
        ((2).to_bytes(8, "little") + b"{]", "no JSON"),
        ((40_000).to_bytes(8, "little") + b"[" * 40_000, "no JSON"),
    ],
)
def test_a_safetensors_file_that_is_none_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=words):
        headers.check(path)


def head(tensors: int, entries: int, rest: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, entries) + rest + b"\0" * 64


def entry(kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", 1) + b"k" + struct.pack("<I", kind) + value


def tensor(shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return struct.pack("<Q", 1) + b"t" + dimensions + struct.pack("<IQ", kind, offset)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GGUF", "no GGUF file"),
        (b"GGML" + head(0, 0)[4:], "no GGUF file"),
        (head(0, 0, version=9), "of the version 9"),
        (head(1 << 60, 0), "claims 1,152,921,504,606,846,976 tensors"),
        (head(0, 1 << 60), "1,152,921,504,606,846,976 entries"),
        (head(0, 1, entry(8, struct.pack("<Q", 1 << 62))), "claims 4,611,686,018,427,387,904 bytes"),
        (head(0, 1, entry(9, struct.pack("<IQ", 8, 1 << 60))), "an array in it claims 1,152,921,504,606,846,976"),
        (head(0, 1, entry(9, struct.pack("<IQ", 4, 1 << 61))), "claims 9,223,372,036,854,775,808 bytes"),
        (head(0, 1, entry(9, struct.pack("<IQ", 9, 1) * 5)), "nested too deeply"),
        (head(0, 1, entry(77, b"")), "a value of the type 77"),
        (head(0, 1, struct.pack("<Q", 1 << 40) + b"k"), "a name in it claims"),
        (head(1, 0, tensor((1 << 60,))), "claims 1,152,921,504,606,846,976 values"),
        (head(1, 0, tensor((4096, 4096, 4096, 4096))), "values or more"),
        (head(1, 0, tensor((32,), offset=1 << 40)), "claims bytes up to 1,099,511,"),
        (head(1, 0, tensor((32,), kind=999)), "of the type 999"),
        (head(1, 0, tensor((33,), kind=8)), "not whole blocks"),
        (head(1, 0, tensor((1,) * 5)), "has 5 dimensions"),
    ],
)
def test_a_gguf_header_that_lies_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(WeightsError, match=words):
        headers.check(path)
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("damage", ["cut", "flips", "numbers"])
@pytest.mark.parametrize("kind", MAKERS)
def test_damage_is_read_or_refused_and_never_crashes_hangs_or_allocates(kind: str, damage: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    whole = path.read_bytes()
    dice = random.Random(f"{SEED} {kind} {damage}")
    headers.check(path)
    refused = 0
    tracemalloc.start()
    for _ in range(ROUNDS):
        data = bytearray(whole)
        if damage == "cut":
            data = data[: dice.randrange(len(data))]
        elif damage == "flips":
            for _ in range(dice.randint(1, 8)):
                data[dice.randrange(min(len(data), 1200))] ^= 1 << dice.randrange(8)
        else:  # a large number somewhere in the header
            place = dice.randrange(0, min(len(data), 1200) - 8)
            data[place : place + 8] = struct.pack("<Q", dice.choice([1 << 63, (1 << 64) - 1, 1 << 40, 1 << 31]))
        path.write_bytes(data)
        headers._checked.cache_clear()  # the time of a file may not change between two rounds
        tracemalloc.reset_peak()
        before, begun = tracemalloc.get_traced_memory()[0], time.perf_counter()
        try:
            headers.check(path)
        except WeightsError:
            refused += 1
        assert time.perf_counter() - begun < 2
        assert tracemalloc.get_traced_memory()[1] - before < 2_000_000
    tracemalloc.stop()
    assert refused > ROUNDS // 4


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = safetensors(tmp_path)
    headers.check(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="claims bytes up to"):
        headers.check(path)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.gguf cannot be read"):
        headers.check(tmp_path / "gone.gguf")


def test_a_gguf_header_tells_its_architecture_and_the_types_of_its_tensors(tmp_path: Path) -> None:
    header = headers.gguf(packed(tmp_path))
    assert header.values["general.architecture"] == "llama"
    assert header.trait("context_length", 7) == 64
    assert header.trait("head_count", 7) == 7, "what is not said has a default"
    assert header.types == {"token_embd.weight": "F32", "output.weight": "Q8_0"}


def test_a_vocabulary_of_fifty_thousand_words_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_token_list([f"token {n}" for n in range(50_000)])
    writer.add_chat_template("x" * 5000)
    writer.add_tensor("token_embd.weight", np.ones((8, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert sorted(headers.gguf(path).values) == ["general.architecture"]


def test_numbers_keep_their_sign_and_a_truth_value_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_int32("some.offset", -1)
    writer.add_bool("some.switch", True)
    writer.add_tensor("token_embd.weight", np.ones((8, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    values = headers.gguf(path).values
    assert values["some.offset"] == -1 and "some.switch" not in values


def test_two_tensors_of_one_name_are_a_lie(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for name in ("first.weight", "other.weight"):
        writer.add_tensor(name, np.ones((8, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert set(headers.check(path)) == {"first.weight", "other.weight"}
    path.write_bytes(path.read_bytes().replace(b"other.weight", b"first.weight") + bytes(4))
    with pytest.raises(WeightsError, match=r"two tensors are called 'first\.weight'"):
        headers.check(path)
