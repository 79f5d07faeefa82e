"""How a run ends: what went wrong as the last event and an exit status, whatever it was, also on a full disk."""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Callable
from pathlib import Path

from mmdemo.errors import Cancelled, JobError, NoSpace, StudioError
from mmdemo.jobs.job import FULL_STATUS, STOPPED_STATUS
from mmdemo.training.events import Events
from mmdemo.training.loop import Stopped

DONE, FAILED, STOPPED, FULL = 0, 1, STOPPED_STATUS, FULL_STATUS
"""Exit statuses."""
WORDS = ("no space left on device", "disk is full", "disk quota exceeded", f"os error {errno.ENOSPC}")
"""How libraries that have errors of their own say that the disk is full: safetensors, SQLite, Arrow."""


def told(folder: Path, events: Events, work: Callable[[], None]) -> int:
    """Do some work in a folder; what went wrong is the last event. The exit status."""
    try:
        work()
    except (Stopped, Cancelled):
        return _last(events, STOPPED, "Stopped; the same command goes on from here.")
    except StudioError as error:
        return _last(events, FULL if isinstance(error, NoSpace) else FAILED, str(error))
    except Exception as error:
        if full(error):
            return _last(events, FULL, str(NoSpace(f"The disk of {folder} is full: free some, then go on.")))
        if isinstance(error, OSError):
            return _last(events, FAILED, str(JobError(f"{folder} cannot be used: {error}.")))
        said = str(error).strip().split("\n")[0][:300]
        broken = JobError(f"The run broke off ({type(error).__name__}: {said}); its log says more.")
        _last(events, FAILED, str(broken))
        raise
    return DONE


def full(error: BaseException) -> bool:
    """Whether an error, or what it came from, is that there is no room on the disk."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if any(words in str(error).lower() for words in WORDS):
        return True
    return error.__cause__ is not None and full(error.__cause__)


def _last(events: Events, status: int, message: str) -> int:
    """Say the last word; on a full disk there may be no room even for that, and the status has to do."""
    with contextlib.suppress(OSError):
        events("stopped" if status == STOPPED else "failed", message=message)
        return status
    with contextlib.suppress(OSError):
        print(message, file=sys.stderr, flush=True)
    return status
