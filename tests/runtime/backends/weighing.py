"""What a loaded model takes, weighed tensor by tensor."""

from __future__ import annotations

import torch


def held(model: torch.nn.Module) -> int:
    """Bytes of all weights as they are held, those in 8 bits too."""
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
