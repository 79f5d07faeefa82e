"""Files of rows: `metadata.*` of Hugging Face's imagefolder and audiofolder, and CSV, JSON, Parquet of any name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from mmdemo.datasets import class_names, making, tables
from mmdemo.datasets.columns import recognised
from mmdemo.datasets.folder import Folder
from mmdemo.datasets.layouts import Found
from mmdemo.datasets.names import split_in, split_of
from mmdemo.datasets.records import Record
from mmdemo.errors import InputError
from mmdemo.media import endings

NAMED = ("metadata", "meta", "captions", "manifest", "annotations", "labels")
"""Names that a file of rows about the media beside it goes by, the likeliest first."""
IGNORED = ("dataset_infos", "dataset_info", "dataset_dict", "state", "package", "config", "features")
"""JSON that describes a data set and has no rows."""
OTHERS = (".srt", ".vtt", ".ass", ".ssa", ".npz")
"""Files that are given alone and are of another layout."""
KINDS = ("image", "audio", "video")


def read(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """Rows of the files that belong together; None if there is no file of rows.

    Raises:
        InputError: several files that do not belong together, or one that cannot be read.
        UnknownName: `given` names a column or a field that does not exist.
    """
    files = chosen(folder)
    if not files:
        return None
    splits = splits_of(files, folder)
    records: list[Record] = []
    form, shape = "", set[str]()
    for path in files:
        form, found = tables.records(path, folder.name(path), folder.settings, folder.problems)
        columns = set().union(*(record.values for record in found[:100])) if found else set()
        if shape and columns and not shape & columns:
            raise InputError(
                f"{folder.name(path)} has other columns than {folder.name(files[0])}: choose one of "
                f"{', '.join(folder.name(one) for one in files[:8])}, not their folder."
            )
        shape |= columns
        records += [
            replace(one, near=path.parent, split=one.split or splits.get(path, ""))
            for one in map(tables.with_parts, found)
        ]
    columns_of = recognised(records, folder, given)
    rows = making.rows(records, columns_of, folder, folder.problems)
    return Found(_layout(files, form, columns_of), class_names.named(rows, columns_of, folder), columns_of)


def chosen(folder: Folder) -> list[Path]:
    """The files of rows: the one that was given, `metadata.*` where there are some, else all."""
    if folder.only:
        return [] if folder.only.suffix.lower() in OTHERS or endings.kind(folder.only) else [folder.only]
    files = [
        path
        for path in folder.files
        if (path.suffix.lower() in tables.ENDINGS and path.stem.lower() not in IGNORED)
        or (path.suffix.lower() == ".txt" and path.stem.lower() in NAMED)
    ]
    for name in NAMED:
        exact = [path for path in files if path.stem.lower() == name]
        if exact:  # one a folder: of metadata.csv and metadata.jsonl in one place the first
            return list({path.parent: path for path in reversed(exact)}.values())[::-1]
    return files


def splits_of(files: Iterable[Path], folder: Folder) -> dict[Path, str]:
    """A split for each file, from its name or its folders'; none where all would have the same, so that it is free."""
    found: dict[Path, str] = {}
    for path in files:
        inside = path.relative_to(folder.root) if path.is_relative_to(folder.root) else Path(path.name)
        parents = [split_of(part) for part in inside.parts[:-1] if split_of(part)]
        found[path] = split_in(path.stem + path.suffix) or (parents[-1] if parents else "")
    return found if len(set(filter(None, found.values()))) > 1 else {}


def _layout(files: list[Path], form: str, columns: Mapping[str, str]) -> str:
    fields = set(columns.values())
    if "messages" in fields:
        return "chat"
    if any(path.stem.lower() in NAMED for path in files):
        for kind in KINDS:
            if kind in fields:
                return f"{kind}folder"
    return form
