"""Adapters: one that was made for this base is taken; one of another base, a pickle, or code is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdemo.errors import Unsupported, WeightsError
from mmdemo.runtime.backends import adapters_check
from mmdemo.runtime.backends.adapters_check import check

Q = "model.layers.0.self_attn.q_proj"


def save(folder: Path, name: str, **shapes: tuple[int, ...]) -> None:
    from safetensors.numpy import save_file

    folder.mkdir(exist_ok=True)
    save_file({key: np.zeros(shape, np.float16) for key, shape in shapes.items()}, folder / name)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    shapes = {f"{Q}.weight": (24, 16), "model.layers.0.mlp.up_proj.weight": (32, 16), "lm_head.weight": (12, 16)}
    save(tmp_path / "base", "model.safetensors", **shapes, **{"model.embed_tokens.weight": (12, 16)})
    return tmp_path / "base"


def adapter(tmp_path: Path, shapes: dict[str, tuple[int, ...]], **config: Any) -> Path:
    folder = tmp_path / "adapter"
    save(folder, adapters_check.WEIGHTS, **shapes)
    told = {"peft_type": "LORA", "base_model_name_or_path": "someone/other-base", "r": 4, **config}
    (folder / adapters_check.CONFIG).write_text(json.dumps(told))
    return folder


def lora(layer: str = Q, wide: int = 16, tall: int = 24) -> dict[str, tuple[int, ...]]:
    start = f"base_model.model.{layer}"
    return {f"{start}.lora_A.weight": (4, wide), f"{start}.lora_B.weight": (tall, 4)}


@pytest.mark.parametrize(
    "shapes",
    [
        lora(),
        lora("lm_head", tall=12),
        {name.replace(".weight", ".default.weight"): shape for name, shape in lora().items()},
        lora(f"model.language_model.{Q.removeprefix('model.')}"),
        {"base_model.model.model.embed_tokens.lora_embedding_A": (4, 12),
         "base_model.model.model.embed_tokens.lora_embedding_B": (16, 4)},
    ],
    ids=["layer", "head", "named", "wrapped", "embedding"],
)  # fmt: skip
def test_an_adapter_of_this_base_is_taken(shapes: dict[str, tuple[int, ...]], base: Path, tmp_path: Path) -> None:
    assert check(adapter(tmp_path, shapes), base, "tuned", "Base")["r"] == 4


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (lora(wide=20), rf"{Q} is 24 × 16 there, and it wants 20"),
        (lora(tall=32), rf"{Q} is 24 × 16 there, and it wants 32"),
        (lora("model.layers.7.self_attn.q_proj"), r"that has no layer model\.layers\.7\.self_attn\.q_proj"),
        (lora("transformer.h.0.attn.c_attn"), "that has no layer transformer"),
    ],
)
def test_an_adapter_of_another_base_is_refused(
    shapes: dict[str, tuple[int, ...]], words: str, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(Unsupported, match=words) as told:
        check(adapter(tmp_path, shapes), base, "tuned", "Base")
    assert "tuned was made for another base (someone/other-base) and does not fit Base" in str(told.value)


def test_a_base_whose_shapes_are_not_known_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    assert check(adapter(tmp_path, lora()), tmp_path / "base", "tuned", "Base")
    save(tmp_path / "base", "model.safetensors", **{f"{Q}.qweight": (2, 24)})
    assert check(adapter(tmp_path, lora()), tmp_path / "base", "tuned", "Base"), "4-bit weights have other shapes"


def test_an_adapter_in_a_pickle_is_refused(base: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path, lora())
    (folder / adapters_check.WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(WeightsError, match=r"in adapter_model\.bin, a pickle file, which could run any code"):
        check(folder, base, "tuned", "Base")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"auto_mapping": {"base_model_class": "X", "parent_library": "os"}},
            r"names a Python module to import \(os\)",
        ),
        ({"auto_mapping": {"parent_library": "transformers_modules.evil"}}, "names a Python module to import"),
        ({"auto_map": {"AutoModel": "m.Evil"}}, "names a Python module to import"),
    ],
)
def test_an_adapter_that_names_code_is_refused(config: dict[str, Any], words: str, base: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=words):
        check(adapter(tmp_path, lora(), **config), base, "tuned", "Base")


def test_the_module_that_peft_itself_writes_is_no_danger(base: Path, tmp_path: Path) -> None:
    mapping = {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers.models.llama.modeling_llama"}
    assert check(adapter(tmp_path, lora(), auto_mapping=mapping), base, "tuned", "Base")


def test_a_folder_that_is_no_adapter_says_so(base: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is no adapter: it has no adapter_config\.json"):
        check(base, base, "tuned", "Base")
    folder = adapter(tmp_path, lora())
    (folder / adapters_check.WEIGHTS).unlink()
    with pytest.raises(WeightsError, match=r"is no adapter: it has no adapter_model\.safetensors"):
        check(folder, base, "tuned", "Base")
