"""A recording of three hours: transcribed in the memory of a short one, and stopped at once."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mmdemo.errors import Cancelled
from mmdemo.results import Transcript
from mmdemo.tasks.transcribe import Options, run
from tests.tasks.scripted import Parrot, ScriptedManager

SECONDS = 3 * 3600
RATE = 8_000
MEGABYTE = 1_000_000


class ForgetfulParrot(Parrot):
    """Says how long clips are and keeps nothing of them."""

    def transcribe(self, *given: Any) -> Any:
        yield from super().transcribe(*given)
        self.calls.clear()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours of noise at 8 kHz, mono, the same minute again and again; its second half minute is silent."""
    path = tmp_path_factory.mktemp("long") / "three hours.flac"
    minute = np.random.default_rng(0).integers(-2000, 2000, 60 * RATE, dtype=np.int16)
    minute[30 * RATE :] = 0
    with soundfile.SoundFile(path, "w", samplerate=RATE, channels=1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(SECONDS // 60):
            file.write(minute)
    return path


def work(recording: Path, options: Options, cancelled: Any = lambda: False) -> Any:
    return run(ScriptedManager({"whisper-base": ForgetfulParrot()}), [recording], options, cancelled)  # type: ignore[arg-type]


def test_it_is_transcribed_to_its_end_in_little_memory(recording: Path) -> None:
    last: Transcript | None = None
    shares = []
    tracemalloc.start()
    for event in work(recording, Options(voice_only=False)):
        if isinstance(event, Transcript):
            last = event
            shares.append(event.progress)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last is not None and last.done
    assert last.seconds == SECONDS
    assert last.segments[-1].end == pytest.approx(SECONDS, abs=31)  # the last half minute is silent
    assert 170 <= len(last.segments) <= 380
    assert shares == sorted(shares) and len(set(shares)) > 40
    # All of it as 16 kHz float32 would be 691 MB; a batch of eight clips of 30 s is 15.
    assert peak < 60 * MEGABYTE


@pytest.mark.parametrize("voice_only", [True, False])
def test_it_is_stopped_at_once_wherever_it_is(recording: Path, voice_only: bool) -> None:
    stopped = 0.0

    def cancelled() -> bool:
        return bool(stopped)

    events = work(recording, Options(voice_only=voice_only), cancelled)
    for event in events:
        if isinstance(event, Transcript) and event.progress > 0.02:
            stopped = time.monotonic()
            break
    with pytest.raises(Cancelled):
        next(events)
    assert time.monotonic() - stopped < 5
