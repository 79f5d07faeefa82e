"""An engine that broke down: what people read about it, and the mark that its checkpoint bears until it loads again.

A mark is a small file a row, in `.crashed` beside the rows' folders, so that the command line sees it too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import traceback
from pathlib import Path
from typing import Any

from mmdemo import folders, hub_rows
from mmdemo.catalog import ModelSpec
from mmdemo.errors import Crashed
from mmdemo.settings import Settings

log = logging.getLogger("mmdemo.runtime")
FULL = ("out of memory", "bad alloc", "bad_alloc", "allocate memory", "std::length_error")
"""What libraries say, in small letters, when there is no more memory."""


def crashed(backend: Any, error: BaseException) -> Crashed:
    """What people read about an engine that broke down at work. What its frames hold of memory is let go of."""
    spec, said = backend.spec, _let_go(backend.spec, error)
    title = spec.title
    if is_full(error):
        return Crashed(
            f"{title} ran out of memory at work ({said}) and was unloaded: try again with less at once or a smaller "
            "quantization, or close other programs."
        ).of(spec.key, backend)
    return Crashed(
        f"{title} broke down at work ({said}) and was unloaded: try again, which loads it anew; if it breaks down "
        "again, restart the studio or choose another model."
    ).of(spec.key, backend)


def unloadable(spec: ModelSpec, error: BaseException) -> Crashed:
    """What people read about an engine that broke down while it loaded; see `crashed`."""
    title, said = spec.title, _let_go(spec, error)
    if is_full(error):
        return Crashed(
            f"{title} ran out of memory while it was loaded ({said}): try again with a smaller quantization or a "
            "smaller model, or close other programs."
        ).of(spec.key)
    return Crashed(
        f"{title} broke down while it was loaded ({said}): try again; if it breaks down again, restart the studio or "
        "choose another model."
    ).of(spec.key)


def is_full(error: BaseException) -> bool:
    """Whether it was for want of memory."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in FULL)


def mark(spec: ModelSpec, settings: Settings, words: str) -> None:
    """Keep what became of a row. A disk that refuses changes nothing else."""
    if spec.key.startswith(folders.PREFIX):
        return
    path = _path(spec, settings)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(words + "\n", encoding="utf-8")
        partial.replace(path)


def marked(spec: ModelSpec, settings: Settings) -> str:
    """What became of a row when it was last used; empty if nothing bad."""
    with contextlib.suppress(OSError, ValueError):
        return _path(spec, settings).read_text("utf-8").strip()
    return ""


def clear(spec: ModelSpec, settings: Settings) -> None:
    """A row has been loaded, or is gone."""
    with contextlib.suppress(OSError):
        _path(spec, settings).unlink(missing_ok=True)


def _let_go(spec: ModelSpec, error: BaseException) -> str:
    """What the library said, in a line; the frames of the error give up what they hold."""
    log.error("%s broke down", spec.key, exc_info=error)
    one: BaseException | None = error
    while one is not None:
        traceback.clear_frames(one.__traceback__)
        one = one.__cause__ or one.__context__
    kind = type(error).__name__
    first = str(error).strip().split("\n")[0][:200]
    return f"{kind}: {first}" if first else kind


def _path(spec: ModelSpec, settings: Settings) -> Path:
    return settings.models_folder / ".crashed" / hub_rows.folder_name(spec.key)
