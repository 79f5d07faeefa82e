"""LoRA adapters that PEFT itself has made: several on one model, switched with each request, and refused elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmdemo import catalog, torchvision_ops
from mmdemo.errors import Unsupported, WeightsError
from mmdemo.runtime.asking import look, say
from mmdemo.runtime.backends import adapters, quantized
from mmdemo.runtime.backends.causal_lm import CausalLMBackend
from mmdemo.runtime.backends.image_text import ImageTextBackend
from mmdemo.runtime.base import Adaptable, Ask, Load, Talk
from tests.runtime.backends import tiny_language, tiny_vision

EYE = catalog.get("smolvlm2-256m")
TALKER = catalog.get("smollm2-135m-instruct")
# PEFT asks transformers for what that will drop; only where adapters are made, which the product does elsewhere
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
ASKED = [{"role": "user", "content": "the dog runs on the grass"}]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two bases, a wider one, and two adapters for each of the two."""
    torchvision_ops.prepare()
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    made = {name: tmp_path_factory.mktemp(name) for name in ("llama", "qwen3_vl")}
    torch.manual_seed(0)
    tiny_language.llama(made["llama"])
    tiny_vision.qwen3_vl(made["qwen3_vl"])
    for base, automodel in (("llama", AutoModelForCausalLM), ("qwen3_vl", AutoModelForImageTextToText)):
        for seed in (1, 2):
            made[f"{base}-{seed}"] = tmp_path_factory.mktemp(f"{base}-{seed}")
            adapter(automodel.from_pretrained(made[base]), made[f"{base}-{seed}"], seed)
    return made


def adapter(model: Any, folder: Path, seed: int) -> None:
    """A LoRA adapter with random matrices, large enough to change words."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(folder, save_embedding_layers=False)


@pytest.fixture(autouse=True)
def whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantized, "best_dtype", lambda device: torch.float32)


def talker(folders: dict[str, Path], quantization: str = "fp32") -> CausalLMBackend:
    return CausalLMBackend(Load(TALKER, {TALKER.key: folders["llama"]}, "cpu", 1, quantization=quantization))


def eye(folders: dict[str, Path]) -> ImageTextBackend:
    return ImageTextBackend(Load(EYE, {EYE.key: folders["qwen3_vl"]}, "cpu", 1))


def talked(backend: CausalLMBackend, adapter: Path | str) -> str:
    return "".join(piece for _, piece in backend.converse([Talk(ASKED, 8, adapter=str(adapter))]))


def seen(backend: ImageTextBackend, adapter: Path | str) -> str:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    return [one.text for one in backend.answer([Ask(image, max_words=6, adapter=str(adapter))])][-1]


def by_peft(base: Path, adapter: Path) -> str:
    """What PEFT itself says with the adapter merged into the base."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).merge_and_unload().eval()
    words = AutoTokenizer.from_pretrained(base)
    given = words.apply_chat_template(ASKED, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    ids = model.generate(**given, max_new_tokens=8, do_sample=False, repetition_penalty=1.1, pad_token_id=1)
    return str(words.decode(ids[0, given["input_ids"].shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize(("kind", "make", "ask"), [("llama", talker, talked), ("qwen3_vl", eye, seen)])
def test_adapters_are_switched_with_each_request_and_the_base_stays(
    folders: dict[str, Path], kind: str, make: Callable[..., Any], ask: Callable[..., str]
) -> None:
    backend = make(folders)
    assert isinstance(backend, Adaptable)
    weights = {name: one.data_ptr() for name, one in backend._model.named_parameters()}
    one, two = folders[f"{kind}-1"], folders[f"{kind}-2"]
    bare = ask(backend, "")
    first, second = ask(backend, one), ask(backend, two)
    assert len({bare, first, second}) == 3
    assert [ask(backend, ""), ask(backend, two), ask(backend, one), ask(backend, "")] == [bare, second, first, bare]
    after = {name.replace(".base_layer", ""): p.data_ptr() for name, p in backend._model.named_parameters()}
    assert all(after[name] == place for name, place in weights.items()), "the base was not loaded again"
    assert ask(make(folders), two) == second, "what was there before changes nothing"


def test_it_says_what_peft_says(folders: dict[str, Path]) -> None:
    backend = talker(folders)
    for number in (1, 2):
        assert talked(backend, folders[f"llama-{number}"]) == by_peft(folders["llama"], folders[f"llama-{number}"])


def test_calls_with_different_adapters_do_not_run_together(folders: dict[str, Path]) -> None:
    backend = talker(folders)
    keys = {say(backend, [Talk(ASKED, 8, adapter=name)]).key for name in ("", "a", "b", "a")}
    assert len(keys) == 3
    sight = eye(folders)
    image = Image.new("RGB", (8, 8))
    assert look(sight, [Ask(image, adapter="a")]).key != look(sight, [Ask(image)]).key


def test_an_adapter_for_another_base_is_refused_and_the_model_still_answers(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    backend = talker(folders)
    bare = talked(backend, "")
    wider = {**tiny_language.small(), "hidden_size": 32}
    adapter(LlamaForCausalLM(LlamaConfig(**wider)), tmp_path / "wide", 1)
    deeper = {**tiny_language.small(), "num_hidden_layers": 3}
    adapter(LlamaForCausalLM(LlamaConfig(**deeper)), tmp_path / "deep", 1)
    for folder, differs in (("wide", r"layers\.0\."), ("deep", r"layers\.2\.")):
        with pytest.raises(Unsupported, match=f"does not fit SmolLM2 135M Instruct .*{differs}.*choose its own base"):
            talked(backend, tmp_path / folder)
    with pytest.raises(Unsupported, match=f"was made for {folders['qwen3_vl']} and does not fit"):
        talked(backend, folders["qwen3_vl-1"])
    assert talked(backend, "") == bare
    assert talked(backend, folders["llama-1"]) != bare


def test_what_is_no_lora_adapter_of_safetensors_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    backend = talker(folders)
    with pytest.raises(WeightsError, match=r"There is no adapter in .*nowhere"):
        talked(backend, tmp_path / "nowhere")
    shutil.copytree(folders["llama-1"], tmp_path / "pickle")
    (tmp_path / "pickle" / adapters.WEIGHTS).rename(tmp_path / "pickle" / "adapter_model.bin")
    with pytest.raises(WeightsError, match="save it as safetensors"):
        talked(backend, tmp_path / "pickle")
    shutil.copytree(folders["llama-1"], tmp_path / "cut")
    whole = (tmp_path / "cut" / adapters.WEIGHTS).read_bytes()
    (tmp_path / "cut" / adapters.WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"adapter_model\.safetensors is broken, or lies"):
        talked(backend, tmp_path / "cut")
    shutil.copytree(folders["llama-1"], tmp_path / "odd")
    (tmp_path / "odd" / adapters.CONFIG).write_text("{")
    with pytest.raises(WeightsError, match="cannot be read"):
        talked(backend, tmp_path / "odd")
    settings = json.loads((folders["llama-1"] / adapters.CONFIG).read_text())
    for change in ({"peft_type": "IA3"}, {"modules_to_save": ["lm_head"]}):
        (tmp_path / "odd" / adapters.CONFIG).write_text(json.dumps({**settings, **change}))
        with pytest.raises(Unsupported, match="choose a LoRA adapter"):
            talked(backend, tmp_path / "odd")


@pytest.mark.parametrize(
    "config",
    [
        {"auto_mapping": {"base_model_class": "X", "parent_library": "os"}},
        {"auto_mapping": {"parent_library": "transformers_modules.evil"}},
        {"auto_map": {"AutoModel": "m.Evil"}},
    ],
)
def test_an_adapter_that_names_code_is_refused_before_anything_is_imported(
    folders: dict[str, Path], tmp_path: Path, config: dict[str, Any]
) -> None:
    folder = tmp_path / "evil"
    shutil.copytree(folders["llama-1"], folder)
    settings = json.loads((folder / adapters.CONFIG).read_text())
    (folder / adapters.CONFIG).write_text(json.dumps({**settings, **config}))
    with pytest.raises(WeightsError, match="names a Python module to import"):
        adapters.config_of(folder)


def test_the_module_that_peft_itself_writes_is_no_danger(folders: dict[str, Path]) -> None:
    assert adapters.config_of(folders["llama-1"])["auto_mapping"]["parent_library"].startswith("transformers.")


def test_a_model_whose_layers_are_packed_takes_no_adapters(folders: dict[str, Path]) -> None:
    backend = talker(folders, "int8")
    with pytest.raises(Unsupported, match="takes no adapters as it is loaded: leave the adapter out"):
        talked(backend, folders["llama-1"])
    assert talked(backend, "")


def test_only_so_many_adapters_stay(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "MOST", 1)
    backend = talker(folders)
    first = talked(backend, folders["llama-1"])
    talked(backend, folders["llama-2"])
    assert list(backend._adapters._names) == [str(folders["llama-2"])]
    matrices = [name for name, _ in backend._model.named_parameters() if "lora_A" in name]
    assert matrices and not any("adapter0" in name for name in matrices)
    assert talked(backend, folders["llama-1"]) == first
