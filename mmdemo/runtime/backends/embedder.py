"""Sentence embeddings: a text encoder, mean-pooled and normalised. On a CPU in OpenVINO, else in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mmdemo.runtime import headers
from mmdemo.runtime.backends import embedder_graph
from mmdemo.runtime.base import Load
from mmdemo.runtime.estimates import Estimate, Part

BATCH = 16
"""Texts that are read at once: more are not faster, and take memory."""
LIBRARY = 60_000_000
"""Bytes of OpenVINO and its kernels, as measured."""
MAKING = 700_000_000
"""Bytes more while a graph is made: torch, the model in it and what is traced, as measured."""


class Encoder(Protocol):
    """One of the two engines."""

    width: int

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, width), of length 1; all of them at once."""


class EmbedderBackend:
    """An `Embedder`: mean pooling over the tokens (Reimers and Gurevych 2019, Sentence-BERT), length 1."""

    def __init__(self, request: Load) -> None:
        """Load it; the first time, on a CPU, its graph is made.

        Raises:
            WeightsError: it cannot be read.
            Cancelled: the user stopped before the last step began.
        """
        self.spec = request.spec
        self.device = request.device
        request.go_on()
        self._encoder: Encoder | None = encoder(request)

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory; in OpenVINO matrices lie in the file, and once more as they are computed with.

        Activations are the scores of an attention, and what they become, of `BATCH` texts of the longest length.
        """
        folder = request.folders[request.spec.key]
        if not headers.tensors(folder) or not runs_graph(request) or embedder_graph.is_refused(folder):
            from mmdemo.runtime.backends import embedder_torch

            return embedder_torch.estimate(request)
        words, matrices, heads = embedder_graph.sizes(folder)
        parts = Part("embeddings", words, 4 * words), Part("layers", matrices, 2 * 4 * matrices)
        activations = 2 * 4 * BATCH * heads * embedder_graph.LONGEST**2
        other = LIBRARY + (0 if embedder_graph.kept(folder) else MAKING)
        return Estimate(parts, activations=activations, other=other, dtype="float32")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector of length 1 for each text, (texts, width); their dot products are cosine similarities."""
        assert self._encoder is not None, "it is closed"
        vectors = np.zeros((len(texts), self._encoder.width), np.float32)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # little padding in each batch
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self._encoder.vectors([texts[row] for row in rows])
        return vectors

    def close(self) -> None:
        """Free the memory."""
        self._encoder = None
        if self.device != "cpu":
            from mmdemo.runtime.backends import checkpoint

            checkpoint.give_back(self.device)


def runs_graph(request: Load) -> bool:
    """Whether OpenVINO is to run it: on a CPU it measured better (docs/experiments.md)."""
    return request.device == "cpu" and request.quantization == "auto" and not request.trusted


def encoder(request: Load) -> Encoder:
    """The engine for a request. What cannot be made a graph runs in torch."""
    folder = request.folders[request.spec.key]
    if runs_graph(request) and embedder_graph.kept(folder):
        return embedder_graph.OpenVinoEncoder(folder, request.threads)
    from mmdemo.runtime.backends import embedder_torch

    model = embedder_torch.TorchEncoder(request)
    if not runs_graph(request) or embedder_graph.is_refused(folder):
        return model
    request.go_on()
    if not embedder_graph.make(folder, model, request.go_on):
        return model
    del model
    request.go_on()
    return embedder_graph.OpenVinoEncoder(folder, request.threads)
