"""Models whose own Python code may run: those that the settings name, and those that somebody allowed in the page."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from mmdemo import own_files
from mmdemo.errors import InputError
from mmdemo.settings import Settings

FILE = "trusted_code.json"
"""In the studio's folder: a list of keys."""


def trusts(key: str, settings: Settings) -> bool:
    """Whether the code that a model brings may run: only if its whole key is in a list that can be read."""
    with contextlib.suppress(InputError):
        return settings.trusts(key) or key in allowed(settings)
    return False


def allowed(settings: Settings) -> tuple[str, ...]:
    """The keys that were allowed in the page, in that order.

    Raises:
        InputError: the list cannot be read.
    """
    path = Path(settings.home) / FILE
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError):
        found = None
    if not isinstance(found, list) or any(not isinstance(key, str) for key in found):
        raise InputError(f"{FILE} in {path.parent} is no list of models: correct it, or remove it to trust none.")
    return tuple(found)


def allow(key: str, settings: Settings) -> None:
    """Let the code of one model run.

    Raises:
        InputError: the key is empty, or the list cannot be read or written.
    """
    if not key.strip():
        raise InputError("No model is named: choose the one whose code may run.")
    _write((*(one for one in allowed(settings) if one != key), key), settings)


def forbid(key: str, settings: Settings) -> None:
    """Let it run no longer, from the next time that the model is loaded.

    Raises:
        InputError: the settings name the key, or the list cannot be read or written.
    """
    if settings.trusts(key):
        raise InputError(f"{key} is named in MMDEMO_TRUST_REMOTE_CODE: take it out there, and start the studio again.")
    _write(tuple(one for one in allowed(settings) if one != key), settings)


def _write(keys: tuple[str, ...], settings: Settings) -> None:
    own_files.write(Path(settings.home) / FILE, keys)
