"""Speech corpora as published: LibriSpeech (https://www.openslr.org/12), Common Voice (`clips/` and `*.tsv`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mmdemo.datasets import delimited, making
from mmdemo.datasets.columns import recognised
from mmdemo.datasets.encodings import text_of
from mmdemo.datasets.folder import Folder
from mmdemo.datasets.layouts import Found
from mmdemo.datasets.layouts.table import splits_of
from mmdemo.datasets.names import split_in
from mmdemo.datasets.records import Record
from mmdemo.datasets.rows import Row

TRANSCRIPT = ".trans.txt"
CLIPS = "clips"
PARTS = ("train.tsv", "dev.tsv", "test.tsv")
ONCE = ("validated.tsv", "other.tsv")
"""What is read where there are no parts."""


def librispeech(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """`<speaker>-<chapter>.trans.txt`, a line for each FLAC beside it: its name and its words in capitals."""
    files = [path for path in folder.files if path.name.endswith(TRANSCRIPT)]
    if not files:
        return None
    rows: list[Row] = []
    splits = {path: _part(path, folder) for path in files}
    several = len(set(splits.values())) > 1
    for path in files:
        name = folder.name(path)
        for number, line in enumerate(text_of(path, name, folder.settings, folder.problems).split("\n"), 1):
            key, _, words = line.strip().partition(" ")
            if not key:
                continue
            found = (path.parent / f"{key}{ending}" for ending in (".flac", ".wav", ".mp3", ".opus", ".ogg"))
            audio = next((one for one in found if "/" not in key and one.is_file()), None) or folder.find(
                key, path.parent
            )
            if audio is None or not words.strip():
                why = f"{key} is not there" if audio is None else f"{key} has no words"
                folder.problems.add("files that are not there", f"{name}, row {number}: {why}; the row was left out.")
                continue
            split = splits[path] if several else ""
            rows.append(Row(f"{name}, row {number}", audio=audio, targets=(words.strip(),), language="en", split=split))
    return Found("librispeech", rows, {"first word": "audio", "other words": "targets"})


def _part(path: Path, folder: Folder) -> str:
    """`dev-clean/84/121123/…` is validation."""
    return next(filter(None, map(split_in, path.relative_to(folder.root).parts[:-1])), "")


def commonvoice(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """The `path` and `sentence` of its tables; quotes in them are only quotes."""
    if folder.only:
        files = [folder.only] if folder.only.suffix == ".tsv" and (folder.root / CLIPS).is_dir() else []
    else:
        tables = {path for path in folder.files if path.suffix == ".tsv" and (path.parent / CLIPS).is_dir()}
        files = sorted(path for path in tables if path.name in PARTS) or sorted(
            path for path in tables if path.name == next((o for o in ONCE if any(o == t.name for t in tables)), "")
        )
    if not files:
        return None
    splits = splits_of(files, folder)
    records: list[Record] = []
    for path in files:
        name = folder.name(path)
        text = text_of(path, name, folder.settings, folder.problems)
        found = delimited.records(text, name, folder.problems, quoted=False)
        if not any({"path", "sentence"} <= set(record.values) for record in found[:1]):
            return None
        records += [replace(one, near=path.parent / CLIPS, split=splits.get(path, "")) for one in found]
    columns = recognised(records, folder, {"path": "audio", "sentence": "targets", **given})
    for column in ("segment", "variant", "accents", "age", "gender", "sentence_domain"):
        columns.pop(column, None)
    return Found("commonvoice", making.rows(records, columns, folder, folder.problems), columns)
