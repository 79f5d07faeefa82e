"""Learning from answers: tokens to inputs and targets, the loss, and what to do when it is no number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdemo.errors import InputError
from mmdemo.fusion.model import FusionModel

IGNORED = -100
"""The target where there is no token."""


def targets(
    answers: Sequence[Sequence[int]], begin: int, end: int, pad: int, longest: int = 128
) -> tuple[Tensor, Tensor]:
    """Input ids and labels of a batch of answers, (batch, length) each.

    At each position the label is the next token, the end token after the last; an answer of more than `longest` tokens
    is cut there and then has no end to learn.
    """
    whole = [[begin, *answer, end][: longest + 1] for answer in answers]
    length = max(len(tokens) for tokens in whole) - 1
    ids = torch.full((len(whole), length), pad)
    labels = torch.full((len(whole), length), IGNORED)
    for row, tokens in enumerate(whole):
        ids[row, : len(tokens) - 1] = torch.tensor(tokens[:-1])
        labels[row, : len(tokens) - 1] = torch.tensor(tokens[1:])
    return ids, labels


def loss_of(
    model: FusionModel, ids: Tensor, labels: Tensor, origins: Sequence[str], smoothing: float = 0.0, **given: Any
) -> Tensor:
    """Mean cross-entropy of the answers' tokens.

    Args:
        ids, labels: (batch, length), of `targets`.
        origins: where each row stands, as a person would look for it.
        smoothing: share of the probability that goes to all other tokens.
        given: what `FusionModel` reads: pixel_values, features, audio_values, …

    Raises:
        InputError: the loss is no number; names the rows that make it so, or says that training has diverged.
    """
    logits = model(input_ids=ids, **given).logits.float()
    loss = nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, label_smoothing=smoothing
    )
    if not torch.isfinite(loss):
        raise _no_number(logits, labels, origins)
    return loss


def _no_number(logits: Tensor, labels: Tensor, origins: Sequence[str]) -> InputError:
    wrong = (~torch.isfinite(logits)).any(-1) & (labels != IGNORED)
    rows = [origin for origin, bad in zip(origins, wrong.any(1).tolist(), strict=True) if bad]
    if 0 < len(rows) < len(origins):
        return InputError(f"The loss is no number because of {', '.join(rows)}: look at that picture or recording.")
    return InputError("The loss is no number any more: training has diverged; lower the learning rate and go on.")


def groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """What an optimizer is given: matrices with weight decay, biases, norms and gates without; frozen weights not."""
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    return [
        {"params": [weight for weight in learned if weight.ndim > 1], "weight_decay": weight_decay},
        {"params": [weight for weight in learned if weight.ndim <= 1], "weight_decay": 0.0},
    ]
