"""Fusion: several modalities become one sequence that a language model reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def concat(modal: Tensor, text: Tensor) -> tuple[Tensor, None]:
    """Modal tokens before the text tokens, V = [Vˣ; Vᵗ]: one sequence, one kind of attention.

    Args:
        modal: Vˣ, (batch, n, hidden).
        text: Vᵗ, (batch, m, hidden).

    Returns:
        V, (batch, n + m, hidden), and nothing to attend to beside it.
    """
    return torch.cat([modal, text], dim=1), None


def cross_attention(modal: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    """Text tokens alone; in every layer they also attend to the modal tokens (arXiv:1706.03762, encoder to decoder).

    Each layer has weights of its own for what it reads from the picture, which a small decoder learned from scratch
    does better with than with `concat`: `docs/experiments.md`.

    Args:
        modal: (batch, n, hidden).
        text: (batch, m, hidden).

    Returns:
        The sequence, (batch, m, hidden), and what to attend to, (batch, n, hidden).
    """
    return text, modal


Join = Callable[[Tensor, Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Fusion:
    """A way to fuse: what happens to the modal tokens, and what is done with them.

    Attributes:
        join: modal and text tokens → the language model's sequence, and what is attended to beside it.
        resamples: learned queries gather the modal tokens first (`attention.Resampler`).
        crosses: the language model's own cross-attention looks at them.
        gates: layers that are added to the language model look at them (`attention.GatedCrossAttention`).
    """

    join: Join
    resamples: bool = False
    crosses: bool = False
    gates: bool = False


FUSIONS: dict[str, Fusion] = {
    "concat": Fusion(concat),
    "attention": Fusion(concat, resamples=True),
    "cross-attention": Fusion(cross_attention, crosses=True),
    "gated-cross-attention": Fusion(cross_attention, gates=True),
}


def shared_prefix_mask(prefix: int, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Attention mask and positions to train on several captions of one picture in one sequence.

    The sequence is [prefix | caption 1 | … | caption k]. The prefix and each caption are causal; a caption sees the
    prefix and itself, never another caption, so the losses equal those of k separate sequences while the prefix is
    computed once.

    Args:
        prefix: number of modal tokens.
        valid: (batch, k, length), True where a caption has a token.

    Returns:
        mask (batch, 1, n, n), True where a query may look, with n = prefix + k × length; positions (batch, n).
    """
    batch, captions, length = valid.shape
    total = prefix + captions * length
    order = torch.arange(total)
    group = torch.where(order < prefix, -1, (order - prefix) // length)
    causal = order[:, None] >= order[None, :]
    visible = causal & ((group[None, :] == -1) | (group[:, None] == group[None, :]))
    keys = torch.cat([torch.ones(batch, prefix, dtype=torch.bool), valid.reshape(batch, -1)], dim=1)
    mask = visible[None] & keys[:, None, :] | torch.eye(total, dtype=torch.bool)
    positions = torch.where(order < prefix, order, prefix + (order - prefix) % length)
    return mask[:, None], positions.expand(batch, -1)
