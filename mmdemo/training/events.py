"""What a run tells: one JSON object a line in `events.jsonl`, for whoever watches."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVENTS_FILE = "events.jsonl"
Listener = Callable[[dict[str, Any]], None]


class Events:
    """Appends to the file of a run; each line is whole and on its way to the disk when the call returns.

    Kinds: `progress`, `metric`, `sample`, `note`, and at last one of `done`, `stopped`, `failed`.
    """

    def __init__(self, folder: Path, listener: Listener = lambda event: None, silent: bool = False) -> None:
        """`silent` for the further processes of a run on several devices: one of them speaks for all.

        What makes one of the others fail it says on the terminal.
        """
        self._file = folder / EVENTS_FILE
        self._listener = listener
        self._silent = silent

    def __call__(self, kind: str, **values: Any) -> None:
        """Say something of `kind`."""
        if self._silent:
            if kind == "failed":
                print(values["message"], file=sys.stderr, flush=True)
            return
        event = {"time": round(time.time(), 3), "kind": kind, **{name: plain(value) for name, value in values.items()}}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
        self._listener(event)


def plain(value: Any) -> Any:
    """A value as JSON has it: a number that is none (NaN, infinite) becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return {name: plain(each) for name, each in value.items()} if isinstance(value, dict) else value
