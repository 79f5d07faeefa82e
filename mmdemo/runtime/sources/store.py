"""The folder of a fetched checkpoint: what makes it complete, how files get into it, and who may write to it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmdemo.catalog import ModelFile, ModelSpec
from mmdemo.errors import Cancelled, ChecksumMismatch, NoSpace, WeightsError
from mmdemo.folders import size_of
from mmdemo.runtime.sources.base import Fetch, Progress

MARKER = ".complete.json"
"""Written last into a fetched folder: its source and its files with the checksums that were verified."""
PIECE = 1 << 20
SPARE = 64_000_000
"""Bytes that a fetch leaves free on the disk."""


def complete(folder: Path, spec: ModelSpec) -> bool:
    """Whether a fetch into `folder` ended well and its files are still there, by size; nothing is hashed again."""
    try:
        files: dict[str, dict[str, object]] = json.loads((folder / MARKER).read_bytes())["files"]
        checked = {name: (entry["sha256"], entry["bytes"]) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # no marker, or one cut short: the fetch is done again
    if any(checked.get(file.name) != (file.sha256, file.bytes) for file in spec.files):
        return False  # the catalog pins other files now
    return bool(checked) and all(size_of(folder / name) == size for name, (_, size) in checked.items())


def mark(folder: Path, source: str, files: Mapping[str, ModelFile]) -> None:
    """Write the marker: from now on the folder is complete."""
    entries = {file.name: {"sha256": file.sha256, "bytes": file.bytes} for file in files.values()}
    partial = folder / f"{MARKER}.partial"
    partial.write_text(json.dumps({"source": source, "files": entries}, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / MARKER)


def inside(folder: Path, name: str) -> Path:
    """`folder / name` for a relative name with forward slashes.

    Raises:
        WeightsError: for a name that would leave the folder.
    """
    parts = name.split("/")
    if not name or "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        raise WeightsError(f"The file name {name!r} is not a plain name inside the folder: this source is not trusted.")
    return folder.joinpath(*parts)


def digest(path: Path, cancelled: Callable[[], bool] = lambda: False) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal.

    Raises:
        Cancelled: between two pieces.
    """
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            if cancelled():
                raise Cancelled("Fetching was stopped.")
            total.update(piece)
    return total.hexdigest()


def is_right(fetch: Fetch, file: ModelFile) -> bool:
    """Whether `file` is in the folder already, by checksum: left by an earlier try, or put there by hand."""
    path = inside(fetch.folder, file.name)
    return size_of(path) == file.bytes and digest(path, fetch.cancelled) == file.sha256


def place(fetch: Fetch, name: str, pieces: Iterable[bytes], source: str) -> ModelFile:
    """Write a file of the row, checked while it is written: it has its name only once it is right and on the disk.

    Raises:
        ChecksumMismatch: naming the file and the source; nothing is left of it.
        Cancelled: between two pieces.
    """
    pinned = {file.name: file for file in fetch.spec.files}.get(name)
    target = inside(fetch.folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    total, done = hashlib.sha256(), 0
    reported = 0.0
    try:
        with partial.open("wb") as file:
            for piece in pieces:
                if fetch.cancelled():
                    raise Cancelled("Fetching was stopped.")
                file.write(piece)
                total.update(piece)
                done += len(piece)
                if pinned and done > pinned.bytes:
                    break  # too long: no need to write the rest of what may never end
                if time.monotonic() - reported > 0.25:
                    reported = time.monotonic()
                    fetch.report(Progress(f"Unpacking {name}", done, pinned.bytes if pinned else 0))
            file.flush()
            os.fsync(file.fileno())
        if pinned and (done, total.hexdigest()) != (pinned.bytes, pinned.sha256):
            raise mismatch(name, source)
        partial.replace(target)
        fetch.report(Progress(f"Unpacking {name}", done, done))
    finally:
        partial.unlink(missing_ok=True)
    return ModelFile(name, total.hexdigest(), done)


def mismatch(name: str, source: str) -> ChecksumMismatch:
    """The error for a file that is not what was promised."""
    return ChecksumMismatch(f"{name} from {source} is damaged or has been changed (its SHA-256 is another one)")


def need_space(fetch: Fetch, folder: Path, needed: int) -> None:
    """Check before fetching that `needed` bytes fit the disk of `folder`.

    Raises:
        NoSpace: saying how much is needed.
    """
    free = shutil.disk_usage(folder).free
    if needed + SPARE > free:
        raise no_space(fetch.spec, folder, needed + SPARE, free)


def no_space(spec: ModelSpec, folder: Path, needed: int = 0, free: int = 0) -> NoSpace:
    """The error for a full disk."""
    if not needed:
        return NoSpace(
            f"{spec.title} found no room left on the disk of {folder}: "
            "free some, or let MMDEMO_HOME name a larger disk."
        )
    return NoSpace(
        f"{spec.title} needs {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free on the disk of {folder}: "
        "free some, or let MMDEMO_HOME name a larger disk."
    )


@contextmanager
def disk_errors(spec: ModelSpec, folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error of the tree."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space(spec, folder) from error
        raise WeightsError(
            f"{spec.title} cannot be kept in {folder} ({error.strerror or error}): "
            "make that folder writable, or let MMDEMO_HOME name another one."
        ) from error


@contextmanager
def only_one(staging: Path, fetch: Fetch, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a row, so that two processes do not write the same folder; the system frees it with its owner.

    Yields whether the lock is held: always, unless `wait` is False.
    """
    staging.parent.mkdir(parents=True, exist_ok=True)
    with staging.with_name(staging.name + ".lock").open("a+b") as file:
        told = False
        while not (held := _try_lock(file.fileno())) and wait:
            if fetch.cancelled():
                raise Cancelled("Fetching was stopped.")
            if not told:
                fetch.report(Progress(f"Waiting: {fetch.spec.title} is being fetched already"))
                told = True
            time.sleep(0.1)
        yield held


def _try_lock(descriptor: int) -> bool:
    """Whether the lock of an open file was free; it is held until the file is closed."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True
