"""Chains from their choices: shown before they are made, written whole, and rows of the studio then."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdemo import catalog
from mmdemo.chains import Compose
from mmdemo.cli import main
from mmdemo.errors import InputError
from mmdemo.fusion import checkpoint
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.training import composing
from tests.training import toys

FRESH: dict[str, Any] = {"vision": "patches", "audio": "patches", "language": "lstm", "width": 32, "layers": 1}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


@pytest.mark.parametrize("fusion", ["concat", "attention", "gated-cross-attention"])
def test_what_is_shown_is_what_is_written(tmp_path: Path, settings: Settings, fusion: str) -> None:
    options = Compose(
        vision="patches", audio=str(toys.whisper(tmp_path / "ear")), text=str(toys.bert(tmp_path / "reader")),
        language=str(toys.gpt(tmp_path / "writer")), fusion=fusion, frames=2, gate_every=9, lora_rank=4,
    )  # fmt: skip
    shown = composing.chain(options, settings)
    assert shown.problems == ()
    model = checkpoint.opened(composing.write(options, tmp_path / "chain", settings))
    learned_beside = 4 * sum(sum(one.weight.shape) for one in composing.compose.projections(model).values())
    assert shown.trainable + shown.frozen == sum(one.numel() for one in model.parameters()) + learned_beside
    about = model.config
    assert (about.tuning, about.parts["audio"], about.frames) == ("lora", options.audio, 2)
    assert set(about.encoders) == {"audio", "text"} and about.gate_every == 2
    spec = catalog.get(str(tmp_path / "chain"))
    assert (spec.backend, spec.tasks, spec.parts, spec.answers) == ("chain", ("describe", "transcribe"), (), True)


def test_a_fresh_language_model_has_room_for_what_is_seen(tmp_path: Path, settings: Settings) -> None:
    options = Compose(vision="patches", language="transformer", frames=4, width=32, layers=1)
    folder = composing.write(options, tmp_path / "chain", settings)
    model = checkpoint.opened(folder)
    assert model.config.text_config.n_positions == 4 * 16 + composing.SPARE
    assert model.generate(pixel_values=torch.zeros(1, 4, 3, 64, 64), max_new_tokens=2).shape[1] <= 2
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 2


def test_gates_are_open_for_a_language_model_that_knows_nothing_and_closed_for_one_that_can_write(
    tmp_path: Path, settings: Settings
) -> None:
    begun = {}
    for name, language in (("fresh", "lstm"), ("learned", str(toys.gpt(tmp_path / "writer")))):
        options = Compose(**{**FRESH, "language": language, "fusion": "gated-cross-attention"})
        model = checkpoint.opened(composing.write(options, tmp_path / name, settings))
        begun[name] = {
            gate.tanh().item() for one in model.gates for gate in (one.attention_gate, one.feed_forward_gate)
        }
    assert begun["learned"] == {0.0} and list(begun["fresh"]) == [pytest.approx(0.76, abs=0.01)]


def test_plain_transformers_gives_the_same_logits_in_a_process_of_its_own(tmp_path: Path, settings: Settings) -> None:
    folder = composing.write(Compose(**FRESH), tmp_path / "chain", settings)
    code = (
        "import torch, mmdemo.fusion.model\n"
        "from transformers import AutoModelForImageTextToText, AutoTokenizer\n"
        f"model = AutoModelForImageTextToText.from_pretrained({str(folder)!r}).eval()\n"
        f"ids = AutoTokenizer.from_pretrained({str(folder)!r})('a dog', return_tensors='pt').input_ids\n"
        "with torch.inference_mode():\n"
        "    logits = model(ids, torch.ones(1, 3, 64, 64), audio_values=torch.ones(1, 80, 200)).logits\n"
        f"torch.save(logits, {str(tmp_path / 'logits.pt')!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    ids = composing.tokenizer_of(Compose(**FRESH), settings)("a dog", return_tensors="pt").input_ids
    with torch.inference_mode():
        own = checkpoint.opened(folder)(ids, torch.ones(1, 3, 64, 64), audio_values=torch.ones(1, 80, 200)).logits
    assert own.std() > 0.01 and torch.allclose(torch.load(tmp_path / "logits.pt", weights_only=True), own, atol=1e-6)


def test_the_studio_shows_a_chain_and_has_it_as_a_row_when_it_is_composed(settings: Settings) -> None:
    studio = Studio(settings)
    *_, shown = studio.chain(Compose(**FRESH))
    assert not isinstance(shown, Progress) and {"encoder", "fusion"} < {part.role for part in shown.parts}
    *_, first = studio.compose(Compose(**FRESH))
    *_, second = studio.compose(Compose(**FRESH))
    keys = [row.spec.key for row in studio.rows() if row.cached]
    assert not isinstance(first, Progress) and not isinstance(second, Progress)
    assert {first.key, second.key} <= set(keys) and first.title == "patches-patches-concat-lstm"
    studio.close()


def test_reasons_are_shown_and_not_raised(tmp_path: Path, settings: Settings) -> None:
    def said(**given: Any) -> str:
        return " ".join(
            composing.chain(Compose(**{"vision": "patches", "language": "lstm", **given}), settings).problems
        )

    assert "has no cross-attention" in said(language=str(toys.gpt(tmp_path / "gpt")), fusion="cross-attention")
    assert "nothing to encode" in said(vision="")
    assert "choose a language model" in said(language="")
    assert "is not on this machine yet" in said(audio="whisper-base")
    assert "There is no model 'nobody'" in said(vision="nobody")


def test_a_chain_is_not_written_over_something(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="is not empty: choose another folder"):
        composing.write(Compose(**FRESH), tmp_path, settings)


def test_the_command_prints_the_chain_and_writes_it(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MMDEMO_HOME", settings.home)
    asked = ["compose", "--vision", "patches", "--language", "lstm", "--width", "32", "--layers", "1"]
    assert main([*asked, "--out", str(tmp_path / "c"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(tmp_path / "c") and (tmp_path / "c" / "config.json").is_file()
    assert found["trainable"] == sum(part["trainable"] for part in found["parts"]) > 0
    assert main([*asked, "--fusion", "attention"]) == 0
    assert "16 × 32" in capsys.readouterr().out
    assert main(["compose", "--vision", "", "--language", "lstm"]) == 1
    assert "nothing to encode" in capsys.readouterr().out
