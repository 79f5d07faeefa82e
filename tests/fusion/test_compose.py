"""Chains put together from checkpoints on disk; LoRA; what is impossible and why; shapes before anything is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForCausalLM

from mmdemo import catalog
from mmdemo.errors import InputError, WeightsError
from mmdemo.fusion import check
from mmdemo.fusion.compose import compose, with_lora
from mmdemo.fusion.config import FusionConfig, FusionVisionConfig
from mmdemo.fusion.shape import chain as chain_of
from mmdemo.runtime.convert import ctranslate2_to_transformers
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings
from tests.fusion.chains import AUDIO, DECODERS, READER, VISION, chain, model_of

IDS = torch.tensor([[1, 5, 6]])


def saved(folder: Path, config, seed: int, kind=AutoModel) -> Path:
    torch.manual_seed(seed)
    kind.from_config(config).save_pretrained(folder)
    return folder


def test_parts_from_folders_keep_their_weights_and_encoders_are_frozen(tmp_path) -> None:
    parts = {
        "vision": saved(tmp_path / "clip", VISION["clip"], 1),
        "audio": saved(tmp_path / "whisper", AUDIO["whisper"][0], 2),
        "text": saved(tmp_path / "bert", READER, 3),
    }
    (parts["vision"] / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.1, 0.2, 0.3], "rescale": 1}))
    decoder = saved(tmp_path / "llama", DECODERS["llama"], 4, AutoModelForCausalLM)
    model = compose(decoder, parts, fusion="attention", projector="linear")
    pixels = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        expected = AutoModel.from_pretrained(parts["vision"]).eval().vision_model(pixels).last_hidden_state
        assert torch.equal(model.encoded("vision", pixels), expected)
        alone = AutoModelForCausalLM.from_pretrained(decoder).eval()
        assert torch.equal(model.eval().language_model(IDS).logits, alone(IDS).logits)
    assert model.config.vision_config.image_mean == [0.1, 0.2, 0.3]
    assert set(model.config.encoders) == {"vision", "audio", "text"}
    learned = {name.split(".")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert not learned & {"vision", "audio", "text"} and {"vision_projector", "audio_norm", "resampler"} <= learned
    model.train()
    assert not model.audio.training


def test_a_timm_model_as_timm_saves_it_is_an_encoder(tmp_path) -> None:
    import timm

    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=7).eval()
    about = {"architecture": "test_vit", "num_classes": 7, "pretrained_cfg": {"input_size": [3, 160, 160]}}
    (tmp_path / "config.json").write_text(json.dumps(about))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    model = compose(DECODERS["gpt2"], {"vision": tmp_path}, fusion="attention").eval()
    pixels = torch.randn(1, 3, 160, 160)
    with torch.inference_mode():
        features, classes = model.vision(pixels)
        assert torch.equal(features, network.forward_features(pixels))
        assert torch.equal(classes, network(pixels))
    assert model.config.vision_config.hidden_size == features.shape[-1]


def test_a_folder_that_is_no_encoder_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(WeightsError, match=r"has no config\.json: choose the folder of an encoder"):
        compose(DECODERS["gpt2"], {"vision": tmp_path})
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(WeightsError, match="cannot be read as an encoder"):
        compose(DECODERS["gpt2"], {"vision": tmp_path})


@pytest.mark.filterwarnings("ignore:Could not find a config file", "ignore:`is_gradient_checkpointing`")
@pytest.mark.parametrize("decoder", ["gpt2", "llama"])
def test_a_lora_adapter_is_saved_alone_and_put_on_again_by_plain_peft(tmp_path, decoder: str) -> None:
    from peft import PeftModel

    base = chain(decoder, vision_config=VISION["vit"], fusion="attention")
    tuned = with_lora(model_of(base, seed=5))
    before = {name: weight.clone() for name, weight in tuned.base_model.model.language_model.named_parameters()}
    given = {"input_ids": IDS, "pixel_values": torch.randn(1, 3, 32, 32)}
    optimizer = torch.optim.AdamW([weight for weight in tuned.parameters() if weight.requires_grad], lr=1e-2)
    for _ in range(5):
        tuned(**given, labels=torch.tensor([[7, 8, 2]])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, weight in tuned.base_model.model.language_model.named_parameters():
        assert "lora" in name or torch.equal(weight, before[name])
    tuned.eval().save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["adapter_model.safetensors"]
    again = PeftModel.from_pretrained(model_of(base, seed=5), tmp_path).eval()
    with torch.inference_mode():
        assert torch.equal(again(**given).logits, tuned(**given).logits)
        assert not torch.allclose(model_of(base, seed=5)(**given).logits, tuned(**given).logits, atol=1e-3)


IMPOSSIBLE = {
    "'llama' has no cross-attention of its own": {"decoder": "llama", "fusion": "cross-attention"},
    "There is nothing to encode": {"vision_config": None},
    "There is no fusion 'magic'; choose from: concat": {"fusion": "magic"},
    "There is no projector 'x'; choose from: linear, mlp": {"projector": "x"},
    "32 channels of the language model cannot be shared by 5 heads": {"fusion": "attention", "fusion_heads": 5},
    "has no queries": {"fusion": "attention", "queries": 0},
    "Gates before every 3th layer": {"fusion": "gated-cross-attention", "gate_every": 3},
    "cannot be cut into patches of 16 × 16": {"vision_config": {"model_type": "fusion_patches", "height": 60}},
    "several frames but no encoder of pictures": {"audio_config": AUDIO["whisper"][0], "frames": 4},
    "'vit' reads no text": {"text_encoder_config": VISION["vit"]},
    "'vit' reads pictures, not sound": {"audio_config": VISION["vit"]},
    "160 modal tokens and an answer do not fit into the 128 positions": {"vision_config": VISION["vit"], "frames": 32},
}


@pytest.mark.parametrize("why", IMPOSSIBLE)
def test_parts_that_do_not_go_together_are_refused_with_the_reason(why: str) -> None:
    config = chain(**IMPOSSIBLE[why])
    assert len(check.problems(config)) == 1
    assert why in check.problems(config)[0]
    assert chain_of(config).problems == tuple(check.problems(config)) and not chain_of(config).parts


def test_a_language_model_that_writes_nothing_is_refused() -> None:
    config = FusionConfig(vision_config=VISION["vit"].to_dict(), text_config=VISION["vit"].to_dict())
    assert check.problems(config) == ["'vit' is no causal language model: choose one that writes text."]
    with pytest.raises(InputError, match="has no cross-attention"):
        compose(DECODERS["llama"], {"vision": VISION["vit"]}, fusion="cross-attention")


@pytest.mark.parametrize("fusion", ["concat", "attention", "cross-attention", "gated-cross-attention"])
def test_the_shapes_that_are_shown_are_those_of_the_model(fusion: str) -> None:
    parts = {"vision_config": VISION["vit"], "audio_config": AUDIO["whisper"][0], "text_encoder_config": READER}
    config = chain(fusion=fusion, frames=3, audio_pool=3, **parts)
    shown, model = chain_of(config), model_of(config)
    words = torch.ones(1, 16, dtype=torch.long)
    with torch.inference_mode():
        features = {
            "vision": model.encoded("vision", torch.randn(1, 3, 3, 32, 32)),
            "audio": model.encoded("audio", torch.randn(1, 20, 100)),
            "text": model.encoded("text", words),
        }
        given = model.fused(words, features=features)
        aligned = {name: model.modal(features={name: values})[0] for name, values in features.items()}
    found = {(one.role, one.modality): one for one in shown.parts}
    for name, values in features.items():
        assert found["encoder", name].output == (values.shape[1:-1].numel(), values.shape[-1])
        assert found["projector", name].output == aligned[name].shape[1:]
        frozen = sum(weight.numel() for weight in getattr(model, name).parameters())
        assert (found["encoder", name].frozen, found["encoder", name].trainable) == (frozen, 0)
    assert found["input", "vision"].output == (3, 3, 32, 32)
    assert found["fusion", ""].output == given["inputs_embeds"].shape[1:]
    assert found["language model", ""].output == (16, 50)
    assert shown.trainable + shown.frozen == sum(weight.numel() for weight in model.parameters())
    assert shown.training_bytes == 4 * shown.frozen + 16 * shown.trainable


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")
def test_what_a_lora_adapter_adds_is_counted_before_it_is_made() -> None:
    config = chain("llama", vision_config=VISION["vit"])
    shown = chain_of(config, frozen=("vision", "language_model"), lora=4)
    tuned = with_lora(model_of(config), rank=4)
    added = sum(weight.numel() for name, weight in tuned.named_parameters() if "lora" in name)
    assert shown.parts[-1].trainable == added > 0


@pytest.mark.weights
def test_the_starter_weights_make_one_chain_that_sees_hears_reads_and_writes(tmp_path) -> None:
    names = ("smollm2-135m-instruct", "efficientnet-lite2", "whisper-tiny.en", "all-minilm-l6-v2")
    folders = {name: fetch(catalog.get(name), Settings.load()) for name in names}
    whisper = ctranslate2_to_transformers(folders["whisper-tiny.en"], tmp_path / "whisper")
    parts = {"vision": folders["efficientnet-lite2"], "audio": whisper, "text": folders["all-minilm-l6-v2"]}
    model = compose(folders["smollm2-135m-instruct"], parts, fusion="attention", audio_pool=8).eval()
    assert check.tokens(model.config) == {"vision": 81, "audio": 188}
    assert model.config.vision_config.architecture == FusionVisionConfig().architecture
    said = model.generate(
        pixel_values=torch.zeros(1, 3, 260, 260), audio_values=torch.zeros(1, 80, 3000),
        context_ids=torch.tensor([[101, 2000, 102]]), max_new_tokens=2, do_sample=False,
    )  # fmt: skip
    assert said.shape == (1, 2)


@pytest.mark.filterwarnings("ignore:Could not find a config file", "ignore:`is_gradient_checkpointing`")
def test_gates_are_trained_beside_an_adapter_and_saved_with_it(tmp_path) -> None:
    from peft import PeftModel

    base = chain("llama", vision_config=VISION["vit"], fusion="gated-cross-attention")
    tuned, given = with_lora(model_of(base)), {"input_ids": IDS, "pixel_values": torch.randn(1, 3, 32, 32)}
    optimizer = torch.optim.AdamW([weight for weight in tuned.parameters() if weight.requires_grad], lr=1e-2)
    for _ in range(5):
        tuned(**given, labels=torch.tensor([[7, 8, 2]])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    gates = [weight for name, weight in tuned.named_parameters() if "attention_gate" in name and weight.requires_grad]
    assert len(gates) == 2 and all(weight.abs() > 0 for weight in gates)
    tuned.eval().save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(model_of(base), tmp_path).eval()
    with torch.inference_mode():
        assert torch.equal(again(**given).logits, tuned(**given).logits)
