"""What to tell someone whose checkpoint does not fit: what it needs, what there is, and the ways out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmdemo import catalog
from mmdemo.catalog import ModelSpec
from mmdemo.errors import DoesNotFit, StudioError
from mmdemo.runtime import backends, memory, quantization
from mmdemo.runtime.base import Load
from mmdemo.settings import Settings

NONE = "–"


def too_big(request: Load, size: int, loaded: Sequence[ModelSpec], settings: Settings) -> DoesNotFit:
    """The error, with the quantizations and models that would fit and what could be unloaded for it."""
    room = _room(request.device, settings, everything=True)
    title, needed = request.spec.title, size / 1e9
    smaller = ", ".join(_quantizations(request, size, room)) or NONE
    models = ", ".join(_models(request.spec, room)) or NONE
    others = ", ".join(spec.title for spec in loaded) or NONE
    if request.device == "cuda":
        free = _room(request.device, settings) / 1e9
        return DoesNotFit(
            f"{title} needs about {needed:.1f} GB of memory, and {free:.1f} GB are free on the GPU; what would help: "
            f"a smaller quantization ({smaller}), a smaller model ({models}), unloading ({others}), or the device cpu."
        )
    state = memory.now(settings.memory_gb)
    if state.used + size > state.budget:
        return DoesNotFit(
            f"{title} needs about {needed:.1f} GB of memory, and of the budget of {state.budget / 1e9:.1f} GB "
            f"{state.used / 1e9:.1f} GB are in use; what would help: a smaller quantization ({smaller}), "
            f"a smaller model ({models}), unloading ({others}), or a larger MMDEMO_MEMORY_GB."
        )
    return DoesNotFit(
        f"{title} needs about {needed:.1f} GB of memory, and {state.free / 1e9:.1f} GB are free; what would help: "
        f"a smaller quantization ({smaller}), a smaller model ({models}), unloading ({others}), "
        "or closing other programs."
    )


def _room(device: str, settings: Settings, everything: bool = False) -> int:
    """Bytes a checkpoint could take: what is free, or on a CPU all of the budget if everything else were unloaded."""
    if device == "cuda":
        return sum(memory.cards().values())
    state = memory.now(settings.memory_gb)
    return state.budget if everything else min(state.budget - state.used, state.free)


def _quantizations(request: Load, size: int, room: int) -> list[str]:
    """Names of quantizations with which the checkpoint would fit."""
    found = []
    for way in quantization.ways(request.spec, request.device):
        if way.name in ("auto", request.quantization):
            continue
        try:
            needed = backends.estimate(replace(request, quantization=way.name)).total
        except StudioError:
            continue
        if needed < size and needed <= room:
            found.append(way.name)
    return found


def _models(spec: ModelSpec, room: int) -> list[str]:
    """The largest two other rows for the same work that would fit, by the size of their files."""
    able = [
        row
        for row in catalog.ROWS
        if row.key != spec.key and set(spec.tasks) <= set(row.tasks) and row.bytes < min(room, spec.bytes or room)
    ]
    return [row.key for row in sorted(able, key=lambda row: -row.bytes)[:2]]
