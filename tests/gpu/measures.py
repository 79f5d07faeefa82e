"""What is measured of a model on a device: memory against the estimate, speed against `generate`, stopping, freeing.

The same functions run on a GPU with checkpoints of real size and, in `make test`, on a CPU with tiny ones.
"""

from __future__ import annotations

import gc
import json
import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mmdemo.runtime.backends import generation
from mmdemo.runtime.base import Describer
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.standing import How

PROMPT = "describe the dog"
LONG = 1000
"""Words that an answer may have which is not to end by itself."""


@dataclass(frozen=True)
class Speed:
    """Seconds to the first token, and tokens a second after it."""

    first: float
    rate: float
    tokens: int


def device_name(device: str) -> str:
    """What the device is called."""
    return torch.cuda.get_device_name(0) if device == "cuda" else "cpu"


def record(name: str, **figures: object) -> None:
    """Print a measured line, and add it to the file that GPU_FIGURES names."""
    line = json.dumps({"name": name, **figures})
    print(line, flush=True)
    if os.environ.get("GPU_FIGURES"):
        with Path(os.environ["GPU_FIGURES"]).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def pictures(count: int, size: int = 512) -> list[Image.Image]:
    """Noise, different in each."""
    noise = np.random.default_rng(0)
    return [Image.fromarray(noise.integers(0, 255, (size, size, 3), dtype=np.uint8)) for _ in range(count)]


def held(device: str) -> int:
    """Bytes that tensors hold on the device; on a CPU those of all parameters and buffers that are alive."""
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()
    storages = {
        one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
        for one in gc.get_objects()
        if issubclass(type(one), torch.nn.Parameter) and one.device.type == "cpu"
    }
    return sum(storages.values())


def load(manager: Manager, folder: Path, quantization: str, device: str) -> Any:
    """The backend of a folder, as a task of the studio gets it."""
    backend = manager.get(str(folder), how=How(quantization, device))
    assert isinstance(backend, Describer)
    return backend


def weights(manager: Manager, folder: Path, quantization: str, device: str) -> tuple[int, int]:
    """Estimated and measured bytes of the weights. The checkpoint stays loaded."""
    estimated = manager.estimate(str(folder), How(quantization, device)).weights
    before = held(device)
    load(manager, folder, quantization, device)
    return estimated, held(device) - before


def whole(manager: Manager, folder: Path, quantization: str) -> tuple[int, int]:
    """Estimated and measured bytes of weights, cache and activations while a GPU reads `tokens` tokens of text."""
    estimate = manager.estimate(str(folder), How(quantization, "cuda"))
    before = held("cuda")
    model = load(manager, folder, quantization, "cuda")._model
    ids = torch.full((1, estimate.tokens), 5, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    with torch.inference_mode():
        model(input_ids=ids, use_cache=True, logits_to_keep=1)
    torch.cuda.synchronize()
    return estimate.total, torch.cuda.max_memory_allocated() - before


def warm(backend: Any) -> None:
    """The first answer builds kernels and tables: it is not measured, and its picture is another one."""
    for _ in backend.describe(pictures(2)[1:], style="sentence", question="", max_words=5):
        pass


def studio_speed(backend: Any, words: int) -> tuple[Speed, str]:
    """How fast the studio's own path answers about one picture, and what it says."""
    begun, first, text = time.perf_counter(), 0.0, ""
    for seen in backend.describe(pictures(1), style="sentence", question=PROMPT, max_words=words):
        first = first or time.perf_counter() - begun
        text = seen.text
    tokens = generation.tokens_for(words)
    return Speed(first, (tokens - 1) / max(1e-9, time.perf_counter() - begun - first), tokens), text


def plain_speed(backend: Any, words: int) -> Speed:
    """How fast `transformers.generate` answers the same with nothing around it: one token, then all of them."""
    tokens = generation.tokens_for(words)

    def seconds(count: int) -> float:
        begun = time.perf_counter()
        inputs = backend._inputs(pictures(1), [PROMPT])
        with torch.inference_mode():
            backend._model.generate(**inputs, do_sample=False, max_new_tokens=count, **backend._options)
        if backend.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    first = seconds(1)
    return Speed(first, (tokens - 1) / max(1e-9, seconds(tokens) - first), tokens)


def batch(backend: Any, count: int, words: int) -> tuple[float, float]:
    """Seconds for `count` pictures one after the other, and for all of them at once."""
    images = pictures(count)

    def seconds(groups: list[list[Image.Image]]) -> float:
        begun = time.perf_counter()
        for group in groups:
            seen = backend.describe(group, style="sentence", question=PROMPT, max_words=words)
            assert sorted(one.index for one in seen if one.done) == list(range(len(group)))
        return time.perf_counter() - begun

    return seconds([[one] for one in images]), seconds([images])


def stop(backend: Any) -> float:
    """Seconds from the wish to stop until the model has stopped, in the middle of a long answer."""
    answer = backend.describe(pictures(1), style="sentence", question=PROMPT, max_words=LONG)
    with closing(answer):
        next(answer)
        begun = time.perf_counter()
    return time.perf_counter() - begun
