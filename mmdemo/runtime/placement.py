"""Where the layers of a checkpoint go: what each card, the memory and the disk may take of it. Bytes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from mmdemo.runtime import memory

OFFLOADS = ("no", "cpu", "disk")


def plan(size: int, device: str, offload: str, budget_gb: float, disk: Path) -> Mapping[str, int] | None:
    """What each place may take of a checkpoint of `size` bytes.

    Args:
        device: `cpu` or `cuda`.
        offload: where layers go that do not fit: `no`, `cpu`, or `disk`.
        disk: a folder on the disk in question.

    Returns:
        An empty mapping if all of it fits the device, None if it does not fit the places that it may go to, else what
        `accelerate` is given as `max_memory`.
    """
    if memory.fits(size, budget_gb, device):
        return {}
    if offload == "no" or (device == "cpu" and offload != "disk"):
        return None
    places = memory.cards() if device == "cuda" else {}
    state = memory.now(budget_gb)
    places["cpu"] = max(0, min(state.budget - state.used, state.free))
    if offload == "disk":
        room = sum(places.values()) + shutil.disk_usage(disk).free
        return places if size <= room else None
    return places if size <= sum(places.values()) else None
