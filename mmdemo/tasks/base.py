"""What a task is, and what every task asks: can this model do it, did the user stop, how long did a file take."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mmdemo import catalog, errors
from mmdemo.catalog import ModelSpec, Task
from mmdemo.errors import InUse
from mmdemo.options import option
from mmdemo.results import Classification, Description, Explanation, Nearness, Speech, Track, Transcript
from mmdemo.runtime import device, quantization
from mmdemo.runtime.base import Adaptable, Backend
from mmdemo.runtime.calls import WAIT, Call, Wait
from mmdemo.runtime.lease import Models
from mmdemo.runtime.reporting import reported
from mmdemo.runtime.sources import Progress
from mmdemo.runtime.standing import AUTO, How

Event = Progress | Description | Transcript | Track | Speech | Explanation | Nearness | Classification
Step = Event | Call[Any, Any] | Wait
"""What a task yields to the worker, which hands the events on."""
Cancelled = Callable[[], bool]
Run = Callable[[Models, Sequence[Path], Any, Cancelled], Iterator[Step]]

ABILITIES: dict[Task, str] = {
    "describe": "look at pictures",
    "transcribe": "transcribe",
    "talk": "answer questions",
    "embed": "turn text into vectors",
    "classify": "name what is in a picture",
    "classify-text": "classify text",
    "classify-audio": "classify recordings",
    "classify-image-text": "classify texts with pictures",
    "speak": "speak",
    "vocode": "turn spectrograms into sound",
    "align": "put files and texts into one space",
}
"""What a model does, in a sentence that begins with "This model does not"."""


def quantization_option() -> Any:
    """The field of a task's options that says how the weights of its model are held."""
    return option(
        "auto", "Quantization", "Bits of a weight in memory; auto: what measured best on this device.",
        choices=quantization.NAMES,
    )  # fmt: skip


def device_option() -> Any:
    """The field of a task's options that says where its models run."""
    return option("auto", "Device", "Where the models run; auto: the one of the settings.", choices=device.DEVICES)


@dataclass(frozen=True)
class Entry:
    """A line of the registry: the module that has `Options` and `run`, and what the task does, in a sentence.

    `takes`: what it works on, `files`, or a `text` among its options.
    """

    module: str
    about: str = ""
    takes: str = "files"

    @property
    def options(self) -> type[Any]:
        """The task's frozen options dataclass."""
        return import_module(self.module).Options  # type: ignore[no-any-return]

    def load(self) -> Run:
        """The task's generator function."""
        return import_module(self.module).run  # type: ignore[no-any-return]


def require(task: Task, model: str) -> ModelSpec:
    """The row of `model`, which can do `task`; asked before anything is fetched or loaded.

    Raises:
        UnknownName: there is no such model.
        Unsupported: it cannot do `task`; lists the models that can.
    """
    spec = catalog.get(model)
    if task not in spec.tasks:
        raise unable(task, spec)
    return spec


def able(backend: Any, adapter: str) -> None:
    """Nothing, if a model can answer with an adapter, or need not.

    Raises:
        Unsupported: it cannot.
    """
    if adapter and not isinstance(backend, Adaptable):
        raise errors.Unsupported(
            f"{backend.spec.title} takes no adapters as it is loaded: leave the adapter out, or choose a "
            "vision-language or language model in bf16 or fp32."
        )


def unable(task: Task, spec: ModelSpec) -> errors.Unsupported:
    """The error for a model that cannot do `task`."""
    able = ", ".join(row.key for row in catalog.having(task))
    return errors.Unsupported(f"{spec.title} does not {ABILITIES[task]}; choose one of: {able}.")


def loading(
    models: Models, key: str, cancelled: Cancelled, how: How = AUTO
) -> Generator[Progress | Wait, None, Backend]:
    """Get a checkpoint: what is to be yielded meanwhile; it returns the backend.

    Raises:
        StudioError: as `Lease.get`. If it fits as soon as others have ended, it waits for that.
    """
    while True:
        try:
            return (yield from reported(lambda report: models.get(key, cancelled, report, how)))
        except InUse:
            yield WAIT


def go_on(cancelled: Cancelled) -> None:
    """Nothing, unless the user has stopped the work.

    Raises:
        Cancelled: `cancelled()` says so.
    """
    if cancelled():
        raise errors.Cancelled("Stopped.")


class Stopwatch:
    """Seconds of work on each file of a request, as `results.Provenance.seconds` defines them.

    Time passes from call to call: each call says whom the time since the one before belongs to. The sum over all files
    is therefore never more than the time that passed.
    """

    def __init__(self) -> None:
        self._spent: dict[int, float] = {}
        self._since = time.monotonic()

    def skip(self, until: float | None = None) -> None:
        """The time since the last call was no work on a file: a model was loaded, or others had their turn.

        Args:
            until: a time of `time.monotonic` at which work began again; None: now.
        """
        self._since = max(self._since, time.monotonic() if until is None else until)

    def share(self, shares: Mapping[int, float]) -> None:
        """The time since the last call was work on these files (their places in the request), by these weights."""
        now = time.monotonic()
        passed, self._since = now - self._since, now
        whole = sum(shares.values())
        for file, part in shares.items():
            self._spent[file] = self._spent.get(file, 0.0) + passed * part / whole

    def seconds(self, file: int = 0) -> float:
        """What a file took so far."""
        return self._spent.get(file, 0.0)
