"""What one request uses: a checkpoint that it was given is not unloaded before the request has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mmdemo.runtime.base import Backend
from mmdemo.runtime.sources import Progress
from mmdemo.runtime.standing import AUTO, How
from mmdemo.settings import Settings


class Models(Protocol):
    """What a task gets its models from."""

    @property
    def settings(self) -> Settings:
        """The studio's."""

    def get(
        self,
        key: str,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
        how: How = AUTO,
    ) -> Backend:
        """The loaded backend of `key`; see `Manager.get`."""


class Held(Protocol):
    """What a lease is of: `Manager`."""

    settings: Settings

    def held(
        self,
        lease: Lease,
        key: str,
        cancelled: Callable[[], bool],
        report: Callable[[Progress], None],
        how: How,
    ) -> Backend:
        """See `Manager.held`."""


class Lease:
    """The checkpoints that a request uses, by way of the manager."""

    def __init__(self, manager: Held) -> None:
        self._manager = manager
        self.settings = manager.settings

    def get(
        self,
        key: str,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
        how: How = AUTO,
    ) -> Backend:
        """As `Manager.get`; what it returns stays loaded until the request has ended.

        Raises:
            InUse: it would fit if others, who use what is loaded, had ended.
        """
        return self._manager.held(self, key, cancelled, report, how)
