"""Linear layers with weights of 8 bits for a CPU, whose inputs stay as they are.

Inputs in 8 bits with one scale for all tokens are as fast and ruin a real language model, in whose inputs a few
channels are a hundred times the rest (LLM.int8, Dettmers et al. 2022; docs/experiments.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

BLOCK = 32
"""The number of inputs must be a multiple of it for the kernel, which takes as many at once and looks for no end."""
FEW = 32
"""Tokens up to which the kernel that reads 8 bits is faster than making the weight whole for a product."""


class Linear8(nn.Module):
    """y = x Wᵀ + b with W ≈ diag(scale) · weight, `weight` from −127 to 127.

    Attributes:
        weight: (outputs, inputs), int8.
        scale: (outputs,), bfloat16, the largest of a row over 127.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        whole = layer.weight.detach().float()
        scale = (whole.abs().amax(dim=1).clamp_min(1e-12) / 127).to(torch.bfloat16)
        rounded = (whole / scale.float()[:, None]).round_().clamp_(-127, 127)
        self.register_buffer("weight", rounded.to(torch.int8))
        self.register_buffer("scale", scale)
        self.bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs), in the type of the inputs; few tokens are multiplied in bfloat16.

        Gradients reach the inputs, by the weight made whole: the kernel has none.
        """
        rows = inputs.reshape(-1, inputs.shape[-1])
        quick = not (torch.is_grad_enabled() and rows.requires_grad)
        if quick and 0 < len(rows) <= FEW and rows.shape[1] % BLOCK == 0:
            short = rows.to(torch.bfloat16).contiguous()
            out = torch._weight_int8pack_mm(short, self.weight, self.scale).to(inputs.dtype)
        else:
            out = nn.functional.linear(rows, self.weight.to(rows.dtype)) * self.scale.to(rows.dtype)
        out = out if self.bias is None else out + self.bias
        return out.reshape(*inputs.shape[:-1], self.out_features)


def packed(model: Any) -> Any:
    """The model with each of its linear layers so, in its place; kinds of layers derived from them stay whole."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, Linear8(child))
    return model
