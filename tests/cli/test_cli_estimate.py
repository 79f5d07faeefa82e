"""`models estimate`: what a checkpoint takes, before it is fetched or loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mmdemo import torchvision_ops
from mmdemo.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny vision-language checkpoint."""
    from tests.runtime.backends.tiny_vision import BUILDERS

    torchvision_ops.prepare()
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    BUILDERS["smolvlm"](folder)
    return folder


def test_a_folder_is_told_by_module_and_fewer_bits_take_less(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {}
    for way in ("fp32", "bf16", "int8"):
        line = ["models", "estimate", str(folder), "--quantization", way, "--device", "cpu", "--json"]
        assert main(line) == 0
        found[way] = json.loads(capsys.readouterr().out)
    whole = found["fp32"]
    assert {module["name"] for module in whole["modules"]} >= {"model.vision_model", "model.text_model", "lm_head"}
    assert whole["weights"] == sum(module["bytes"] for module in whole["modules"])
    assert whole["total"] == whole["weights"] + whole["cache"] + whole["activations"] + whole["other"]
    assert whole["other"] >= 4 * whole["cache"], "the prompts that are kept"
    assert whole["fits"] and whole["cache"] and whole["activations"]
    assert found["bf16"]["weights"] == pytest.approx(whole["weights"] / 2, rel=0.01)
    assert found["int8"]["weights"] < whole["weights"]


def test_people_get_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "estimate", str(folder), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "key-value cache of 1,024 tokens" in out and "together" in out and "fits" in out
    assert "kept prompts" in out


def test_one_that_cannot_be_estimated_is_told_and_the_rest_are_done(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["models", "estimate", "starter-describer", str(folder), "--quantization", "bf16", "--json"]
    assert main(line) == 1
    first, second = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert "does not run in bf16" in first["error"]
    assert second["total"] > 0


@pytest.mark.parametrize("key", ["whisper-base", "smollm2-135m-instruct", "all-minilm-l6-v2", "starter-describer"])
@pytest.mark.weights
def test_the_starter_set_can_be_estimated(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "estimate", key, "--device", "cpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] > 10_000_000
