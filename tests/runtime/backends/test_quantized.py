"""A tiny language model in every way that works on a CPU: what it is made of, what it takes, what it says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from mmdemo import catalog, torchvision_ops
from mmdemo.runtime import backends
from mmdemo.runtime.backends import sizing
from mmdemo.runtime.backends.causal_lm import CausalLMBackend
from mmdemo.runtime.backends.linear8 import Linear8
from mmdemo.runtime.base import Load
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings
from tests.runtime.backends.test_causal_lm import tokenizer

SPEC = catalog.get(str(Path(__file__).parents[3] / "assets" / "starter"))
WAYS = ["fp32", "bf16", "int8", pytest.param("int4", marks=pytest.mark.skipif(not find_spec("bitsandbytes"), reason="bitsandbytes is not installed"))]  # fmt: skip # noqa: E501
ASKED = [{"role": "user", "content": "the dog runs on"}]

pytestmark = pytest.mark.filterwarnings("ignore")  # torch and bitsandbytes announce what they will drop


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers, wide enough that its linear layers are most of it."""
    torchvision_ops.prepare()
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("llama")
    config = LlamaConfig(
        vocab_size=12, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, eos_token_id=1, bos_token_id=None, pad_token_id=1,
        tie_word_embeddings=False,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer("{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}").save_pretrained(folder)  # type: ignore[attr-defined]
    return folder


def request(folder: Path, quantization: str, **more: object) -> Load:
    spec = catalog.get(str(folder))
    return Load(spec, {spec.key: folder}, "cpu", 2, quantization=quantization, **more)  # type: ignore[arg-type]


def held(model: torch.nn.Module) -> int:
    """Bytes of all weights as they are held."""
    total = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
    for module in model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None:
            total += state.absmax.nbytes + (state.state2.absmax.nbytes if state.nested else 0)
    return total


@pytest.mark.parametrize("way", WAYS)
def test_it_answers_and_takes_what_was_estimated(folder: Path, way: str) -> None:
    asked = request(folder, way)
    estimate = backends.estimate(asked)
    backend = CausalLMBackend(asked)
    assert "".join(backend.talk(ASKED, max_tokens=6))
    assert 0.9 <= estimate.weights / held(backend._model) <= 1.1, (way, estimate.weights, held(backend._model))
    ids = torch.ones(1, sizing.TOKENS, dtype=torch.long)
    with torch.inference_mode(), sizing.Live() as live:
        out = backend._model(input_ids=ids, use_cache=True, logits_to_keep=1)
    cache = sum(tensor.nbytes for tensor in sizing.cached(out.past_key_values))
    taken = held(backend._model) + live.peak
    assert cache == estimate.cache
    if way in ("fp32", "bf16"):  # quantized layers make copies that no operator's shape tells
        alone = estimate.total - estimate.other  # what is kept of earlier conversations: there are none
        assert 0.9 <= alone / taken <= 1.1, (estimate, live.peak)


@pytest.mark.parametrize("way", WAYS[1:])
def test_fewer_bits_say_nearly_the_same(folder: Path, way: str) -> None:
    ids = torch.arange(2, 12)[None]

    def likely(name: str) -> torch.Tensor:
        model = CausalLMBackend(request(folder, name))._model
        with torch.inference_mode():
            return torch.log_softmax(model(input_ids=ids).logits.float(), -1)

    whole, fewer = likely("fp32"), likely(way)
    divergence = float((whole.exp() * (whole - fewer)).sum(-1).mean())
    assert 0 < divergence < {"bf16": 1e-3, "int8": 0.01, "int4": 0.2}[way]


def test_eight_bits_are_eight_bits(folder: Path) -> None:
    model = CausalLMBackend(request(folder, "int8"))._model
    layers = [module for module in model.modules() if isinstance(module, Linear8)]
    assert len(layers) == 15 and {layer.weight.dtype for layer in layers} == {torch.int8}
    assert not any(type(module) is torch.nn.Linear for module in model.modules())


@pytest.mark.parametrize("inputs", [1, 12, 32, 100, 576])
@pytest.mark.parametrize("tokens", [(0,), (1,), (2, 3), (32,), (33,)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_of_eight_bits_is_the_layer_with_its_weights_rounded(
    inputs: int, tokens: tuple[int, ...], bias: bool
) -> None:
    torch.manual_seed(inputs)
    layer = torch.nn.Linear(inputs, 7, bias=bias)
    packed = Linear8(layer)
    given = torch.randn(*tokens, inputs)
    given[..., :1] *= 100  # as in language models: one channel is far larger than the rest
    rounded = torch.nn.functional.linear(given, packed.weight.float() * packed.scale.float()[:, None], layer.bias)
    steps = (packed.weight.float() * packed.scale.float()[:, None] - layer.weight).abs().amax(dim=1)
    assert bool((steps <= 0.51 * packed.scale.float() + 0.003 * layer.weight.abs().amax(dim=1)).all())
    room = 0.02 * given.abs() @ layer.weight.abs().T + 0.01  # five roundings to the 8 bits of bfloat16
    for dtype in (torch.float32, torch.bfloat16):
        made = packed.to(dtype)(given.to(dtype)) if dtype == torch.bfloat16 else packed(given)
        assert made.dtype == dtype and made.shape == (*tokens, 7)
        assert bool(((made.float() - rounded).abs() <= room).all())
    assert packed.weight.dtype == torch.int8  # casting the model leaves them


@pytest.mark.weights
def test_a_real_language_model_keeps_its_answer_in_eight_bits() -> None:
    row = catalog.get("smollm2-135m-instruct")
    folder = fetch(row, Settings.load())
    question = [{"role": "user", "content": "What is the capital of France?"}]
    talker = CausalLMBackend(Load(row, {row.key: folder}, "cpu", 2, quantization="int8"))
    assert "Paris" in "".join(talker.talk(question, max_tokens=12))


def test_layers_that_have_no_room_in_memory_are_read_from_the_disk_and_say_the_same(folder: Path) -> None:
    whole = "".join(CausalLMBackend(request(folder, "fp32")).talk(ASKED, max_tokens=6))
    spread = CausalLMBackend(request(folder, "fp32", budget={"cpu": 4_000_000}))
    places = set(spread._model.hf_device_map.values())
    assert places == {"cpu", "disk"}, spread._model.hf_device_map
    assert "".join(spread.talk(ASKED, max_tokens=6)) == whole
