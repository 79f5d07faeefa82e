"""What a loaded model takes, weighed tensor by tensor."""

from __future__ import annotations

import torch
from torch.ao.nn.quantized.dynamic import Linear


def held(model: torch.nn.Module) -> int:
    """Bytes of all weights as they are held, those in 8 bits too."""
    total = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    for module in model.modules():
        if isinstance(module, Linear):
            bias = module.bias()
            total += module.weight().numel() + (0 if bias is None else bias.nbytes)
    return total
