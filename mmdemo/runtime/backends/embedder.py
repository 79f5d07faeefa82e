"""Sentence embeddings: a text encoder, mean-pooled and normalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmdemo.runtime.backends import checkpoint
from mmdemo.runtime.base import Load
from mmdemo.runtime.estimates import Estimate

BATCH = 64
LONGEST = 256
"""Tokens of a text that are read; all-MiniLM-L6-v2 was trained with 128 and is published with 256."""
DTYPE = torch.float32
"""The vectors are kept and compared later, perhaps with some from another machine."""


class EmbedderBackend:
    """An `Embedder`: mean pooling over the tokens (Reimers and Gurevych 2019, Sentence-BERT), length 1."""

    def __init__(self, request: Load) -> None:
        self.spec = request.spec
        self.device = request.device
        self._threads = request.threads
        folder = request.folders[self.spec.key]
        checkpoint.check_format(folder, self.spec.title)
        request.go_on()

        def tokenizer() -> Any:
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=request.trusted)

        self._tokenizer: Any = checkpoint.opened(self.spec.title, folder, tokenizer)
        request.go_on()
        from transformers import AutoModel

        self._model: Any = checkpoint.open_model(AutoModel, request, dtype=DTYPE, allowed_absent=("pooler.",))

    @staticmethod
    def estimate(request: Load) -> Estimate:
        """What it will take in memory, from its configuration."""
        return checkpoint.estimate(request, "AutoModel", dtype=DTYPE)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector of length 1 for each text, (texts, width); their dot products are cosine similarities."""
        vectors = np.zeros((len(texts), self._model.config.hidden_size), np.float32)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # little padding in each batch
        checkpoint.use_threads(self._threads)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self._batch([texts[row] for row in rows])
        return vectors

    def close(self) -> None:
        """Free the memory."""
        self._model = self._tokenizer = None
        checkpoint.give_back(self.device)

    def _batch(self, texts: list[str]) -> NDArray[np.float32]:
        inputs = self._tokenizer(texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
        inputs = inputs.to(self._model.device)
        with torch.inference_mode():
            hidden = self._model(**inputs).last_hidden_state  # (texts, tokens, width)
        mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        return vectors
