"""How long something still takes, judged by how fast it went until now."""

from __future__ import annotations

SETTLED = 2.0
"""Seconds before which a speed is a guess, and nothing is said."""
LEAST = 0.02
"""Share of the work that must be done before its speed says something."""


class Pace:
    """Follows the share of one piece of work, from the first one seen."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self._last = 0.0

    def left(self, share: float | None, now: float) -> float | None:
        """Seconds until the share is 1, or None where nothing can be said yet.

        Args:
            share: 0 to 1; one that shrinks begins a new piece of work.
            now: seconds of any clock that only goes forward.
        """
        if share is None:
            self._first = None
            return None
        if self._first is None or share < self._last:
            self._first = (share, now)
        self._last = share
        begun, at = self._first
        if share - begun < LEAST or now - at < SETTLED:
            return None
        return (1.0 - share) * (now - at) / (share - begun)
