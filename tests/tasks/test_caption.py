"""Captioning videos: scenes and speech in one track, and what goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mmdemo import catalog
from mmdemo.errors import Cancelled, InputError, UnknownName, UnreadableMedia, Unsupported
from mmdemo.media.audio import write_wav
from mmdemo.results import Segment, Track
from mmdemo.runtime.base import Clip, Heard, Hearing
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.tasks.caption import Options, run
from mmdemo.tasks.listening import NO_SPEECH
from tests.media.clips import ffmpeg, tone, video
from tests.tasks.scripted import ScriptedDescriber, ScriptedManager


@dataclass
class ScriptedTranscriber:
    """Hears "clip 1", "clip 2", … whatever is said."""

    heard: int = 0
    hearings: list[Hearing] = field(default_factory=list)
    device: str = "cpu"

    @property
    def spec(self) -> catalog.ModelSpec:
        return catalog.get("whisper-base")

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        self.hearings.append(hearing)
        for clip in clips:
            self.heard += 1
            end = clip.start + len(clip.samples) / 16_000
            yield Heard(Segment(clip.start, end, f"clip {self.heard}"), clip.source, "en", 0.9)

    def close(self) -> None:
        self.heard = 0


def manager(*sentences: str, **settings: Any) -> ScriptedManager:
    return ScriptedManager(
        {"starter-describer": ScriptedDescriber(sentences or ("A wall.",)), "whisper-base": ScriptedTranscriber()},
        Settings(home="unused", **settings),
    )


def tracks(given: Any, files: Sequence[Path], **options: Any) -> list[Track]:
    return [event for event in run(given, files, Options(**options), lambda: False) if isinstance(event, Track)]


def with_speech(data: Path, folder: Path, scenes: Sequence[tuple[str, float]], offset: float = 0.0) -> Path:
    """A video of plain scenes in which someone speaks."""
    clip = video(folder / "silent.mp4", scenes)
    speech = data / "speech_en" / "libri_1272-128104-0000.flac"
    ffmpeg("-i", clip, "-itsoffset", offset, "-i", speech, "-map", "0:v", "-map", "1:a", "-c:v", "copy",
           folder / "spoken.mkv")  # fmt: skip
    return folder / "spoken.mkv"


def test_each_shot_is_a_scene_and_the_track_grows(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 2.0), ("blue", 2.0), ("green", 2.0)])
    grown = tracks(manager("A red wall.", "A blue wall.", "A green wall."), [clip])
    assert [(track.done, len(track.segments), round(track.progress, 2)) for track in grown] == [
        (False, 2, 0.67),
        (False, 3, 1.0),
        (True, 3, 1.0),
    ]
    assert grown[-1].segments == (
        Segment(0.0, 2.0, "A red wall.", "scene"),
        Segment(2.0, 4.0, "A blue wall.", "scene"),
        Segment(4.0, 6.0, "A green wall.", "scene"),
    )
    assert grown[-1].file == str(clip)
    assert grown[-1].seconds == pytest.approx(6.0)
    assert grown[-1].provenance.model == "starter-describer"
    assert grown[-1].provenance.seconds > 0
    assert grown[-1].provenance.notes == ("It has no sound, so only its scenes are here.",)


def test_neighbours_that_show_the_same_are_one_scene(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 2.0), ("blue", 2.0), ("green", 2.0)])
    last = tracks(manager("A wall.", "A wall.", "A door."), [clip])[-1]
    assert [(one.start, one.end, one.text) for one in last.segments] == [(0.0, 4.0, "A wall."), (4.0, 6.0, "A door.")]


def test_frames_are_described_a_few_at_a_time(tmp_path: Path) -> None:
    given = manager(*(f"Scene {number}." for number in range(12)))
    clip = video(tmp_path / "a.mp4", [("red", 1.0), ("blue", 1.0)] * 6, fps=12)
    last = tracks(given, [clip])[-1]
    assert len(last.segments) == 12
    calls = given.backends["starter-describer"].calls
    assert [count for count, _, _ in calls] == [2, 8, 2]
    assert {(style, question) for _, style, question in calls} == {("sentence", "")}


def test_progress_is_told_while_each_model_loads(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", sound=4.0)
    events = list(run(manager(), [clip], Options(), lambda: False))
    stages = [event.stage for event in events if isinstance(event, Progress)]
    assert stages == ["Loading starter-describer", "Loading whisper-base"]
    assert isinstance(events[0], Progress)


def test_a_film_without_words_says_so(tmp_path: Path) -> None:
    last = tracks(manager("A red wall."), [video(tmp_path / "a.mp4", [("red", 3.0)], sound=3.0)])[-1]
    assert [one.text for one in last.segments] == ["A red wall."]
    assert last.provenance.model == "starter-describer + whisper-base"
    assert last.provenance.notes == (NO_SPEECH,)


@pytest.mark.data
def test_scenes_and_speech_are_one_track_in_order_of_time(tmp_path: Path, data: Path) -> None:
    clip = with_speech(data, tmp_path, [("red", 3.0), ("blue", 5.0)], offset=1.0)
    given = manager("A red wall.", "A blue wall.")
    grown = tracks(given, [clip], language="en", words=True, beams=3)
    last = grown[-1]
    assert [(one.kind, one.text) for one in last.segments] == [
        ("scene", "A red wall."),
        ("speech", "clip 1"),
        ("scene", "A blue wall."),
    ]
    assert 0.8 < last.segments[1].start < 2.0
    assert last.language == "en"
    assert last.provenance.model == "starter-describer + whisper-base"
    assert given.backends["whisper-base"].hearings == [Hearing(language="en", words=True, beams=3)]
    assert [track.progress for track in grown] == sorted(track.progress for track in grown)
    assert [track.done for track in grown] == [False] * (len(grown) - 1) + [True]


@pytest.mark.data
def test_a_recording_gets_speech_alone(data: Path) -> None:
    last = tracks(manager(), [data / "speech_en" / "libri_1272-128104-0000.flac"])[-1]
    assert [(one.kind, one.text) for one in last.segments] == [("speech", "clip 1")]
    assert last.provenance.model == "whisper-base"
    assert last.provenance.notes == ("It has no picture, so only its speech is here.",)


def test_what_is_turned_off_is_not_loaded(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", sound=4.0)
    scenes = tracks(manager(), [clip], speech=False)[-1]
    assert (scenes.provenance.model, scenes.provenance.notes) == ("starter-describer", ())
    speech = tracks(manager(), [clip], scenes=False)[-1]
    assert (speech.provenance.model, speech.segments) == ("whisper-base", ())
    with pytest.raises(InputError, match="turn on scenes, speech or both"):
        tracks(manager(), [clip], scenes=False, speech=False)


def test_what_is_asked_for_must_be_there(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1.0))
    with pytest.raises(UnreadableMedia, match=r"a\.wav has no picture: turn on speech and try again\."):
        tracks(manager(), [tmp_path / "a.wav"], speech=False)
    with pytest.raises(UnreadableMedia, match=r"a\.mp4 has no sound: turn on scenes and try again\."):
        tracks(manager(), [video(tmp_path / "a.mp4")], scenes=False)


def test_loading_models_is_no_work_on_a_video_and_videos_share_no_time(tmp_path: Path) -> None:
    class SlowManager(ScriptedManager):
        def get(self, *given: Any) -> Any:
            time.sleep(0.5)
            return super().get(*given)

    slow = SlowManager({"starter-describer": ScriptedDescriber(("A wall.",))}, Settings(home="unused"))
    clips = [video(tmp_path / name, [("red", 0.5)]) for name in ("a.mp4", "b.mp4")]
    begun = time.monotonic()
    spent = [track.provenance.seconds for track in tracks(slow, clips) if track.done]
    assert min(spent) > 0
    assert sum(spent) <= time.monotonic() - begun - 2 * 0.5


def test_one_bad_file_among_several_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    good = video(tmp_path / "good.mp4", [("red", 2.0)])
    bad = tmp_path / "notes.mp4"
    bad.write_text("Dear diary")
    found = [track for track in tracks(manager(), [bad, good, tmp_path / "gone.mp4"]) if track.done]
    assert [(Path(track.file).name, track.error[:20], len(track.segments)) for track in found] == [
        ("notes.mp4", "notes.mp4 holds text", 0),
        ("good.mp4", "", 1),
        ("gone.mp4", "gone.mp4 cannot be o", 0),
    ]
    with pytest.raises(UnreadableMedia, match=r"notes\.mp4 holds text, not a video"):
        tracks(manager(), [bad])


def test_a_broken_sound_leaves_the_scenes(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 2.0)])
    write_wav(tmp_path / "a.wav", tone(2.0))
    ffmpeg("-i", clip, "-i", tmp_path / "a.wav", "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "flac",
           tmp_path / "a.mkv")  # fmt: skip
    content = (tmp_path / "a.mkv").read_bytes()
    assert content.count(b"A_FLAC") == 1
    (tmp_path / "a.mkv").write_bytes(content.replace(b"A_FLAC", b"A_FLOP"))
    last = tracks(manager("A red wall."), [tmp_path / "a.mkv"])[-1]
    assert [one.text for one in last.segments] == ["A red wall."]
    assert last.error == ""
    assert any(note.startswith("a.mkv ") and "sound" in note for note in last.provenance.notes)


def test_stop_stops_before_loading_and_between_scenes(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 1.0), ("blue", 1.0)] * 4)
    with pytest.raises(Cancelled):
        list(run(manager(), [clip], Options(), lambda: True))
    stopped = threading.Event()
    seen: list[Track] = []
    with pytest.raises(Cancelled):
        for event in run(manager("One.", "Two."), [clip], Options(), stopped.is_set):
            if isinstance(event, Track):
                seen.append(event)
                stopped.set()
    assert len(seen) == 1 and not seen[0].done


def test_wrong_models_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4")
    with pytest.raises(Unsupported, match="does not look at pictures; choose one of: starter-describer"):
        tracks(manager(), [clip], model="whisper-base")
    with pytest.raises(Unsupported, match="does not transcribe; choose one of: whisper"):
        tracks(manager(), [clip], speech_model="starter-describer")
    with pytest.raises(UnknownName, match="starter-describer"):
        tracks(manager(), [clip], model="nothing")


@pytest.fixture
def film(tmp_path: Path, data: Path) -> Path:
    """A real clip in which someone speaks."""
    clip = tmp_path / "film.mkv"
    ffmpeg("-i", data / "video" / "mdn_elf.mp4", "-i", data / "speech_en" / "libri_1272-128104-0000.flac",
           "-map", "0:v", "-map", "1:a", "-c:v", "copy", clip)  # fmt: skip
    return clip


@pytest.fixture(scope="module")
def real() -> Iterator[Manager]:
    manager = Manager(Settings.load())
    yield manager
    manager.close()


@pytest.mark.weights
@pytest.mark.data
def test_real_speech_in_a_real_film(real: Manager, film: Path) -> None:
    last = tracks(real, [film], scenes=False)[-1]
    assert "apostle of the middle classes" in last.text
    assert (last.language, last.provenance.model) == ("en", "whisper-base")
    assert {one.kind for one in last.segments} == {"speech"}
    assert 0 <= last.segments[0].start < 1.0 < last.segments[-1].end < 6.5


@pytest.mark.weights
@pytest.mark.data
def test_a_real_film_with_scenes_and_speech(real: Manager, film: Path) -> None:
    last = tracks(real, [film])[-1]
    scenes = [one.text for one in last.segments if one.kind == "scene"]
    assert scenes and all(len(text.split()) >= 4 for text in scenes)
    assert "apostle of the middle classes" in last.text
    assert last.provenance.model == "starter-describer + whisper-base"
    assert [one.start for one in last.segments] == sorted(one.start for one in last.segments)
