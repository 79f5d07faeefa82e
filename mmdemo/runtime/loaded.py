"""What is loaded, in which way, and which requests use it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from mmdemo.catalog import ModelSpec
from mmdemo.runtime.base import Backend, Patient
from mmdemo.runtime.lease import Lease
from mmdemo.runtime.standing import AUTO, How

Name = tuple[str, How]
"""A row's key, and how it runs."""


@dataclass
class Entry:
    """A loaded checkpoint; `used`: when it was last used, of the clock `time.monotonic`."""

    spec: ModelSpec
    backend: Backend
    used: float
    how: How = AUTO
    users: set[Lease] = field(default_factory=set)


class Loaded(dict[Name, Entry]):
    """The loaded checkpoints by name. Other threads than the one that changes it read copies."""

    def __init__(self) -> None:
        super().__init__()
        self._waits: Lease | None = None

    def named(self, key: str) -> list[Name]:
        """The names under which a row is loaded."""
        return [name for name in list(self) if name[0] == key]

    def of(self, key: str) -> Entry | None:
        """A row in one of the ways in which it is loaded."""
        return next((entry for name in self.named(key) if (entry := self.get(name))), None)

    def unused(self) -> list[Name]:
        """What no request uses, that which was not used for longest first."""
        return sorted((name for name, entry in self.items() if not entry.users), key=lambda name: self[name].used)

    def use(self, name: Name, now: float, lease: Lease | None) -> Entry:
        """It is used now, by a request or only for a moment."""
        entry = self[name]
        entry.used = now
        if lease is not None:
            entry.users.add(lease)
            self._waits = None if self._waits is lease else self._waits
        return entry

    def release(self, lease: Lease, now: float) -> None:
        """A request has ended: what it used was in use until now."""
        for entry in self.values():
            if lease in entry.users:
                entry.users.discard(lease)
                entry.used = now
        self._waits = None if self._waits is lease else self._waits

    def is_used(self, key: str) -> bool:
        """Whether a request uses the checkpoint `key`, or one that it is a part of."""
        return any(key in (entry.spec.key, *entry.spec.parts) for entry in self.values() if entry.users)

    def may_wait(self, lease: Lease) -> bool:
        """Whether it helps a request to wait until others have ended.

        Of those that use something one may wait at most: two would wait for each other.
        """
        if not any(entry.users - {lease} for entry in self.values()):
            return False
        if any(lease in entry.users for entry in self.values()):
            if self._waits not in (None, lease):
                return False
            self._waits = lease
        return True

    def take_out(self, backend: object) -> None:
        """Forget the checkpoint with this backend, whoever uses it, and close it as far as it lets itself be closed."""
        spec = getattr(backend, "spec", None)  # a request may have a copy of its own of one that waits for a server
        for name in [
            name
            for name, entry in self.items()
            if entry.backend is backend or (isinstance(entry.backend, Patient) and entry.spec == spec)
        ]:
            with contextlib.suppress(Exception):
                self.pop(name).backend.close()
