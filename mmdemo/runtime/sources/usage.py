"""When each checkpoint was last used: a small file a row, in `.used` beside the rows' folders.

The files of some rows are the program's or the user's own, so nothing is written among them.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from mmdemo import folders, hub_rows
from mmdemo.catalog import ModelSpec
from mmdemo.settings import Settings

SELDOM = 60.0
"""Seconds within which a use is not written down again."""


def note(spec: ModelSpec, settings: Settings) -> None:
    """Write down that a row is used now. A disk that refuses is no reason to refuse the use."""
    if spec.key.startswith(folders.PREFIX):
        return
    path = _path(spec, settings)
    now = datetime.now(UTC)
    before = last(spec, settings)
    if before is not None and 0 <= (now - before).total_seconds() < SELDOM:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(now.isoformat(timespec="seconds") + "\n", encoding="utf-8")
        partial.replace(path)


def last(spec: ModelSpec, settings: Settings) -> datetime | None:
    """When a row was last used; None if never, or not known."""
    try:
        when = datetime.fromisoformat(_path(spec, settings).read_text("utf-8").strip())
    except (OSError, ValueError):
        return None
    return when if when.tzinfo else None


def forget(spec: ModelSpec, settings: Settings) -> None:
    """Forget when a row was used."""
    with contextlib.suppress(OSError):
        _path(spec, settings).unlink(missing_ok=True)


def _path(spec: ModelSpec, settings: Settings) -> Path:
    return settings.models_folder / ".used" / hub_rows.folder_name(spec.key)
