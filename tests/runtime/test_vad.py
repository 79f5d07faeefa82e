from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdemo.media.audio import Block, stream_audio
from mmdemo.runtime.base import Clip
from mmdemo.runtime.vad import RATE, Cutter, Tape, quietest
from mmdemo.settings import Settings

SILENCE = np.zeros(3 * RATE, np.float32)


def blocks(samples: np.ndarray, seconds: float = 30.0) -> Iterator[Block]:
    size = round(seconds * RATE)
    for begin in range(0, len(samples), size):
        yield Block(begin / RATE, samples[begin : begin + size])


def clips(blocks: Iterable[Block], **options: Any) -> Iterator[Clip]:
    """What is cut out of a whole recording."""
    cutter = Cutter(**options)
    for block in blocks:
        yield from cutter.feed(block)
    yield from cutter.finish()


def spoken(data: Path, name: str) -> np.ndarray:
    return np.concatenate([block.samples for block in stream_audio(data / "speech_en" / name, Settings())])


def times(found: list) -> list[tuple[float, float]]:
    return [(clip.start, clip.start + len(clip.samples) / RATE) for clip in found]


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(40 * RATE, np.float32),
        np.random.default_rng(0).normal(0, 0.1, 40 * RATE).astype(np.float32),
        (0.5 * np.sin(np.arange(20 * RATE) * 0.2)).astype(np.float32),
        np.zeros(0, np.float32),
        np.zeros(100, np.float32),
    ],
    ids=["silence", "noise", "tone", "nothing", "a hundred samples"],
)
def test_where_nobody_speaks_there_is_no_clip(sound: np.ndarray) -> None:
    assert list(clips(blocks(sound), voice_only=True)) == []


@pytest.mark.data
def test_a_sentence_between_silences_is_found_where_it_is(data: Path) -> None:
    sentence = spoken(data, "lj_LJ001-0006.flac")
    loud = np.flatnonzero(np.abs(sentence) > 0.02) / RATE
    recording = np.concatenate([SILENCE, sentence, SILENCE, SILENCE, sentence, SILENCE])
    found = list(clips(blocks(recording), voice_only=True))
    second = 3 + len(sentence) / RATE + 6
    assert len(found) == 2
    for clip, offset in zip(found, (3.0, second), strict=True):
        end = clip.start + len(clip.samples) / RATE
        assert offset + loud[0] - 0.5 <= clip.start <= offset + loud[0] + 0.05
        assert offset + loud[-1] - 0.05 <= end <= offset + loud[-1] + 0.6
        begin = round(clip.start * RATE)
        assert np.array_equal(clip.samples, recording[begin : begin + len(clip.samples)])


@pytest.mark.data
@pytest.mark.parametrize("seconds", [0.02, 0.7, 4.0])
def test_how_the_recording_is_cut_into_blocks_changes_nothing(data: Path, seconds: float) -> None:
    recording = np.concatenate([spoken(data, "lj_LJ001-0001.flac"), SILENCE, spoken(data, "vctk_p225_011.flac")])
    whole = list(clips(blocks(recording, 1000), voice_only=True))
    pieces = list(clips(blocks(recording, seconds), voice_only=True))
    assert times(pieces) == times(whole)
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(pieces, whole, strict=True))


@pytest.mark.data
@pytest.mark.parametrize("longest", [8.0, 15.0, 30.0])
def test_speech_without_a_pause_is_cut_at_silences_and_none_of_it_is_lost(data: Path, longest: float) -> None:
    names = [json.loads(line)["file"] for line in (data / "speech_en/metadata.jsonl").read_text().splitlines()]
    recording = np.concatenate([spoken(data, name) for name in names[1:]])
    found = times(list(clips(blocks(recording), voice_only=True, longest=longest)))
    assert all(end - start <= longest + 1e-6 for start, end in found)
    assert all(before[1] <= after[0] + 1e-6 for before, after in itertools.pairwise(found))
    kept = np.zeros(len(recording), bool)
    for start, end in found:
        kept[round(start * RATE) : round(end * RATE)] = True
    energy = np.square(recording)
    assert energy[kept].sum() > 0.995 * energy.sum()
    cuts = [round(end * RATE) for (_, end), (start, _) in itertools.pairwise(found) if start - end < 1e-6]
    around = [float(np.abs(recording[cut - 256 : cut + 256]).mean()) for cut in cuts]
    assert max(around, default=0.0) < float(np.abs(recording).mean())


def test_fixed_windows_leave_nothing_out_and_end_at_the_quietest_point() -> None:
    noise = np.random.default_rng(1).normal(0, 0.2, 70 * RATE).astype(np.float32)
    for second in (27, 53):
        noise[second * RATE : second * RATE + 4000] = 0
    found = list(clips(blocks(noise), voice_only=False))
    assert np.array_equal(np.concatenate([clip.samples for clip in found]), noise)
    assert [round(clip.start, 1) for clip in found] == [0.0, 27.1, 53.1]


def test_a_hole_in_the_recording_moves_the_times_after_it() -> None:
    quiet = np.zeros(RATE, np.float32)
    found = list(clips(iter([Block(0.0, quiet), Block(100.0, quiet)]), voice_only=False))
    assert times(found) == [(0.0, 1.0), (100.0, 101.0)]


@pytest.mark.data
def test_an_hour_takes_no_more_memory_than_a_few_minutes(data: Path) -> None:
    sentence = np.concatenate([spoken(data, "lj_LJ001-0001.flac"), SILENCE])
    size = len(sentence) / RATE

    def peak(count: int) -> int:
        tracemalloc.start()
        stream = (Block(index * size, sentence) for index in range(count))
        found = sum(1 for _ in clips(stream, voice_only=False))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found >= count * size / 30
        return used

    peak(2)
    assert peak(300) < 1.1 * peak(20)


def test_the_tape_forgets_what_is_behind_and_keeps_positions() -> None:
    tape = Tape(10)
    tape.append(np.arange(20, dtype=np.float32))
    tape.forget(15)
    assert (tape.start, tape.end) == (15, 30)
    assert tape.cut(16, 18).tolist() == [6.0, 7.0]
    assert quietest(tape, 15, 30) == 30
