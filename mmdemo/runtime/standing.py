"""Where each checkpoint stands: here or not, loaded or not, and how it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mmdemo.catalog import ModelSpec
from mmdemo.runtime import memory


@dataclass(frozen=True)
class How:
    """How a checkpoint is to run: `quantization` is one of `quantization.NAMES`, `device` one of `device.DEVICES`."""

    quantization: str = "auto"
    device: str = "auto"


AUTO = How()


@dataclass(frozen=True)
class Row:
    """One line of the Models page. Sizes in bytes; `arrived`: what is here of one that is not here as a whole.

    `problem`: how its engine broke down, if it did and has not been loaded since.
    """

    spec: ModelSpec
    cached: bool
    loaded: bool
    disk: int
    device: str = ""
    quantization: str = ""
    arrived: int = 0
    last_used: datetime | None = None
    problem: str = ""


@dataclass(frozen=True)
class Status:
    """What the header shows. Memory in bytes; `loaded` are keys, `specs` the rows of the same checkpoints."""

    device: str
    memory: memory.Memory
    loaded: tuple[str, ...]
    offline: bool
    specs: tuple[ModelSpec, ...] = ()
