"""Weights in a folder: shipped with the program, or the user's own. They are used where they are."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from mmdemo.catalog import Local, ModelSpec
from mmdemo.errors import Unreachable
from mmdemo.folders import size_of
from mmdemo.runtime.sources.base import Fetch
from mmdemo.runtime.sources.store import digest, inside, mismatch

PROGRAM = Path(__file__).parents[3]
"""The program's own folder, which relative folders start from."""


def folder_of(source: Local) -> Path:
    """The folder of a source."""
    return PROGRAM / source.folder


def complete(source: Local, spec: ModelSpec) -> bool:
    """Whether the folder has the row's files by size, or, where the row names none, a checkpoint."""
    folder = folder_of(source)
    if spec.files:
        return all(size_of(inside(folder, file.name)) == file.bytes for file in spec.files)
    if any(folder.glob("*.gguf")):
        return True  # a GGUF file has its configuration inside
    weights = any(folder.glob("*.safetensors")) or (folder / "model.bin").is_file()
    return weights and (folder / "config.json").is_file()


def obtain(source: Local, fetch: Fetch) -> Path:
    """The folder, once its pinned files are checked.

    Raises:
        Unreachable: there is no checkpoint in it.
        ChecksumMismatch: a file is another one.
    """
    folder = folder_of(source)
    if not complete(source, fetch.spec):
        raise Unreachable(f"the folder {source.folder} has no complete checkpoint")
    for file in fetch.spec.files:
        state = inside(folder, file.name).stat()
        if _known(inside(folder, file.name), state.st_size, state.st_mtime_ns) != file.sha256:
            raise mismatch(file.name, f"the folder {source.folder}")
    return folder


@lru_cache(maxsize=256)
def _known(path: Path, size: int, changed: int) -> str:
    """The SHA-256 of a file, remembered for as long as it keeps its size and time: every load asks for it."""
    return digest(path)
