"""Explaining answers about files: pictures, stretches of videos, several files, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdemo import catalog
from mmdemo.errors import InputError, UnreadableMedia, Unsupported
from mmdemo.media.records import record
from mmdemo.results import Explanation, Reason, Sights
from mmdemo.runtime.explaining import Explained, Given
from mmdemo.tasks.why import Options, run
from tests.media.clips import video
from tests.tasks.scripted import ScriptedManager


@dataclass
class Reasoner:
    """Finds every word as likely as the picture is blue, and looks at its first place."""

    reads: dict[str, int]
    given: list[Given] = field(default_factory=list)
    device: str = "cpu"

    @property
    def spec(self) -> catalog.ModelSpec:
        return catalog.get("starter-describer")

    def needs(self) -> Mapping[str, int]:
        return self.reads

    def explain(self, given: Sequence[Given], answer: str) -> Iterator[Explained]:
        for one in given:
            self.given.append(one)
            pictures = tuple(np.asarray(frame.resize((40, 30))) for frame in one.frames)
            likely = float(pictures[0][..., 2].mean()) / 255 if pictures else 0.5
            weights = np.zeros((max(1, len(pictures)), 2, 2), np.float32)
            weights[0, 0, 0] = 1
            words = tuple(Reason(word, likely, {"vision": weights}) for word in (answer or "It says.").split())
            yield Explained(answer or "It says.", words, Sights(pictures, tokens=("It",)))

    def close(self) -> None:
        self.given.clear()


def results(reasoner: Any, files: list[Path], **options: Any) -> list[Explanation]:
    events = run(ScriptedManager({"starter-describer": reasoner}), files, Options(**options), lambda: False)
    return [event for event in events if isinstance(event, Explanation)]


def photo(folder: Path) -> Path:
    Image.new("RGB", (80, 60), "navy").save(folder / "a.png")
    return folder / "a.png"


def test_a_picture_is_explained_with_what_the_model_saw_and_its_segments(tmp_path: Path) -> None:
    (found,) = results(Reasoner({"vision": 1}), [photo(tmp_path)], answer="A dog.")
    assert found.text == "A dog." and [one.text for one in found.reasons] == ["A", "dog."]
    assert found.sights.pictures[0].shape == (30, 40, 3) and found.sights.segments[0].shape == (30, 40)
    (plain,) = results(Reasoner({"vision": 1}), [photo(tmp_path)], segments=False)
    assert plain.text == "It says." and plain.sights.segments == ()
    told = record(found, "a.png")
    assert told["words"][1]["looked"] == {"vision": [[[1.0, 0.0], [0.0, 0.0]]]} and told["tokens"] == ["It"]


def test_of_a_stretch_of_video_the_likeliest_frame_counts(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", (("red", 2.0), ("blue", 2.0)))
    reasoner = Reasoner({"vision": 1})
    (found,) = results(reasoner, [clip], answer="Blue.", start=1.0, end=4.0)
    assert len(reasoner.given) == 6 and found.sights.times[0] > 2
    assert any("likeliest" in note for note in found.provenance.notes)


def test_a_model_of_frames_and_sound_is_given_both(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", sound=4.0)
    reasoner = Reasoner({"vision": 4, "audio": 2})
    (found,) = results(reasoner, [clip])
    (given,) = reasoner.given
    assert len(given.frames) == 4 and found.sights.times == (0.5, 1.5, 2.5, 3.5)
    assert given.sound is not None and len(given.sound) == 32_000, "as much as it reads"


def test_one_bad_file_of_two_is_a_sentence_and_alone_it_raises(tmp_path: Path) -> None:
    bad = tmp_path / "b.png"
    bad.write_text("A letter.")
    first, second = results(Reasoner({"vision": 1}), [bad, photo(tmp_path)])
    assert "b.png holds text" in first.error and second.text == "It says."
    with pytest.raises(UnreadableMedia):
        results(Reasoner({"vision": 1}), [bad])
    clip = video(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"a.mp4 ends at 4.0 s"):
        results(Reasoner({"vision": 1}), [clip], start=9.0)


def test_a_model_that_cannot_say_why_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"EfficientNet-Lite2 cannot say why: the program that runs it"):
        results(Reasoner({"vision": 1}), [photo(tmp_path)], model="efficientnet-lite2")


def test_what_was_asked_goes_with_it_and_what_was_heard_is_heard_alone(tmp_path: Path) -> None:
    reasoner = Reasoner({"vision": 1, "audio": 30})
    results(reasoner, [photo(tmp_path)], question="What?", style="tags", adapter="there")
    assert (reasoner.given[0].text, reasoner.given[0].style, reasoner.given[0].adapter) == ("What?", "tags", "there")
    clip = video(tmp_path / "a.mp4", sound=4.0)
    (found,) = results(reasoner, [clip], answer="It says.", heard=True, start=1.0, end=3.0)
    assert not reasoner.given[1].frames and len(reasoner.given[1].sound) == 32_000
    assert found.sights.start == 1.0
