"""Ways to fuse with every kind of decoder: they learn, they generate, they are saved and loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from mmdemo.fusion.attention import GatedCrossAttention, Resampler
from mmdemo.fusion.fuse import FUSIONS
from mmdemo.fusion.model import FusionModel
from tests.fusion.chains import DECODERS, chain, model_of

ROOT = Path(__file__).parents[2]
PAIRS = [(fusion, decoder) for fusion in FUSIONS for decoder in DECODERS]
PAIRS.remove(("cross-attention", "llama"))  # it has no such layers
FRESH = """
import json, sys, torch
import mmdemo.fusion.model
torch.set_num_threads(1)
from transformers import AutoModelForImageTextToText
model = AutoModelForImageTextToText.from_pretrained(sys.argv[1]).eval()
given = torch.load(sys.argv[1] + "/given.pt")
with torch.inference_mode():
    print(json.dumps(model(**given).logits.tolist()))
"""


def given() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "input_ids": torch.tensor([[1, 5, 6], [1, 7, 8]]),
        "pixel_values": torch.randn(2, 3, 32, 32, generator=generator),
        "audio_values": torch.randn(2, 20, 100, generator=generator),
    }


@pytest.mark.parametrize(("fusion", "decoder"), PAIRS)
def test_it_learns_two_answers_and_says_them_greedily_and_with_beams(fusion: str, decoder: str) -> None:
    model = model_of(chain(decoder, fusion=fusion, fusion_layers=1), seed=1)
    seen = {name: value for name, value in given().items() if name != "input_ids"}
    inputs, labels = torch.tensor([[1, 10, 11], [1, 20, 21]]), torch.tensor([[10, 11, 2], [20, 21, 2]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(200 if decoder == "fusion_lstm" else 60):
        model(input_ids=inputs, labels=labels, **seen).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    for beams in (1, 2):
        said = model.generate(**seen, max_new_tokens=3, num_beams=beams, do_sample=False, pad_token_id=0)
        assert said.tolist() == [[10, 11, 2], [20, 21, 2]]


@pytest.mark.parametrize(("fusion", "decoder"), PAIRS)
def test_what_is_generated_is_what_the_logits_say(fusion: str, decoder: str) -> None:
    """Word by word from the state of generation, and all at once."""
    model = model_of(chain(decoder, fusion=fusion), seed=2)
    for gate in getattr(model, "gates", ()):
        torch.nn.init.ones_(gate.attention_gate)
    seen = {name: value for name, value in given().items() if name != "input_ids"}
    said = model.generate(**seen, max_new_tokens=6, min_new_tokens=6, do_sample=False, pad_token_id=0)
    read = torch.cat([torch.ones(2, 1, dtype=torch.long), said[:, :-1]], dim=1)
    with torch.inference_mode():
        logits = model(input_ids=read, **seen).logits
        logits[:, :, 2] = -torch.inf
    assert logits.argmax(-1).tolist() == said.tolist()


@pytest.mark.parametrize("decoder", ["gpt2", "llama"])
def test_closed_gates_leave_a_language_model_as_it_was(decoder: str) -> None:
    model = model_of(chain(decoder, fusion="gated-cross-attention"))
    inputs = given()
    with torch.inference_mode():
        fused = model(**inputs).logits
        assert torch.allclose(fused, model.language_model(inputs["input_ids"]).logits, atol=1e-6)
        torch.nn.init.ones_(model.gates[0].attention_gate)
        assert not torch.allclose(model(**inputs).logits, fused, atol=1e-4)


def test_gates_may_stand_before_every_second_layer_only() -> None:
    assert len(model_of(chain("llama", fusion="gated-cross-attention", gate_every=2)).gates) == 1


def test_learned_queries_are_as_many_whatever_they_read_and_see_no_absent_tokens() -> None:
    torch.manual_seed(0)
    resampler = Resampler(queries=3, hidden=16, heads=2, layers=2)
    modal = torch.randn(2, 7, 16)
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[0, 4:] = False
    found = resampler(modal, mask)
    assert found.shape == (2, 3, 16)
    assert torch.allclose(found[:1], resampler(modal[:1, :4]), atol=1e-5)
    assert not torch.allclose(found[1:], resampler(modal[1:, :4]), atol=1e-3)


def test_attention_that_is_recorded_is_the_attention_that_was_used() -> None:
    torch.manual_seed(0)
    layer = GatedCrossAttention(16, heads=2)
    torch.nn.init.ones_(layer.attention_gate)
    text, modal = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    mask = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]]).bool()
    plain = layer(text, modal, mask)
    layer.attention.records = True
    assert torch.allclose(layer(text, modal, mask), plain, atol=1e-6)
    assert layer.attention.weights.shape == (2, 2, 3, 5)
    assert torch.allclose(layer.attention.weights.sum(-1), torch.ones(2, 2, 3))
    assert layer.attention.weights[0, ..., 3:].max() == 0


@pytest.mark.parametrize(
    ("fusion", "decoder"),
    [("attention", "fusion_lstm"), ("gated-cross-attention", "llama"), ("concat", "gpt2"), ("cross-attention", "gpt2")],
)
def test_saved_and_loaded_in_another_process_it_gives_the_same_logits(tmp_path, fusion: str, decoder: str) -> None:
    model = model_of(chain(decoder, fusion=fusion))
    with torch.no_grad():
        for gate in getattr(model, "gates", ()):
            gate.attention_gate.fill_(0.7)
    model.save_pretrained(tmp_path)
    torch.save(given(), tmp_path / "given.pt")
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # how threads share a sum may differ from one process to the next, in the last bit
    with torch.inference_mode():
        expected = model(**given()).logits
    torch.set_num_threads(threads)
    assert torch.equal(torch.tensor(json.loads(done.stdout)), expected)


def test_it_is_loaded_in_sixteen_bits_too(tmp_path) -> None:
    model = model_of(chain("llama", fusion="attention"))
    model.save_pretrained(tmp_path)
    half = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    assert isinstance(half, FusionModel) and half.vision_projector[0].weight.dtype == torch.bfloat16
    inputs = {name: value.bfloat16() if value.is_floating_point() else value for name, value in given().items()}
    with torch.inference_mode():
        assert torch.allclose(half(**inputs).logits.float(), model(**given()).logits, atol=0.05)


def test_a_fresh_lstm_remembers_at_first_and_a_loaded_one_keeps_what_it_learned(tmp_path) -> None:
    model = model_of(chain("fusion_lstm"))
    bias = model.language_model.layers[0].bias_ih_l0
    assert bias[32:64].eq(1).all() and bias[:32].abs().max() < 0.5
    with torch.no_grad():
        bias.fill_(-0.25)
    model.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert again.language_model.layers[0].bias_ih_l0.eq(-0.25).all()
