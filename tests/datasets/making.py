"""Small data sets on disk, with real pictures and recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image


def picture(path: Path, shade: int = 0) -> Path:
    """A picture unlike that of another shade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade % 256, 100, 200 - shade % 100)).save(path)
    return path


def recording(path: Path, hertz: int = 300, seconds: float = 0.2) -> Path:
    """A tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(int(16_000 * seconds)) / 16_000
    soundfile.write(str(path), (0.1 * np.sin(2 * np.pi * hertz * times)).astype(np.float32), 16_000)
    return path


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    """JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def text(path: Path, *rows: str, encoding: str = "utf-8") -> Path:
    """Lines of text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(row + "\n" for row in rows).encode(encoding))
    return path
