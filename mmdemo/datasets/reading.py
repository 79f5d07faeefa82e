"""Read a data set of any usual layout: a folder, a zip, or a file of rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmdemo.datasets import layouts, unpack
from mmdemo.datasets.folder import Folder
from mmdemo.datasets.problems import Problems, shown
from mmdemo.datasets.rows import Dataset
from mmdemo.errors import InputError
from mmdemo.media import endings
from mmdemo.settings import Settings

FORMS = ("csv", "tsv", "json", "jsonl", "parquet", "fiqa", "chat", "imagefolder", "audiofolder", "videofolder")
"""What a table may turn out to be; as a layout that the user names, each is a table."""
NONE: Mapping[str, str] = {}


def read(
    path: Path | str, settings: Settings | None = None, *, columns: Mapping[str, str] = NONE, layout: str = ""
) -> Dataset:
    """The data set at `path`; what was left out or repaired is among its `problems`.

    Args:
        columns: what the user says of columns: name to a field of `Row`, to `file`, or to "" to ignore it. The others
            are recognised by name and content.
        layout: one of `layouts.READERS`, where it was taken for another.

    Raises:
        InputError: nothing is there, it is no data set, or it has no row that can be used.
        TooLarge: over a limit of the settings.
        UnknownName: for a layout, column or field that does not exist.
    """
    settings = settings or Settings.load()
    problems = Problems()
    folder = opened(Path(path), settings, problems)
    name = shown(Path(path).stem if Path(path).is_file() else Path(path).resolve().name)
    wanted = "table" if layout in FORMS else layout
    for one in [wanted] if wanted else layouts.READERS:
        found = layouts.get(one)(folder, columns)
        if found is None:
            continue
        if not found.rows:
            left_out = problems.sentences()
            if left_out:
                raise InputError(f"{name} has no row that can be used: {left_out[0]}")
            raise InputError(f"{name} has no rows: choose another file or folder.")
        return Dataset(name, folder.root, tuple(found.rows), found.layout, dict(found.columns), problems.sentences())
    raise _nothing(folder, name, layout)


def opened(path: Path, settings: Settings, problems: Problems) -> Folder:
    """The folder at a path, or that of a file."""
    name = shown(path.name)
    try:
        if path.is_file() and unpack.is_zip(path):
            path = unpack.unpacked(path, settings, problems)
        if path.is_dir():
            folder = Folder(path, settings, problems)
            while len(inside := [one for one in folder.root.iterdir() if not _hidden(one)]) == 1 and (
                inside[0].is_dir() and not inside[0].is_symlink() and _holds_more(inside[0])
            ):
                folder = Folder(inside[0], settings, problems)
            return folder
        if not path.is_file():
            raise InputError(f"There is no file or folder {name}: check the path.")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{name} cannot be read ({getattr(error, 'strerror', None) or error}): check that it is there."
        ) from error
    return Folder(path.parent, settings, problems, only=path)


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name == "__MACOSX"


def _holds_more(path: Path) -> bool:
    """Whether a folder that is all there is holds a data set: more than media, which would make it a class."""
    return any(one.is_dir() or not endings.kind(one) for one in path.iterdir())


def _nothing(folder: Folder, name: str, layout: str) -> InputError:
    if layout:
        return InputError(
            f"{name} is not laid out as {layout}: leave the layout open, or choose from: {', '.join(layouts.READERS)}."
        )
    count = len(folder.media())
    if count:
        return InputError(
            f"{name} holds {count:,} media and nothing that says what they are: "
            "add metadata.csv with the columns file_name and text, a .txt beside each, or a folder for each class."
        )
    return InputError(
        f"{name} holds no data set that can be recognised: "
        "add a CSV, JSON Lines or Parquet file of rows, or pictures, recordings or videos with their texts."
    )
