"""What is in the cache, what is loaded, what fits.

What loads, unloads or removes is called by the one piece of work that runs, or by a thread which that work waits for.
`fetch`, `rows` and `status` may be called from any thread at any time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmdemo import catalog, folders, hub_rows, remote_rows
from mmdemo.catalog import ModelSpec
from mmdemo.errors import UnknownName, Unsupported
from mmdemo.folders import bytes_in
from mmdemo.runtime import backends, device, memory, ocr, placement, quantization, room
from mmdemo.runtime.base import Backend, Load, Patient
from mmdemo.runtime.estimates import Estimate, Part
from mmdemo.runtime.sources import Progress, arrived, cached, described, fetch, look, remove, usage
from mmdemo.runtime.standing import AUTO, How, Row, Status
from mmdemo.settings import Settings


@dataclass
class _Loaded:
    spec: ModelSpec
    backend: Backend
    used: float
    how: How = AUTO


class Manager:
    """Loads each checkpoint once and keeps it until it is unloaded or something else needs the room."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is loaded yet.

        Raises:
            UnknownName, Unsupported: the settings name a device that does not exist, or is not here.
        """
        if settings.device != "auto":  # which is looked for when it is needed: that may import torch
            device.choose(settings.device)
        if settings.offload not in placement.OFFLOADS:
            raise UnknownName("offload setting", settings.offload, placement.OFFLOADS)
        self.settings = settings
        hub_rows.use(settings.models_folder)
        remote_rows.use(settings)
        self._loaded: dict[tuple[str, How], _Loaded] = {}
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
        for name in [name for name, entry in self._loaded.items() if now - entry.used >= seconds]:
            self._drop(name)
        return min((entry.used + seconds - now for entry in self._loaded.values()), default=None)

    def get(
        self,
        key: str,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
        how: How = AUTO,
    ) -> Backend:
        """The loaded backend of `key`, fetched and loaded if need be. It may be loaded in several ways at once.

        Raises:
            UnknownName, Unsupported, WeightsError, DoesNotFit, Cancelled.
        """
        spec = self.look(key, cancelled, report)
        how = self.resolved(spec, how)
        name = spec.key, how
        if name not in self._loaded:
            folders = {part: self.fetch(part, cancelled, report) for part in (spec.key, *spec.parts)}
            report(Progress(f"Loading {spec.title}"))
            request = self._load(spec, folders, how, cancelled)
            request.go_on()  # nothing is unloaded for what nobody wants any more
            size = backends.estimate(request).total
            places = self._make_room(request, size) if size else {}  # one on a server takes nothing here
            backend = backends.load(replace(request, budget=places))
            self._loaded[name] = _Loaded(spec, backend, time.monotonic(), how)
        entry = self._loaded[name]
        entry.used = time.monotonic()
        usage.note(entry.spec, self.settings)
        if isinstance(entry.backend, Patient):
            entry.backend.heed(cancelled)
        return entry.backend

    def resolved(self, spec: ModelSpec, how: How) -> How:
        """The device that `auto` stands for, and the quantization, which the row offers there.

        Raises:
            UnknownName, Unsupported: there is no such device or quantization, or not here, or not for this row.
        """
        chosen = device.choose(how.device if how.device != "auto" else self.settings.device)
        return How(quantization.way(spec, chosen, how.quantization).name, chosen)

    def estimate(
        self,
        key: str,
        how: How = AUTO,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> Estimate:
        """What a checkpoint would take in memory. Nothing is loaded, and of one on the Hub only the configuration read.

        Raises:
            UnknownName, Unsupported: as `resolved`.
            WeightsError: it cannot be read, or the Hub does not answer.
            Cancelled.
        """
        spec = self.look(key, cancelled, report)
        how = self.resolved(spec, how)
        folders: dict[str, Path] = {}
        for part in (spec.key, *spec.parts):
            folder = described(self.spec(part), self.settings, report, cancelled)
            if folder is None:  # in a wheel that has not been fetched
                return Estimate(tuple(Part(one, 0, self.spec(one).bytes) for one in (spec.key, *spec.parts)))
            folders[part] = folder
        return backends.estimate(self._load(spec, folders, how, lambda: False))

    def _load(self, spec: ModelSpec, folders: dict[str, Path], how: How, cancelled: Callable[[], bool]) -> Load:
        """What the engine gets."""
        threads = self.settings.threads or device.cores()
        trusted = self.settings.trusts(spec.key)
        return Load(spec, folders, how.device, threads, cancelled, how.quantization, trusted=trusted)

    def spec(self, key: str) -> ModelSpec:
        """The row of `key`. That of a loaded checkpoint is known even if its folder is gone by now.

        Raises:
            UnknownName: for a key that is none.
        """
        entry = next((entry for entry in list(self._loaded.values()) if entry.spec.key == key), None)
        if entry:
            return entry.spec
        if key.startswith(hub_rows.PREFIX) and key not in catalog.MODELS:
            return hub_rows.spec_of(key, self.settings.models_folder)
        if key.startswith(remote_rows.PREFIX):
            return remote_rows.spec_of(key, self.settings)
        return catalog.get(key)

    def absent(self, key: str) -> list[str]:
        """What must be fetched before `key` can be loaded: itself and its parts, as far as they are not here.

        Raises:
            UnknownName: for a key that is none.
        """
        spec = self.spec(key)
        if self._entries(spec.key):
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
        """Close a loaded checkpoint, in all the ways in which it is; nothing happens if it is not loaded.

        Raises:
            UnknownName: for a key that is none.
        """
        for name in self._entries(self.spec(key).key):
            self._drop(name)

    def _entries(self, key: str) -> list[tuple[str, How]]:
        """The names under which a row is loaded."""
        return [name for name in list(self._loaded) if name[0] == key]

    def _drop(self, name: tuple[str, How]) -> None:
        """Close one loaded checkpoint."""
        self._loaded.pop(name).backend.close()
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
        for spec in (*catalog.ROWS, *here, *remote_rows.rows(self.settings)):
            folder = cached(spec, self.settings)
            entry = next((self._loaded[name] for name in self._entries(spec.key)), None)
            yield Row(
                spec,
                cached=folder is not None,
                loaded=entry is not None,
                disk=bytes_in(folder) if folder else 0,
                device=entry.backend.device if entry else "",
                quantization=entry.how.quantization if entry else "",
                arrived=0 if folder else arrived(spec, self.settings),
                last_used=usage.last(spec, self.settings),
            )

    def status(self) -> Status:
        """Device, memory and loaded checkpoints."""
        specs = tuple(entry.spec for entry in list(self._loaded.values()))  # a copy: the worker changes it meanwhile
        return Status(
            device.describe(device.choose(self.settings.device)),
            memory.now(self.settings.memory_gb),
            tuple(dict.fromkeys(spec.key for spec in specs)),
            self.settings.offline,
            specs,
        )

    def close(self) -> None:
        """Unload everything."""
        for name in list(self._loaded):
            self._drop(name)
        ocr.unload()

    def _make_room(self, request: Load, size: int) -> Mapping[str, int]:
        """Unload what was not used for longest until `size` fits; what the work at hand uses stays.

        Returns:
            What each place may take of it; empty if all of it fits the device.
        """
        settings, state = self.settings, memory.now(self.settings.memory_gb)
        offload = settings.offload if quantization.can_be_spread(request.spec, request.quantization) else "no"
        hopeless = request.device != "cuda" and offload != "disk" and size > state.budget  # nothing is unloaded for it
        while True:
            places = placement.plan(size, request.device, offload, settings.memory_gb, Path(settings.home))
            if places == {} and not hopeless:
                return {}
            if not hopeless and ocr.unload():  # it comes back in a second
                _give_back()
                continue
            idle = [] if hopeless else [name for name, entry in self._loaded.items() if entry.used < self._begun]
            if not idle:
                break
            self._drop(min(idle, key=lambda name: self._loaded[name].used))
        if places is None or hopeless:
            raise room.too_big(request, size, [entry.spec for entry in self._loaded.values()], settings)
        return places


def _give_back() -> None:
    """Let go of what was just unloaded, down to the system."""
    gc.collect()
    memory.give_back()
