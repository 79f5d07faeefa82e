"""Two towers: pictures or recordings, and sentences, as places of one space; what was placed lately is kept."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.runtime import headers
from mmdemo.runtime.backends import checkpoint
from mmdemo.runtime.backends.labels import WORKING, encoder_bytes
from mmdemo.runtime.base import Load
from mmdemo.runtime.estimates import Estimate, Part

BATCH = 16
KEPT = 4096
"""Files whose place is kept: another question about a folder does not look at it again. 1 kB each."""
Floats = NDArray[np.float32]


class TowersBackend:
    """An `Aligner` over a `SiameseModel` and what prepares its pictures, recordings and sentences."""

    def __init__(self, request: Load) -> None:
        """Load both towers.

        Raises:
            WeightsError: they cannot be read.
        """
        request.go_on()
        from mmdemo.fusion.aligned import Aligned

        self.spec, self.device, self._threads = request.spec, request.device, request.threads
        folder, *parts = (request.folders[key] for key in (request.spec.key, *request.spec.parts))
        checkpoint.check_format(folder, request.spec.title)
        self._towers: Any = Aligned.joined(folder, *parts) if parts else Aligned.load(folder)
        self._towers.model.to(request.device)
        self.hears = self._towers.extractor is not None
        self._kept: OrderedDict[bytes, Floats] = OrderedDict()

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory: everything in float32, however it lies in the files."""
        parts = []
        for key, folder in request.folders.items():
            numbers = sum(math.prod(tensor.shape) for tensor in headers.tensors(folder).values())
            size = 4 * numbers or encoder_bytes(folder)
            parts.append(Part(key, size // 4, size))
        return Estimate(tuple(parts), activations=WORKING, dtype="float32")

    def place_media(self, media: Sequence[Any]) -> Floats:
        """Pictures (RGB) or recordings (mono, 16 kHz) → (files, size), of length 1."""
        keys = [_key(np.asarray(one)) for one in media]
        new = {key: one for key, one in zip(keys, media, strict=True) if key not in self._kept}
        found = {key: self._kept[key] for key in keys if key in self._kept}
        found |= zip(new, self._batched(self._towers.media_vectors, list(new.values())), strict=True)
        self._kept |= found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return np.stack([found[key] for key in keys])

    def place_texts(self, texts: Sequence[str]) -> Floats:
        """Sentences → (texts, size), of length 1; the dot product with a file's place says how near they are."""
        return np.stack(self._batched(self._towers.text_vectors, list(texts)))

    def _batched(self, place: Callable[[Sequence[Any]], Floats], given: list[Any]) -> list[Floats]:
        checkpoint.use_threads(self._threads)
        return [one for start in range(0, len(given), BATCH) for one in place(given[start : start + BATCH])]

    def close(self) -> None:
        """Free the memory, and what is kept."""
        self._towers = None
        self._kept.clear()
        checkpoint.give_back(self.device)


def _key(values: NDArray[Any]) -> bytes:
    """What tells media apart: their shape too, for two plain pictures have the same bytes."""
    return hashlib.sha256(str(values.shape).encode() + np.ascontiguousarray(values).tobytes()).digest()
