"""Which numbers a step is computed in, and dropout that draws less: it changes the time, not what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mmdemo.settings import Settings
from mmdemo.training import dropout, numbers, plan
from mmdemo.training.run import run
from tests.training import toys

half = pytest.mark.skipif(not numbers.possible("cpu"), reason="this CPU does not multiply in bfloat16")


def a_run(folder: Path, **more: Any) -> Path:
    model = toys.bert(folder.parent / "bert")
    data = toys.table(folder.parent / "rows.jsonl", toys.sentences(40))
    return toys.a_run(folder, task="text-classification", data=str(data), model=str(model), batch=8, steps=6,
                      learning_rate=1e-3, **more)  # fmt: skip


def losses(folder: Path) -> list[float]:
    return [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")]


@half
def test_in_bfloat16_the_same_is_learned_and_the_plan_says_so(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "home"), threads=1)
    whole, halved = (a_run(tmp_path / name, precision=name) for name in ("fp32", "bf16"))
    assert run(whole, settings) == run(halved, settings) == 0
    plans = [plan.read(folder) for folder in (whole, halved)]
    assert [one.precision for one in plans if one] == ["fp32", "bf16"]
    assert losses(halved)[-1] == pytest.approx(losses(whole)[-1], rel=0.02)
    assert (whole / "model/model.safetensors").read_bytes() != (halved / "model/model.safetensors").read_bytes()


@half
def test_attention_in_bfloat16_is_computed_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    query = torch.randn(1, 2, 5, 8, requires_grad=True)
    matrix = torch.randn(8, 8)
    with numbers.computed_in("bf16"):
        product = query @ matrix
        found = nn.functional.scaled_dot_product_attention(product, product, product)
    assert (product.dtype, found.dtype) == (torch.bfloat16, torch.float32)
    with numbers.computed_in("fp32"):
        assert (query @ matrix).dtype == torch.float32


@half
def test_a_choice_is_measured_once_and_kept_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "SECONDS", 0.0)
    settings = Settings(home=str(tmp_path / "home"), threads=1)
    monkeypatch.setattr(numbers, "WORTH", 0.0)  # whatever it takes, it counts as fast enough
    first, second = a_run(tmp_path / "first"), a_run(tmp_path / "second")
    assert run(first, settings) == 0
    monkeypatch.setattr(numbers, "WORTH", 1e9)
    assert run(second, settings) == 0
    assert any("bfloat16" in event["message"] for event in toys.events_of(first, "note"))
    plans = [plan.read(folder) for folder in (first, second)]
    assert [one.precision for one in plans if one] == ["bf16", "bf16"]
    assert losses(first) == losses(second)


def test_a_step_that_is_short_stays_in_float32(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    assert run(folder, Settings(home=str(tmp_path / "home"), threads=1)) == 0
    chosen = plan.read(folder)
    assert chosen and chosen.precision == "fp32" and not (tmp_path / "home" / "cache" / numbers.KEPT_IN).exists()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_dropout_leaves_out_its_share_and_keeps_the_mean_forth_and_back(share: float) -> None:
    model = nn.Sequential(nn.Dropout(share))
    dropout.quicken(model)
    values = torch.ones(1001, 999, requires_grad=True)
    torch.manual_seed(1)
    found = model(values)
    found.sum().backward()
    assert (found == 0).double().mean().item() == pytest.approx(share, abs=2e-3)
    assert found.mean().item() == pytest.approx(1, abs=4e-3)
    assert torch.equal(values.grad, found.detach()), "what was left out learns nothing, the rest as much more"
    torch.manual_seed(1)
    assert torch.equal(model(values), found)
    assert torch.equal(model.eval()(values), values)
