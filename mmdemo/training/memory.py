"""What a run takes of memory, and the signs that it was too much."""

from __future__ import annotations

import torch

from mmdemo.errors import DoesNotFit
from mmdemo.runtime import memory


def used(device: str) -> int:
    """Bytes: on a GPU the most that was allocated, else what this process takes."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    return int(memory.now().used)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory did not suffice: torch has no class of its own for it on a CPU."""
    said = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in said for words in ("out of memory", "can't allocate memory", "not enough memory")
    )


def too_large() -> DoesNotFit:
    """The error for a model of which one row at a time is too much."""
    return DoesNotFit(
        "Not even one row at a time fits into memory: choose a smaller model, LoRA, or a shorter longest text."
    )


def too_many(rows: int) -> DoesNotFit:
    """The error for so many rows at once in one of several processes."""
    return DoesNotFit(
        f"Memory did not suffice for {rows} rows at once in one of the processes: begin anew with a smaller batch, and "
        "accumulate more of them."
    )
