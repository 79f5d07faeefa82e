"""Settings whose home is the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdemo.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load({}, home=str(tmp_path / "home"))
