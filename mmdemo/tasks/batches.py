"""Files and texts asked about a batch at a time: one that cannot be read does not end the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mmdemo.errors import InputError
from mmdemo.runtime.asking import use
from mmdemo.runtime.calls import Call
from mmdemo.tasks.base import Cancelled, Step, Stopwatch, go_on

BATCH = 16


@dataclass(frozen=True)
class Answered:
    """What came of one of the asks.

    Attributes:
        place: of the ask among all.
        given: what was opened; None for one that could not be.
        found: the engine's answer; None with an `error`.
        seconds: of work on it.
    """

    place: int
    given: Any
    found: Any
    seconds: float
    error: str = ""


def answered(
    asks: Sequence[Any],
    opened: Callable[[Any], Any],
    ask: Callable[[list[Any]], Any],
    backend: Any,
    watch: Stopwatch,
    cancelled: Cancelled,
) -> Iterator[Step | Answered]:
    """One `Answered` for each ask, and between them the calls that wait for their turn.

    Args:
        opened: reads what is asked about.
        ask: of what was opened, an answer each.

    Raises:
        InputError: it cannot be read and is the only one.
    """
    for start in range(0, len(asks), BATCH):
        ready: dict[int, Any] = {}
        for place, one in enumerate(asks[start : start + BATCH], start):
            go_on(cancelled)
            try:
                ready[place] = opened(one)
            except InputError as error:
                if len(asks) == 1:
                    raise
                watch.share({place: 1.0})
                yield Answered(place, None, None, watch.seconds(place), str(error))
        if not ready:
            continue
        found: list[Any] = []
        yield from called(lambda ready=ready: ask(list(ready.values())), backend, found, watch)  # type: ignore[misc]
        watch.share(dict.fromkeys(ready, 1.0))
        for (place, given), one in zip(ready.items(), found[0], strict=True):
            yield Answered(place, given, one, watch.seconds(place))


def called(ask: Callable[[], Any], backend: Any, found: list[Any], watch: Stopwatch) -> Iterator[Step]:
    """Ask the engine once, when its turn comes; what it gives is put into `found`."""
    for step in use(backend, lambda: [ask()]).steps():
        if isinstance(step, Call):
            yield step
            watch.skip(step.began)
        else:
            found.append(step[1])
