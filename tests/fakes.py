"""A describer and a transcriber that need no weights, in the catalog under `fake-eye` and `fake-ear`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from mmdemo import catalog
from mmdemo.results import Label, Segment
from mmdemo.runtime.backends import BACKENDS
from mmdemo.runtime.base import Clip, Heard, Hearing, Load, Seen


class FakeEye:
    """Says how large a picture is, in words that come one after the other."""

    calls: list[int]

    def __init__(self, load: Load) -> None:
        self.spec, self.device = load.spec, "cpu"

    def describe(self, images: list[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        FakeEye.calls.append(len(images))
        for index, image in enumerate(images):
            yield Seen(index, "A picture")
            text = f"A picture {image.width} wide, as {style}."
            yield Seen(index, text, (Label("square", 0.75), Label("circle", 0.25)), done=True)

    def close(self) -> None:
        pass


class FakeEar:
    """Hears one segment in every clip."""

    def __init__(self, load: Load) -> None:
        self.spec, self.device = load.spec, "cpu"

    def transcribe(self, clips: list[Clip], hearing: Hearing) -> Iterator[Heard]:
        for clip in clips:
            end = clip.start + len(clip.samples) / 16_000
            said = Segment(clip.start, end, f"heard with {hearing.beams} beams")
            yield Heard(said, clip.source, hearing.language or "en", 1.0)

    def close(self) -> None:
        pass


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeEye]:
    """Put the fakes where engines and models are looked up; the home folder is empty and there is no network."""
    module = ModuleType("fake_engines")
    module.FakeEye, module.FakeEar = FakeEye, FakeEar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_engines", module)
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    for key, like, engine in (
        ("fake-eye", "starter-describer", "FakeEye"),
        ("fake-ear", "whisper-base", "FakeEar"),
    ):
        monkeypatch.setitem(BACKENDS, engine, f"fake_engines:{engine}")
        row = replace(
            catalog.get(like), key=key, title=key, backend=engine, sources=(catalog.Local(str(folder)),), files=(),
            parts=(),
        )  # fmt: skip
        monkeypatch.setitem(catalog.MODELS, key, row)
        monkeypatch.setattr(catalog, "ROWS", (*catalog.ROWS, row))
    monkeypatch.setenv("MMDEMO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MMDEMO_OFFLINE", "yes")
    FakeEye.calls = []
    return FakeEye
