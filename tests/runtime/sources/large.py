"""A repository with a file that is large enough to break off in, and how much of it is here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from mmdemo.catalog import ModelSpec
from mmdemo.runtime.sources import cached
from mmdemo.runtime.sources.hub_download import PIECE
from mmdemo.settings import Settings
from tests.loopback import COMMIT, Served

WEIGHTS = os.urandom(3_000_000)
HALF = len(WEIGHTS) // 2
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}
REPO = "someone/tiny"
LIST = f"/api/models/{REPO}/revision/main"
FILE = f"/{REPO}/resolve/{COMMIT}/model.safetensors"


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def part(settings: Settings) -> int:
    """Bytes that are here of the large file."""
    parts = settings.models_folder / ".staging" / "tiny" / "hub" / ".parts"
    sizes = [path.stat().st_size for path in parts.iterdir()] if parts.is_dir() else []
    return max(sizes, default=0)


def assert_resumed(served: Served, start: int) -> None:
    """The last download of the large file was of all that was not here, and of nothing else."""
    assert start > HALF - PIECE
    assert served.of(FILE)[-1] == (f"bytes={start}-", len(WEIGHTS) - start)


def assert_nothing_is_used(spec: ModelSpec, settings: Settings) -> None:
    assert cached(spec, settings) is None
    assert not (settings.models_folder / "tiny" / "model.safetensors").exists()
