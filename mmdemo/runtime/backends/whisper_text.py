"""What Whisper's tokens say: text between time tokens, and the signs of text that was not spoken.

Time tokens count 20 ms from the start of the clip (Radford et al., "Robust Speech Recognition via Large-Scale Weak
Supervision", 2022, section 2.3); each stretch of text stands between two of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

TICK = 0.02
"""Seconds of a time token."""
TOO_REPETITIVE = 2.4
"""Text that compresses better than this is a loop; Whisper's own threshold."""
TOO_UNSURE = -1.0
"""Mean log-probability of the tokens below which a text is not believed; Whisper's own."""
NOBODY = 0.6
"""Probability of "no speech" above which an unsure text is dropped; Whisper's own."""
SHORTEST_REST = 1.0
"""Seconds of a clip's end that are worth listening to again."""


@dataclass(frozen=True)
class Span:
    """Text tokens and when they were said, in seconds from the start of the clip."""

    start: float
    end: float
    tokens: tuple[int, ...]


def spans(tokens: Sequence[int], first_time: int, seconds: float, end_token: int) -> tuple[list[Span], float | None]:
    """Split what the model wrote for a clip of `seconds`.

    Args:
        first_time: the token that means 0.00; larger ones are later.
        end_token: the first special token; text tokens are smaller.

    Returns:
        The spans, in order and inside the clip, and where to listen again if the model stopped before the end of
        the clip (it writes two time tokens and no text after them), else None.
    """
    found: list[Span] = []
    text: list[int] = []
    start: float | None = None
    reached = 0.0

    def add(end: float) -> None:
        begin = reached if start is None else max(start, reached)
        found.append(Span(min(begin, seconds), min(max(end, begin), seconds), tuple(text)))
        text.clear()

    for token in tokens:
        if token >= first_time:
            time = (token - first_time) * TICK
            if text:
                add(time)
                reached, start = found[-1].end, None
            else:
                start = time
        elif token < end_token:
            text.append(token)
    if text:
        add(seconds)
        return found, None
    stopped = len(tokens) > 2 and min(tokens[-2:]) >= first_time and found
    if stopped and start is not None and 0 < start < seconds - SHORTEST_REST:
        return found, start
    return found, None


def latest(tokens: Sequence[int], first_time: int) -> float:
    """The latest time written, in seconds."""
    return max((token - first_time for token in tokens if token >= first_time), default=0) * TICK


def repetitiveness(text: str) -> float:
    """How many times shorter zlib makes a text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0
