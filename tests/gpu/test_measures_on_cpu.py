"""The measures of `make test-gpu` on a CPU with tiny models: they can be trusted when a GPU is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmdemo import torchvision_ops
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from tests.gpu import checkpoints, measures


@pytest.fixture(scope="module", params=list(checkpoints.TINY))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torchvision_ops.prepare()
    place = tmp_path_factory.mktemp(request.param) / request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "SHARD", 30_000)
        checkpoints.TINY[request.param](place)
    return place


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(Settings(home=str(tmp_path), device="cpu", threads=1, memory_gb=1000))
    yield made
    made.close()


def test_a_checkpoint_is_written_in_shards_and_loads_with_every_weight(folder: Path, manager: Manager) -> None:
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    listed = json.loads((folder / "model.safetensors.index.json").read_text())
    assert set(listed["weight_map"].values()) == {path.name for path in folder.glob("*.safetensors")}
    backend = measures.load(manager, folder, "fp32", "cpu")  # which refuses a checkpoint that lacks weights
    spread = [one.std().item() for one in backend._model.parameters() if one.dim() > 1]
    assert max(spread) < 2 * checkpoints.SPREAD


@pytest.mark.parametrize("quantization", ["fp32", "bf16"])
def test_weights_are_as_estimated_and_free_when_unloaded(folder: Path, quantization: str, manager: Manager) -> None:
    start = measures.held("cpu")
    estimated, measured = measures.weights(manager, folder, quantization, "cpu")
    assert estimated == pytest.approx(measured, rel=0.1) and measured > 20_000
    manager.unload(str(folder))
    assert measures.held("cpu") == start


def test_speed_batches_and_stopping_are_measured(
    folder: Path, manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = measures.load(manager, folder, "fp32", "cpu")
    small = measures.pictures
    monkeypatch.setattr(measures, "pictures", lambda count: small(count, 32))
    measures.warm(backend)
    plain, (ours, text) = measures.plain_speed(backend, 10), measures.studio_speed(backend, 10)
    assert plain.tokens == ours.tokens == 16 and min(plain.rate, ours.rate, plain.first, ours.first) > 0
    assert isinstance(text, str)
    one_by_one, together = measures.batch(backend, 4, 5)
    assert min(one_by_one, together) > 0
    assert measures.stop(backend) < 1
    monkeypatch.setenv("GPU_FIGURES", str(tmp_path / "figures.jsonl"))
    measures.record("speed", model=folder.name, rate=ours.rate)
    assert json.loads((tmp_path / "figures.jsonl").read_text()) == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("size", checkpoints.REAL)
def test_the_real_configurations_have_the_published_number_of_parameters(
    size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchvision_ops.prepare()
    counted: dict[str, int] = {}

    def count(architecture: type[torch.nn.Module], config: object, processor: object, folder: Path) -> None:
        from accelerate import init_empty_weights

        with init_empty_weights():
            model = architecture(config)
        model.tie_weights()  # type: ignore[operator]
        counted[size] = sum(one.numel() for one in model.parameters())

    monkeypatch.setattr(checkpoints, "write", count)
    checkpoints.REAL[size](tmp_path)
    published = {"smolvlm-500m": 507e6, "qwen3-vl-2b": 2127e6, "qwen3-vl-8b": 8767e6}
    assert counted[size] == pytest.approx(published[size], rel=0.01)
