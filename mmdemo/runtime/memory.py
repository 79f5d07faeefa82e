"""How much memory there is, is used, and may be used. Sizes in bytes."""

from __future__ import annotations

import ctypes
import gc
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

SHARE = 0.7
"""Of the machine's memory, what the models may take unless the settings say otherwise."""

CARD = 0.92
"""Of a card's free memory, what a checkpoint may take: kernels need some, and memory breaks into pieces."""

ARENA_MAX = -8
"""`M_ARENA_MAX` of glibc's malloc.h."""

LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Memory:
    """This process's memory, the budget of the settings, and the machine's."""

    used: int
    budget: int
    free: int
    total: int


def now(budget_gb: float = 0.0) -> Memory:
    """The state of things, within the limit that a container sets."""
    machine = psutil.virtual_memory()
    used = psutil.Process(os.getpid()).memory_info().rss
    total, free = machine.total, machine.available
    limit = container_limit()
    if limit is not None and limit < total:
        total, free = limit, max(0, min(free, limit - used))
    budget = int(budget_gb * 1e9) if budget_gb else int(total * SHARE)
    return Memory(used, budget, free, total)


def container_limit(file: Path = LIMIT) -> int | None:
    """The bytes that a container may use, where it is limited (Linux control groups, version 2)."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None  # no control groups here
    return int(text) if text.isdigit() else None


def fits(size: int, budget_gb: float = 0.0, device: str = "cpu") -> bool:
    """Whether `size` more bytes stay inside the budget and the free memory: the cards' for CUDA, else the machine's."""
    if device == "cuda":
        return size <= sum(cards().values())
    state = now(budget_gb)
    return state.used + size <= state.budget and size <= state.free


def cards() -> dict[str, int]:
    """What a checkpoint may take on each GPU, by name: `cuda:0` and so on."""
    import torch

    return {f"cuda:{card}": int(CARD * torch.cuda.mem_get_info(card)[0]) for card in range(torch.cuda.device_count())}


def give_back() -> None:
    """Free what only refers to itself, and ask the C library to return freed pages to the system; glibc keeps them."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return  # not glibc: nothing to ask


def one_heap() -> None:
    """Have glibc serve all threads from one heap, unless `MALLOC_ARENA_MAX` says otherwise.

    It gives each thread a heap of its own, and a heap with one small block left at its end is kept whole: a language
    model that was loaded and unloaded twenty times left 40 % of this process behind, with one heap nothing. Heaps
    that there are already stay, so this is for before threads begin.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    try:
        ctypes.CDLL("libc.so.6").mallopt(ARENA_MAX, 1)
    except (OSError, AttributeError):
        return  # not glibc: nothing to set
