"""Models of real size on a GPU: `make test-gpu`. Without CUDA every test here is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from mmdemo import torchvision_ops
from mmdemo.runtime import memory
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from tests.gpu import checkpoints, measures

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
NEAR = 0.10
"""An estimate is within so much of what is measured."""
QUANTIZED = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
WAYS = ["bf16", pytest.param("int8", marks=QUANTIZED), pytest.param("int4", marks=QUANTIZED)]
SIZES = list(checkpoints.REAL)


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a size, written once."""
    torchvision_ops.prepare()
    place = tmp_path_factory.mktemp(request.param) / request.param
    checkpoints.REAL[request.param](place)
    return place


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(Settings(home=str(tmp_path), device="cuda", memory_gb=1000))
    yield made
    made.close()


@pytest.mark.parametrize("quantization", WAYS)
@pytest.mark.parametrize("folder", SIZES, indirect=True)
def test_the_weights_take_what_was_estimated(folder: Path, quantization: str, manager: Manager) -> None:
    estimated, measured = measures.weights(manager, folder, quantization, "cuda")
    measures.record(
        "weights", device=measures.device_name("cuda"), model=folder.name, quantization=quantization,
        estimated=estimated, measured=measured,
    )  # fmt: skip
    assert estimated == pytest.approx(measured, rel=NEAR)


@pytest.mark.parametrize("folder", SIZES, indirect=True)
def test_a_long_conversation_takes_what_was_estimated(folder: Path, manager: Manager) -> None:
    estimated, measured = measures.whole(manager, folder, "bf16")
    measures.record(
        "whole", device=measures.device_name("cuda"), model=folder.name, estimated=estimated, measured=measured
    )
    assert estimated == pytest.approx(measured, rel=NEAR)


@pytest.mark.parametrize("quantization", WAYS)
@pytest.mark.parametrize("folder", SIZES, indirect=True)
def test_unloading_frees_all_of_it_three_times_over(folder: Path, quantization: str, manager: Manager) -> None:
    start = measures.held("cuda")
    for _ in range(3):
        backend = measures.load(manager, folder, quantization, "cuda")
        measures.warm(backend)
        taken = measures.held("cuda") - start
        del backend
        manager.unload(str(folder))
        left = measures.held("cuda") - start
        measures.record("unload", model=folder.name, quantization=quantization, taken=taken, left=left)
        assert left < max(0.01 * taken, 16_000_000)  # the libraries' workspaces stay


@pytest.mark.parametrize("folder", ["qwen3-vl-2b"], indirect=True)
def test_what_the_card_has_no_room_for_goes_to_memory(
    folder: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = manager.estimate(str(folder), measures.How("bf16", "cuda")).total
    monkeypatch.setattr(memory, "cards", lambda: {"cuda:0": size // 2})
    before = measures.held("cuda")
    backend = measures.load(manager, folder, "bf16", "cuda")
    taken = measures.held("cuda") - before
    places = {str(place) for place in backend._model.hf_device_map.values()}
    measures.record("offload", model=folder.name, size=size, on_the_card=taken, places=sorted(places))
    assert taken < 0.6 * size and "cpu" in places and places - {"cpu", "disk"}
    measures.warm(backend)


@pytest.mark.parametrize("quantization", WAYS)
@pytest.mark.parametrize("folder", SIZES, indirect=True)
def test_it_answers_as_fast_as_generate_itself(folder: Path, quantization: str, manager: Manager) -> None:
    backend = measures.load(manager, folder, quantization, "cuda")
    measures.warm(backend)
    plain = measures.plain_speed(backend, 80)
    ours, _ = measures.studio_speed(backend, 80)
    measures.record(
        "speed", device=measures.device_name("cuda"), model=folder.name, quantization=quantization,
        first=ours.first, rate=ours.rate, plain_first=plain.first, plain_rate=plain.rate,
    )  # fmt: skip
    assert ours.rate > 0.8 * plain.rate
    assert ours.first < 1.5 * plain.first + 0.1


@pytest.mark.parametrize("folder", SIZES, indirect=True)
def test_eight_pictures_at_once_are_twice_as_fast(folder: Path, manager: Manager) -> None:
    backend = measures.load(manager, folder, "bf16", "cuda")
    measures.warm(backend)
    one_by_one, together = measures.batch(backend, 8, 40)
    measures.record("batch of 8", model=folder.name, one_by_one=one_by_one, together=together)
    assert together < one_by_one / 2


@pytest.mark.parametrize("quantization", WAYS)
@pytest.mark.parametrize("folder", SIZES, indirect=True)
def test_it_stops_within_a_second(folder: Path, quantization: str, manager: Manager) -> None:
    backend = measures.load(manager, folder, quantization, "cuda")
    measures.warm(backend)
    seconds = measures.stop(backend)
    measures.record("stop", model=folder.name, quantization=quantization, seconds=seconds)
    assert seconds < 1
