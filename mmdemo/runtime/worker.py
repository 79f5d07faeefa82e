"""Work one turn at a time, and a caller who only reads a queue.

The studio has one such worker for everything that uses the models: whoever has the turn owns the accelerator. A long
request gives the turn away between two calls of an engine (`calls.Call`), so that nobody waits for its end; small
calls of several requests run together. A piece of work may hand a step to a thread of its own (loading in `reporting`,
generating in `backends.generation`), but it waits for that thread, so that nothing else runs meanwhile.

A Gradio handler that is stopped before its first `yield` is never resumed, so it must not hold a lock or a model:
here it holds neither, and setting the `cancelled` event is enough for the work to stop by itself at its next step.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from mmdemo import errors
from mmdemo.runtime.calls import FEW, Call, Wait
from mmdemo.runtime.crashes import crashed
from mmdemo.runtime.line import Line, Piece, Place

T = TypeVar("T")
Cancelled = Callable[[], bool]
Waiting = Callable[[Place], T]


class Worker:
    """Runs one piece of work at a time, in turns; more than one only if it is made with more threads."""

    def __init__(self, name: str = "worker", threads: int = 1) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._pieces: list[Piece] = []
        self._line = Line()
        self._broken: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed = False
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Pieces of work that run or wait."""
        return len(self._pieces)

    def stream(
        self,
        work: Callable[[Cancelled], Iterator[Any]],
        stop: threading.Event | None = None,
        who: str = "",
        waiting: Waiting[Any] | None = None,
    ) -> Iterator[Any]:
        """Run the generator function `work(cancelled)` in turns and yield what it yields, but for its calls.

        Closing this generator, or losing it, sets the event behind `cancelled`; the work sees it at its next step.
        A caller who waits in this generator on one thread and stops it from another gives its own `stop`; work whose
        `stop` is set while it waits for its turn is left at once. Whatever the work raises is raised here.

        Args:
            who: who asks; the requests of one take turns as if they were one.
            waiting: what to yield while it waits for its first answer, made of its place in the line.

        Raises:
            Cancelled: if the worker was closed before the work had ended.
        """
        return self._read(Piece(work, stop or threading.Event(), who), waiting)

    def report(
        self, action: Callable[[Callable[[T], None], Cancelled], object], stop: threading.Event | None = None
    ) -> Iterator[T]:
        """Run `action(report, cancelled)` in one turn and yield what it reports; else as `stream`."""
        piece = Piece(None, stop or threading.Event())

        def work(cancelled: Cancelled) -> Iterator[T]:
            action(piece.handover.put, cancelled)
            yield from ()

        piece.start = work
        return self._read(piece, None)

    def call(self, function: Callable[[], T]) -> T:
        """Run `function` when its turn comes and wait for what it returns."""

        def action(report: Callable[[T], None], cancelled: Cancelled) -> None:
            report(function())

        return next(self.report(action))

    def close(self) -> None:
        """Stop the work that runs at its next step, and what waits; wait for the threads, refuse more."""
        with self._lock:
            self._closed = True
            for piece in self._pieces:
                piece.stop.set()
            for piece in self._line.release():
                self._queue(piece)
        self._threads.shutdown(wait=True)  # what waits has its turn: it sees its event, ends and tells its reader

    def _read(self, piece: Piece, waiting: Waiting[Any] | None) -> Iterator[Any]:
        """What a piece gives, from now on; see `stream`."""
        with self._lock:
            if self._closed:
                raise _closing()
            self._pieces.append(piece)
            self._queue(piece)
        told: Place | None = None

        def idle() -> Iterator[Any]:
            nonlocal told
            if piece.stop.is_set() and self._leave(piece):
                raise _Left
            place = self._line.place(piece) if waiting else None
            if waiting and place is not None and place != told:
                told = place
                yield waiting(place)

        try:
            yield from piece.handover.items(idle)
        except _Left:
            return
        except BaseException:  # the reader left, or the work failed
            piece.stop.set()
            raise

    def _queue(self, piece: Piece) -> None:
        """Wait for a turn. There are at least as many turns as there are pieces in the line."""
        self._line.join(piece)
        self._threads.submit(self._turn)

    def _leave(self, piece: Piece) -> bool:
        """Whether a piece whose reader leaves was waiting. One that has begun still closes what it opened."""
        with self._lock:
            if self._closed or not self._line.leave(piece):
                return False
            if piece.work is not None:
                self._queue(piece)
                return True
        self._forget(piece)
        return True

    def _forget(self, piece: Piece) -> None:
        """A piece has ended; those that waited for that go on."""
        with self._lock:
            self._pieces.remove(piece)
            for held in self._line.release():
                self._queue(held)

    def _turn(self) -> None:
        """One turn of whoever is next."""
        piece = self._line.next()
        if piece is None:  # it has left, or ran together with another
            return
        if piece.call is None or piece.stop.is_set():
            self._after(piece, self._go(piece))
        else:
            self._serve(piece, piece.call)

    def _go(self, piece: Piece, problem: errors.StudioError | None = None) -> bool:
        """Let a piece go on until it asks for an engine (True), must wait for others, or ends.

        Args:
            problem: what became of the call that it waits for.
        """
        piece.call = None
        try:
            if piece.work is None and not piece.stop.is_set():
                piece.work = piece.start(piece.stop.is_set)
            while piece.work is not None and not piece.stop.is_set():
                item = piece.work.throw(problem) if problem else next(piece.work)
                problem = None
                if isinstance(item, Call):
                    piece.call = item
                    return True
                if isinstance(item, Wait):
                    return True
                piece.handover.put(item)
            if isinstance(piece.work, Generator):  # now, on this thread: nothing begins while it still cleans up
                piece.work.close()
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001  # raised again in the reader's thread
            self._forget(piece)
            piece.handover.fail(error)
            return False
        self._forget(piece)
        if self._closed and piece.stop.is_set():
            piece.handover.fail(_closing())
        else:
            piece.handover.end(None)
        return False

    def _after(self, piece: Piece, goes_on: bool) -> None:
        """Back into the line, if there is more to do."""
        if not goes_on:
            return
        with self._lock:
            if not self._closed:
                if piece.call is None and len(self._pieces) > 1:
                    self._line.hold(piece)
                else:
                    self._queue(piece)
                return
        self._go(piece)  # which closes it

    def _serve(self, first: Piece, call: Call[Any, Any]) -> None:
        """Run a call, with those of others that can run with it; each gets what is its own as it comes."""
        pieces = [first, *self._line.mates(first)]
        crowded = call.key is not None and not self._line.is_empty
        parts = [(piece, piece.call, piece.call.begin(FEW if crowded else piece.call.left)) for piece in pieces
                 if piece.call is not None]  # fmt: skip
        owners = [(piece, mine, place) for piece, mine, count in parts for place in range(count)]
        alive = dict.fromkeys(pieces, True)
        given, problem, begun = False, None, time.monotonic()
        try:
            if call.backend in self._broken:  # it is closed by now
                title, key = call.backend.spec.title, call.backend.spec.key
                raise errors.Crashed(f"{title} broke down meanwhile and was unloaded: try again.").of(key)
            answers = call.run([ask for _, mine, count in parts for ask in mine.part(count)])
            with contextlib.closing(answers):
                for index, value in answers:
                    piece, mine, place = owners[index]
                    if piece.call is not mine:
                        continue  # its reader has left, or it has given up
                    mine.give(place, value)
                    given, piece.served = True, True
                    alive[piece] = self._go(piece)
                    if not any(piece.call is mine for piece, mine, _ in parts):
                        break
        except errors.StudioError as error:
            problem = error
        except Exception as error:  # noqa: BLE001  # the engine broke down, and the studio goes on
            problem = crashed(call.backend, error)
            self._broken.add(call.backend)
        self._line.took(time.monotonic() - begun)
        alone = problem is not None and not given and len(pieces) > 1 and not isinstance(problem, errors.Crashed)
        for piece, mine, count in parts:
            piece.served = True
            if piece.call is mine and alone:
                mine.key = None  # the fault is that of one of them: each runs alone now
            elif piece.call is mine and problem is not None:
                alive[piece] = self._go(piece, problem)
            elif piece.call is mine:
                mine.end(count)
                if mine.over:
                    alive[piece] = self._go(piece)
            self._after(piece, alive[piece])


class _Left(Exception):
    """A reader who has stopped their request while it waited."""


def _closing() -> errors.Cancelled:
    """What someone gets who waits for work when the worker is closed."""
    return errors.Cancelled("The studio is closing: start it again and try once more.")
