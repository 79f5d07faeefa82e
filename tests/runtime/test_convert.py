from __future__ import annotations

import json
import random
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mmdemo import catalog
from mmdemo.errors import WeightsError
from mmdemo.media.audio import stream_audio
from mmdemo.runtime import ctranslate2_file
from mmdemo.runtime.convert import ctranslate2_to_transformers, state
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings


def text(name: str) -> bytes:
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def tensor(name: str, values: np.ndarray, kind: int) -> bytes:
    shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
    return text(name) + shape + struct.pack("<BI", kind, values.nbytes) + values.tobytes()


def written(*tensors: bytes, aliases: tuple[tuple[str, str], ...] = (), name: str = "WhisperSpec") -> bytes:
    head = struct.pack("<I", 6) + text(name) + struct.pack("<II", 3, len(tensors))
    return head + b"".join(tensors) + struct.pack("<I", len(aliases)) + b"".join(text(a) + text(b) for a, b in aliases)


HALVES = np.arange(6, dtype=np.float16).reshape(2, 3)
SMALL = written(tensor("a/weight", HALVES, 4), tensor("b", np.array(7, np.int16), 2), aliases=(("c", "a/weight"),))


def test_a_file_gives_its_tensors_and_aliases_back(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    wide = np.array([1.5, -2.0], np.float32)
    path.write_bytes(
        written(
            tensor("a", HALVES, 4),
            tensor("n", np.array(7, np.int16), 2),
            tensor("b", (wide.view(np.uint32) >> 16).astype(np.uint16), 5),
            aliases=(("c", "a"),),
        )
    )
    model = ctranslate2_file.read(path)
    assert (model.name, model.revision, dict(model.aliases)) == ("WhisperSpec", 3, {"c": "a"})
    assert np.array_equal(model.tensors["a"], HALVES) and model.tensors["a"].dtype == np.float16
    assert np.array_equal(model.tensors["c"], HALVES)
    assert model.tensors["n"].shape == () and int(model.tensors["n"]) == 7
    assert np.array_equal(model.tensors["b"], wide)


def test_every_shortened_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    for length in range(len(SMALL)):
        path.write_bytes(SMALL[:length])
        with pytest.raises(WeightsError, match=r"model\.bin"):
            ctranslate2_file.read(path)


def test_a_file_that_lies_is_refused_or_read_but_never_costs_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    dice = random.Random(0)
    refused = 0
    tracemalloc.start()
    for _ in range(1000):
        data = bytearray(SMALL)
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.choice((0, 1, 127, 255, dice.randrange(256)))
        path.write_bytes(data)
        try:
            model = ctranslate2_file.read(path)
            assert sum(values.nbytes for values in model.tensors.values()) < 100
        except WeightsError:
            refused += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused > 300
    assert peak < 5_000_000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (struct.pack("<I", 9) + SMALL[4:], "format version is 9"),
        (SMALL + b"x", "1 bytes are left over"),
        (written(tensor("a", HALVES, 4), tensor("a", HALVES, 4)), "it has a twice"),
        (written(tensor("a", HALVES, 4), aliases=(("b", "z"),)), "b stands for z"),
        (written(tensor("a", HALVES, 9)), "type 9"),
        (written(text("a") + struct.pack("<B2IBI", 2, 2**31, 2**31, 4, 12)), "shape"),
        (written(text("a") + struct.pack("<BIBI", 1, 2**31 - 1, 1, 2**31 - 1)), "2,147,483,647 bytes are announced"),
    ],
)
def test_each_lie_is_named(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(WeightsError, match=why):
        ctranslate2_file.read(tmp_path / "model.bin")


def test_an_absent_file_and_another_kind_of_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="fetch the model again"):
        ctranslate2_to_transformers(tmp_path, tmp_path / "out")
    (tmp_path / "model.bin").write_bytes(written(name="TransformerSpec"))
    with pytest.raises(WeightsError, match="TransformerSpec, not a Whisper model"):
        ctranslate2_to_transformers(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_fused_projections_are_taken_apart_and_a_key_bias_is_refused(tmp_path: Path) -> None:
    stem = "encoder/layer_0/self_attention/linear_0"
    weight, bias = np.arange(18, dtype=np.float16).reshape(9, 2), np.array([1, 2, 3, 0, 0, 0, 4, 5, 6], np.float16)
    embeddings = tensor("decoder/embeddings/weight", HALVES, 4)
    tied = (("decoder/projection/weight", "decoder/embeddings/weight"),)
    path = tmp_path / "model.bin"
    path.write_bytes(
        written(embeddings, tensor(f"{stem}/weight", weight, 4), tensor(f"{stem}/bias", bias, 4), aliases=tied)
    )
    tensors = state(ctranslate2_file.read(path))
    prefix = "model.encoder.layers.0.self_attn"
    assert set(tensors) == {
        "model.decoder.embed_tokens.weight",
        *(f"{prefix}.{letter}_proj.weight" for letter in "qkv"),
        f"{prefix}.q_proj.bias",
        f"{prefix}.v_proj.bias",
    }
    assert np.array_equal(tensors[f"{prefix}.k_proj.weight"], weight[3:6])
    assert tensors[f"{prefix}.v_proj.bias"].tolist() == [4, 5, 6]
    path.write_bytes(written(embeddings, tensor(f"{stem}/bias", np.ones(9, np.float16), 4), aliases=tied))
    with pytest.raises(WeightsError, match="key bias"):
        state(ctranslate2_file.read(path))
    path.write_bytes(written(embeddings, tensor("encoder/other/weight", weight, 4), aliases=tied))
    with pytest.raises(WeightsError, match="no part of Whisper"):
        state(ctranslate2_file.read(path))


def folder_of(key: str) -> Path:
    return fetch(catalog.get(key), Settings.load(), lambda progress: None, lambda: False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ctranslate2_to_transformers(folder_of("whisper-tiny.en"), tmp_path_factory.mktemp("converted") / "tiny.en")


@pytest.mark.weights
def test_the_weights_are_the_same_to_the_last_bit_and_every_key_has_its_place(tiny: Path) -> None:
    from transformers import WhisperForConditionalGeneration

    model, report = WhisperForConditionalGeneration.from_pretrained(tiny, output_loading_info=True)
    assert {name: list(keys) for name, keys in report.items() if keys} == {}
    source = ctranslate2_file.read(folder_of("whisper-tiny.en") / "model.bin").tensors
    ours = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    fused = np.concatenate([ours[f"model.decoder.layers.3.self_attn.{letter}_proj.weight"] for letter in "qkv"])
    assert np.array_equal(fused, source["decoder/layer_3/self_attention/linear_0/weight"].astype(np.float32))
    assert np.array_equal(ours["model.encoder.conv2.weight"], source["encoder/conv2/weight"].astype(np.float32))
    assert np.array_equal(ours["proj_out.weight"], source["decoder/embeddings/weight"].astype(np.float32))
    assert (
        sum(value.size for name, value in ours.items() if name != "proj_out.weight")
        == sum(values.size for values in source.values() if values.ndim)
        - source["decoder/embeddings/weight"].size
        - (4 + 4) * 384
        - 4 * 384
    )


@pytest.mark.weights
def test_converting_again_changes_nothing_and_leaves_nothing_behind(tiny: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in tiny.iterdir()}
    assert ctranslate2_to_transformers(folder_of("whisper-tiny.en"), tiny) == tiny
    assert {path.name: path.stat().st_mtime_ns for path in tiny.iterdir()} == before
    assert [path.name for path in tiny.parent.iterdir()] == [tiny.name]


@pytest.mark.weights
def test_a_conversion_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    source = folder_of("whisper-tiny.en")
    for name in ("model.bin", "config.json", "tokenizer.json"):
        shutil.copy(source / name, tmp_path / name)
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = tokenizer["added_tokens"][:3]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(WeightsError, match=r"The model has no <\|"):
        ctranslate2_to_transformers(tmp_path, tmp_path / "deep" / "out")
    assert list((tmp_path / "deep").iterdir()) == []


def greedy_texts(key: str, converted: Path, data: Path, count: int) -> list[tuple[str, str]]:
    """What CTranslate2 and transformers write for the same spectrograms, both in float32, greedily."""
    import ctranslate2
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    processor = WhisperProcessor.from_pretrained(converted)
    ours = WhisperForConditionalGeneration.from_pretrained(converted).eval()
    theirs = ctranslate2.models.Whisper(str(folder_of(key)), device="cpu", compute_type="float32", intra_threads=2)
    lines = (data / "speech_en" / "metadata.jsonl").read_text().splitlines()[:count]
    english = {"language": "en", "task": "transcribe"} if theirs.is_multilingual else {}
    names = ["<|startoftranscript|>", *(["<|en|>", "<|transcribe|>"] if english else []), "<|notimestamps|>"]
    prompt = processor.tokenizer.convert_tokens_to_ids(names)
    pairs = []
    for line in lines:
        path = data / "speech_en" / json.loads(line)["file"]
        sound = np.concatenate([block.samples for block in stream_audio(path, Settings())])
        features = processor(sound, sampling_rate=16000, return_tensors="pt").input_features
        tokens = ours.generate(features, num_beams=1, do_sample=False, **english)
        storage = ctranslate2.StorageView.from_array(features.numpy())
        result = theirs.generate(storage, [prompt], beam_size=1)[0].sequences_ids[0]
        pairs.append(tuple(processor.decode(ids, skip_special_tokens=True) for ids in (result, tokens[0])))
    return pairs


@pytest.mark.weights
@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
def test_both_engines_write_the_same_text(tiny: Path, data: Path) -> None:
    pairs = greedy_texts("whisper-tiny.en", tiny, data, 12)
    assert len(pairs) == 12 and all(left for left, _ in pairs)
    assert [right for _, right in pairs] == [left for left, _ in pairs]


@pytest.mark.weights
@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
def test_both_engines_write_the_same_text_with_the_multilingual_model(tmp_path: Path, data: Path) -> None:
    converted = ctranslate2_to_transformers(folder_of("whisper-base"), tmp_path / "base")
    settings = json.loads((converted / "generation_config.json").read_text())
    assert (settings["lang_to_id"]["<|en|>"], settings["lang_to_id"]["<|su|>"]) == (50259, 50357)
    assert settings["task_to_id"] == {"transcribe": 50359, "translate": 50358}
    pairs = greedy_texts("whisper-base", converted, data, 3)[1:]
    assert len(pairs) == 2 and all(left for left, _ in pairs)
    assert [right for _, right in pairs] == [left for left, _ in pairs]
