"""What a model on the Hub takes, from the headers of its weights: the same before it is fetched as afterwards."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmdemo import torchvision_ops
from mmdemo.errors import Unreachable, WeightsError
from mmdemo.runtime.estimates import Estimate
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources.hub_program import TIMEOUT
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from tests.loopback import COMMIT, Served

Publish = Callable[..., None]
KEY, REPO = "hub:someone/talker", "someone/talker"
WHOLE = "model.safetensors"
HOW = How("fp32", "cpu")

pytestmark = pytest.mark.filterwarnings("ignore")  # torch announces what it will drop


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama, its body in bfloat16 and its output layer in float32."""
    torchvision_ops.prepare()
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("llama")
    config = LlamaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.model.to(torch.bfloat16)
    model.save_pretrained(folder)
    model.save_pretrained(folder / "cut", max_shard_size="60KB")
    return folder


@pytest.fixture
def whole(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def cut(folder: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in (folder / "cut").iterdir()}
    assert len([name for name in files if name.endswith(".safetensors")]) >= 3
    return files


def weights(served: Served) -> list[tuple[str, str, int]]:
    """What was downloaded of files with weights: name, range, bytes."""
    return [
        (path.rpartition("/")[2], wanted, sent) for path, wanted, sent in served.log if path.endswith(".safetensors")
    ]


def before_and_after(settings: Settings) -> tuple[Estimate, Estimate]:
    manager = Manager(settings)
    before = manager.estimate(KEY, HOW)
    assert manager.absent(KEY) == [KEY], "nothing was fetched"
    manager.fetch(KEY)
    return before, manager.estimate(KEY, HOW)


@pytest.mark.parametrize("files", ["whole", "cut"])
def test_an_estimate_before_the_download_is_that_after_it(
    files: str, hub: Publish, served: Served, settings: Settings, request: pytest.FixtureRequest
) -> None:
    hub(REPO, request.getfixturevalue(files))
    before, after = before_and_after(settings)
    assert before == after
    told = {(one.name, one.dtype): (one.numbers, one.bytes) for one in before.stored}
    layer = 64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 128 * 64 + 2 * 64
    assert told == {
        ("model.embed_tokens", "BF16"): (64 * 64, 2 * 64 * 64),
        ("model.layers", "BF16"): (2 * layer, 4 * layer),
        ("model.norm", "BF16"): (64, 128),
        ("lm_head", "F32"): (64 * 64, 4 * 64 * 64),
    }
    held = {part.name: part.bytes for part in before.parts}
    assert held == {one.name: 4 * one.numbers for one in before.stored} | {
        "model.rotary_emb": held["model.rotary_emb"]  # frequencies, which are in no file
    }


def test_nothing_but_the_headers_is_read_and_once(
    hub: Publish, served: Served, settings: Settings, whole: dict[str, bytes]
) -> None:
    padded = long(whole[WHOLE], 150_000)
    hub(REPO, {**whole, WHOLE: padded})
    manager = Manager(settings)
    found = manager.estimate(KEY, HOW)
    asked = weights(served)
    length = 8 + int.from_bytes(padded[:8], "little")
    assert [(name, wanted) for name, wanted, _ in asked] == [
        (WHOLE, "bytes=0-99999"), (WHOLE, f"bytes=100000-{length - 1}"),
    ]  # fmt: skip
    assert sum(sent for _, _, sent in asked) == length
    assert manager.estimate(KEY, HOW) == found and weights(served) == asked
    offline = Manager(dataclasses.replace(settings, offline=True))
    assert offline.estimate(KEY, HOW) == found and weights(served) == asked


def long(data: bytes, size: int) -> bytes:
    """The same file with a header of `size` bytes: spaces may follow it."""
    length = int.from_bytes(data[:8], "little")
    return size.to_bytes(8, "little") + data[8 : 8 + length].ljust(size) + data[8 + length :]


def test_of_a_server_without_ranges_no_file_is_read(
    hub: Publish, served: Served, settings: Settings, whole: dict[str, bytes]
) -> None:
    hub(REPO, whole)
    served.ranges = False
    served.held.add(f"/{REPO}/resolve/{COMMIT}/{WHOLE}")  # the second half never comes: who reads it all gets nowhere
    begun = time.monotonic()
    found = Manager(settings).estimate(KEY, HOW)
    assert time.monotonic() - begun < TIMEOUT
    assert not found.stored and found.weights, "its configuration tells"
    served.ranges = True
    served.held.clear()
    again = Manager(settings).estimate(KEY, HOW)
    assert again.stored and again.weights == found.weights


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ((10**13).to_bytes(8, "little"), "it claims 10,000,000,000,000 bytes, of which the file has"),
        ((99_000_000).to_bytes(8, "little"), "it claims 99,000,000 bytes, of which the file has"),
        (b"shape", "claims bytes up to 4,398,046,511,104, and there are"),
    ],
)
def test_a_header_that_lies_is_refused_and_not_kept(
    lie: bytes, said: str, hub: Publish, served: Served, settings: Settings, whole: dict[str, bytes]
) -> None:
    true = whole[WHOLE]
    if lie == b"shape":
        terabytes = {"w": {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}}
        text = json.dumps(terabytes).encode()
        wrong = len(text).to_bytes(8, "little") + text + true
    else:
        wrong = lie + true[8:]
    hub(REPO, {**whole, WHOLE: wrong})
    manager = Manager(settings)
    for _ in range(2):
        with pytest.raises(WeightsError, match=f"The header of .*/{WHOLE} is broken, or lies: .*{said}"):
            manager.estimate(KEY, HOW)
    assert sum(sent for _, _, sent in weights(served)) <= 2 * 100_000
    hub(REPO, whole)
    assert Manager(settings).estimate(KEY, HOW).stored, "nothing of the lie was kept"


def test_a_shard_that_lies_is_refused_too(hub: Publish, settings: Settings, cut: dict[str, bytes]) -> None:
    last = max(name for name in cut if name.endswith(".safetensors"))
    hub(REPO, {**cut, last: (10**12).to_bytes(8, "little") + cut[last][8:]})
    with pytest.raises(WeightsError, match=f"{last} is broken, or lies: it claims 1,000,000,000,000 bytes"):
        Manager(settings).estimate(KEY, HOW)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", "someone/talker is gated: accept its terms at .*/someone/talker and set HF_TOKEN"),
        (403, "", "refuses someone/talker to this user: set HF_TOKEN"),
        (429, "", "too many requests"),
    ],
)
def test_weights_that_are_refused_are_told_as_by_a_download(
    status: int, code: str, said: str, hub: Publish, served: Served, settings: Settings, whole: dict[str, bytes]
) -> None:
    hub(REPO, whole)
    served.refused[f"/{REPO}/resolve/{COMMIT}/{WHOLE}"] = (
        status, {"X-Error-Code": code} if code else {"Retry-After": "3600"},
    )  # fmt: skip
    with pytest.raises(Unreachable, match=said):
        Manager(settings).estimate(KEY, HOW)


def test_the_token_goes_along(
    hub: Publish, served: Served, settings: Settings, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    hub(REPO, whole)
    Manager(settings).estimate(KEY, HOW)
    served.tokens.clear()
    settings.models_folder.joinpath("hub--someone--talker", ".look", f"{WHOLE}.head").unlink()
    Manager(settings).estimate(KEY, HOW)
    assert served.tokens == {"Bearer hf_mine"}


def test_without_a_network_the_configuration_tells(
    hub: Publish, served: Served, settings: Settings, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(REPO, whole)
    served.ranges = False
    found = Manager(settings).estimate(KEY, HOW)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert Manager(settings).estimate(KEY, HOW) == found
