"""Who is next: requests that wait for their turn, in order of arrival, and in turns between those who sent them."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from mmdemo.runtime.calls import TOGETHER, Call
from mmdemo.runtime.handover import Handover

PATIENCE = 8
"""Turns in a row that requests may take which have not had an answer yet, while others wait to go on."""
RECENT = 0.3
"""Share of the latest turn in the mean length of a turn."""


@dataclass(frozen=True)
class Place:
    """Where a request stands: `number` 1 is next; `seconds` until then, as far as earlier turns tell."""

    number: int
    seconds: int | None = None


@dataclass(eq=False)
class Piece:
    """A piece of work.

    Attributes:
        who: who sent it; empty: somebody of whom nothing is known.
        work: what is still to be done; None before it has begun.
        call: the call of an engine that it asked for and waits for.
        served: whether an engine has worked for it.
    """

    start: Any
    stop: threading.Event
    who: str = ""
    handover: Handover[Any, None] = field(default_factory=Handover)
    work: Generator[Any, None, None] | None = None
    call: Call[Any, Any] | None = None
    served: bool = False

    @property
    def sender(self) -> object:
        """Requests of one sender take turns as one."""
        return self.who or id(self)


class Queue:
    """Pieces by sender: each sender's first one in turn."""

    def __init__(self) -> None:
        self._senders: OrderedDict[object, deque[Piece]] = OrderedDict()

    def join(self, piece: Piece) -> None:
        """At the end of its sender's; a new sender is last."""
        self._senders.setdefault(piece.sender, deque()).append(piece)

    def leave(self, piece: Piece) -> bool:
        """Whether it was here."""
        pieces = self._senders.get(piece.sender)
        if pieces is None or piece not in pieces:
            return False
        pieces.remove(piece)
        if not pieces:
            del self._senders[piece.sender]
        return True

    def pop(self) -> Piece:
        """The next one; its sender is the last from now on."""
        sender, pieces = next(iter(self._senders.items()))
        piece = pieces.popleft()
        del self._senders[sender]
        if pieces:
            self._senders[sender] = pieces
        return piece

    def __iter__(self) -> Iterator[Piece]:
        """In the order of their turns."""
        rounds = max(map(len, self._senders.values()), default=0)
        for turn in range(rounds):
            yield from [pieces[turn] for pieces in self._senders.values() if turn < len(pieces)]

    def __bool__(self) -> bool:
        return bool(self._senders)


class Line:
    """The pieces that wait. Those that an engine has not worked for yet go first, but not for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new, self._going = Queue(), Queue()
        self._held: list[Piece] = []
        self._row = 0
        self._mean: float | None = None
        self._begun: float | None = None

    def join(self, piece: Piece) -> None:
        """Wait for a turn."""
        with self._lock:
            (self._going if piece.served else self._new).join(piece)

    def hold(self, piece: Piece) -> None:
        """Wait until `release`."""
        with self._lock:
            self._held.append(piece)

    def release(self) -> list[Piece]:
        """What was held back, and is no more; it is in no queue."""
        with self._lock:
            held, self._held = self._held, []
        return held

    def leave(self, piece: Piece) -> bool:
        """Take a piece out; whether it was waiting."""
        with self._lock:
            if piece in self._held:
                self._held.remove(piece)
                return True
            return self._new.leave(piece) or self._going.leave(piece)

    def next(self) -> Piece | None:
        """Whose turn it is; None if nobody waits."""
        with self._lock:
            if not (self._new or self._going):
                return None
            first = bool(self._new) and (self._row < PATIENCE or not self._going)
            self._row = self._row + 1 if first else 0
            self._begun = time.monotonic()
            return (self._new if first else self._going).pop()

    def mates(self, piece: Piece) -> list[Piece]:
        """Pieces whose call can run together with that of `piece`; they wait no more."""
        call = piece.call
        found: list[Piece] = []
        if call is None or not call.is_small:
            return found
        room = TOGETHER - call.left
        with self._lock:
            for other in list(chain(self._new, self._going)):
                if other.call is None or not other.call.is_small or other.call.key != call.key:
                    continue
                if other.call.left > room or other.stop.is_set():
                    continue
                room -= other.call.left
                found.append(other)
            for other in found:
                self._new.leave(other) or self._going.leave(other)
        return found

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits for a turn."""
        return not (self._new or self._going)

    def took(self, seconds: float) -> None:
        """A turn that used an engine has ended after so long."""
        with self._lock:
            self._begun = None
            self._mean = seconds if self._mean is None else self._mean + RECENT * (seconds - self._mean)

    def place(self, piece: Piece) -> Place | None:
        """Where a piece stands; None if it does not wait, or has had an answer already."""
        with self._lock:
            if piece.served:
                return None
            ahead = next((number for number, one in enumerate(self._new) if one is piece), None)
            if ahead is None:
                return None
            if self._mean is None:
                return Place(ahead + 1)
            running = 0.0 if self._begun is None else max(0.0, self._mean - (time.monotonic() - self._begun))
            return Place(ahead + 1, math.ceil(running + ahead * self._mean))
