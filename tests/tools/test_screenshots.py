"""The pictures of the README: those that the tool takes, and small."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdemo.ui.tabs import TABS
from tools.screenshots import MOST_BYTES, PLACES, SHOTS, save

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readme_shows_what_the_tool_takes_and_nothing_else(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    shown = set(re.findall(r"docs/screenshots/([\w.-]+)", text))
    assert shown == {f"{shot.name}.{shot.ending}" for shot in SHOTS}
    there = {path.name: path.stat().st_size for path in (ROOT / "docs" / "screenshots").iterdir()}
    assert set(there) == shown and max(there.values()) < 400_000


def test_each_tab_is_where_the_tool_looks_for_it() -> None:
    names = [tab.name for tab in TABS]
    assert all(names[PLACES[tab]] == tab for tab in ("describe", "video", "speech", "compose", "models"))


def test_a_picture_is_saved_as_the_readme_names_it_and_not_too_large(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (700, 900, 3), dtype=np.uint8)
    png = io.BytesIO()
    Image.fromarray(noise).save(png, "PNG")
    shot = next(shot for shot in SHOTS if shot.ending == "jpg")
    path = save(png.getvalue(), shot, tmp_path)
    assert path.name == f"{shot.name}.jpg" and path.stat().st_size <= MOST_BYTES
