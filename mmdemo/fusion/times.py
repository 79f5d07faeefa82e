"""Sequences of modal tokens: positions in time, fewer of them, and rows without a modality."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

LONGEST_WAVE = 100.0


def sinusoids(count: int, hidden: int, device: torch.device | None = None) -> Tensor:
    """(count, hidden): sines and cosines of positions, arXiv:1706.03762 section 3.5, first all sines.

    Wavelengths from 2π to 2π · 100 instead of · 10,000: there are fewer frames than words, and each should stand out.
    """
    half = (hidden + 1) // 2
    rates = torch.exp(-torch.arange(half, device=device) / half * torch.log(torch.tensor(LONGEST_WAVE)))
    angles = torch.arange(count, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :hidden]


def timed(tokens: Tensor) -> Tensor:
    """Tokens of several frames, (batch, frames, positions, hidden), as one sequence that tells each frame's time,
    (batch, frames × positions, hidden); those of one picture, (batch, positions, hidden), as they are."""
    if tokens.ndim == 3:
        return tokens
    times = sinusoids(tokens.shape[1], tokens.shape[-1], tokens.device).to(tokens.dtype)
    return (tokens + times[:, None]).flatten(1, 2)


def pooled(features: Tensor, size: int) -> Tensor:
    """(batch, positions, channels) → means of `size` positions in a row; the last may be of fewer."""
    if size <= 1:
        return features
    pieces = torch.split(features, size, dim=1)
    return torch.stack([piece.mean(1) for piece in pieces], dim=1)


def left_out(tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Masks with modalities left out of rows at random, each with probability `share`, but never all of a row.

    Args:
        tokens: by modality, (batch, positions, hidden).
        masks: by modality, (batch,) or (batch, positions); a modality without one is there everywhere.
    """
    first = next(iter(tokens.values()))
    kept = torch.rand(len(first), len(tokens), device=first.device) >= share
    kept |= ~kept.any(1, keepdim=True)
    found, remains = {}, torch.zeros(len(first), dtype=torch.bool, device=first.device)
    for column, (modality, values) in enumerate(tokens.items()):
        mask = masks.get(modality, torch.ones(len(values), dtype=torch.bool, device=values.device)).bool()
        found[modality] = mask.view(len(mask), -1) & kept[:, column, None]
        remains |= found[modality].any(1)
    # A row that has only what was drawn to be left out keeps it.
    return {name: torch.where(remains[:, None], mask, _wide(masks.get(name), mask)) for name, mask in found.items()}


def _wide(mask: Tensor | None, like: Tensor) -> Tensor:
    return torch.ones_like(like) if mask is None else mask.bool().view(len(mask), -1)
