"""The composition root: settings, manager, worker, jobs, and the tasks that run on them; no globals."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdemo import catalog, hub_rows, remote_rows, tasks, trusted_code
from mmdemo.catalog import ModelSpec
from mmdemo.chains import Compose
from mmdemo.errors import Crashed, TooLarge
from mmdemo.jobs import Jobs
from mmdemo.options import build, meta
from mmdemo.runtime import servers
from mmdemo.runtime.calls import WAIT, Wait
from mmdemo.runtime.estimates import Estimate
from mmdemo.runtime.idle import Idle
from mmdemo.runtime.lease import Lease
from mmdemo.runtime.line import Place
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources import Progress, hub_find
from mmdemo.runtime.sources.hub_find import Found, Wanted
from mmdemo.runtime.standing import AUTO, How, Row, Status
from mmdemo.runtime.worker import Worker
from mmdemo.settings import Settings
from mmdemo.tasks.base import Event, Step, loading

if TYPE_CHECKING:
    from mmdemo.fusion.shape import Chain

FETCHES = 4
"""Checkpoints fetched at the same time; more wait."""


class Studio:
    """One studio serves many people; their requests take turns on the worker. Fetching needs no turn."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.load()
        self.manager = Manager(self.settings)
        self.worker = Worker("models")
        self.jobs = Jobs(self.settings)
        self._fetcher = Worker("fetch", threads=FETCHES)
        self._idle = Idle(self.settings.idle_minutes * 60.0, self._unload_idle)

    def run(
        self,
        task: str,
        files: Sequence[Path],
        options: Mapping[str, Any] | object = {},
        stop: threading.Event | None = None,
        who: str = "",
    ) -> Iterator[Event]:
        """Run a task of `tasks.TASKS` and yield its results as they grow.

        Checkpoints that are not here yet are fetched before the task takes its turn, so that nobody waits for them but
        who asked.

        Args:
            options: an instance of the task's options dataclass, or a mapping of its fields.
            stop: set it, from any thread, to end the work at its next step.
            who: who asks; the requests of one person take turns as if they were one.

        Yields:
            `Progress` while it waits in line and while something is fetched or loaded, and the task's results. A
            result whose `done` is False is replaced by the next one for the same file.

        Raises:
            StudioError: before anything runs for unknown names and for more files than `max_files`; for a file only if
                it is the only one.
        """
        if len(files) > self.settings.max_files:
            raise TooLarge(
                f"{len(files):,} files are more than the limit of {self.settings.max_files:,} at once: "
                "give fewer, or raise MMDEMO_MAX_FILES."
            )
        entry = tasks.get(task)
        chosen = build(entry.options, options) if isinstance(options, Mapping) else options
        run = entry.load()
        unseen = [key for key in repositories(chosen) if hub_rows.is_unseen(self.manager.spec(key))]
        # what a repository of the Hub can do is not known before it was asked
        absent = [] if unseen else self._absent(chosen)
        ended = stop or threading.Event()

        def work(cancelled: Callable[[], bool]) -> Iterator[Step]:
            with self._turn() as models:
                yield from run(models, files, chosen, cancelled)

        def events() -> Iterator[Event]:
            for key in unseen:
                yield from self.look(key, ended)
            for part in self._absent(chosen) if unseen and not ended.is_set() else absent:
                yield from self.fetch(part, ended)
            yield from self.worker.stream(work, ended, who, in_line)

        return events()

    def _absent(self, options: object) -> list[str]:
        """What must be fetched for these options of a task."""
        return [part for key in checkpoints(options) for part in self.manager.absent(key)]

    def rows(self) -> list[Row]:
        """The catalog, and what else is in the cache, with what is cached and loaded."""
        return list(self.manager.rows())

    def status(self) -> Status:
        """Device, memory, loaded checkpoints."""
        return self.manager.status()

    def look(self, key: str, stop: threading.Event | None = None) -> Iterator[Progress]:
        """Ask the Hub what `key` is, unless that is known, yielding progress; `catalog.get` knows it then."""
        return self._fetcher.report(lambda report, cancelled: self.manager.look(key, cancelled, report), stop)

    def estimate(self, key: str, how: How = AUTO, stop: threading.Event | None = None) -> Iterator[Progress | Estimate]:
        """What `key` would take in memory, after progress where the Hub is asked. Nothing is loaded."""

        def action(report: Callable[[Progress | Estimate], None], cancelled: Callable[[], bool]) -> None:
            report(self.manager.estimate(key, how, cancelled, report))

        return self._fetcher.report(action, stop)

    def search(self, wanted: Wanted, stop: threading.Event | None = None) -> Iterator[Progress | list[Found]]:
        """Search the Hub: progress, then what was found. See `hub_find.search`."""

        def action(report: Callable[[Progress | list[Found]], None], cancelled: Callable[[], bool]) -> None:
            report(hub_find.search(wanted, self.settings, report, cancelled))

        return self._fetcher.report(action, stop)

    def served(self, url: str, stop: threading.Event | None = None) -> Iterator[Progress | list[str]]:
        """Ask the server at a base URL what it serves: progress, then the keys. See `servers.listed`."""

        def action(report: Callable[[Progress | list[str]], None], cancelled: Callable[[], bool]) -> None:
            report(servers.listed(url, self.settings, report, cancelled))

        return self._fetcher.report(action, stop)

    def trusted(self) -> tuple[str, ...]:
        """The models whose own code may run, besides those that the settings name. See `trusted_code`."""
        return trusted_code.allowed(self.settings)

    def trust(self, key: str, on: bool) -> None:
        """Let a model's own code run, or no longer, from the next time that it is loaded."""
        (trusted_code.allow if on else trusted_code.forbid)(key, self.settings)

    def declare(self, key: str) -> ModelSpec:
        """Give a model of a server, `remote:MODEL@URL`, a row with a name of its own. See `remote_rows.declare`."""
        model, url = remote_rows.parted(key)
        return remote_rows.declare(url, model, self.settings)

    def fetch(self, key: str, stop: threading.Event | None = None) -> Iterator[Progress]:
        """Fetch a checkpoint, yielding progress, until it is there or `stop` is set. Requests go on meanwhile."""
        return self._fetcher.report(lambda report, cancelled: self.manager.fetch(key, cancelled, report), stop)

    def load(self, key: str, stop: threading.Event | None = None) -> Iterator[Progress]:
        """Fetch a checkpoint and load it when its turn comes, yielding progress, until then or until `stop` is set."""
        stop = stop or threading.Event()
        for part in self.manager.absent(key):
            yield from self.fetch(part, stop)

        def work(cancelled: Callable[[], bool]) -> Iterator[Progress | Wait]:
            with self._turn() as models:
                yield from loading(models, key, cancelled)

        yield from self.worker.stream(work, stop, waiting=in_line)

    def chain(self, options: Compose, stop: threading.Event | None = None) -> Iterator[Progress | Chain]:
        """What a chain of these choices looks like, after progress: its parts with their shapes, or why there is none.

        Nothing is fetched, and no weights are read.
        """

        def action(report: Callable[[Progress | Chain], None], cancelled: Callable[[], bool]) -> None:
            from mmdemo.training import composing

            report(composing.chain(options, self.settings, report))

        return self._fetcher.report(action, stop)

    def compose(self, options: Compose, stop: threading.Event | None = None) -> Iterator[Progress | ModelSpec]:
        """Compose a chain when its turn comes: progress, then the row of the new model. Absent parts are fetched.

        Raises:
            InputError: the parts do not go together.
        """
        stop = stop or threading.Event()
        for key in filter(catalog.MODELS.get, options.chosen.values()):
            for part in self.manager.absent(key):
                yield from self.fetch(part, stop)

        def work(cancelled: Callable[[], bool]) -> Iterator[Progress | ModelSpec]:
            from mmdemo.training import composing

            yield Progress("Composing")
            folder = composing.write(options, composing.place_for(options, self.settings), self.settings)
            yield catalog.get(str(folder))

        yield from self.worker.stream(work, stop, waiting=in_line)

    def unloading(self, key: str, stop: threading.Event | None = None) -> Iterator[Progress]:
        """Free a checkpoint's memory when its turn comes, and yield then; nothing happens if `stop` is set before."""

        def work(cancelled: Callable[[], bool]) -> Iterator[Progress | Wait]:
            yield Progress(f"Unloading {self.manager.spec(key).title}")
            yield from self._unused(key)
            self.manager.unload(key)

        return self.worker.stream(work, stop, waiting=in_line)

    def removing(self, key: str, stop: threading.Event | None = None) -> Iterator[Progress | int]:
        """Delete a checkpoint's files when its turn comes: progress, then the bytes that were freed.

        Nothing happens if `stop` is set before.
        """

        def work(cancelled: Callable[[], bool]) -> Iterator[Progress | Wait | int]:
            yield Progress(f"Removing {self.manager.spec(key).title}")
            yield from self._unused(key)
            yield self.manager.remove(key)

        return self.worker.stream(work, stop, waiting=in_line)

    def unload(self, key: str) -> None:
        """Free a checkpoint's memory; waits for its turn. For callers who show progress there is `unloading`."""
        for _ in self.unloading(key):
            pass

    def remove(self, key: str) -> int:
        """Delete a checkpoint's files; the bytes that were freed. Waits for its turn, as `removing` does visibly."""
        return next(freed for freed in self.removing(key) if isinstance(freed, int))

    @contextmanager
    def _turn(self) -> Iterator[Lease]:
        """A piece of work on the worker: what it uses is in use until it ends, and may be idle from then on."""
        try:
            with self.manager.lease() as lease:
                yield lease
        except Crashed as problem:
            self.manager.crashed(problem)
            raise
        finally:
            self._idle.expect()

    def _unused(self, key: str) -> Iterator[Wait]:
        """Waits until no request uses a checkpoint."""
        while self.manager.is_used(key):
            yield WAIT

    def _unload_idle(self, seconds: float) -> float | None:
        """See `Manager.unload_idle`; waits for its turn."""
        return self.worker.call(lambda: self.manager.unload_idle(seconds))

    def close(self) -> None:
        """Stop what runs and what waits, and unload everything."""
        self._idle.close()
        self._fetcher.close()
        self.worker.close()
        self.manager.close()


def in_line(place: Place) -> Progress:
    """What someone reads who waits for their turn."""
    if place.seconds is None:
        return Progress(f"Number {place.number} in line")
    return Progress(f"Number {place.number} in line, about {place.seconds} s")


def repositories(options: object) -> list[str]:
    """Keys of repositories of the Hub that the options of a task name, whether or not they will be used."""
    named = [field.name for field in dataclasses.fields(options) if meta(field).task]  # type: ignore[arg-type]
    return [key for key in (getattr(options, name) for name in named) if key.startswith(hub_rows.PREFIX)]


def checkpoints(options: object) -> tuple[str, ...]:
    """Keys of the checkpoints that a task will use with these options: what its `Options.checkpoints()` says, if it
    has one. What is not named there is fetched when the task asks for it, during its turn."""
    named: tuple[str, ...] = options.checkpoints() if hasattr(options, "checkpoints") else ()
    return named
