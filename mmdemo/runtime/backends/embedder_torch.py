"""A text encoder in torch: on any device, and what an OpenVINO graph is made of and held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmdemo.runtime.backends import checkpoint
from mmdemo.runtime.backends.embedder_graph import LONGEST
from mmdemo.runtime.base import Load
from mmdemo.runtime.estimates import Estimate

DTYPE = torch.float32
"""The vectors are kept and compared later, perhaps with some from another machine."""


class Pooled(nn.Module):
    """An encoder with what makes one vector of a text: the mean over its tokens, of length 1."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """(texts, tokens) each → (texts, width)."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        given = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **segments)
        hidden: Tensor = given.last_hidden_state  # (texts, tokens, width)
        mask = attention_mask.unsqueeze(-1)
        # chosen, not multiplied: what OpenVINO gives for a text without tokens is no number
        pooled = torch.where(mask > 0, hidden, 0.0).sum(1) / mask.sum(1).clamp(min=1)
        return nn.functional.normalize(pooled, dim=1)


class TorchEncoder:
    """The model itself and its tokenizer."""

    def __init__(self, request: Load) -> None:
        """Load it.

        Raises:
            WeightsError: it cannot be read.
        """
        folder = request.folders[request.spec.key]
        checkpoint.check_format(folder, request.spec.title)

        def tokenizer() -> Any:
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=request.trusted)

        self._threads = request.threads
        self._tokenizer: Any = checkpoint.opened(request.spec.title, folder, tokenizer)
        request.go_on()
        from transformers import AutoModel

        model = checkpoint.open_model(AutoModel, request, dtype=DTYPE, allowed_absent=("pooler.",))
        self.model = Pooled(model).eval()
        self.device = model.device
        self.width = int(model.config.hidden_size)

    def tokens(self, texts: Sequence[str]) -> Mapping[str, Tensor]:
        """What the encoder reads, (texts, tokens) each."""
        given: Mapping[str, Tensor] = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        return given

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, width), of length 1; all of them at once."""
        checkpoint.use_threads(self._threads)
        with torch.inference_mode():
            found: NDArray[np.float32] = (
                self.model(**{name: values.to(self.device) for name, values in self.tokens(texts).items()})
                .cpu()
                .numpy()
            )
        return found


def estimate(request: Load) -> Estimate:
    """What it will take in memory, from its configuration."""
    return checkpoint.estimate(request, "AutoModel", dtype=DTYPE)
