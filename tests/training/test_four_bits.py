"""Adapters are learned beside weights of 4 bits, on a CPU too, and what comes of it is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmdemo.errors import Unsupported
from mmdemo.settings import Settings
from mmdemo.training import models
from mmdemo.training.recipes import text_generation
from mmdemo.training.run import run
from tests.training import toys

pytest.importorskip("bitsandbytes")
ROWS = [
    {"messages": [{"role": "user", "content": f"{name} {place}"}, {"role": "assistant", "content": answer}]}
    for place in range(8)
    for name, answer in (("sky", "blue"), ("leaf", "green"))
]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft
def test_adapters_beside_four_bits_learn_and_are_merged_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_generation, "ANSWER", 8)
    settings = Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)
    model, data = toys.gpt(tmp_path / "gpt"), toys.table(tmp_path / "chat.jsonl", ROWS)
    folder = toys.a_run(
        tmp_path / "run", task="text-generation", data=str(data), model=str(model), batch=8, steps=16, method="qlora",
        learning_rate=2e-2, evaluate_every=16, evaluate_rows=2, validation=0.1, dropout=0.0,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    losses = [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")]
    assert losses[-1] < losses[0] - 0.2

    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    kept = load_file(folder / "model" / "model.safetensors")
    assert {str(one.dtype) for one in kept.values()} == {"torch.float32"}
    assert "quantization_config" not in json.loads((folder / "model" / "config.json").read_text())
    words = AutoTokenizer.from_pretrained(folder / "model")
    talk: Any = words.apply_chat_template(ROWS[0]["messages"], return_dict=True, return_tensors="pt")
    before, after = (
        AutoModelForCausalLM.from_pretrained(place)(**talk, labels=talk["input_ids"]).loss.item()
        for place in (model, folder / "model")
    )
    assert after < before, "what was learned beside four bits is in the whole weights"
    assert (folder / "model" / "adapter" / "adapter_config.json").is_file()


def test_four_bits_are_refused_where_they_do_not_run() -> None:
    models.check_method("qlora", "cpu")
    models.check_method("lora", "mps")
    with pytest.raises(Unsupported, match="QLoRA needs a CPU or an NVIDIA GPU"):
        models.check_method("qlora", "mps")
