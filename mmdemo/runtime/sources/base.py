"""What fetching reports, and what it needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmdemo.catalog import ModelSpec


@dataclass(frozen=True)
class Progress:
    """How far a fetch is: `stage` is a short sentence, sizes are bytes; `total` 0 when unknown."""

    stage: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Fetch:
    """One fetch of one row into `folder`.

    Attributes:
        report: called with progress, at least once a second while something happens.
        cancelled: asked between pieces; the fetch raises `Cancelled` and leaves what it has for the next try.
    """

    spec: ModelSpec
    folder: Path
    report: Callable[[Progress], None] = lambda progress: None
    cancelled: Callable[[], bool] = lambda: False
