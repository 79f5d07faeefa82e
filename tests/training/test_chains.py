"""Composed chains learn captions of pictures, of videos with sound and of sounds, and answer through the studio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmdemo.chains import Compose
from mmdemo.fusion import checkpoint
from mmdemo.fusion.processing import train_tokenizer
from mmdemo.media.audio import RATE, write_wav
from mmdemo.results import Description, Track, Transcript
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.training import composing, plan
from mmdemo.training.run import run
from tests.media import clips
from tests.training import toys
from tests.training.test_media_recipes import squares, tones

SMALL: dict[str, Any] = {"width": 48, "layers": 1, "queries": 4, "fusion_layers": 1, "gate_every": 1}
LEARNING: dict[str, Any] = {"batch": 8, "learning_rate": 1e-2, "validation": 0.2}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    toys.table(folder / "metadata.jsonl", [{**row, "captions": [row.pop("text")]} for row in squares(folder, 24)])
    return folder


def composed(tmp_path: Path, settings: Settings, **given: Any) -> Path:
    words = ["something red", "something blue", "low tone", "high tone", "red with silence", "blue with a tone"]
    train_tokenizer(words * 3, 300).save_pretrained(tmp_path / "words")
    options = Compose(**{**SMALL, "tokenizer": str(tmp_path / "words"), **given})
    return composing.write(options, tmp_path / "chain", settings)


def said(folder: Path) -> list[tuple[str, str]]:
    return [(event["target"], event["text"]) for event in toys.events_of(folder, "sample")][-3:]


def test_a_fresh_chain_learns_pictures_and_describes_them_in_the_studio(
    tmp_path: Path, settings: Settings, pictures: Path
) -> None:
    model = composed(tmp_path, settings, vision="patches", language="lstm", fusion="cross-attention")
    folder = toys.a_run(
        Path(settings.home) / "runs" / "one", task="image-to-text", data=str(pictures), model=str(model), steps=40,
        evaluate_every=40, **LEARNING,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    assert all(target == text for target, text in said(folder)), said(folder)
    studio = Studio(settings)
    assert f"folder:{(folder / 'model').resolve()}" in [row.spec.key for row in studio.rows()]
    told = {"model": str(folder / "model"), "read_text": "no"}
    files = [pictures / "0.png", pictures / "1.png"]
    for quantization in ("auto", "int8"):
        found = [
            event.text
            for event in studio.run("describe", files, {**told, "quantization": quantization})
            if isinstance(event, Description) and event.done
        ]
        assert found == ["Something blue.", "Something red."], quantization
    studio.close()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`", "ignore:Could not find a config file")
@pytest.mark.parametrize("fusion", ["attention", "gated-cross-attention"])
def test_adapters_of_a_pretrained_writer_are_kept_merged_and_alone(
    tmp_path: Path, settings: Settings, pictures: Path, fusion: str
) -> None:
    from peft import PeftModel

    model = composed(
        tmp_path, settings, vision="patches", language=str(toys.gpt(tmp_path / "gpt")), fusion=fusion,
        text=str(toys.bert(tmp_path / "bert")),
    )  # fmt: skip
    folder = toys.a_run(
        tmp_path / "run", task="image-to-text", data=str(pictures), model=str(model), steps=4, **LEARNING
    )
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    before, merged = checkpoint.opened(model), checkpoint.opened(folder / "model")
    alone = PeftModel.from_pretrained(checkpoint.opened(model), folder / "model" / "adapter").eval()
    ids = {"context_ids": torch.tensor([[2, 5, 3]])}
    with torch.inference_mode():
        logits = [
            one(torch.tensor([[1, 5, 6]]), pixel_values=torch.ones(1, 3, 64, 64), **ids).logits
            for one in (before, merged, alone)
        ]
    assert torch.allclose(logits[1], logits[2], atol=1e-4) and not torch.allclose(logits[0], logits[1], atol=1e-3)
    assert all(
        torch.equal(one, dict(merged.text.named_parameters())[name]) for name, one in before.text.named_parameters()
    )


def test_a_chain_learns_what_videos_show_and_how_they_sound(tmp_path: Path, settings: Settings) -> None:
    data = tmp_path / "videos"
    data.mkdir()
    rows = []
    for place in range(16):
        colour, sound = ("red", "blue")[place % 2], place // 2 % 2
        name = f"{place}.mp4"
        clips.video(data / name, [(colour, 1.0)], fps=8, size=(64, 64 + 2 * place), sound=float(sound))
        rows.append({"file_name": name, "caption": f"{colour} with {'a tone' if sound else 'silence'}"})
    toys.table(data / "metadata.jsonl", rows)
    model = composed(
        tmp_path, settings, vision="patches", audio="patches", language="lstm", fusion="cross-attention", frames=2
    )
    folder = toys.a_run(
        tmp_path / "run", task="video-text-to-text", data=str(data), model=str(model), steps=70, evaluate_every=70,
        **LEARNING,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    losses = [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")]
    assert losses[-1] < losses[0] / 10
    studio = Studio(settings)
    told = {"model": str(folder / "model"), "speech": False}
    found = [event for event in studio.run("caption", [data / "2.mp4"], told) if isinstance(event, Track)][-1]
    assert [segment.text for segment in found.segments] == ["Red with a tone."]
    studio.close()


def test_whispers_ear_is_frozen_asked_once_and_a_sound_becomes_a_caption(tmp_path: Path, settings: Settings) -> None:
    data = tmp_path / "sounds"
    data.mkdir()
    toys.table(data / "metadata.jsonl", tones(data, 16))
    ear = toys.whisper(tmp_path / "whisper")
    model = composed(
        tmp_path, settings, vision="", audio=str(ear), language="lstm", fusion="cross-attention", audio_pool=50
    )
    folder = toys.a_run(
        tmp_path / "run", task="audio-text-to-text", data=str(data), model=str(model), steps=40, evaluate_every=40,
        **LEARNING,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    assert len(list((Path(settings.home) / "cache" / "features").rglob("*.npy"))) == 16
    losses = [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")]
    assert losses[-1] < losses[0] / 5 and all(text.endswith("tone") for _, text in said(folder))
    studio = Studio(settings)
    told = {"model": str(folder / "model"), "voice_only": False}
    found = [event for event in studio.run("transcribe", [data / "1.wav"], told) if isinstance(event, Transcript)][-1]
    assert [segment.text for segment in found.segments] in (["High tone."], ["Low tone."])
    studio.close()


def test_rows_that_cannot_be_learned_are_named(tmp_path: Path, settings: Settings, pictures: Path) -> None:
    model = composed(tmp_path, settings, vision="patches", language="lstm")
    rows = [
        {"file_name": "0.png", "captions": ["word " * 10_000]},
        {"file_name": "1.png", "captions": ["", "a red thing"]},
        {"file_name": "2.png", "captions": [" "]},
        {"file_name": "gone.png", "captions": ["something"]},
    ]
    toys.table(pictures / "metadata.jsonl", rows)
    folder = toys.a_run(tmp_path / "run", task="image-to-text", data=str(pictures), model=str(model), steps=1)
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    notes = " ".join(event["message"] for event in toys.events_of(folder, "note"))
    assert "captions are longer than 40 tokens: only their beginnings are learned" in notes
    assert "gone.png" in notes
    (pictures / "0.png").write_bytes(b"no picture")
    again = toys.a_run(tmp_path / "again", task="image-to-text", data=str(pictures), model=str(model), steps=1)
    assert run(again, settings) == 1
    assert "row 1" in toys.events_of(again)[-1]["message"] and "cannot be used" in toys.events_of(again)[-1]["message"]


def test_one_sample_alone_is_learned(tmp_path: Path, settings: Settings, pictures: Path) -> None:
    toys.table(pictures / "metadata.jsonl", [{"file_name": "0.png", "captions": ["something blue"]}])
    model = composed(tmp_path, settings, vision="patches", language="lstm")
    folder = toys.a_run(tmp_path / "run", task="image-to-text", data=str(pictures), model=str(model), steps=2)
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    assert toys.events_of(folder)[-1]["message"] == "It has learned; no rows were held out to tell how well."


def test_the_row_that_makes_the_loss_no_number_is_named(
    tmp_path: Path, settings: Settings, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmdemo.training.recipes import seeing

    whole = seeing.values

    def broken(row: Any, *rest: Any) -> Any:
        return whole(row, *rest) * (np.nan if "row 3" in row.origin else 1)

    monkeypatch.setattr(seeing, "values", broken)
    rows = [
        {"file_name": f"{place}.png", "caption": "red", "split": "train" if place < 6 else "val"} for place in range(8)
    ]
    toys.table(pictures / "metadata.jsonl", rows)
    model = composed(tmp_path, settings, vision="patches", language="lstm")
    folder = toys.a_run(
        tmp_path / "run", task="image-to-text", data=str(pictures), model=str(model), steps=9, **LEARNING
    )
    status, last = run(folder, settings), toys.events_of(folder)[-1]["message"]
    assert status == 1 and "row 3" in last and "row 4" not in last, last


def test_features_of_another_encoder_and_damaged_ones_are_not_used(tmp_path: Path, settings: Settings) -> None:
    from mmdemo.datasets.rows import Row
    from mmdemo.errors import WeightsError
    from mmdemo.training.features import MARK, Features

    write_wav(tmp_path / "a.wav", np.zeros(RATE // 10, np.float32))
    row, asked = Row("row 1", audio=tmp_path / "a.wav"), []

    def encode(rows: Any) -> Any:
        asked.append(len(rows))
        return np.ones((len(rows), 2), np.float32)

    kept = Features(settings, "one", encode)
    assert kept(row).tolist() == kept(row).tolist() == [1, 1] and asked == [1]
    file = next((Path(settings.home) / "cache" / "features").rglob("*.npy"))
    file.write_bytes(file.read_bytes()[:20])
    kept.prepare([row], lambda done, total: None)
    assert kept(row).tolist() == [1, 1] and asked == [1, 1]
    (file.parent / MARK).write_text("two")
    with pytest.raises(WeightsError, match="are of another encoder"):
        Features(settings, "one", encode)


def test_a_chain_with_a_tensor_missing_is_refused_by_its_name(
    tmp_path: Path, settings: Settings, pictures: Path
) -> None:
    from safetensors.torch import load_file, save_file

    model = composed(tmp_path, settings, vision="patches", language="lstm")
    tensors = load_file(model / "model.safetensors")
    del tensors["language_model.look.weight"]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    folder = toys.a_run(tmp_path / "run", task="image-to-text", data=str(pictures), model=str(model), steps=1)
    assert run(folder, settings) == 1
    assert "is missing: 'language_model.look.weight'" in toys.events_of(folder)[-1]["message"]


def test_a_deep_lstm_that_is_learned_from_nothing_hears_words_and_learns_as_fast_as_a_shallow_one(
    tmp_path: Path, settings: Settings, pictures: Path
) -> None:
    model = composed(tmp_path, settings, vision="patches", language="lstm", layers=4)
    writer = checkpoint.opened(model).language_model
    heard = writer.get_input_embeddings()(torch.arange(4, 200))
    assert heard.std().item() == pytest.approx(1, abs=0.1), "as the modal tokens, which a LayerNorm brings there"
    assert writer.lm_head.weight.std() < 0.2
    losses = {}
    for name, residual in (("residual", True), ("plain", False)):
        about = model / "config.json"
        about.write_text(about.read_text().replace('"residual": true', f'"residual": {str(residual).lower()}'))
        folder = toys.a_run(
            tmp_path / name, task="image-to-text", data=str(pictures), model=str(model), steps=40, evaluate_every=40,
            **{**LEARNING, "learning_rate": 0.0},
        )  # fmt: skip
        assert run(folder, settings) == 0, toys.events_of(folder)[-1]
        losses[name] = [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")][-1]
    assert losses["residual"] < losses["plain"] - 0.3, losses


def test_a_language_model_that_knows_nothing_yet_learns_faster_than_one_that_goes_on(
    tmp_path: Path, settings: Settings, pictures: Path
) -> None:
    rates = []
    model = composed(tmp_path, settings, vision="patches", language="lstm")
    for name in ("first", "again"):
        folder = toys.a_run(tmp_path / name, task="image-to-text", data=str(pictures), model=str(model), steps=2)
        assert run(folder, settings) == 0, toys.events_of(folder)[-1]
        chosen = plan.read(folder)
        assert chosen is not None
        rates.append(chosen.learning_rate)
        model = folder
    assert rates == [2e-3, 3e-4]
