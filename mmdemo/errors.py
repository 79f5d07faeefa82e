"""Everything the studio refuses, as one tree. The message is what the user reads: one sentence that says what to do.

StudioError
├── InputError            the file or text that was given
│   ├── UnreadableMedia   not an image, video or recording, or a broken one
│   └── TooLarge          over a limit of the settings
├── UnknownName           no such model, option, field or format; lists the choices
├── WeightsError          a checkpoint is not here and cannot be had
│   ├── Unreachable       no source answered (offline, no such package or repository)
│   ├── ChecksumMismatch  what arrived is not what the catalog pins
│   └── NoSpace           the disk is full
├── DoesNotFit            more memory than the budget allows
│   └── InUse             now: what would have to be unloaded is in use
├── Crashed               an engine broke down while it loaded or ran
├── Unsupported           this model cannot do what was asked
├── ServerFailed          a server that a model runs on does not answer as it should
│   └── ServerRefused     it does not take what it was sent
├── JobError              a job ended before it was done, or cannot do what was asked
└── Cancelled             the user stopped it
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self


class StudioError(Exception):
    """The root; never raised itself."""


class InputError(StudioError):
    """The file or text that was given cannot be used."""


class UnreadableMedia(InputError):
    """Not a picture, video or recording that can be read."""


class TooLarge(InputError):
    """Over a limit of the settings (bytes, pixels, seconds)."""


class UnknownName(StudioError):
    """A name that nothing has."""

    def __init__(self, what: str, name: object, choices: Iterable[str]) -> None:
        super().__init__(f"There is no {what} {str(name)!r}; choose from: {', '.join(choices)}.")


class WeightsError(StudioError):
    """A checkpoint is not here and cannot be had."""


class Unreachable(WeightsError):
    """No source answered."""


class ChecksumMismatch(WeightsError):
    """What arrived is not what the catalog pins."""


class NoSpace(WeightsError):
    """The disk is full."""


class DoesNotFit(StudioError):
    """More memory than the budget allows."""


class InUse(DoesNotFit):
    """More memory than is left as long as others use their models: it may fit when they have ended."""


class Crashed(StudioError):
    """An engine broke down: `backend`, as far as it was loaded, of the row `key`."""

    key: str = ""
    backend: object = None

    def of(self, key: str, backend: object = None) -> Self:
        """Say whose engine it was."""
        self.key, self.backend = key, backend
        return self


class Unsupported(StudioError):
    """The model cannot do what was asked."""


class ServerFailed(StudioError):
    """A server that a model runs on does not answer as it should."""


class ServerRefused(ServerFailed):
    """It does not take what it was sent."""


class JobError(StudioError):
    """A job ended before it was done, or cannot do what was asked of it now."""


class Cancelled(StudioError):
    """The user stopped it."""
