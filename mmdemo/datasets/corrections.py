"""Data sets of the user's own: results with what the user made of them, kept to train on.

A set is a folder in Hugging Face's layout: `media/` with files named by their content, and `metadata.jsonl` with a line
for each row. Each change writes the whole list as the next number in `.versions/`; any of them can be brought back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmdemo.datasets.embedded import write
from mmdemo.datasets.problems import shown
from mmdemo.errors import InputError, NoSpace, UnknownName
from mmdemo.media import files
from mmdemo.settings import Settings

NAME = re.compile(r"[^\W_][\w \-]{0,63}")
"""Letters of any language, digits, spaces, hyphens, underscores: a folder on every system."""
TABLE, MEDIA, VERSIONS = "metadata.jsonl", "media", ".versions"
TRIES = 50
"""Writers that may come between before a change is given up."""


@dataclass(frozen=True)
class Kept:
    """A result and what the user made of it.

    Attributes:
        file_name: its medium, relative to the set.
        before, after: what the model said, and what is right.
        question: what was asked, if it was a question.
        task: `image-to-text`, `automatic-speech-recognition`, … as the Hub names it.
        time: when it was kept, ISO 8601 in UTC.
        start, end: the part of the medium that it is about, in seconds; `end` is None for all of it.
    """

    file_name: str
    before: str
    after: str
    model: str
    task: str
    time: str = ""
    question: str = ""
    language: str = ""
    start: float = 0.0
    end: float | None = None

    @property
    def about(self) -> tuple[object, ...]:
        """What it says something of: a second correction of the same takes the place of the first."""
        return self.file_name, self.question, self.start, self.end


@dataclass(frozen=True)
class Version:
    """One state of a set: `time` is when it was made."""

    number: int
    rows: int
    time: datetime


@dataclass(frozen=True)
class Summary:
    """A set in a list; `bytes` with all versions and media."""

    name: str
    rows: int
    version: int
    changed: datetime
    bytes: int


class Corrections:
    """All sets of the user's own, in the folder `datasets` of the home. Several threads and programs may write."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folder = Path(settings.home) / "datasets"

    def path(self, name: str) -> Path:
        """The folder of a set, which `read` reads.

        Raises:
            InputError: a name that cannot be a folder.
        """
        name = name.strip()
        if not NAME.fullmatch(name):
            raise InputError(
                f"“{shown(name)}” cannot be the name of a data set: use up to 64 letters, digits, spaces and hyphens."
            )
        return self.folder / name

    def names(self) -> list[str]:
        """All sets, by name."""
        there = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return [path.name for path in there if (path / VERSIONS).is_dir() and NAME.fullmatch(path.name)]

    def summaries(self) -> list[Summary]:
        """All sets with their sizes."""
        found = []
        for name in self.names():
            last = self.versions(name)[-1:]
            if last:
                size = sum(path.stat().st_size for path in self.path(name).rglob("*") if path.is_file())
                found.append(Summary(name, last[0].rows, last[0].number, last[0].time, size))
        return found

    def keep(self, name: str, medium: Path, kept: Kept) -> int:
        """Put a correction into a set, which is made if there is none; the number of the version.

        Args:
            kept: its `file_name` and, if empty, its `time` are filled in here.

        Raises:
            InputError: a name that cannot be one, no text, or a medium that is not there.
            NoSpace: the disk is full.
        """
        folder = self.path(name)
        if not kept.after.strip():
            raise InputError("There is no text to keep: write what is right first.")
        time = kept.time or datetime.now(UTC).isoformat(timespec="seconds")
        one = replace(kept, file_name=self._media(folder, medium), after=kept.after.strip(), time=time)

        def change(rows: list[Kept]) -> list[Kept]:
            first = next((row for row in rows if row.about == one.about), None)
            new = replace(one, before=first.before, model=first.model) if first else one
            return [row for row in rows if row.about != one.about] + [new]

        return self._change(folder, change)

    def rows(self, name: str, version: int = 0) -> list[Kept]:
        """What is in a set, now or as version `version` had it.

        Raises:
            UnknownName: no such set or version.
            InputError: the version's file is broken.
        """
        folder = self._known(name)
        numbers = _numbers(folder)
        if version and version not in numbers:
            raise UnknownName("version", version, map(str, numbers))
        return _load(_place(folder, version or numbers[-1]))

    def versions(self, name: str) -> list[Version]:
        """All versions of a set, the first first."""
        folder = self._known(name)
        found = []
        for number in _numbers(folder):
            place = _place(folder, number)
            when = datetime.fromtimestamp(place.stat().st_mtime, UTC)
            found.append(Version(number, len(place.read_bytes().splitlines()), when))
        return found

    def bring_back(self, name: str, version: int) -> int:
        """Make a set what it was at `version`, as a new version; its number."""
        rows = self.rows(name, version)
        return self._change(self.path(name), lambda _: rows)

    def edit(self, name: str, place: int, after: str) -> int:
        """Change the text of the row at `place`, from 0; an empty text takes the row out. The new version's number."""

        def change(rows: list[Kept]) -> list[Kept]:
            if not 0 <= place < len(rows):
                raise InputError(f"{name} has {len(rows)} rows and no row {place + 1}: look at it again.")
            new = [replace(rows[place], after=after.strip())] if after.strip() else []
            return [*rows[:place], *new, *rows[place + 1 :]]

        return self._change(self._known(name), change)

    def export(self, name: str, out: Path) -> Path:
        """Write a set as a zip that any reader of Hugging Face's layout takes: the present rows and their media."""
        folder, rows = self._known(name), self.rows(name)
        part = out.with_name(out.name + ".part")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(f"{folder.name}/{TABLE}", _lines(rows))
                for file in sorted({row.file_name for row in rows}):
                    archive.write(folder / file, f"{folder.name}/{file}")
            part.replace(out)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise NoSpace(
                f"{out.name} cannot be written to {out.parent} ({error.strerror}): make room there."
            ) from error
        return out

    def remove(self, name: str) -> int:
        """Delete a set, its versions and its media; the bytes that are free again."""
        folder = self._known(name)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        going = Path(tempfile.mkdtemp(prefix=".going-", dir=self.folder))
        folder.replace(going / "set")  # at once gone for everybody, whatever interrupts the rest
        shutil.rmtree(going, ignore_errors=True)
        return size

    def _known(self, name: str) -> Path:
        folder = self.path(name)
        if not _numbers(folder):
            raise UnknownName("data set", name, self.names() or ["none yet"])
        return folder

    def _media(self, folder: Path, medium: Path) -> str:
        """Copy a file by content; its name relative to the set."""
        files.check(medium, self._settings)
        data = medium.read_bytes()
        ending = medium.suffix.lower() if re.fullmatch(r"\.\w{1,8}", medium.suffix) else ""
        name = f"{MEDIA}/{hashlib.sha256(data).hexdigest()}{ending}"
        if not (folder / name).is_file():
            write(folder / name, data)
        return name

    def _change(self, folder: Path, change: Callable[[list[Kept]], list[Kept]]) -> int:
        """Write the next version. Who comes second sees the first's version and changes that."""
        for _ in range(TRIES):
            numbers = _numbers(folder)
            rows = change(_load(_place(folder, numbers[-1])) if numbers else [])
            number = numbers[-1] + 1 if numbers else 1
            text = _lines(rows).encode()
            made = folder / VERSIONS / f"{os.getpid()}-{os.urandom(4).hex()}.new"
            write(made, text)
            try:
                os.link(made, _place(folder, number))  # unlike a rename, this fails where somebody was quicker
            except FileExistsError:
                continue
            except OSError:  # a file system without links
                made.replace(_place(folder, number))
            finally:
                made.unlink(missing_ok=True)
            self._publish(folder)
            return number
        raise InputError(f"{folder.name} is being changed by others all the time: try again.")

    def _publish(self, folder: Path) -> None:
        """Make the table the newest version, whoever wrote that."""
        while True:
            number = _numbers(folder)[-1]
            write(folder / TABLE, _place(folder, number).read_bytes())
            if _numbers(folder)[-1] == number:
                return


def _place(folder: Path, number: int) -> Path:
    return folder / VERSIONS / f"{number:06d}.jsonl"


def _numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in (folder / VERSIONS).glob("*.jsonl") if path.stem.isdigit())


def _lines(rows: list[Kept]) -> str:
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def _load(place: Path) -> list[Kept]:
    try:
        found: list[Mapping[str, Any]] = [json.loads(line) for line in place.read_text("utf-8").split("\n") if line]
        return [Kept(**row) for row in found]
    except (ValueError, TypeError, OSError) as error:
        raise InputError(
            f"Version {place.stem} of the data set {place.parents[1].name} cannot be read: bring an earlier one back."
        ) from error
