"""Records with known columns to rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmdemo.datasets import chat, values
from mmdemo.datasets.embedded import kept
from mmdemo.datasets.folder import Folder
from mmdemo.datasets.names import split_of
from mmdemo.datasets.problems import Problems, shown
from mmdemo.datasets.records import Record
from mmdemo.datasets.rows import Row
from mmdemo.media import endings

KINDS = ("image", "audio", "video")


def rows(records: Iterable[Record], columns: Mapping[str, str], folder: Folder, problems: Problems) -> list[Row]:
    """A row for each record that is whole; what is wrong with the others is among the problems."""
    fields: dict[str, list[str]] = {}
    for column, field in columns.items():
        fields.setdefault(field, []).append(column)
    found = (_row(record, fields, folder, problems) for record in records)
    return [row for row in found if row is not None]


def _row(record: Record, fields: Mapping[str, list[str]], folder: Folder, problems: Problems) -> Row | None:
    def all_of(field: str) -> list[Any]:
        return [record.values.get(column) for column in fields.get(field, ())]

    def text(field: str) -> str:
        return "\n".join(filter(None, (values.said(value) for value in all_of(field))))

    origin = record.origin
    media = _media(record, fields, folder, problems)
    if media is None:
        return None
    used = {column for columns in fields.values() for column in columns}
    more = {column: value for column, value in record.values.items() if column not in used}
    try:
        times = [values.seconds(next(iter(all_of(field)), None)) for field in ("start", "end")]
    except ValueError as error:
        problems.add("times that cannot be read", f"{origin}: {error}, and was left out.")
        return None
    start, end = times[0] or 0.0, times[1]
    if end is not None and end <= start:
        problems.add("times in the wrong order", f"{origin} ends at {end:g} s, before it starts, and was left out.")
        return None
    tokens, tags = (tuple(w for value in all_of(field) for w in values.words(value)) for field in ("tokens", "tags"))
    if tags and len(tokens) != len(tags):
        problems.add(
            "tags that do not fit", f"{origin} has {len(tokens)} tokens and {len(tags)} tags, and was left out."
        )
        return None
    split = _split(record, text("split"), problems)
    conversation = chat.messages(next(iter(all_of("messages")), None), record.values) if "messages" in fields else ()
    if "messages" in fields and not conversation:
        problems.add(
            "chats that cannot be read", f"{origin} holds no messages with a role and content, and was left out."
        )
        return None
    row = Row(
        origin,
        **media,
        text=text("text"),
        targets=tuple(dict.fromkeys(t for value in all_of("targets") for t in values.texts(value))),
        label=", ".join(filter(None, (values.label(value) for value in all_of("label")))),
        tokens=tokens,
        tags=tags,
        messages=conversation,
        start=start,
        end=end,
        language=values.language(next(iter(all_of("language")), "")),
        split=split,
        more=more,
    )
    if not (row.media or row.text or row.tokens or row.messages):
        problems.add("rows with nothing in them", f"{origin} is empty and was left out.")
        return None
    return row


def _split(record: Record, named: str, problems: Problems) -> str:
    """A name of a split that means none (`extra`) leaves the row free to be put where rows are needed."""
    if not named:
        return record.split
    found = split_of(named)
    if not found:
        problems.once(
            f"rows of the split “{named}”",
            f"{record.origin} and others are of the split “{named}”, which is neither train, validation nor test; "
            "they are free to be used for any.",
        )
    return found


def _media(
    record: Record, fields: Mapping[str, list[str]], folder: Folder, problems: Problems
) -> dict[str, Path] | None:
    """The files of a record by kind; None if one is not there, or if there are two of a kind."""
    found: dict[str, Path] = {}
    for field in (*KINDS, "file"):
        for column in fields.get(field, ()):
            value = values.listed(record.values.get(column))
            for item in value if isinstance(value, list) else [value]:
                if not values.said(item, empty=True):
                    continue
                path = _path(item, record, folder)
                name = shown(values.said(item.get("path") if isinstance(item, Mapping) else item))[:200]
                if path is None:
                    problems.add(
                        "files that are not there", f"{record.origin}: {name} is not there; the row was left out."
                    )
                    return None
                kind = field if field != "file" else endings.kind(path)
                if not kind:
                    problems.add(
                        "files of another kind",
                        f"{record.origin}: {name} is no picture, recording or video; the row was left out.",
                    )
                    return None
                if found.get(kind) == path:
                    problems.add("a file named twice", f"{record.origin} names {name} twice; it is used once.")
                elif kind in found:
                    problems.add(
                        "several files of a kind",
                        f"{record.origin} names several files of the kind {kind}, and a row has one; it was left out.",
                    )
                    return None
                found[kind] = path
    if not found and any(fields.get(field) for field in (*KINDS, "file")) and "messages" not in fields:
        problems.add("rows without their file", f"{record.origin} names no file and was left out.")
        return None
    return found


def _path(item: Any, record: Record, folder: Folder) -> Path | None:
    if isinstance(item, Mapping):  # Hugging Face's Image and Audio features: {"bytes": …, "path": …}
        if isinstance(item.get("bytes"), bytes):
            return kept(item["bytes"], folder.settings)
        item = item.get("path")
    text = values.said(item)
    if text.startswith("data:"):
        return kept(text, folder.settings)
    return folder.find(text.removeprefix("file://"), record.near)
