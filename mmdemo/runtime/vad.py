"""Where somebody speaks: a stream of audio blocks becomes a stream of clips that a model can hear.

The detector is Silero (https://github.com/snakers4/silero-vad), the weights that faster-whisper's wheel ships: a
small recurrent network that gives a probability of speech for every 32 ms. Its state is carried from block to block,
and at most `longest` seconds of audio plus one block are held, so memory does not depend on the file's length.

A clip is a stretch of the recording as it is, silences inside it included, so a time inside a clip plus `Clip.start`
is a time in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdemo.runtime.base import RATE, Audio, Clip

if TYPE_CHECKING:
    from mmdemo.media.audio import Block

FRAME = 512
"""Samples the detector looks at, 32 ms."""
CONTEXT = 64
"""Samples of the frame before that the detector sees again."""
STARTS, ENDS = 0.5, 0.35
"""Speech begins at a probability of `STARTS` and goes on until it falls below `ENDS`; Silero's own defaults."""
PAUSE = 2.0
"""Seconds of silence that end a clip."""
PAD = 0.3
"""Seconds kept before and after speech: quiet consonants lie there."""
SHORTEST = 4
"""Frames of speech a clip must have; less is a click."""


class Detector:
    """Silero with its state: samples in, one probability for each 512 of them out."""

    def __init__(self) -> None:
        from faster_whisper.vad import get_vad_model

        self._session: Any = get_vad_model().session
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(CONTEXT, np.float32)

    def __call__(self, samples: Audio) -> Audio:
        """Probabilities, (n,), of `samples`, (n · 512,), which follow those of the last call."""
        frames = samples.reshape(-1, FRAME)
        before = np.concatenate([self._context[None], frames[:-1, -CONTEXT:]])
        self._context = frames[-1, -CONTEXT:].copy()
        output, self._h, self._c = self._session.run(
            None, {"input": np.concatenate([before, frames], axis=1), "h": self._h, "c": self._c}
        )
        probabilities: Audio = np.asarray(output, np.float32).reshape(-1)
        return probabilities


class Tape:
    """The samples that may still be needed, addressed by their position in the file."""

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self._samples: Audio = np.zeros(0, np.float32)

    @property
    def end(self) -> int:
        """The position after the last sample."""
        return self.start + len(self._samples)

    def append(self, samples: Audio) -> None:
        """Put samples at the end."""
        self._samples = np.concatenate([self._samples, np.asarray(samples, np.float32)])

    def cut(self, start: int, end: int) -> Audio:
        """A copy of the samples between two positions, as far as they are held."""
        return self._samples[max(0, start - self.start) : max(0, end - self.start)].copy()

    def forget(self, before: int) -> None:
        """Let go of everything before a position."""
        if before > self.start:
            self._samples = self._samples[before - self.start :].copy()
            self.start = before


class Cutter:
    """Cuts a recording into clips, which come in order and do not overlap, while its blocks are fed to it.

    Args:
        voice_only: only where somebody speaks, cut at silences; else everything, cut at the quietest point near the
            end of each clip.
        longest: seconds of a clip at most.
    """

    def __init__(self, *, voice_only: bool, longest: float = 30.0) -> None:
        self._voice_only = voice_only
        self._longest = longest
        self._open: Voice | Everything | None = None

    def feed(self, block: Block) -> Iterator[Clip]:
        """Take the next block (mono, 16 kHz), give the clips that are complete."""
        if self._open is not None and abs(block.start * RATE - self._open.tape.end) > RATE // 20:
            yield from self.finish()  # the recording has a hole: times after it are the block's own
        if self._open is None:
            start = round(block.start * RATE)
            self._open = Voice(self._longest, start) if self._voice_only else Everything(self._longest, start)
        yield from self._open.feed(block.samples)

    def finish(self) -> Iterator[Clip]:
        """What is left."""
        if self._open is not None:
            yield from self._open.finish()
            self._open = None


class Everything:
    """Windows of nearly `longest` seconds that leave nothing out."""

    def __init__(self, longest: float, start: int) -> None:
        self._longest = int(longest * RATE)
        self.tape = Tape(start)

    def feed(self, samples: Audio) -> Iterator[Clip]:
        """Take samples, give the clips that are complete."""
        self.tape.append(samples)
        while self.tape.end - self.tape.start > self._longest:
            start, limit = self.tape.start, self.tape.start + self._longest
            cut = quietest(self.tape, limit - self._longest // 6, limit)
            yield Clip(self.tape.cut(start, cut), start / RATE)
            self.tape.forget(cut)

    def finish(self) -> Iterator[Clip]:
        """What is left."""
        if self.tape.end > self.tape.start:
            yield Clip(self.tape.cut(self.tape.start, self.tape.end), self.tape.start / RATE)


class Voice:
    """Stretches with speech; those with less than `PAUSE` between them share a clip as long as they fit."""

    def __init__(self, longest: float, start: int) -> None:
        self._longest = int(longest * RATE)
        self._pad = min(int(PAD * RATE), self._longest // 8)
        self.tape = Tape(start)
        self._detector = Detector()
        self._at = start  # position up to which there are probabilities
        self._floor = start  # a clip may not begin before: the one before it ends there
        self._speaking = False
        self._clear()

    def _clear(self) -> None:
        self._first = self._last = -1  # positions of the open clip's speech
        self._frames = 0
        self._gaps: list[tuple[int, int]] = []  # silences inside the open clip

    def feed(self, samples: Audio) -> Iterator[Clip]:
        """Take samples, give the clips that are complete."""
        self.tape.append(samples)
        whole = (self.tape.end - self._at) // FRAME * FRAME
        if whole:
            yield from self._listen(self._detector(self.tape.cut(self._at, self._at + whole)))

    def finish(self) -> Iterator[Clip]:
        """The clip that is open when the recording ends."""
        rest = self.tape.cut(self._at, self.tape.end)
        if len(rest):
            yield from self._listen(self._detector(np.pad(rest, (0, FRAME - len(rest)))))
        if self._first >= 0:
            yield from self._close(self._last + self._pad)

    def _listen(self, probabilities: Audio) -> Iterator[Clip]:
        for probability in probabilities:
            self._speaking = probability >= (ENDS if self._speaking else STARTS)
            position, self._at = self._at, self._at + FRAME
            if self._speaking:
                if self._first < 0:
                    self._first = position
                elif position > self._last:
                    self._gaps.append((self._last, position))
                self._last, self._frames = self._at, self._frames + 1
            if self._first < 0:
                continue
            if self._at - self._last >= PAUSE * RATE:
                yield from self._close(self._last + self._pad)
            elif self._last + self._pad - self._begin > self._longest:
                yield from self._split()
        self.tape.forget(self._begin if self._first >= 0 else self._at - self._pad)

    @property
    def _begin(self) -> int:
        """Where the open clip begins: before its speech, after the clip before."""
        return max(self._floor, self._first - self._pad)

    def _split(self) -> Iterator[Clip]:
        """Close the full clip at its best silence and go on with the speech after it."""
        begin, limit = self._begin, self._begin + self._longest
        late = [gap for gap in self._gaps if begin + self._longest // 3 <= gap[0] and sum(gap) // 2 <= limit]
        if late:
            # The longest silence, the later one of two alike.
            left, right = max(late, key=lambda gap: (min(gap[1] - gap[0], RATE), gap[0]))
            after, cut = right, (left + right) // 2
        else:
            after = cut = quietest(self.tape, limit - self._longest // 4, limit)
            left = cut
        last, gaps = self._last, [gap for gap in self._gaps if gap[0] >= after]
        yield from self._close(min(left + self._pad, cut))
        self._floor = cut
        self._first, self._last, self._gaps = after, last, gaps
        self._frames = (last - after) // FRAME

    def _close(self, end: int) -> Iterator[Clip]:
        begin, end = self._begin, min(end, self.tape.end)
        if self._frames >= SHORTEST and end > begin:
            yield Clip(self.tape.cut(begin, end), begin / RATE)
            self._floor = end
        self._clear()


def quietest(tape: Tape, start: int, end: int) -> int:
    """The middle of the 32 ms with the least energy between two positions."""
    samples = tape.cut(start, end)
    whole = len(samples) // FRAME * FRAME
    if not whole:
        return min(end, tape.end)
    energy = np.square(samples[:whole].reshape(-1, FRAME)).mean(axis=1)
    # Three frames together: a word's stop consonant is quiet for one.
    smooth = np.convolve(np.pad(energy, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    return start + int(smooth.argmin()) * FRAME + FRAME // 2
