"""Media with a text file of the same name beside each: `dog.jpg` and `dog.txt`."""

from __future__ import annotations

from collections.abc import Mapping

from mmdemo.datasets.encodings import text_of
from mmdemo.datasets.folder import Folder
from mmdemo.datasets.layouts import Found
from mmdemo.datasets.layouts.table import splits_of
from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError
from mmdemo.media import endings

ENDINGS = (".txt", ".caption", ".lab")


def read(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """The whole text of each is one caption; None where no medium has one."""
    texts = {path.with_suffix(""): path for path in folder.files if path.suffix.lower() in ENDINGS}
    media = folder.media()
    if not any(path.with_suffix("") in texts for path in media):
        return None
    splits = splits_of([path.parent / "x" for path in media], folder)
    rows: list[Row] = []
    for path in media:
        name = folder.name(path)
        beside = texts.get(path.with_suffix(""))
        if beside is None:
            folder.problems.add("media without a text", f"{name} has no text beside it and was left out.")
            continue
        try:
            text = text_of(beside, folder.name(beside), folder.settings, folder.problems)
        except InputError as error:
            folder.problems.add("texts that cannot be read", f"{error} {name} was left out.")
            continue
        words = " ".join(text.split())
        if not words:
            folder.problems.add("empty texts", f"{folder.name(beside)} is empty; {name} was left out.")
            continue
        split = splits.get(path.parent / "x", "")
        rows.append(Row(name, **{endings.kind(path): path}, targets=(words,), split=split))  # type: ignore[arg-type]
    return Found("captions", rows, {"file": "media", "text beside it": "targets"})
