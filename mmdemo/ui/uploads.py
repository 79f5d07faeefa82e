"""What was dropped to train on, kept: an upload goes with the page, a data set stays until its owner removes it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from mmdemo.datasets import edits
from mmdemo.errors import InputError, NoSpace
from mmdemo.settings import Settings

PIECE = 1 << 20
NO_SPACE = 28
"""`errno.ENOSPC`."""


def keep(files: Sequence[Path], settings: Settings) -> Path:
    """Copy uploads into a data set of their own; what is to be read: the file if there is one, else the folder.

    The same files are the same set, under their names and a hash of their content.

    Raises:
        NoSpace, InputError: they cannot be kept.
    """
    digest = hashlib.sha256()
    try:
        for file in sorted(files, key=lambda one: one.name):
            digest.update(file.name.encode("utf-8", "surrogateescape") + b"\0")
            with file.open("rb") as data:
                while piece := data.read(PIECE):
                    digest.update(piece)
        name = files[0].stem if len(files) == 1 else f"{len(files)}-files"
        folder = settings.datasets_folder / f"{name[:80]}-{digest.hexdigest()[:8]}"
        if not folder.is_dir():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for file in files:
                shutil.copyfile(file, partial / file.name)
            partial.replace(folder)
    except OSError as error:
        if error.errno == NO_SPACE:
            raise NoSpace("The disk is full: make room, then drop the files again.") from error
        raise InputError(f"The files cannot be kept ({error.strerror}): make {settings.home} writable.") from error
    return folder / files[0].name if len(files) == 1 else folder


def own(settings: Settings) -> list[tuple[str, str]]:
    """The user's data sets: name and what is to be read, the newest first; those that were corrected here, too."""
    folder = settings.datasets_folder
    there = [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
    there = [one for one in there if not one.name.endswith(".partial") and not one.name.startswith(".")]
    over = edits.root(settings)
    there += [one for one in over.iterdir() if edits.is_one(one, settings)] if over.is_dir() else []
    there.sort(key=lambda one: -one.stat().st_mtime)
    return [(f"{one.name} ✎" if one.parent == over else one.name, str(readable(one))) for one in there]


def readable(folder: Path) -> Path:
    """What of a data set's folder is to be read: the only file in it, or all of it."""
    inside = [one for one in folder.iterdir() if not one.name.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].name != edits.FILE and inside[0].is_file() else folder
