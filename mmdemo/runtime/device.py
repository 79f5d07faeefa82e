"""Which device the models run on."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from mmdemo.errors import UnknownName, Unsupported

DEVICES = ("auto", "cpu", "cuda", "mps")
QUOTA = Path("/sys/fs/cgroup/cpu.max")
DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""Signs of a GPU on Linux: NVIDIA's driver, its first card, Windows' GPU inside WSL, AMD's driver."""


def cores(quota: Path = QUOTA) -> int:
    """Cores this process may use: those it is bound to, and no more than a container grants (control groups, v2)."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        granted, period = quota.read_text().split()
    except (OSError, ValueError):
        return bound  # not in such a container
    return bound if granted == "max" else max(1, min(bound, int(granted) // int(period)))


@cache
def choose(wanted: str = "auto") -> str:
    """The device to use: the one that is asked for, or the best there is.

    Raises:
        UnknownName: for a name that is no device.
        Unsupported: for a device that is not here.
    """
    if wanted not in DEVICES:
        raise UnknownName("device", wanted, DEVICES)
    if wanted == "cpu" or (wanted == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next((name for name, here in there.items() if here), "cpu")
    if not there[wanted]:
        raise Unsupported(f"There is no {wanted} device here: set MMDEMO_DEVICE to auto or cpu.")
    return wanted


def _may_have_gpu() -> bool:
    """A guess without importing torch, which takes seconds: False only where there can be none."""
    return not Path("/proc").exists() or any(Path(driver).exists() for driver in DRIVERS)


@cache
def describe(device: str) -> str:
    """The device in words, with its name where one is known."""
    if device == "cuda":
        import torch

        return str(torch.cuda.get_device_name(0))
    return "Apple GPU" if device == "mps" else f"CPU, {cores()} cores"
