"""The language model: real starter weights, and a tiny checkpoint for what can go wrong."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from mmdemo import catalog
from mmdemo.errors import Cancelled, Unsupported, WeightsError
from mmdemo.runtime.backends import causal_lm
from mmdemo.runtime.backends.causal_lm import CausalLMBackend
from mmdemo.runtime.base import Load, Talker
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings

SPEC = catalog.get("smollm2-135m-instruct")
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def request(folder: Path, **more: object) -> Load:
    return Load(SPEC, {SPEC.key: folder}, "cpu", 2, **more)  # type: ignore[arg-type]


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "generate"]


def tokenizer(template: str | None) -> object:
    """Words of a tiny language, one token each."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<end>", "the", "a", "dog", "cat", "runs", "sits", "on", "in", "grass", "snow"]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", eos_token="<end>", pad_token="<end>")
    made.chat_template = template
    return made


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with a chat template, saved like any checkpoint."""
    from mmdemo import torchvision_ops

    torchvision_ops.prepare()
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    config = LlamaConfig(
        vocab_size=12, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=40, eos_token_id=1, bos_token_id=None, pad_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    template = "{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}"
    tokenizer(template).save_pretrained(folder)  # type: ignore[attr-defined]
    return folder


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> CausalLMBackend:
    """The starter model, from a folder with nothing but the GGUF file."""
    folder = tmp_path_factory.mktemp("smollm")
    (folder / "model.gguf").symlink_to(fetch(SPEC, Settings.load()) / "model.gguf")
    return CausalLMBackend(request(folder))


@pytest.mark.weights
def test_the_starter_model_knows_the_capital_of_france(smollm: CausalLMBackend) -> None:
    assert isinstance(smollm, Talker)
    pieces = list(smollm.talk(QUESTION, max_tokens=40))
    assert "".join(pieces) == "The capital of France is Paris."
    assert len(pieces) >= 5, "it streams"


@pytest.mark.weights
def test_a_gguf_file_is_unpacked_once_and_the_next_start_answers_alike(
    smollm: CausalLMBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = smollm.folder / "model.gguf"
    assert causal_lm.is_unpacked(packed)
    monkeypatch.setattr(CausalLMBackend, "_unpack", lambda self, packed: pytest.fail("unpacked again"))
    again = CausalLMBackend(request(packed.parent))
    assert again._model.dtype == smollm._model.dtype
    prompt = [{"role": "user", "content": "Name three animals."}]
    assert list(again.talk(prompt, max_tokens=12)) == list(smollm.talk(prompt, max_tokens=12))
    assert not list(packed.parent.glob(".unpacked-*")), "nothing half-made is left"


@pytest.mark.weights
def test_closing_the_answer_stops_the_model_within_a_token(smollm: CausalLMBackend) -> None:
    seen: list[int] = []
    handle = smollm._model.register_forward_hook(lambda *_: seen.append(1))
    answer = smollm.talk([{"role": "user", "content": "Write a long story about a dog."}], max_tokens=200)
    next(answer)
    before = len(seen)
    answer.close()  # type: ignore[attr-defined]
    handle.remove()
    assert not running(), "the thread is gone when close returns"
    assert len(seen) <= before + 2
    assert "".join(smollm.talk(QUESTION, max_tokens=40)) == "The capital of France is Paris.", "and later work runs"


def test_a_safetensors_folder_talks_no_longer_than_asked(tiny: Path) -> None:
    backend = CausalLMBackend(request(tiny))
    text = "".join(backend.talk([{"role": "user", "content": "the dog runs"}], max_tokens=5))
    assert 1 <= len(text.split()) <= 5
    backend.close()


def test_it_answers_like_generate_itself(tiny: Path) -> None:
    backend = CausalLMBackend(request(tiny))
    inputs = backend._tokenizer("the cat sits ", return_tensors="pt")
    whole = backend._model.generate(
        **inputs, max_new_tokens=6, do_sample=False, repetition_penalty=causal_lm.PENALTY, pad_token_id=1
    )
    expected = backend._tokenizer.decode(whole[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert "".join(backend.talk([{"role": "user", "content": "the cat sits"}], max_tokens=6)) == expected


def test_a_text_longer_than_the_model_reads_is_refused(tiny: Path) -> None:
    backend = CausalLMBackend(request(tiny))
    with pytest.raises(Unsupported, match="shorten the text by 11 tokens"):
        list(backend.talk([{"role": "user", "content": "dog " * 50}], max_tokens=5))


def test_a_checkpoint_without_a_chat_template_says_so(tiny: Path, tmp_path: Path) -> None:
    for file in ("config.json", "model.safetensors", "generation_config.json"):
        (tmp_path / file).write_bytes((tiny / file).read_bytes())
    tokenizer(None).save_pretrained(tmp_path)  # type: ignore[attr-defined]
    with pytest.raises(Unsupported, match="no chat template"):
        list(CausalLMBackend(request(tmp_path)).talk(QUESTION, max_tokens=5))


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"would run code")
    with pytest.raises(WeightsError, match="pickle file, which could run any code"):
        CausalLMBackend(request(tmp_path))


def test_a_folder_without_weights_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"needs a \.safetensors or \.gguf file"):
        CausalLMBackend(request(tmp_path))


def test_a_file_cut_short_names_the_checkpoint(tiny: Path, tmp_path: Path) -> None:
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"SmolLM2 135M Instruct .* cannot be opened"):
        CausalLMBackend(request(tmp_path))


def test_weights_that_are_missing_do_not_stay_random(tiny: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tiny / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks 1 of the weights .*layers\.1\.mlp\.up_proj"):
        CausalLMBackend(request(tmp_path))


def test_loading_stops_when_the_user_does(tiny: Path) -> None:
    with pytest.raises(Cancelled):
        CausalLMBackend(request(tiny, cancelled=lambda: True))


def test_loading_stops_between_two_weights_when_the_user_does(tiny: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    weights = len(load_file(tiny / "model.safetensors"))
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(len(asked))
        return len(asked) == most

    most = 1_000
    CausalLMBackend(request(tiny, cancelled=stopped))
    assert weights <= len(asked) < most
    most = len(asked) - 1  # all but the last weight
    asked.clear()
    with pytest.raises(Cancelled, match=r"Loading .* was stopped"):
        CausalLMBackend(request(tiny, cancelled=stopped))
    assert len(asked) == most
    AutoModelForCausalLM.from_pretrained(tiny)  # which asks nobody
    assert len(asked) == most


@pytest.mark.weights
def test_unpacking_a_gguf_file_stops_between_two_weights_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").symlink_to(fetch(SPEC, Settings.load()) / "model.gguf")
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(len(asked))
        return len(asked) == 30

    with pytest.raises(Cancelled):
        CausalLMBackend(request(tmp_path, cancelled=stopped))
    assert len(asked) == 30
    assert [file.name for file in tmp_path.iterdir()] == ["model.gguf"]


def test_an_error_inside_the_model_reaches_the_reader(tiny: Path) -> None:
    backend = CausalLMBackend(request(tiny))

    def broken(*_: object) -> None:
        raise ZeroDivisionError("in the model")

    backend._model.model.layers[1].register_forward_pre_hook(broken)
    with pytest.raises(ZeroDivisionError, match="in the model"):
        list(backend.talk([{"role": "user", "content": "the dog"}], max_tokens=5))
    assert not running()
