"""What each engine offers on each device, and what is said of the rest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mmdemo import catalog
from mmdemo.catalog import Hub, Local
from mmdemo.errors import UnknownName, Unsupported
from mmdemo.options import meta
from mmdemo.runtime import quantization
from mmdemo.tasks import TASKS

SMOLVLM = catalog.get("smolvlm2-256m")


def names(key: str, device: str) -> list[str]:
    return [way.name for way in quantization.ways(catalog.get(key), device)]


def test_the_first_of_every_list_is_the_engines_own_choice() -> None:
    for row in catalog.ROWS:
        for device in ("cpu", "cuda", "mps"):
            assert quantization.ways(row, device)[0].name == "auto"


def test_a_device_offers_what_works_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantization, "find_spec", lambda name: None)
    assert names("smolvlm2-256m", "cpu") == ["auto", "fp32", "bf16", "int8"]
    assert names("smolvlm2-256m", "cuda") == ["auto", "fp32", "bf16", "fp16"]
    assert names("whisper-base", "cuda") == ["auto", "fp16", "int8", "fp32"]
    assert names("smollm2-135m-instruct", "cpu") == ["auto", "int4", "int8", "fp32", "bf16"]
    assert names("starter-describer", "cpu") == ["auto", "fp32"]
    monkeypatch.setattr(quantization, "find_spec", lambda name: object())
    assert names("smolvlm2-256m", "cuda") == ["auto", "fp32", "bf16", "fp16", "int8", "int4"]


def test_what_is_not_offered_is_refused_with_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantization, "find_spec", lambda name: None)
    with pytest.raises(Unsupported) as caught:
        quantization.way(catalog.get("starter-describer"), "cpu", "int4")
    assert str(caught.value) == (
        "Starter describer does not run in int4 on this device (cpu); choose one of: auto, fp32."
    )
    with pytest.raises(Unsupported, match="with the package bitsandbytes, which is not installed"):
        quantization.way(SMOLVLM, "cuda", "int4")
    with pytest.raises(UnknownName, match="int5"):
        quantization.way(SMOLVLM, "cpu", "int5")


def test_a_folder_with_a_gguf_file_offers_what_such_files_run_as(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    row = catalog.get(str(tmp_path))
    assert [way.name for way in quantization.ways(row, "cpu")] == ["auto", "int4", "int8", "fp32", "bf16"]
    of_hub = dataclasses.replace(row, sources=(Hub("a/b", patterns=("model.gguf",)),))
    assert quantization.ways(of_hub, "cpu") == quantization.ways(row, "cpu")
    (tmp_path / "model.safetensors").touch()
    assert "int4" not in [way.name for way in quantization.ways(row, "cpu") if not way.needs]


def test_only_whole_weights_of_transformers_models_may_lie_on_several_devices() -> None:
    assert quantization.can_be_spread(SMOLVLM, "auto")
    assert not quantization.can_be_spread(SMOLVLM, "int4")
    assert not quantization.can_be_spread(catalog.get("whisper-base"), "auto")
    row = dataclasses.replace(SMOLVLM, sources=(Local("x"),), backend="labels")
    assert not quantization.can_be_spread(row, "auto")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_lets_its_quantization_and_device_be_chosen(task: str) -> None:
    fields = {field.name: field for field in dataclasses.fields(TASKS[task].options)}
    assert meta(fields["quantization"]).choices == quantization.NAMES
    assert fields["device"].default == "auto"


def test_what_is_known_to_be_worse_is_said() -> None:
    said = {way.name: quantization.remark(way) for way in quantization.ways(SMOLVLM, "cpu")}
    assert said["auto"] == said["bf16"] == said["int8"] == ""
    assert said["fp32"] == "slower here than auto"
    on_a_card = {way.name: quantization.remark(way) for way in quantization.TORCH["cuda"]}
    assert on_a_card["int4"] == "answers get worse"
