"""Frozen features of a folder of pictures, seen in several ways, computed once and kept on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mmdemo import private_openvino, torchvision_ops
from mmdemo.fusion.checkpoint import load_encoder
from mmdemo.fusion.config import FusionVisionConfig
from mmdemo.fusion.export import graph_of
from mmdemo.fusion.pixels import pixels

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
View = Callable[[Image.Image], Image.Image]


def as_it_is(image: Image.Image) -> Image.Image:
    """The picture unchanged."""
    return image


def crops() -> View:
    """Another framing of a picture each time: 60 to 100 % of its area, mirrored half of the time, other light.

    It draws from torch's random numbers.
    """
    torchvision_ops.prepare()
    from torchvision.transforms import v2

    size = FusionVisionConfig().image_size
    return v2.Compose(  # type: ignore[no-any-return]
        [
            v2.RandomResizedCrop(size, scale=(0.6, 1.0), ratio=(0.85, 1.18), interpolation=Image.Resampling.BICUBIC),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    )


def compute(
    files: Sequence[Path],
    encode: Encode,
    config: FusionVisionConfig,
    out: Path,
    *,
    view: View = as_it_is,
    batch: int = 16,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float16]:
    """Features of `files`, (files, positions, channels) in float16, memory-mapped from `out`.

    Args:
        encode: (batch, 3, size, size) → (batch, positions, channels).
        view: how each picture is seen.
        report: called with files done and files in all.
    """
    if out.exists():
        return _read(out)
    partial = out.with_suffix(".partial.npy")
    shape = (len(files), config.grid_size**2, config.hidden_size)
    store = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    for start in range(0, len(files), batch):
        images = [view(Image.open(file).convert("RGB")) for file in files[start : start + batch]]
        store[start : start + len(images)] = encode(
            pixels(images, config.image_size, config.image_mean, config.image_std)
        )
        report(min(start + batch, len(files)), len(files))
    store.flush()
    partial.replace(out)
    return _read(out)


def _read(file: Path) -> NDArray[np.float16]:
    features: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return features


def encoder(folder: Path) -> Encode:
    """The frozen encoder as an OpenVINO graph: (batch, 3, size, size) → (batch, positions, channels)."""
    size = FusionVisionConfig().image_size
    example = torch.zeros(2, 3, size, size)
    graph = graph_of(load_encoder(folder), example, input=[(-1, 3, size, size)])
    compiled = private_openvino.load().Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda batch: compiled(batch)[0]


def print_progress(done: int, total: int) -> None:
    """One line, written over itself."""
    print(f"\r{done} of {total} pictures encoded", end="\n" if done == total else "", file=sys.stderr, flush=True)
