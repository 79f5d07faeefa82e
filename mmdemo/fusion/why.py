"""Why a model said what it said: for each token where it looked, and what it would think without a modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdemo.fusion import check
from mmdemo.fusion.model import FusionModel

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Why:
    """About one answer.

    Attributes:
        probabilities: (tokens,): of each token, given what stands before it.
        looked: by modality, (tokens, positions), or (tokens, frames, positions) of several frames: how much each
            position of the encoder's features counts for each token; over all modalities a token's sum is 1.
        without: by modality, (tokens,): the logarithm of each token's probability minus that without the modality;
            far above 0 where the modality decided. Without the only one, what the language model says by itself.
    """

    probabilities: Floats
    looked: Mapping[str, Floats]
    without: Mapping[str, Floats]

    def share(self, modality: str) -> Floats:
        """(tokens,): how much of each token comes from a modality, of 1."""
        weights = self.looked[modality]
        return np.asarray(weights.reshape(len(weights), -1).sum(1), dtype=np.float32)


def why(model: FusionModel, answer: Tensor, features: Mapping[str, Tensor], prompt: Tensor | None = None) -> Why:
    """Explain an answer by gradients and by leaving out.

    A position counts by |∇f · f|, the gradient of the token's log probability by the position's feature f times f
    (arXiv:1605.01713), which any way of fusing has.

    Args:
        answer: (tokens,), what the model said, its end token included or not.
        features: by modality, those of one row, as `FusionModel.encoded` gives them, with a batch of one.
        prompt: (length,), what the answer went on from; by default the begin token.
    """
    if prompt is None:
        prompt = torch.tensor([model.config.text_config.bos_token_id])
    ids = torch.cat([prompt.to(answer.device), answer])[None]
    leaves = {modality: values.detach().clone().requires_grad_() for modality, values in features.items()}
    model.eval()
    with torch.enable_grad():
        own = _logs(model, ids, len(answer), features=leaves)
        looked = _looked(own, leaves)
    with torch.inference_mode():
        without = {
            modality: (own.detach() - _logs(model, ids, len(answer), **_left(leaves, modality))).cpu().numpy()
            for modality in leaves
        }
    return Why(own.detach().exp().cpu().numpy(), looked, without)


def _left(features: Mapping[str, Tensor], modality: str) -> dict[str, Any]:
    """What the model is given so that a row has nothing of a modality."""
    first = features[modality]
    return {"features": features, "masks": {modality: torch.zeros(len(first), dtype=torch.bool, device=first.device)}}


def _logs(model: FusionModel, ids: Tensor, count: int, **given: Any) -> Tensor:
    """(count,): logarithm of the probability of each of the last tokens."""
    logits: Tensor = model(input_ids=ids[:, :-1], **given).logits[0, -count:].float()
    return torch.gather(logits.log_softmax(-1), 1, ids[0, -count:, None])[:, 0]


def _looked(logs: Tensor, leaves: Mapping[str, Tensor]) -> dict[str, Floats]:
    rows: dict[str, list[Tensor]] = {modality: [] for modality in leaves}
    for token in range(len(logs)):
        slopes = torch.autograd.grad(logs[token], list(leaves.values()), retain_graph=True)
        scores = [(slope * leaf).sum(-1)[0].abs() for slope, leaf in zip(slopes, leaves.values(), strict=True)]
        total = torch.stack([score.sum() for score in scores]).sum().clamp(min=1e-12)
        for modality, score in zip(leaves, scores, strict=True):
            rows[modality].append((score / total).detach().float())
    return {modality: torch.stack(scores).cpu().numpy() for modality, scores in rows.items()}


def grid(modality: str, config: Any, positions: int) -> tuple[int, int]:
    """Rows and columns that an encoder's last `positions` are of what it reads; (1, positions) where they are a line.

    Tokens before them (CLS, registers) belong to no place: rows × columns may be less than `positions`.
    """
    if config.model_type == "fusion_patches":
        return config.height // config.patch_height, config.width // config.patch_width
    if modality != "vision":
        return 1, positions
    patch = getattr(config, "patch_size", 0)
    if patch:
        _, height, across = check.reads(modality, config)
        return height // patch, across // patch
    side = int(positions**0.5)
    return (side, side) if side * side == positions else (1, positions)
