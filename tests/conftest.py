"""Fixtures that every test may use."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.loopback import Served, publish, serving
from tools.setup import in_ci

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def data() -> Path:
    """Real pictures, speech and video; tests that need the folder are skipped where it is absent, but not in CI."""
    if not DATA.is_dir():
        if in_ci():
            pytest.fail(f"The data folder is missing: {DATA}")
        pytest.skip(f"needs the data folder {DATA}")
    return DATA


@pytest.fixture
def served() -> Iterator[Served]:
    """A server on a free port of the loopback address."""
    with serving() as state:
        yield state


@pytest.fixture
def hub(served: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Publish a repository on a Hub that HF_ENDPOINT names."""
    monkeypatch.setenv("HF_ENDPOINT", served.address)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return partial(publish, served)
