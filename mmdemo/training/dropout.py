"""Dropout on a CPU whose random bits come eight bytes at a time: torch draws a whole number for each position."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

BITS = 16
"""Random bits that decide about a position."""


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor, share: float) -> Tensor:
        """Zeros at `share` of the positions, all others scaled so that the mean stays."""
        limit = round(share * 2**BITS)
        words = -(-values.numel() * BITS // 64)
        bits = torch.empty(words, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = (bits[: values.numel()] >= limit - 2 ** (BITS - 1)).view(values.shape)
        context.save_for_backward(kept)
        context.scale = 2**BITS / (2**BITS - limit)
        found: Tensor = (values * kept).mul_(context.scale)
        return found

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = context.saved_tensors
        return (gradient * kept).mul_(context.scale), None


class Dropout(nn.Dropout):
    """As `nn.Dropout`, with other random numbers of the same generator; the share is a multiple of 2⁻¹⁶."""

    def forward(self, input: Tensor) -> Tensor:
        """Values of any shape → the same shape; as they are in evaluation."""
        quick = self.training and 0 < self.p < 1 - 2**-BITS and not self.inplace
        if not (quick and input.device.type == "cpu" and input.is_floating_point()):
            return super().forward(input)
        return _Dropped.apply(input, self.p)  # type: ignore[no-any-return, no-untyped-call]


def quicken(model: nn.Module) -> None:
    """Let every `nn.Dropout` of a model be a `Dropout`: names, weights and evaluation stay as they are."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
