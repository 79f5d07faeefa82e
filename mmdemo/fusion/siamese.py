"""Two towers that put a file and its sentence at the same place of one space."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mmdemo.errors import UnknownName
from mmdemo.fusion import encoders
from mmdemo.fusion.align import PROJECTORS
from mmdemo.fusion.config import SiameseConfig, width

# isort: split
from transformers import AutoModel, PreTrainedModel


def info_nce(left: Tensor, right: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """The contrastive loss of CLIP (arXiv:2103.00020, figure 3), symmetric InfoNCE (arXiv:1807.03748, equation 4).

    With S = scale · left rightᵀ, (batch, batch): the mean cross-entropy of each row's softmax against its diagonal, and
    of each column's; `bias` plays no part, since a softmax does not see it.

    Args:
        left, right: (batch, size), of length 1; the rows at one index belong together.
    """
    scores = scale * left @ right.T
    own = torch.arange(len(scores), device=scores.device)
    return (nn.functional.cross_entropy(scores, own) + nn.functional.cross_entropy(scores.T, own)) / 2


def siglip(left: Tensor, right: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """The loss of SigLIP (arXiv:2303.15343, equation 1): each pair by itself is a yes or no.

    −1/batch Σᵢⱼ log σ(zᵢⱼ (scale · leftᵢ·rightⱼ + bias)), with z = 1 where i = j and −1 elsewhere.

    Args:
        left, right: (batch, size), of length 1; the rows at one index belong together.
    """
    scores = scale * left @ right.T + bias
    signs = 2 * torch.eye(len(scores), device=scores.device) - 1
    return -nn.functional.logsigmoid(signs * scores).sum() / len(scores)


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {"info-nce": info_nce, "siglip": siglip}


class SiameseModel(PreTrainedModel):  # type: ignore[misc]
    """encoder → mean over positions → projector → length 1, for a picture or recording and for its sentence.

    Either side takes what its encoder reads, or the encoder's features, (batch, positions, channels).
    """

    config_class = SiameseConfig
    base_model_prefix = "siamese"
    main_input_name = "values"

    def __init__(self, config: SiameseConfig) -> None:
        super().__init__(config)
        for what, name, choices in (("projector", config.projector, PROJECTORS), ("loss", config.loss, LOSSES)):
            if name not in choices:
                raise UnknownName(what, name, choices)
        self.media = encoders.build(config.media_config)
        self.text = encoders.build(config.text_config)
        project = PROJECTORS[config.projector]
        self.media_projector = project(width(config.media_config), config.size)
        self.text_projector = project(width(config.text_config), config.size)
        # Beginnings of the papers: exp(s) = 1 / 0.07 for InfoNCE, exp(s) = 10 and a bias of −10 for SigLIP.
        begin = (math.log(1 / 0.07), 0.0) if config.loss == "info-nce" else (math.log(10), -10.0)
        self.scale, self.bias = (nn.Parameter(torch.tensor([value])) for value in begin)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        encoders.initialize(module)

    def embed_media(self, values: Tensor | None = None, features: Tensor | None = None) -> Tensor:
        """(batch, size), of length 1: pictures (batch, 3, height, width), or sound as the encoder reads it."""
        if features is None:
            if values is None:
                raise ValueError("Give values or features.")
            features = self.media.read(values)
        return nn.functional.normalize(self.media_projector(features.mean(1)), dim=-1)

    def embed_text(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, text_features: Tensor | None = None
    ) -> Tensor:
        """(batch, size), of length 1: token ids (batch, length) with 1 in `attention_mask` where there is a token."""
        if text_features is None:
            if input_ids is None:
                raise ValueError("Give input_ids or text_features.")
            text_features = self.text.read(input_ids, attention_mask)
        if attention_mask is None:
            pooled = text_features.mean(1)
        else:
            weights = attention_mask[..., None].to(text_features.dtype)
            pooled = (text_features * weights).sum(1) / weights.sum(1).clamp(min=1)
        return nn.functional.normalize(self.text_projector(pooled), dim=-1)

    def loss(self, media: Tensor, text: Tensor) -> Tensor:
        """The loss of a batch of pairs of embeddings, (batch, size) each."""
        return LOSSES[self.config.loss](media, text, self.scale.exp().clamp(max=100), self.bias)

    def forward(
        self,
        values: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        features: Tensor | None = None,
        text_features: Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """`media` and `text`, (batch, size); the `loss`; `scores`, (batch, batch), the cosine of each pair."""
        media = self.embed_media(values, features)
        text = self.embed_text(input_ids, attention_mask, text_features)
        return {"loss": self.loss(media, text), "media": media, "text": text, "scores": media @ text.T}


AutoModel.register(SiameseConfig, SiameseModel)
