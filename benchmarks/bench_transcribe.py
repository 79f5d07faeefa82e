"""Transcribing here and with faster-whisper's own `transcribe`: same weights, int8, same beam, same files, one process.

Run it with `python -m benchmarks.bench_transcribe`, or `run()` from the bench runner.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.table import Row, at_least, at_most
from benchmarks.table import text as table
from mmdemo.media.audio import stream_audio, write_wav
from mmdemo.results import Transcript
from mmdemo.runtime import device
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from mmdemo.tasks import transcribe

MODEL = "whisper-base"
BEAMS = 5
MINUTES = 10
SHORT_CLIPS = 50
SHORT_SECONDS = 15.0
RATE = 16_000
DATA = Path(os.environ.get("TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


class Spoken(NamedTuple):
    """A recording and what is said in it, empty where nobody wrote that down."""

    path: Path
    text: str
    language: str


def normalised(text: str) -> str:
    """Lower case, no punctuation, single spaces; the same for both sides."""
    text = unicodedata.normalize("NFKC", text).lower().replace("'", "")
    return " ".join(re.sub(r"[^\w\s]", " ", text).split())


def rows(folder: Path) -> Iterator[Spoken]:
    for line in (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield Spoken(folder / row["file"], row.get("text", ""), row.get("lang", "en"))


def samples(path: Path) -> np.ndarray:
    return np.concatenate([block.samples for block in stream_audio(path, Settings())])


def long_recording(folder: Path) -> Spoken:
    """The English recordings one after the other, half a second apart, until ten minutes are full."""
    sources = list(rows(DATA / "speech_en"))
    pause = np.zeros(RATE // 2, np.float32)
    pieces: list[np.ndarray] = []
    texts: list[str] = []
    while sum(map(len, pieces)) < MINUTES * 60 * RATE:
        row = sources[len(texts) % len(sources)]
        pieces += [samples(row.path), pause]
        texts.append(row.text)
    write_wav(folder / "long.wav", np.concatenate(pieces))
    return Spoken(folder / "long.wav", " ".join(texts), "en")


def short_recordings() -> list[Spoken]:
    """Fifty clips of at most 15 s: all that have a text, then spoken orders, which have none."""
    found = [row for name in ("speech_en", "speech_multi") for row in rows(DATA / name)]
    found = [row for row in found if len(samples(row.path)) <= SHORT_SECONDS * RATE]
    return (found + list(rows(DATA / "speech_intent")))[:SHORT_CLIPS]


def error_rate(spoken: Sequence[Spoken], texts: Sequence[str]) -> float:
    """Word error rate in percent of the recordings with a text."""
    import jiwer

    pairs = [(normalised(row.text), normalised(text)) for row, text in zip(spoken, texts, strict=True)]
    truth, said = zip(*[pair for pair in pairs if pair[0]], strict=True)
    return 100 * float(jiwer.wer(list(truth), list(said)))


def timed(action: Callable[[], list[str]]) -> tuple[float, list[str]]:
    began = time.perf_counter()
    texts = action()
    return time.perf_counter() - began, texts


def compare(name: str, spoken: Sequence[Spoken], repeats: int, manager: Manager, peer: Any, goal: float) -> list[Row]:
    """Both programs on the same files, in turns; medians."""

    def ours() -> list[str]:
        files = [row.path for row in spoken]
        events = transcribe.run(manager, files, transcribe.Options(model=MODEL, beams=BEAMS), lambda: False)
        return [event.text for event in events if isinstance(event, Transcript) and event.done]

    def theirs() -> list[str]:
        texts = []
        for row in spoken:
            segments, _ = peer.transcribe(str(row.path), beam_size=BEAMS)
            texts.append(" ".join(segment.text.strip() for segment in segments))
        return texts

    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    texts: dict[str, list[str]] = {}
    for turn in range(repeats):
        order = [("ours", ours), ("theirs", theirs)]
        for who, action in order if turn % 2 == 0 else reversed(order):
            spent, texts[who] = timed(action)
            seconds[who].append(spent)
    a, b = statistics.median(seconds["ours"]), statistics.median(seconds["theirs"])
    left, right = error_rate(spoken, texts["ours"]), error_rate(spoken, texts["theirs"])
    return [
        at_least(name, f"{a:.1f} s", f"{b:.1f} s", b / a, goal),
        at_most(f"{name}: words wrong, points more", f"{left:.2f} %", f"{right:.2f} %", left - right, 0.2),
    ]


def run(repeats: int = 3) -> list[Row]:
    """The whole comparison; a warm-up of both comes first and is not counted."""
    from faster_whisper import WhisperModel

    settings = Settings.load()
    manager = Manager(settings)
    try:
        manager.get(MODEL)
        threads = settings.threads or device.cores()
        peer = WhisperModel(str(manager.fetch(MODEL)), device="cpu", compute_type="int8", cpu_threads=threads)
        short = short_recordings()
        compare("warm-up", short[:2], 1, manager, peer, 0)
        with tempfile.TemporaryDirectory() as folder:
            long = [long_recording(Path(folder))]
            return [
                *compare("one 10-minute file", long, repeats, manager, peer, 1.0),
                *compare("50 short clips", short, repeats, manager, peer, 1.5),
            ]
    finally:
        manager.close()


def main() -> None:
    """Print the table."""
    print(table(run()))


if __name__ == "__main__":
    main()
