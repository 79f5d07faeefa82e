"""Checkpoints that come packed: taken as they come where they can be, else refused before anything is fetched."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from mmdemo import catalog, packings, torchvision_ops
from mmdemo.errors import Unsupported
from mmdemo.runtime import quantization
from mmdemo.runtime.base import Converser
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from tests.loopback import Served
from tests.runtime.backends.test_causal_lm import tokenizer
from tests.runtime.backends.test_quantized import held

Publish = Callable[..., None]
KINDS = {
    "fp8": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 32},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"},
    "compressed-tensors": {"quant_method": "compressed-tensors", "format": "pack-quantized"},
    "superquant": {"quant_method": "superquant"},
}
BYTES = {"fp8": 1, "gptq": 0.5, "awq": 0.5, "compressed-tensors": 0.5, "superquant": 0.5}
"""Of a weight in a linear layer, without its scales."""
WAYS_OUT = "choose the same model with whole weights, or as a GGUF file."
REFUSED = {
    "gptq": f"which needs a CUDA GPU and optimum, gptqmodel: {WAYS_OUT}",
    "awq": f"which needs a CUDA GPU and gptqmodel: {WAYS_OUT}",
    "compressed-tensors": f"which needs compressed-tensors: install that, or {WAYS_OUT}",
    "superquant": f"which nothing here opens: {WAYS_OUT}",
}
ASKED = [{"role": "user", "content": "the dog runs on"}]
CPU = How("auto", "cpu")

pytestmark = pytest.mark.filterwarnings("ignore")  # torch and bitsandbytes announce what they will drop


def whole() -> Any:
    """A random Llama, most of which is linear layers of whole blocks of 128 by 128."""
    torchvision_ops.prepare()
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=12, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, eos_token_id=1, bos_token_id=None, pad_token_id=1,
        tie_word_embeddings=False,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def packed(weight: torch.Tensor, name: str, kind: str) -> dict[str, torch.Tensor]:
    """A linear layer's weight, (rows, columns), as it lies in a checkpoint of the kind."""
    rows, columns = weight.shape
    if kind == "fp8":
        blocks = weight.reshape(rows // 128, 128, columns // 128, 128)
        scale = blocks.abs().amax(dim=(1, 3)) / 448
        small = (blocks / scale[:, None, :, None]).reshape(rows, columns).to(torch.float8_e4m3fn)
        return {name: small, f"{name}_scale_inv": scale}
    stem, groups = name.removesuffix("weight"), columns // 32
    return {
        f"{stem}qweight": torch.zeros(columns // 8, rows, dtype=torch.int32),
        f"{stem}qzeros": torch.zeros(groups, rows // 8, dtype=torch.int32),
        f"{stem}scales": torch.ones(groups, rows, dtype=torch.float16),
    }


def write(folder: Path, kind: str) -> Path:
    folder.mkdir()
    model = whole()
    tensors: dict[str, torch.Tensor] = {}
    for name, weight in model.state_dict().items():
        linear = name.endswith("_proj.weight")
        tensors |= packed(weight, name, kind) if linear else {name: weight.to(torch.bfloat16)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    own = {**KINDS[kind], "modules_to_not_convert": ["lm_head"]}
    config = {**model.config.to_dict(), "architectures": ["LlamaForCausalLM"], "quantization_config": own}
    (folder / "config.json").write_text(json.dumps(config))
    chat(folder)
    return folder


def chat(folder: Path) -> None:
    tokenizer("{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}").save_pretrained(folder)  # type: ignore[attr-defined]


@pytest.fixture
def manager(tmp_path: Path) -> Manager:
    return Manager(Settings(home=str(tmp_path / "home"), device="cpu", threads=1, offline=True))


def said(manager: Manager, folder: Path) -> tuple[Any, str]:
    backend = manager.get(str(folder), how=CPU)
    assert isinstance(backend, Converser)
    return backend, "".join(backend.talk(ASKED, max_tokens=6))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_come_packed_are_offered_as_they_come_and_no_other_way(kind: str, tmp_path: Path) -> None:
    row = catalog.get(str(write(tmp_path / "model", kind)))
    assert row.packed == kind
    for device in ("cpu", "cuda", "mps"):
        assert [way.name for way in quantization.ways(row, device)] == ["auto"]
    with pytest.raises(Unsupported, match=r"does not run in int8 on this device \(cpu\); choose one of: auto"):
        quantization.way(row, "cpu", "int8")
    assert not quantization.can_be_spread(row, "auto")


def test_eight_bit_floats_are_unpacked_and_say_what_the_whole_model_says(tmp_path: Path, manager: Manager) -> None:
    folder = write(tmp_path / "model", "fp8")
    known = manager.estimate(str(folder), CPU)
    backend, answer = said(manager, folder)
    assert answer and known.dtype == "bfloat16"
    assert 0.9 <= known.weights / held(backend._model) <= 1.1
    ids = torch.arange(2, 12)[None]
    with torch.inference_mode():
        right = torch.log_softmax(whole().eval()(input_ids=ids).logits, -1)
        found = torch.log_softmax(backend._model(input_ids=ids).logits.float(), -1)
    assert float((right.exp() * (right - found)).sum(-1).mean()) < 0.01


@pytest.mark.skipif(not find_spec("bitsandbytes"), reason="bitsandbytes is not installed")
@pytest.mark.parametrize("bits", [4, 8])
def test_what_bitsandbytes_has_packed_is_held_as_it_lies_and_answers(
    bits: int, tmp_path: Path, manager: Manager
) -> None:
    model = whole()
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    model.save_pretrained(tmp_path / "whole")
    how = BitsAndBytesConfig(load_in_4bit=True) if bits == 4 else BitsAndBytesConfig(load_in_8bit=True)
    folder = tmp_path / "model"
    AutoModelForCausalLM.from_pretrained(
        tmp_path / "whole", quantization_config=how, dtype=torch.bfloat16
    ).save_pretrained(folder)
    chat(folder)
    known = manager.estimate(str(folder), CPU)
    assert known.dtype == "bitsandbytes" and known.cache and known.activations
    backend, answer = said(manager, folder)
    assert answer
    assert 0.9 <= known.weights / held(backend._model) <= 1.1, (known.weights, held(backend._model))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_opened_here_is_weighed_and_refused_in_a_sentence(
    kind: str, tmp_path: Path, manager: Manager
) -> None:
    folder = write(tmp_path / "model", kind)
    known = manager.estimate(str(folder), CPU)
    assert known.dtype == kind
    assert known.weights == sum(one.bytes for one in known.stored) > 0
    with pytest.raises(Unsupported) as caught:
        manager.get(str(folder), how=CPU)
    assert str(caught.value) == f"model comes with its weights packed ({kind}), {REFUSED[kind]}"
    assert not manager.status().loaded


@pytest.mark.parametrize("kind", KINDS)
def test_on_the_hub_the_estimate_is_that_of_the_files_and_nothing_is_fetched_for_a_refusal(
    kind: str, tmp_path: Path, hub: Publish, served: Served
) -> None:
    folder = write(tmp_path / "model", kind)
    hub("someone/packed", {path.name: path.read_bytes() for path in folder.iterdir()})
    manager = Manager(Settings(home=str(tmp_path / "home"), device="cpu", threads=1))
    key = "hub:someone/packed"
    before = manager.estimate(key, CPU)
    layers = sum(one.bytes for one in before.stored if one.name == "model.layers")
    numbers = 2 * (256 * 256 * 2 + 2 * 128 * 256 + 3 * 256 * 512)
    assert numbers * BYTES[kind] < layers < numbers * (BYTES[kind] + 0.2)
    assert manager.spec(key).packed == kind and Manager(manager.settings).spec(key).packed == kind
    if kind in REFUSED:
        assert before.weights == sum(one.bytes for one in before.stored)
        asked = len(served.log)
        with pytest.raises(Unsupported, match=REFUSED[kind].split(":")[0]):
            manager.get(key, how=CPU)
        assert len(served.log) == asked, "nothing was asked for"
    manager.fetch(key)
    assert manager.estimate(key, CPU) == before


def test_without_headers_packed_weights_count_as_many_bytes_as_the_hub_lists(
    tmp_path: Path, hub: Publish, served: Served
) -> None:
    folder = write(tmp_path / "model", "gptq")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub("someone/packed", files)
    served.ranges = False
    manager = Manager(Settings(home=str(tmp_path / "home"), device="cpu", threads=1))
    found = manager.estimate("hub:someone/packed", CPU)
    assert not found.stored and found.weights == manager.spec("hub:someone/packed").bytes
    assert 0.9 < found.weights / len(files["model.safetensors"]) < 1.1


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({}, ""), ({"quantization_config": None}, ""),
        ({"quantization_config": {"load_in_8bit": True}}, "bitsandbytes"),
        ({"text_config": {"quantization_config": {"quant_method": "awq"}}}, "awq"),
        ({"quantization_config": {"bits": 3}}, "unknown"),
    ],
)  # fmt: skip
def test_how_weights_are_packed_is_read_where_it_stands(config: dict[str, Any], kind: str) -> None:
    assert packings.kind_of(config) == kind
