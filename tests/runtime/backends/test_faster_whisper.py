from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmdemo import catalog
from mmdemo.errors import Cancelled, UnknownName, Unsupported, WeightsError
from mmdemo.media.audio import stream_audio
from mmdemo.runtime.backends import load, whisper_text
from mmdemo.runtime.backends.faster_whisper import FasterWhisperBackend
from mmdemo.runtime.backends.whisper_jobs import WINDOWS, window
from mmdemo.runtime.base import Clip, Heard, Hearing, Load, Transcriber
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings

RATE = 16_000
FIRST_TIME, END = 100, 50


def backend(key: str) -> FasterWhisperBackend:
    folder = fetch(catalog.get(key), Settings.load(), lambda progress: None, lambda: False)
    return load(Load(catalog.get(key), {key: folder}, "cpu", 2))


@pytest.fixture(scope="module")
def base() -> Iterator[FasterWhisperBackend]:
    made = backend("whisper-base")
    yield made
    made.close()


@pytest.fixture(scope="module")
def english() -> Iterator[FasterWhisperBackend]:
    made = backend("whisper-tiny.en")
    yield made
    made.close()


def sound(data: Path, name: str, folder: str = "speech_en") -> np.ndarray:
    return np.concatenate([block.samples for block in stream_audio(data / folder / name, Settings())])


def plain(heard: list[Heard]) -> str:
    text = " ".join(item.segment.text for item in heard).lower()
    return " ".join("".join(letter if letter.isalnum() else " " for letter in text).split())


def test_time_tokens_split_the_text_and_text_without_an_end_is_kept() -> None:
    tokens = [FIRST_TIME, 1, 2, FIRST_TIME + 100, FIRST_TIME + 150, 3, FIRST_TIME + 250]
    found, rest = whisper_text.spans(tokens, FIRST_TIME, 6.0, END)
    assert [(span.start, span.end, span.tokens) for span in found] == [(0.0, 2.0, (1, 2)), (3.0, 5.0, (3,))]
    assert rest is None
    found, rest = whisper_text.spans([*tokens[:5], 3, 4], FIRST_TIME, 6.0, END)
    assert [(span.start, span.end, span.tokens) for span in found] == [(0.0, 2.0, (1, 2)), (3.0, 6.0, (3, 4))]
    assert rest is None


def test_a_text_that_stops_before_the_clip_does_is_heard_on_from_there() -> None:
    tokens = [FIRST_TIME, 1, FIRST_TIME + 100, FIRST_TIME + 100]
    assert whisper_text.spans(tokens, FIRST_TIME, 9.0, END)[1] == 2.0
    assert whisper_text.spans(tokens, FIRST_TIME, 2.5, END)[1] is None
    assert whisper_text.spans(tokens[:-1], FIRST_TIME, 9.0, END)[1] is None


def test_times_never_run_backwards_or_past_the_clip() -> None:
    tokens = [FIRST_TIME + 50, 1, FIRST_TIME + 200, FIRST_TIME + 20, 2, FIRST_TIME + 900]
    found, _ = whisper_text.spans(tokens, FIRST_TIME, 5.0, END)
    assert [(span.start, span.end) for span in found] == [(1.0, 4.0), (4.0, 5.0)]


def test_a_short_clip_gets_a_short_window_with_a_margin() -> None:
    assert [window(seconds) for seconds in (0.1, 5.0, 5.1, 20.0, 21.0, 26.9, 27.1, 30.0)] == [
        8,
        8,
        12,
        24,
        24,
        30,
        30,
        30,
    ]
    assert WINDOWS[-1] == 30


def test_a_folder_that_is_no_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    spec = catalog.get("whisper-base")
    with pytest.raises(WeightsError, match="Whisper base cannot be loaded"):
        FasterWhisperBackend(Load(spec, {spec.key: tmp_path}, "cpu", 1))
    (tmp_path / "model.bin").write_bytes(b"\x06\0\0\0nonsense")
    with pytest.raises(WeightsError, match=r"there is no tokenizer\.json"):
        FasterWhisperBackend(Load(spec, {spec.key: tmp_path}, "cpu", 1))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(WeightsError, match="remove the model and fetch it again"):
        FasterWhisperBackend(Load(spec, {spec.key: tmp_path}, "cpu", 1))


@pytest.mark.weights
def test_nothing_is_loaded_for_a_user_who_has_stopped() -> None:
    spec = catalog.get("whisper-tiny.en")
    folder = fetch(spec, Settings.load(), lambda progress: None, lambda: False)
    with pytest.raises(Cancelled, match="Loading Whisper tiny, English was stopped"):
        load(Load(spec, {spec.key: folder}, "cpu", 2, lambda: True))


@pytest.mark.weights
@pytest.mark.data
def test_clips_of_several_files_come_back_in_order_with_their_languages(base: FasterWhisperBackend, data: Path) -> None:
    assert isinstance(base, Transcriber)
    english = sound(data, "libri_1272-128104-0000.flac")
    spanish = sound(data, "leopard_es.flac", "speech_multi")
    clips = [
        Clip(spanish, 0.0, 0),
        Clip(english, 100.0, 1),
        Clip(np.zeros(RATE, np.float32), 0.0, 2),
        Clip(english, 50.0, 1),
    ]
    heard = list(base.transcribe(clips, Hearing(beams=5)))
    assert list(dict.fromkeys((item.source, item.segment.start >= 100) for item in heard)) == [
        (0, False),
        (1, True),
        (1, False),
    ]
    assert {item.source: item.language for item in heard} == {0: "es", 1: "en"}
    assert all(item.language_probability > 0.8 for item in heard)
    second = [item for item in heard if item.source == 1]
    sentence = "mr quilter is the apostle of the middle classes and we are glad to welcome his gospel"
    assert plain(second) == f"{sentence} {sentence}"
    assert 100.0 <= second[0].segment.start < 100.6 and 105.0 < second[0].segment.end <= 106.0
    assert 50.0 <= second[-1].segment.start < 50.6
    assert "arenas son blanquecinas" in plain([item for item in heard if item.source == 0])


@pytest.mark.weights
@pytest.mark.data
def test_words_have_times_where_they_are_spoken(base: FasterWhisperBackend, data: Path) -> None:
    clip = Clip(sound(data, "lj_LJ001-0001.flac"), 20.0)
    heard = list(base.transcribe([clip], Hearing(language="en", words=True, beams=1)))
    words = [word for item in heard for word in item.segment.words]
    assert (
        plain(heard).split()
        == "".join(c if c.isalnum() else " " for c in " ".join(w.text for w in words).lower()).split()
    )
    assert all(20.0 <= word.start <= word.end <= 29.8 for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(0.0 < word.probability <= 1.0 for word in words)
    loud = np.abs(clip.samples).reshape(-1, 1)[: len(clip.samples) // 160 * 160].reshape(-1, 160).max(axis=1) > 0.02
    assert abs(words[0].start - 20.0 - loud.argmax() / 100) < 0.4
    assert words[0].text.rstrip(",") == "Printing"


@pytest.mark.weights
def test_nothing_is_heard_in_silence_and_noise(base: FasterWhisperBackend) -> None:
    noise = np.random.default_rng(3).normal(0, 0.003, 8 * RATE).astype(np.float32)
    clips = [Clip(np.zeros(6 * RATE, np.float32)), Clip(noise, 0.0, 1), Clip(np.zeros(10, np.float32), 0.0, 2)]
    assert [item.segment.text for item in base.transcribe(clips, Hearing())] == []
    assert list(base.transcribe([], Hearing())) == []


@pytest.mark.weights
@pytest.mark.data
def test_a_long_clip_without_a_pause_loses_no_words(base: FasterWhisperBackend, data: Path) -> None:
    rows = [json.loads(line) for line in (data / "speech_en/metadata.jsonl").read_text().splitlines()]
    names = ["lj_LJ001-0001.flac", "lj_LJ001-0006.flac", "libri_1272-128104-0000.flac", "lj_LJ001-0012.flac"]
    joined = np.concatenate([sound(data, name) for name in names])[: 30 * RATE]
    texts = {row["file"]: row["text"] for row in rows}
    heard = list(base.transcribe([Clip(joined)], Hearing(language="en", beams=5)))
    words = set(plain(heard).split())
    spoken = [word for name in names[:3] for word in plain([heard_text(texts[name])]).split()]
    assert sum(word in words for word in spoken) >= 0.9 * len(spoken)
    assert len(heard) >= 2
    assert all(item.segment.start <= item.segment.end <= 30.0 for item in heard)


def heard_text(text: str) -> Heard:
    from mmdemo.results import Segment

    return Heard(Segment(0.0, 0.0, text))


@pytest.mark.weights
@pytest.mark.data
def test_expected_names_are_spelled_as_they_were_given(base: FasterWhisperBackend, data: Path) -> None:
    clip = Clip(sound(data, "libri_1272-128104-0000.flac"))
    told = list(base.transcribe([clip], Hearing(language="en", beams=1, prompt="Mister Kwilter")))
    assert "kwilter" in plain(told)


@pytest.mark.weights
@pytest.mark.data
@pytest.mark.parametrize("doubted", [False, True])
def test_who_leaves_while_a_batch_is_written_waits_no_second(
    base: FasterWhisperBackend, data: Path, monkeypatch: pytest.MonkeyPatch, doubted: bool
) -> None:
    clip = Clip(sound(data, "lj_LJ001-0001.flac"))
    asked: list[float] = []
    begun = [] if doubted else [2]  # it is asked before it encodes and before it decodes

    def suspicious(*_: object) -> bool:
        begun.append(len(asked))
        return doubted

    def left() -> bool:
        asked.append(time.monotonic())
        return bool(begun) and len(asked) == begun[0] + 3

    monkeypatch.setattr("mmdemo.runtime.backends.faster_whisper.suspicious", suspicious)
    with pytest.raises(Cancelled):
        list(base.transcribe([clip], Hearing(language="en", beams=5, left=left)))
    assert time.monotonic() - asked[-1] < 1
    assert len(asked) == begun[0] + 3 and len(begun) == 1  # while it was written, not after
    monkeypatch.undo()
    assert "printing" in plain(list(base.transcribe([clip], Hearing(language="en"))))


@pytest.mark.weights
def test_language_codes_are_checked_before_anything_is_heard(
    base: FasterWhisperBackend, english: FasterWhisperBackend
) -> None:
    with pytest.raises(UnknownName, match=r"There is no language 'xx'; choose from: .*zh"):
        list(base.transcribe([], Hearing(language="xx")))
    with pytest.raises(Unsupported, match="Whisper tiny, English hears only en, not 'de'"):
        list(english.transcribe([], Hearing(language="de")))
    assert list(english.transcribe([], Hearing(language="EN"))) == []


@pytest.mark.weights
@pytest.mark.data
def test_the_english_model_hears_english(english: FasterWhisperBackend, data: Path) -> None:
    heard = list(english.transcribe([Clip(sound(data, "vctk_p225_011.flac"))], Hearing()))
    assert {item.language for item in heard} == {"en"}
    assert plain(heard) == (
        "when a man looks for something beyond his reach his friends say he is looking for the pot of gold at the "
        "end of the rainbow"
    )
