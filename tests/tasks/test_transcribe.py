"""Transcribing recordings: transcripts that grow, files that share batches, and what goes wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mmdemo import catalog
from mmdemo.errors import Cancelled, UnknownName, UnreadableMedia, Unsupported
from mmdemo.media.audio import write_wav
from mmdemo.results import Transcript
from mmdemo.runtime.base import Clip, Heard, Hearing
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.tasks.listening import NO_SPEECH, transcriber
from mmdemo.tasks.transcribe import Options, run
from tests.tasks.scripted import Parrot, ScriptedManager

RATE = 16_000


def managed(backend: Any) -> Any:
    return ScriptedManager({"whisper-base": backend})


def never() -> bool:
    return False


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


def wav(folder: Path, name: str, seconds: float, *, silent: bool = False) -> Path:
    write_wav(folder / name, noise(seconds) * (0 if silent else 1))
    return folder / name


ALL = Options(voice_only=False, batch=4)


def transcripts(events: Iterator[Any]) -> list[Transcript]:
    return [event for event in events if isinstance(event, Transcript)]


def test_a_long_recording_grows_batch_by_batch_and_the_first_is_small(tmp_path: Path) -> None:
    parrot = Parrot()
    events = list(run(managed(parrot), [wav(tmp_path, "long.wav", 290)], ALL, never))
    assert events[0] == Progress("Loading whisper-base")
    found = transcripts(iter(events))
    gathered = [len(sources) for sources, _ in parrot.calls]
    assert gathered[:-1] == [2] + [4] * (len(gathered) - 2) and 1 <= gathered[-1] <= 4
    assert [item.done for item in found] == [False] * (len(found) - 1) + [True]
    sizes = list(dict.fromkeys(len(item.segments) for item in found))
    assert sizes == [sum(gathered[: n + 1]) for n in range(len(gathered))]
    shares = [item.progress for item in found]
    assert shares == sorted(shares) and 0.1 < shares[0] < 0.3 and shares[-1] == 1.0
    assert {round(item.seconds, 1) for item in found} == {290.0}
    last = found[-1]
    assert last.seconds == pytest.approx(290, abs=0.01)
    assert last.segments[-1].end == pytest.approx(290, abs=0.01)
    assert (last.file, last.language, last.provenance.model) == (str(tmp_path / "long.wav"), "sv", "whisper-base")
    assert (last.provenance.device, last.provenance.notes, last.error) == ("cpu", (), "")


def test_the_language_found_first_holds_for_the_rest_of_the_file(tmp_path: Path) -> None:
    parrot = Parrot()
    last = transcripts(run(managed(parrot), [wav(tmp_path, "long.wav", 100)], ALL, never))[-1]
    assert [told.language for _, told in parrot.calls] == ["", "sv"]
    assert (last.language, last.language_probability) == ("sv", 0.9)


def test_a_language_that_is_given_is_used_throughout(tmp_path: Path) -> None:
    parrot = Parrot()
    options = Options(voice_only=False, language="de", words=True, beams=3, prompt="Huber", translate=True)
    list(run(managed(parrot), [wav(tmp_path, "long.wav", 100)], options, never))
    assert {told for _, told in parrot.calls} == {Hearing("de", True, True, 3, "Huber")}


def test_short_files_share_batches_and_come_back_one_by_one_in_order(tmp_path: Path) -> None:
    parrot = Parrot()
    files = [wav(tmp_path, f"{index}.wav", 1 + index) for index in range(9)]
    found = transcripts(run(managed(parrot), files, ALL, never))
    assert [sources for sources, _ in parrot.calls] == [[0, 1], [2, 3, 4, 5], [6, 7, 8]]
    done = [item for item in found if item.done]
    assert [item.file for item in done] == [str(path) for path in files]
    assert [item.text for item in done] == [f"{1 + index} s" for index in range(9)]


def test_a_file_is_done_once_all_of_it_was_heard_whatever_comes_after(tmp_path: Path) -> None:
    files = [wav(tmp_path, "quiet.wav", 3, silent=True), wav(tmp_path, "long.wav", 200), wav(tmp_path, "b.wav", 2)]
    found = transcripts(run(managed(Parrot()), files, Options(batch=4), never))
    first = next(index for index, item in enumerate(found) if Path(item.file).name == "long.wav")
    assert [(Path(item.file).name, item.done) for item in found[:first]] == [("quiet.wav", True)]
    assert [Path(item.file).name for item in found if item.done] == ["quiet.wav", "long.wav", "b.wav"]


class SlowParrot(Parrot):
    """Takes its time over each batch."""

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        time.sleep(0.4)
        yield from super().transcribe(clips, hearing)


def test_a_recording_is_charged_its_share_of_a_batch_by_its_length(tmp_path: Path) -> None:
    files = [wav(tmp_path, "short.wav", 1), wav(tmp_path, "long.wav", 9), tmp_path / "none.wav"]
    begun = time.monotonic()
    done = [item for item in transcripts(run(managed(SlowParrot()), files, ALL, never)) if item.done]
    wall = time.monotonic() - begun
    short, long, none = (item.provenance.seconds for item in done)
    assert short + long + none <= wall
    assert 0.04 <= short < 0.3 and long >= 0.36
    assert none < 0.2


def test_loading_the_model_is_no_work_on_a_recording(tmp_path: Path) -> None:
    class SlowManager(ScriptedManager):
        def get(self, *given: Any) -> Any:
            time.sleep(0.5)
            return super().get(*given)

    slow: Any = SlowManager({"whisper-base": Parrot()})
    (done,) = (item for item in transcripts(run(slow, [wav(tmp_path, "a.wav", 2)], ALL, never)) if item.done)
    assert 0 < done.provenance.seconds < 0.5


def test_a_bad_file_among_many_is_reported_and_the_rest_are_done(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound at all")
    files = [wav(tmp_path, "a.wav", 1), bad, wav(tmp_path, "c.wav", 2)]
    done = [item for item in transcripts(run(managed(Parrot()), files, ALL, never)) if item.done]
    assert [item.text for item in done] == ["1 s", "", "2 s"]
    assert done[1].error.startswith("bad.wav") and not done[1].provenance.notes
    assert (done[0].error, done[2].error) == ("", "")


def test_a_bad_file_alone_raises(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound at all")
    with pytest.raises(UnreadableMedia, match=r"bad\.wav"):
        list(run(managed(Parrot()), [bad], ALL, never))


@pytest.mark.parametrize("voice_only", [True, False])
def test_silence_gives_an_empty_transcript_that_says_so(tmp_path: Path, voice_only: bool) -> None:
    options = Options(voice_only=voice_only)
    found = transcripts(run(managed(Parrot()), [wav(tmp_path, "quiet.wav", 4, silent=True)], options, never))
    assert [item.text for item in found] == [""]
    assert [(item.done, item.provenance.notes) for item in found] == [(True, (NO_SPEECH,))]
    assert found[-1].seconds == pytest.approx(4)


def test_stop_is_seen_between_batches(tmp_path: Path) -> None:
    parrot = Parrot()
    with pytest.raises(Cancelled):
        list(run(managed(parrot), [wav(tmp_path, "long.wav", 290)], ALL, lambda: len(parrot.calls) == 2))
    assert len(parrot.calls) == 2


def test_stop_is_seen_between_two_segments_of_a_batch(tmp_path: Path) -> None:
    class Eager(Parrot):
        said = 0

        def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
            for heard in super().transcribe(clips, hearing):
                self.said += 1
                yield heard

    eager = Eager()
    with pytest.raises(Cancelled):
        list(run(managed(eager), [wav(tmp_path, "long.wav", 100)], ALL, lambda: eager.said == 1))
    assert eager.said == 1


def test_a_model_that_cannot_hear_is_refused_before_it_is_loaded() -> None:
    with pytest.raises(Unsupported, match="Starter describer does not transcribe; choose one of: whisper-base"):
        list(run(managed(None), [Path("a.wav")], Options(model="starter-describer"), never))
    with pytest.raises(UnknownName, match="There is no model 'whisper-huge'"):
        list(run(managed(None), [Path("a.wav")], Options(model="whisper-huge"), never))
    with pytest.raises(Unsupported):
        transcriber(SimpleNamespace(spec=catalog.get("starter-describer")))


@pytest.mark.weights
@pytest.mark.data
def test_the_starter_model_hears_a_recording_and_a_video(data: Path) -> None:
    manager = Manager(Settings.load())
    recording = data / "speech_en" / "libri_1272-128104-0000.flac"
    video = next(path for path in sorted((data / "video").iterdir()) if path.suffix == ".mp4")
    options = Options(model="whisper-tiny.en", beams=1)
    try:
        found = {item.file: item for item in transcripts(run(manager, [recording, video], options, never)) if item.done}
    finally:
        manager.close()
    assert "apostle of the middle classes" in found[str(recording)].text
    assert found[str(recording)].segments[0].start < 1.0
    assert found[str(recording)].seconds == pytest.approx(5.86, abs=0.02)
    assert set(found) == {str(recording), str(video)}
