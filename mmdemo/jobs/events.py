"""What a job's program says while it works: `events.jsonl`, read as it grows.

A line is a JSON object with `time` (seconds since 1970) and `kind`. Known kinds are `progress` (`step`, `steps`, …),
`metric` (`step`, `values`), `sample`, `note`, `done`, `stopped` and `failed` (`message`); others are passed over.
"""

from __future__ import annotations

import json
from collections import deque
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

Event = dict[str, Any]
RECENT = 60
"""Reports of progress that the speed is judged by."""


def read(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """The events from `offset` (in bytes) on, and the offset behind the last whole line.

    A last line without its end is left for the next time; a line that is no JSON object, as a killed program leaves,
    is passed over. There are no events where there is no file.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    whole = data.rfind(b"\n") + 1
    found = []
    for line in data[:whole].splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # of UnicodeDecodeError as well
            continue
        if isinstance(event, dict) and isinstance(event.get("kind"), str):
            found.append(event)
    return found, offset + whole


class History:
    """Everything that a program has said so far; `refresh` reads what is new.

    Attributes:
        progress, metrics: every event of the kind, by step: one that is done again after a resume replaces the earlier.
        samples: the last sample of each `origin`.
        told: messages of `note`, in order, each once.
        last: the last event of any kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start()

    def _start(self) -> None:
        self.progress: dict[int, Event] = {}
        self.metrics: dict[tuple[int, str], Event] = {}
        self.samples: dict[str, Event] = {}
        self.told: list[str] = []
        self.last: Event = {}
        self._now: Event = {}
        self._words = ""
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT)
        self._offset = 0

    def refresh(self) -> bool:
        """Read what was written since; whether there was anything."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return False
        if size < self._offset:  # another run in the same place
            self._start()
        events, self._offset = read(self.path, self._offset)
        for event in events:
            self._take(event)
        return bool(events)

    def _take(self, event: Event) -> None:
        kind = event["kind"]
        if kind == "progress":
            step = whole(event.get("step"))
            if self._recent and step < self._recent[-1][1]:  # resumed: steps after the checkpoint are done again
                self._recent.clear()
                self.progress = {done: was for done, was in self.progress.items() if done < step}
                self.metrics = {key: was for key, was in self.metrics.items() if key[0] <= step}
            self._recent.append((number(event.get("time")), step))
            self.progress[step], self._now = event, event
            self._words = str(event.get("message") or "")
        elif kind == "metric" and isinstance(event.get("values"), dict):
            self.metrics[whole(event.get("step")), str(event.get("split", ""))] = event
        elif kind == "sample":
            self.samples[str(event.get("origin", ""))] = event
        elif kind == "note":
            words = str(event.get("message", ""))
            self._words = words
            if words not in self.told:
                self.told.append(words)
        self.last = event

    @property
    def words(self) -> str:
        """What it does now, in its own words; empty where it said nothing."""
        return self._words

    @property
    def count(self) -> tuple[int, int]:
        """Steps done, and of how many; (0, 0) where that is not known."""
        return whole(self._now.get("step")), whole(self._now.get("steps"))

    @property
    def left(self) -> float | None:
        """Seconds that it still takes at the speed of late; None where that is not known."""
        done, steps = self.count
        took = [
            (now - begun) / (last - first)
            for (begun, first), (now, last) in pairwise(self._recent)
            if last > first and now >= begun
        ]
        # the median: the pause between a stop and a resume, or an evaluation, is no step
        return (steps - done) * median(took) if steps and took else None


def number(value: object) -> float:
    """A number of an event; 0 for what is none."""
    return float(value) if isinstance(value, int | float) else 0.0


def whole(value: object) -> int:
    """A whole number of an event; 0 for what is none."""
    return value if isinstance(value, int) else 0
