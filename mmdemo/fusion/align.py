"""Alignment: features of an encoder become vectors of the language model's space."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def linear(features: int, hidden: int) -> nn.Module:
    """(…, features) → (…, hidden) by one matrix, the projector of LLaVA (arXiv:2304.08485)."""
    return nn.Linear(features, hidden)


def mlp(features: int, hidden: int) -> nn.Module:
    """(…, features) → (…, hidden) by two layers with GELU, the projector of LLaVA-1.5 (arXiv:2310.03744)."""
    return nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, hidden))


PROJECTORS: dict[str, Callable[[int, int], nn.Module]] = {"linear": linear, "mlp": mlp}
