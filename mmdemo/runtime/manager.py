"""What is in the cache, what is loaded, what fits.

What loads, unloads or removes is called by the one piece of work that runs, or by a thread which that work waits for.
`fetch`, `rows` and `status` may be called from any thread at any time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mmdemo import catalog, folders, hub_rows
from mmdemo.catalog import ModelSpec
from mmdemo.errors import DoesNotFit, Unsupported
from mmdemo.folders import bytes_in
from mmdemo.runtime import backends, device, memory, ocr
from mmdemo.runtime.base import Backend, Load
from mmdemo.runtime.sources import Progress, arrived, cached, fetch, look, remove, usage
from mmdemo.settings import Settings


@dataclass(frozen=True)
class Row:
    """One line of the Models page. Sizes in bytes; `arrived`: what is here of one that is not here as a whole."""

    spec: ModelSpec
    cached: bool
    loaded: bool
    disk: int
    device: str = ""
    arrived: int = 0
    last_used: datetime | None = None


@dataclass(frozen=True)
class Status:
    """What the header shows. Memory in bytes; `loaded` are keys, `specs` the rows of the same checkpoints."""

    device: str
    memory: memory.Memory
    loaded: tuple[str, ...]
    offline: bool
    specs: tuple[ModelSpec, ...] = ()


@dataclass
class _Loaded:
    spec: ModelSpec
    backend: Backend
    used: float


class Manager:
    """Loads each checkpoint once and keeps it until it is unloaded or something else needs the room."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is loaded yet.

        Raises:
            UnknownName, Unsupported: the settings name a device that does not exist, or is not here.
        """
        if settings.device != "auto":  # which is looked for when it is needed: that may import torch
            device.choose(settings.device)
        self.settings = settings
        hub_rows.use(settings.models_folder)
        self._loaded: dict[str, _Loaded] = {}
        self._begun = time.monotonic()

    def begin(self) -> None:
        """A new piece of work begins: from now on, what earlier work used may be unloaded to make room."""
        self._begun = time.monotonic()

    def end(self) -> None:
        """The piece of work is over: what it used was in use until now."""
        now = time.monotonic()
        for entry in self._loaded.values():
            if entry.used >= self._begun:
                entry.used = now

    def unload_idle(self, seconds: float) -> float | None:
        """Unload what nobody has used for `seconds`.

        Returns:
            Seconds until the next checkpoint will have been idle for so long; None if nothing is loaded.
        """
        now = time.monotonic()
        for key in [key for key, entry in self._loaded.items() if now - entry.used >= seconds]:
            self.unload(key)
        return min((entry.used + seconds - now for entry in self._loaded.values()), default=None)

    def get(
        self,
        key: str,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> Backend:
        """The loaded backend of `key`, fetched and loaded if need be.

        Raises:
            UnknownName, WeightsError, DoesNotFit, Cancelled.
        """
        spec = self.look(key, cancelled, report)
        if spec.key not in self._loaded:
            folders = {part: self.fetch(part, cancelled, report) for part in (spec.key, *spec.parts)}
            report(Progress(f"Loading {spec.title}"))
            chosen, threads = device.choose(self.settings.device), self.settings.threads or device.cores()
            request = Load(spec, folders, chosen, threads, cancelled)
            request.go_on()  # nothing is unloaded for what nobody wants any more
            self._make_room(spec, backends.size(request), chosen)
            self._loaded[spec.key] = _Loaded(spec, backends.load(request), time.monotonic())
        entry = self._loaded[spec.key]
        entry.used = time.monotonic()
        usage.note(entry.spec, self.settings)
        return entry.backend

    def spec(self, key: str) -> ModelSpec:
        """The row of `key`. That of a loaded checkpoint is known even if its folder is gone by now.

        Raises:
            UnknownName: for a key that is none.
        """
        entry = self._loaded.get(key)
        if entry:
            return entry.spec
        if key.startswith(hub_rows.PREFIX) and key not in catalog.MODELS:
            return hub_rows.spec_of(key, self.settings.models_folder)
        return catalog.get(key)

    def absent(self, key: str) -> list[str]:
        """What must be fetched before `key` can be loaded: itself and its parts, as far as they are not here.

        Raises:
            UnknownName: for a key that is none.
        """
        spec = self.spec(key)
        if spec.key in self._loaded:
            return []
        return [part for part in (spec.key, *spec.parts) if cached(self.spec(part), self.settings) is None]

    def look(
        self,
        key: str,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> ModelSpec:
        """The row of `key`; that of a repository of the Hub is asked for there, if nobody has done so yet."""
        return look(self.spec(key), self.settings, report, cancelled)

    def fetch(
        self,
        key: str,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> Path:
        """The folder with the files of `key`; from the cache if they are there."""
        return fetch(self.spec(key), self.settings, report, cancelled)

    def unload(self, key: str) -> None:
        """Close a loaded checkpoint; nothing happens if it is not loaded.

        Raises:
            UnknownName: for a key that is none.
        """
        entry = self._loaded.pop(self.spec(key).key, None)
        if entry is not None:
            entry.backend.close()
            del entry
            _give_back()

    def remove(self, key: str) -> int:
        """Delete the files of `key` from the cache; the bytes that were freed.

        Raises:
            UnknownName: for a key that is none.
            Unsupported: for files that are part of the program, or the user's own folder.
        """
        spec = self.spec(key)
        if spec.key.startswith(folders.PREFIX):
            raise Unsupported(f"{spec.origin} is your own folder, not a copy in the cache: delete it yourself.")
        for other in [entry.spec for entry in self._loaded.values()]:
            if spec.key in (other.key, *other.parts):
                self.unload(other.key)
        return remove(spec, self.settings)

    def rows(self) -> Iterator[Row]:
        """Every row of the catalog, and of the repositories of which something is here, and where it stands."""
        own = hub_rows.rows(self.settings.models_folder)
        here = [spec for spec in own if cached(spec, self.settings) or arrived(spec, self.settings)]
        for spec in (*catalog.ROWS, *here):
            folder = cached(spec, self.settings)
            entry = self._loaded.get(spec.key)
            yield Row(
                spec,
                cached=folder is not None,
                loaded=entry is not None,
                disk=bytes_in(folder) if folder else 0,
                device=entry.backend.device if entry else "",
                arrived=0 if folder else arrived(spec, self.settings),
                last_used=usage.last(spec, self.settings),
            )

    def status(self) -> Status:
        """Device, memory and loaded checkpoints."""
        specs = tuple(entry.spec for entry in list(self._loaded.values()))  # a copy: the worker changes it meanwhile
        return Status(
            device.describe(device.choose(self.settings.device)),
            memory.now(self.settings.memory_gb),
            tuple(spec.key for spec in specs),
            self.settings.offline,
            specs,
        )

    def close(self) -> None:
        """Unload everything."""
        for key in list(self._loaded):
            self.unload(key)
        ocr.unload()

    def _make_room(self, spec: ModelSpec, size: int, where: str) -> None:
        """Unload what was not used for longest until `size` fits; what the work at hand uses stays."""
        state = memory.now(self.settings.memory_gb)
        hopeless = where != "cuda" and size > state.budget  # then nothing is unloaded for it
        while hopeless or not memory.fits(size, self.settings.memory_gb, where):
            if not hopeless and ocr.unload():  # it comes back in a second
                _give_back()
                continue
            idle = [key for key, entry in self._loaded.items() if entry.used < self._begun]
            if hopeless or not idle:
                raise self._too_big(spec, size, where)
            self.unload(min(idle, key=lambda key: self._loaded[key].used))

    def _too_big(self, spec: ModelSpec, size: int, where: str) -> DoesNotFit:
        """The error for a checkpoint that does not fit."""
        if where == "cuda":
            return DoesNotFit(
                f"{spec.title} needs about {size / 1e9:.1f} GB of memory, more than is free on the GPU: "
                "choose a smaller model, or set MMDEMO_DEVICE to cpu."
            )
        state = memory.now(self.settings.memory_gb)
        if state.used + size > state.budget:
            return DoesNotFit(
                f"{spec.title} needs about {size / 1e9:.1f} GB of memory, and of the budget of "
                f"{state.budget / 1e9:.1f} GB {state.used / 1e9:.1f} GB are in use: "
                "choose a smaller model, or raise MMDEMO_MEMORY_GB."
            )
        return DoesNotFit(
            f"{spec.title} needs about {size / 1e9:.1f} GB of memory, and {state.free / 1e9:.1f} GB are free: "
            "close other programs, or choose a smaller model."
        )


def _give_back() -> None:
    """Let go of what was just unloaded, down to the system."""
    gc.collect()
    memory.give_back()
