"""Nearness of files and texts: every pair, in batches, and what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mmdemo import catalog
from mmdemo.errors import InputError, UnreadableMedia, Unsupported
from mmdemo.media.records import record
from mmdemo.results import Nearness
from mmdemo.tasks.align import Options, run
from tests.media.clips import video
from tests.tasks.scripted import ScriptedManager

KEY = "two-towers"
WORDS = {"red": 0, "green": 1, "blue": 2}


@dataclass
class Colours:
    """A picture lies where its colours are, a text where its words for colours are."""

    hears: bool = False
    device: str = "cpu"
    sizes: list[int] = field(default_factory=list)

    @property
    def spec(self) -> catalog.ModelSpec:
        return catalog.get(KEY)

    def place_media(self, media: Sequence[Any]) -> NDArray[np.float32]:
        self.sizes.append(len(media))
        if self.hears:
            return self._unit([[len(one), 1, 0] for one in media])
        return self._unit([np.asarray(one).reshape(-1, 3).mean(0) for one in media])

    def place_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._unit([[text.count(word) + 1e-3 for word in WORDS] for text in texts])

    def _unit(self, rows: Any) -> NDArray[np.float32]:
        made = np.asarray(rows, np.float32)
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)

    def close(self) -> None:
        self.sizes.clear()


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(catalog.get("starter-describer"), key=KEY, title="Two towers", tasks=("align",))
    monkeypatch.setitem(catalog.MODELS, KEY, spec)


def results(engine: Any, files: list[Path], **options: Any) -> list[Nearness]:
    events = run(ScriptedManager({KEY: engine}), files, Options(**{"model": KEY, **options}), lambda: False)
    return [event for event in events if isinstance(event, Nearness)]


def coloured(folder: Path, name: str, colour: str) -> Path:
    Image.new("RGB", (20, 20), colour).save(folder / name)
    return folder / name


def test_every_file_is_compared_with_every_text_in_batches(tmp_path: Path) -> None:
    files = [coloured(tmp_path, f"{place}.png", ("red", "blue")[place % 2]) for place in range(18)]
    model = Colours()
    found = results(model, files, texts="something red\n\nsomething blue\nsomething red\n")
    assert [one.file for one in found] == [str(file) for file in files] and model.sizes == [16, 2]
    assert found[0].texts == ("something red", "something blue")
    assert found[0].text == "something red" and found[1].text == "something blue"
    assert found[0].scores[0] == pytest.approx(1, abs=0.01) and found[0].scores[1] < 0.1
    told = record(found[0], "0.png")
    assert told["text"] == "something red" and told["scores"][1]["text"] == "something blue"


def test_a_broken_file_among_others_is_a_sentence_and_alone_it_raises(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("A letter.")
    first, second = results(Colours(), [bad, coloured(tmp_path, "a.png", "red")], texts="red")
    assert "bad.png holds text" in first.error and first.scores == () and second.text == "red"
    with pytest.raises(UnreadableMedia):
        results(Colours(), [bad], texts="red")


def test_recordings_are_heard_where_the_model_hears(tmp_path: Path) -> None:
    (found,) = results(Colours(hears=True), [video(tmp_path / "a.mp4", sound=2.0)], texts="red")
    assert len(found.scores) == 1


def test_without_a_text_or_a_common_space_it_says_what_to_do(tmp_path: Path) -> None:
    picture = coloured(tmp_path, "a.png", "red")
    assert Options(model="").checkpoints() == ("starter-search",)
    with pytest.raises(InputError, match="no text to compare with"):
        results(Colours(), [picture], texts=" \n ")
    with pytest.raises(Unsupported, match="Starter describer does not put files and texts into one space"):
        results(Colours(), [picture], model="starter-describer", texts="red")
