"""A folder of a data set: its files, counted and within limits, and the file that a row means by a name."""

from __future__ import annotations

import os
import unicodedata
from functools import cached_property
from pathlib import Path, PurePosixPath

from mmdemo.datasets.problems import Problems, shown
from mmdemo.errors import InputError, TooLarge
from mmdemo.media import endings
from mmdemo.settings import Settings

DEEPEST = 12
"""Folders inside folders that are looked into."""
HIDDEN = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What systems leave in folders and archives, beside names that begin with a dot."""


COMPANIONS = (
    "images",
    "image",
    "imgs",
    "img",
    "pictures",
    "photos",
    "wavs",
    "wav",
    "audio",
    "clips",
    "videos",
    "media",
)
USUAL = (".wav", ".flac", ".mp3", ".ogg", ".jpg", ".png", ".jpeg", ".webp", ".mp4")


class Folder:
    """What lies below `root`. Nothing outside is ever named: `..`, absolute paths and links that lead out do not.

    Args:
        only: the one file that was given instead of its folder. Its media are then looked for beside it by the path
            that a row names, and its folder, which may be somebody's home, is not walked.
    """

    def __init__(self, root: Path, settings: Settings, problems: Problems, only: Path | None = None) -> None:
        self.root = root.resolve()
        self.settings = settings
        self.problems = problems
        self.only = only.resolve() if only else None

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All files, absolute, by name.

        Raises:
            TooLarge: more than `max_files`.
            InputError: the folder cannot be listed.
        """
        if self.only:
            return (self.only,)
        found: list[Path] = []
        try:
            self._walk(self.root, DEEPEST, found)
        except OSError as error:
            raise InputError(
                f"The folder {shown(self.root.name)} cannot be read ({error.strerror}): "
                "check that it is there and yours."
            ) from error
        return tuple(sorted(found))

    def _walk(self, folder: Path, depth: int, found: list[Path]) -> None:
        inside: list[Path] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in HIDDEN:
                    continue
                path = folder / entry.name
                if entry.is_symlink() and not self._stays(path):
                    self.problems.add(
                        "a link that leads out of the folder",
                        f"{self.name(path)} is a link that leads out of the folder and was left out: "
                        "put the file itself there.",
                    )
                elif entry.is_file():
                    found.append(path)
                    if len(found) > self.settings.max_files:
                        raise TooLarge(
                            f"The folder {shown(self.root.name)} has more than {self.settings.max_files:,} files: "
                            "split it, or raise MMDEMO_MAX_FILES."
                        )
                elif entry.is_dir(follow_symlinks=False):
                    inside.append(path)
        for path in inside:
            if depth:
                self._walk(path, depth - 1, found)
            else:
                self.problems.add(
                    "folders too deep",
                    f"{self.name(path)} is more than {DEEPEST} folders deep and was not looked into.",
                )

    def name(self, path: Path) -> str:
        """How a person finds a file: its path from the root."""
        try:
            return shown(path.relative_to(self.root).as_posix())
        except ValueError:
            return shown(path.name)

    def media(self) -> tuple[Path, ...]:
        """The files whose endings say picture, recording or video."""
        return self._media

    @cached_property
    def _media(self) -> tuple[Path, ...]:
        return tuple(path for path in self.files if endings.kind(path))

    def find(self, named: str, near: Path | None = None) -> Path | None:
        """The file that `named` means, relative to the folder `near` or to the root; None if there is none inside.

        Windows' separators, an absolute path or `..` of somebody else's machine, capitals, a missing ending and
        another Unicode form are repaired where exactly one file fits.
        """
        name = named.strip().replace("\\", "/")
        if not name or "\0" in name:
            return None
        parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")]
        leads_out = name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":"))
        if not parts:
            return None
        if not leads_out:
            for base in dict.fromkeys((near or self.root, self.root)):
                path = base.joinpath(*parts)
                try:
                    if path.is_file() and self._stays(path):
                        return path
                except OSError:  # a name too long for the system
                    return None
        if self.only:
            return self._beside(parts[-1]) if len(parts) == 1 else None
        tail = _key("/".join(part for part in parts if part != ".."))
        while tail:  # an absolute path of another machine: what of it is here, the longest piece first
            found = self._index.get(tail)
            if found is not None:
                return found
            tail = tail.partition("/")[2]
        return None

    def _beside(self, name: str) -> Path | None:
        """The file of this name, with or without its ending, in a folder that usually goes with a table."""
        if " " in name or len(name) > 120:
            return None
        for folder in self._companions:
            found = [folder / name] if endings.kind(name) else [folder / (name + one) for one in USUAL]
            there = next((path for path in found if path.is_file() and self._stays(path)), None)
            if there:
                return there
        return None

    @cached_property
    def _companions(self) -> tuple[Path, ...]:
        try:
            return tuple(sorted(p for p in self.root.iterdir() if p.name.lower() in COMPANIONS and p.is_dir()))
        except OSError:
            return ()

    def _stays(self, path: Path) -> bool:
        """Whether the path, its links followed, is inside the folder."""
        try:
            return path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError):  # a loop of links
            return False

    @cached_property
    def _index(self) -> dict[str, Path | None]:
        """Every end of every medium's path, with and without its ending, to the file; None where two files have it."""
        index: dict[str, Path | None] = {}
        for path in self.media():
            whole = _key(shown(path.relative_to(self.root).as_posix()))
            for full in (whole, whole[: -len(path.suffix)]):
                tail = full
                while tail:
                    index[tail] = path if index.get(tail, path) == path else None
                    tail = tail.partition("/")[2]
        return index


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()
