"""What is in the cache, what is loaded, what fits, what is in use.

What loads, unloads or removes is called by the piece of work whose turn it is, or by a thread that it waits for.
`fetch`, `rows` and `status` may be called from any thread at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mmdemo import catalog, folders, hub_rows, packings, remote_rows, trusted_code
from mmdemo.catalog import ModelSpec
from mmdemo.errors import Crashed, DoesNotFit, InUse, StudioError, UnknownName, Unsupported
from mmdemo.runtime import backends, crashes, device, listing, memory, ocr, placement, quantization, room
from mmdemo.runtime.base import Backend, Load, Patient
from mmdemo.runtime.estimates import Estimate, Part
from mmdemo.runtime.lease import Lease
from mmdemo.runtime.loaded import Entry, Loaded, Name
from mmdemo.runtime.sources import Progress, cached, described, fetch, look, remove, usage
from mmdemo.runtime.standing import AUTO, How, Row, Status
from mmdemo.settings import Settings


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
        memory.one_heap()
        hub_rows.use(settings.models_folder)
        remote_rows.use(settings)
        self._loaded = Loaded()

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """A request's own way to the models: what it gets is in use, and stays loaded, until the request has ended."""
        lease = Lease(self)
        try:
            yield lease
        finally:
            self._loaded.release(lease, time.monotonic())

    def is_used(self, key: str) -> bool:
        """Whether a request that has not ended uses the checkpoint `key`, or one that it is a part of.

        Raises:
            UnknownName: for a key that is none.
        """
        return self._loaded.is_used(self.spec(key).key)

    def crashed(self, problem: Crashed) -> None:
        """An engine broke down: unload it, whoever uses it, and mark its row."""
        self._loaded.take_out(problem.backend)
        problem.backend = None
        memory.give_back()
        crashes.mark(self.spec(problem.key), self.settings, str(problem))

    def unload_idle(self, seconds: float) -> float | None:
        """Unload what nobody has used for `seconds`.

        Returns:
            Seconds until the next checkpoint will have been idle for so long; None if nothing is loaded.
        """
        now = time.monotonic()
        for name in self._loaded.unused():
            if now - self._loaded[name].used >= seconds:
                self._drop(name)
        left = [self._loaded[name] for name in self._loaded.unused()]
        return min((entry.used + seconds - now for entry in left), default=None)

    def get(
        self,
        key: str,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
        how: How = AUTO,
    ) -> Backend:
        """The loaded backend of `key`, fetched and loaded if need be. It may be loaded in several ways at once.

        Raises:
            UnknownName, Unsupported, WeightsError, DoesNotFit, Crashed, Cancelled.
        """
        return self.held(None, key, cancelled, report, how)

    def held(
        self,
        lease: Lease | None,
        key: str,
        cancelled: Callable[[], bool],
        report: Callable[[Progress], None],
        how: How,
    ) -> Backend:
        """As `get`, for a request: see `Lease.get`."""
        spec = self.look(key, cancelled, report)
        how = self.resolved(spec, how)
        packings.check(spec, how.device)
        name = spec.key, how
        if name not in self._loaded:
            folders = {part: self.fetch(part, cancelled, report) for part in (spec.key, *spec.parts)}
            report(Progress(f"Loading {spec.title}"))
            request = self._load(spec, folders, how, cancelled)
            request.go_on()  # nothing is unloaded for what nobody wants any more
            size = backends.estimate(request).total
            try:
                places = self._make_room(request, size) if size else {}  # one on a server takes nothing here
                backend = backends.load(replace(request, budget=places))
            except DoesNotFit as problem:
                if lease and size <= memory.now(self.settings.memory_gb).budget and self._loaded.may_wait(lease):
                    raise InUse(str(problem)) from None
                raise
            except StudioError:
                raise
            except Exception as error:  # noqa: BLE001  # what the engine's libraries raise is theirs to choose
                raise crashes.unloadable(spec, error) from None
            crashes.clear(spec, self.settings)
            self._loaded[name] = Entry(spec, backend, time.monotonic(), how)
        entry = self._loaded.use(name, time.monotonic(), lease)
        usage.note(entry.spec, self.settings)
        return entry.backend.heeding(cancelled) if isinstance(entry.backend, Patient) else entry.backend

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
        return backends.estimate(self._load(spec, folders, how, cancelled))

    def _load(self, spec: ModelSpec, folders: dict[str, Path], how: How, cancelled: Callable[[], bool]) -> Load:
        """What the engine gets."""
        threads, trusted = self.settings.threads or device.cores(), trusted_code.trusts(spec.key, self.settings)
        return Load(spec, folders, how.device, threads, cancelled, how.quantization, trusted=trusted)

    def spec(self, key: str) -> ModelSpec:
        """The row of `key`. That of a loaded checkpoint is known even if its folder is gone by now.

        Raises:
            UnknownName: for a key that is none.
        """
        if entry := self._loaded.of(key):
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
        if self._loaded.named(spec.key):
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
        for name in self._loaded.named(self.spec(key).key):
            self._drop(name)

    def _drop(self, name: Name) -> None:
        """Close one loaded checkpoint."""
        self._loaded.pop(name).backend.close()
        memory.give_back()

    def remove(self, key: str) -> int:
        """Delete the files of `key` from the cache; the bytes that were freed.

        Raises:
            UnknownName: for a key that is none.
            Unsupported: for files that are part of the program, or the user's own folder.
        """
        spec = self.spec(key)
        if spec.key.startswith(folders.PREFIX):
            raise Unsupported(f"{spec.origin} is your own folder, not a copy in the cache: delete it yourself.")
        for other in [one.spec for one in self._loaded.values() if spec.key in (one.spec.key, *one.spec.parts)]:
            self.unload(other.key)
        crashes.clear(spec, self.settings)
        return remove(spec, self.settings)

    def rows(self) -> Iterator[Row]:
        """Where each row stands: the catalog's, those of repositories of which something is here, and tuned models."""
        return listing.rows(self.settings, self._loaded)

    def status(self) -> Status:
        """Device, memory and loaded checkpoints."""
        return listing.status(self.settings, self._loaded)

    def close(self) -> None:
        """Unload everything."""
        for name in list(self._loaded):
            self._drop(name)
        ocr.unload()

    def _make_room(self, request: Load, size: int) -> Mapping[str, int]:
        """Unload what was not used for longest until `size` fits; what somebody uses stays.

        Returns what each place may take of it; empty if all of it fits the device.
        """
        settings, state = self.settings, memory.now(self.settings.memory_gb)
        offload = settings.offload if quantization.can_be_spread(request.spec, request.quantization) else "no"
        hopeless = request.device != "cuda" and offload != "disk" and size > state.budget  # nothing is unloaded for it
        while True:
            places = placement.plan(size, request.device, offload, settings.memory_gb, Path(settings.home))
            if places == {} and not hopeless:
                return {}
            if not hopeless and ocr.unload():  # it comes back in a second
                memory.give_back()
                continue
            idle = [] if hopeless else self._loaded.unused()
            if not idle:
                break
            self._drop(idle[0])
        if places is None or hopeless:
            raise room.too_big(request, size, [entry.spec for entry in self._loaded.values()], settings)
        return places
