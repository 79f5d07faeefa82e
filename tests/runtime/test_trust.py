"""Dangerous checkpoints: refused before a library opens them, with what they would do; their code only if trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdemo import catalog, folders, torchvision_ops
from mmdemo.errors import WeightsError
from mmdemo.runtime import backends, trust
from mmdemo.runtime.base import Load, Talker
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from tests.runtime.backends.test_causal_lm import tokenizer

CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path({ran!r}).write_text("ran")

class OwnConfig(LlamaConfig):
    model_type = "its_own"

class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""
AUTO = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama, as safetensors."""
    torchvision_ops.prepare()
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("plain")
    config = LlamaConfig(
        vocab_size=12, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=40, eos_token_id=1, bos_token_id=None, pad_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    template = "{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}"
    tokenizer(template).save_pretrained(folder)  # type: ignore[attr-defined]
    return folder


def copied(plain: Path, folder: Path, **changes: Any) -> Path:
    """The checkpoint again, with changes in `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in plain.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


def request(folder: Path, trusted: bool = False) -> Load:
    spec = folders.spec_of(folder)
    return Load(spec, {spec.key: folder}, "cpu", 1, trusted=trusted)


def coded(plain: Path, folder: Path, ran: Path) -> Path:
    """A checkpoint whose model is code of its own, which leaves a file when it runs."""
    made = copied(plain, folder, auto_map=AUTO, model_type="its_own", architectures=["OwnForCausalLM"])
    (made / "own.py").write_text(CODE.format(ran=str(ran)))
    return made


def test_code_of_its_own_runs_only_for_the_one_model_that_is_trusted(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    ran = tmp_path / "ran"
    good, bad = coded(plain, tmp_path / "good", ran), coded(plain, tmp_path / "bad", ran)
    settings = Settings(home=str(tmp_path / "home"), device="cpu", threads=1, trust_remote_code=f"a, folder:{good},")
    manager = Manager(settings)
    for look in (manager.get, manager.estimate):
        with pytest.raises(
            WeightsError, match=r"bad brings code of its own \(config\.json: auto_map is .*own\.Own"
        ) as told:
            look(str(bad))
        assert f"allow folder:{bad} under Models if you trust who wrote it" in str(told.value)
        assert "could do anything that you can on this machine" in str(told.value)
    assert not ran.exists()
    assert manager.estimate(str(good)).total > 0
    backend = manager.get(str(good))
    assert isinstance(backend, Talker) and ran.read_text() == "ran"
    assert "".join(backend.talk([{"role": "user", "content": "the dog"}], max_tokens=3))
    ran.unlink()
    with pytest.raises(WeightsError, match="bad brings code"):
        manager.get(str(bad))
    assert not ran.exists()
    manager.close()


HIDDEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "config": ("config.json", {"auto_map": {"AutoModel": "evil/repo--m.Evil"}}, "auto_map"),
    "a part of it": ("config.json", {"text_config": {"auto_map": {"AutoModel": "m.Evil"}}}, "auto_map"),
    "a list in it": ("config.json", {"layers": [{"auto_map": {"AutoModel": "m.Evil"}}]}, "auto_map"),
    "tokenizer": ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["t.Evil", None]}}, "auto_map"),
    "processor": ("processor_config.json", {"auto_map": {"AutoProcessor": "p.Evil"}}, "auto_map"),
    "pictures": ("preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "p.Evil"}}, "auto_map"),
    "video": ("video_preprocessor_config.json", {"auto_map": {"AutoVideoProcessor": "p.Evil"}}, "auto_map"),
    "pipeline": ("config.json", {"custom_pipelines": {"x": {"impl": "p.Evil"}}}, "custom_pipelines"),
    "generation": ("generation_config.json", {"custom_generate": "evil/repo"}, "custom_generate"),
    "kernels": ("config.json", {"_attn_implementation": "evil/kernels"}, "_attn_implementation"),
    "kernels of a part": ("config.json", {"attn_implementation": {"vision_config": "evil/k"}}, "attn_implementation"),
}  # fmt: skip


@pytest.mark.parametrize("place", HIDDEN)
def test_a_module_named_anywhere_in_a_configuration_is_refused(place: str, plain: Path, tmp_path: Path) -> None:
    name, changes, key = HIDDEN[place]
    folder = copied(plain, tmp_path / "model")
    path = folder / name
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | changes))
    for do in (backends.estimate, backends.load):
        with pytest.raises(WeightsError, match=rf"brings code of its own \({name}: {key} is"):
            do(request(folder))


def test_ordinary_configurations_name_no_code(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "model", auto_map={}, _attn_implementation="sdpa", custom_pipelines={})
    backends.load(request(folder)).close()


INDEXES: dict[str, tuple[object, str]] = {
    "above": ("../other/model.safetensors", r"names '\.\./other/model\.safetensors', which is no file beside it"),
    "far": ("/etc/passwd", "which is no file beside it"),
    "windows": ("..\\\\x.safetensors", "not a plain name inside the folder"),
    "drive": ("C:x.safetensors", "not a plain name inside the folder"),
    "number": (7, "which is no file beside it"),
    "a pickle": ("pytorch_model-00001-of-00002.bin", r"in pytorch_model-00001-of-00002\.bin, a pickle file"),
}


@pytest.mark.parametrize("where", INDEXES)
def test_an_index_that_names_other_files_is_refused(where: str, plain: Path, tmp_path: Path) -> None:
    name, words = INDEXES[where]
    folder = copied(plain, tmp_path / "model")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model.safetensors", "b": name}})
    )
    with pytest.raises(WeightsError, match=words):
        backends.load(request(folder))


@pytest.mark.parametrize("text", ["[]", '{"weight_map": []}', "{"])
def test_an_index_that_is_none_is_refused(text: str, plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "model")
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(WeightsError, match=r"(lists no files|cannot be read)"):
        backends.load(request(folder))


def test_a_pickle_beside_an_index_of_pickles_is_refused(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": "pytorch_model.bin"}}))
    with pytest.raises(WeightsError, match="pickle file, which could run any code"):
        backends.load(request(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "adapter_model.safetensors", "extra.gguf"])
def test_a_header_that_claims_terabytes_is_refused_before_anything_opens_it(
    name: str, plain: Path, tmp_path: Path
) -> None:
    folder = copied(plain, tmp_path / "model")
    (folder / name).write_bytes((1 << 43).to_bytes(8, "little") + b"GGUF" * 9)
    for do in (backends.estimate, backends.load):
        with pytest.raises(WeightsError, match=rf"The header of .+/{name} is broken, or lies"):
            do(request(folder))


def test_a_gguf_that_lies_is_refused_before_its_kind_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + (1 << 60).to_bytes(8, "little") * 2)
    spec = catalog.get("smollm2-135m-instruct")
    for do in (backends.estimate, backends.load):
        with pytest.raises(WeightsError, match=r"The header of .+/model\.gguf is broken, or lies: it claims"):
            do(Load(spec, {spec.key: tmp_path}, "cpu", 1))


@pytest.mark.parametrize(("text", "words"), [("[" * 100_000, "nested too deeply"), ("{", "cannot be read")])
def test_a_configuration_that_breaks_the_reader_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(WeightsError, match=words):
        trust.read(path)
    with pytest.raises(WeightsError, match=r"config\.json"):
        folders.spec_of(tmp_path)


def test_a_configuration_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(trust.MOST + 1)
    with pytest.raises(WeightsError, match="larger than any configuration"):
        trust.read(path)


def test_trust_is_a_whole_key_and_never_all_models() -> None:
    settings = Settings(trust_remote_code="hub:a/b, folder:/m")
    assert [settings.trusts(key) for key in ("hub:a/b", "folder:/m", "hub:a/bc", "*", "", "hub:a")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    assert not Settings(trust_remote_code="*").trusts("hub:a/b")
