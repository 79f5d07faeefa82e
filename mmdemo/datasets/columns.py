"""Which column is what: by its name and by what stands in it, or as the user says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmdemo.datasets.folder import Folder
from mmdemo.datasets.names import FIELDS, MEANT, NUMBERED, plain
from mmdemo.datasets.records import Record
from mmdemo.datasets.values import listed, said
from mmdemo.errors import UnknownName
from mmdemo.media import endings

KINDS = ("image", "audio", "video")
CHOICES = (*FIELDS, "")
"""What a column can be taken for; empty: for nothing."""
GIVEN = ("question", "prompt", "instruction", "query", "notes", "input", "problem")
"""Columns of text that are always given to the model, never learned."""
SAMPLE = 60
"""Values of a column that are looked at."""


def recognised(records: Sequence[Record], folder: Folder, given: Mapping[str, str]) -> dict[str, str]:
    """Column to field, in the order of the columns.

    Args:
        given: what the user says: column to field, or to "" for a column that is to be ignored.

    Raises:
        UnknownName: for a column or a field that does not exist.
    """
    samples = _samples(records)
    for column, field in given.items():
        if column not in samples:
            raise UnknownName("column", column, samples)
        if field not in CHOICES:
            raise UnknownName("field", field, (name or '""' for name in CHOICES))
    free = {column: values for column, values in samples.items() if column not in given and values}
    taken = {column: field for column, field in given.items() if field}
    media = _media(free, folder, taken)
    taken |= media
    names = {column: _meant(column, values) for column, values in free.items() if column not in media}
    for field in ("messages", "tokens", "tags", "label", "targets", "text", "start", "end", "language", "split"):
        if field in given.values() and field != "targets":
            continue
        fitting = sorted((c for c, of in names.items() if of == field), key=lambda c: _rank(field, c))
        numbered = [c for c in fitting if NUMBERED.fullmatch(plain(c))]
        chosen = numbered if field == "targets" and len(numbered) > 1 else fitting[:1]
        if field == "text" and fitting and plain(fitting[0]) in ("instruction", "input"):
            chosen = [c for c in fitting if plain(c) in ("instruction", "input")]
        if not (field == "targets" and field in given.values()):
            taken.update(dict.fromkeys(chosen, field))
    _sort_out(taken, samples, given)
    _guess(taken, {c: v for c, v in free.items() if c not in taken and c not in given}, len(records))
    return {column: taken[column] for column in samples if column in taken}


def _samples(records: Iterable[Record]) -> dict[str, list[Any]]:
    """The first values of each column that are not empty."""
    samples: dict[str, list[Any]] = {}
    for record in records:
        for column, value in record.values.items():
            values = samples.setdefault(column, [])
            if len(values) < SAMPLE and said(value, empty=True):
                values.append(value)
    return samples


def _rank(field: str, column: str) -> int:
    names = FIELDS[field]
    return names.index(plain(column)) if plain(column) in names else len(names)


def _meant(column: str, values: list[Any]) -> str:
    """The field that a name means, unless what stands there cannot be it."""
    name = plain(column)
    field = "targets" if NUMBERED.fullmatch(name) else MEANT.get(name, "")
    lists = all(isinstance(listed(value), list) for value in values)
    if field == "messages" and not (lists and all(isinstance(m, Mapping) for v in values for m in listed(v))):
        return ""
    if name == "words" and lists:
        return "tokens"
    if field == "tags" and name == "tags" and not lists:
        return ""
    if field in ("label", "language", "split", "start", "end") and any(isinstance(v, Mapping) for v in values):
        return ""
    return field


def _media(free: Mapping[str, list[Any]], folder: Folder, taken: Mapping[str, str]) -> dict[str, str]:
    """Columns that name files: by a name that says so, confirmed by the values; else, if none does, by values alone."""
    found: dict[str, str] = {}
    named = [c for c in free if MEANT.get(plain(c)) in (*KINDS, "file")]
    named.sort(key=lambda c: _rank(MEANT[plain(c)], c))
    for column in sorted(named, key=lambda c: MEANT[plain(c)] == "file"):
        kind = _kind(free[column], folder)
        if kind and kind not in (*found.values(), *taken.values()):
            found[column] = kind
    if not found and not {*KINDS, "file"} & set(taken.values()):
        for column, values in free.items():
            kind = _kind(values, folder)
            if kind:
                return {column: kind}
    return found


def _kind(values: Sequence[Any], folder: Folder) -> str:
    """What most of the values name: an `image`, `audio`, `video`, a `file` of several kinds, or nothing (empty)."""
    kinds: list[str] = []
    for value in values:
        first = next(iter(listed(value)), None) if isinstance(listed(value), list) else value
        if isinstance(first, Mapping):
            first = first.get("path") or ("embedded.png" if first.get("bytes") else None)
        if not isinstance(first, str | int) or isinstance(first, bool) or len(str(first)) > 1000:
            continue
        kind = endings.kind(str(first))
        if not kind and (isinstance(first, str) or folder.only is None):
            path = folder.find(str(first))
            kind = endings.kind(path) if path else ""
        if kind:
            kinds.append(kind)
    if len(kinds) * 2 <= len(values):
        return ""
    return kinds[0] if len(set(kinds)) == 1 else "file"


def _sort_out(taken: dict[str, str], samples: Mapping[str, list[Any]], given: Mapping[str, str]) -> None:
    """What a column means beside the others: text beside a recording is learned, labels beside tokens are tags."""
    has = set(taken.values())
    for column, field in list(taken.items()):
        if column in given:
            continue
        if field == "label" and "tokens" in has and "tags" not in has and isinstance(listed(samples[column][0]), list):
            taken[column] = "tags"
        learned = field == "text" and plain(column) not in GIVEN and "targets" not in has and "messages" not in has
        if learned and ("audio" in has or (has & {"image", "video", "file"} and "label" not in has)):
            taken[column] = "targets"


def _guess(taken: dict[str, str], rest: Mapping[str, list[Any]], rows: int) -> None:
    """Where no name says what is learned: the column of the longest text, and that of a few short values."""
    has = set(taken.values())
    if has & {"label", "targets", "messages", "tags"} and has & {"text", "tokens", "messages", *KINDS, "file"}:
        return
    words = {c: v for c, v in rest.items() if all(isinstance(one, str) for one in v) and len(v) > 0}
    media = has & {*KINDS, "file"}
    if not media and not has & {"text", "tokens", "messages"} and words:
        text = max(words, key=lambda c: sum(map(_length, words[c])) / len(words[c]))
        if sum(map(_length, words[text])) / len(words[text]) >= 8:
            taken[text] = "text"
            del words[text]
    if has & {"label", "targets", "messages", "tags"}:
        return
    few = [c for c, v in words.items() if _is_few(v)]
    if few and (media or "text" in taken.values()):
        taken[few[0]] = "label"
    elif media and words:
        taken[max(words, key=lambda c: sum(map(len, words[c])) / len(words[c]))] = "targets"


def _length(text: str) -> int:
    """Letters of a text; an address is none, and one long word is a name."""
    return (
        0 if "://" in text or (text.isascii() and " " not in text) else len(text) if text.isascii() else 3 * len(text)
    )


def _is_few(values: Sequence[str]) -> bool:
    """Whether values are classes: short, few, and some of them come again."""
    different = len(set(values))
    return different < len(values) and different <= max(2, len(values) // 3) and max(map(len, values)) <= 40
