"""Files of rows as records: CSV, TSV, JSON, JSON Lines, Parquet. What a file is decides its content."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdemo.datasets import chat, delimited
from mmdemo.datasets.encodings import text_of
from mmdemo.datasets.names import split_of
from mmdemo.datasets.problems import Problems
from mmdemo.datasets.records import Record
from mmdemo.errors import InputError
from mmdemo.media import files
from mmdemo.settings import Settings

ENDINGS = (".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls")
LISTS = ("data", "rows", "examples", "items", "samples", "records", "annotations", "questions")
"""Keys under which a JSON object keeps its rows."""
CHATS = {"messages", "conversations"}
"""Columns whose lists are one row's, not many rows."""
HALVES = re.compile(r"\\u[dD][89a-fA-F]")
"""Where JSON may hold half a character."""
MOST_COLUMNS = 2_000


def records(path: Path, name: str, settings: Settings, problems: Problems) -> tuple[str, list[Record]]:
    """What the file is (`csv`, `tsv`, `json`, `jsonl`, `parquet`, `fiqa`) and its records.

    Raises:
        InputError: not a file of rows, or one that cannot be read at all; names it and the place.
        TooLarge: over `max_megabytes`.
    """
    if files.check(path, settings).startswith(b"PAR1"):
        return "parquet", _parquet(path, name)
    text = text_of(path, name, settings, problems)
    start = text.lstrip()[:1]
    if start in ("{", "["):
        found = _json(text, name, problems)
        if found is not None:
            return ("jsonl", found[1]) if path.suffix.lower() in (".jsonl", ".ndjson") else found
        return "jsonl", _lines(text, name, problems)
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        raise InputError(f"{name} is not JSON: it should begin with a bracket.")
    if text.lstrip()[:9].lower().startswith(("<!doctype", "<html", "<?xml")):
        raise InputError(f"{name} is a web page or XML, not a table: save it as CSV (UTF-8) and try again.")
    found_rows = delimited.records(text, name, problems)
    return ("tsv" if "\t" in text.partition("\n")[0] else "csv"), found_rows


def _parquet(path: Path, name: str) -> list[Record]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
        classes = _classes(table.schema.metadata or {})
        rows = table.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, TypeError) as error:
        raise InputError(f"{name} is a broken or unusual Parquet file ({error}): save it again.") from error
    return [
        Record(f"{name}, row {number}", {c: _named(v, classes.get(c)) for c, v in row.items()})
        for number, row in enumerate(rows, 1)
    ]


def _classes(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Names of classes by column, as the package `datasets` writes them into the schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        found = {}
        for column, feature in features.items():
            inner = feature.get("feature", feature) if isinstance(feature, dict) else {}
            if isinstance(inner, dict) and isinstance(inner.get("names"), list):
                found[column] = [str(one) for one in inner["names"]]
        return found
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _named(value: Any, names: list[str] | None) -> Any:
    if names is None:
        return value
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def _unique(name: str, problems: Problems) -> Any:
    """A hook for `json` that reports keys an object has twice; the last counts, as everywhere."""

    def hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            problems.add("keys that stand twice", f"{name} has the key {twice!r} twice in one object; the last counts.")
        return found

    return hook


def _json(text: str, name: str, problems: Problems) -> tuple[str, list[Record]] | None:
    """A whole file of JSON; None if it is several values, one a line."""
    twice = Problems()  # of no interest where the file turns out to be several values
    try:
        found = json.loads(text, object_pairs_hook=_unique(name, twice))
    except RecursionError:
        raise InputError(f"{name} is nested too deeply to be a file of rows.") from None
    except ValueError as error:
        first = text.lstrip().partition("\n")[0]
        try:
            json.loads(first)
        except (ValueError, RecursionError):
            if "\n" not in text.strip() or not text.lstrip().startswith("{") or first.strip() in ("{", "["):
                raise InputError(f"{name} is broken JSON ({error}): correct it and try again.") from None
        return None
    found = _whole(found) if HALVES.search(text) else found
    for sentence in twice.sentences():
        problems.add("keys that stand twice", sentence)
    if isinstance(found, dict) and found and all(_is_fiqa(value) for value in found.values()):
        return "fiqa", [_fiqa(f"{name}, key {key}", value) for key, value in found.items()]
    return "json", _rows(found, name, problems)


def _whole(value: Any) -> Any:
    """A value without half characters (lone surrogates), which JSON can hold and UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if any("\ud800" <= one <= "\udfff" for one in value) else value
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(one) for key, one in value.items()}
    return value


def _rows(found: Any, name: str, problems: Problems) -> list[Record]:
    """Rows of the forms JSON is met in: a list; a list by split; rows by key; columns."""
    if isinstance(found, list):
        return _list(found, name, problems)
    if not isinstance(found, dict):
        raise InputError(f"{name} holds one value, not rows: choose another file.")
    if found.keys() & CHATS:
        return _list([found], name, problems)
    if isinstance(found.get("images"), list) and isinstance(found.get("annotations"), list):
        return _coco(found, name)
    for key in LISTS:
        if isinstance(found.get(key), list) and (isinstance(next(iter(found[key]), None), dict) or len(found) == 1):
            return _list(found[key], name, problems)
    lists = all(isinstance(value, list) for value in found.values())
    if lists and found and any(isinstance(one, list | dict) for value in found.values() for one in value[:1]):
        by_split: list[Record] = []
        for key, value in found.items():
            by_split += _list(value, f"{name}, {key}", problems, _split_key(key))
        return by_split
    if lists and found and len({len(value) for value in found.values()}) == 1:
        return _list([dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)], name, problems)
    if found and all(isinstance(value, dict) for value in found.values()):
        return [Record(f"{name}, key {key}", {"id": key, **value}) for key, value in found.items()]
    return _list([found], name, problems)


def _coco(found: dict[str, Any], name: str) -> list[Record]:
    """COCO (https://cocodataset.org/#format-data): its captions, or the classes of the things, by picture."""
    kinds = found.get("categories") if isinstance(found.get("categories"), list) else []
    names = {one.get("id"): one.get("name") for one in kinds or () if isinstance(one, dict)}
    said: dict[str, dict[str, list[Any]]] = {}
    for one in found["annotations"]:
        if isinstance(one, dict):
            about = said.setdefault(repr(one.get("image_id")), {"captions": [], "categories": []})
            if one.get("caption"):
                about["captions"].append(one["caption"])
            kind = names.get(one.get("category_id")) if isinstance(one.get("category_id"), int | str) else None
            if kind and kind not in about["categories"]:
                about["categories"].append(kind)
    records = []
    for number, image in enumerate(found["images"], 1):
        if isinstance(image, dict):
            about = said.get(repr(image.get("id")), {})
            label = about.get("categories", []) if len(about.get("categories", [])) == 1 else []
            values = {"file_name": image.get("file_name"), "captions": about.get("captions", []), "category": label}
            records.append(Record(f"{name}, image {number}", values))
    return records


def _split_key(key: str) -> str:
    """`train`, `val`, `oos_train`."""
    return split_of(key) or split_of(key.rpartition("_")[2])


def _list(items: list[Any], name: str, problems: Problems, split: str = "") -> list[Record]:
    found: list[Record] = []
    for number, item in enumerate(items, 1):
        values = _values(item)
        if values is None:
            problems.add(
                "rows that are no objects", f"{name}, row {number} is no object with columns; it was left out."
            )
        else:
            found.append(Record(f"{name}, row {number}", values, split=split))
    return found


def _values(item: Any) -> Mapping[str, Any] | None:
    """A row as columns; `["text", "label"]` has two, and a list of messages is a chat."""
    if isinstance(item, dict):
        return item if len(item) <= MOST_COLUMNS else None
    if isinstance(item, list) and item and all(isinstance(one, dict) for one in item):
        return {"messages": item}
    if isinstance(item, list) and 1 < len(item) <= 50:
        if len(item) == 2 and all(isinstance(one, str) for one in item):
            return {"text": item[0], "label": item[1]}
        return {f"column {number}": value for number, value in enumerate(item, 1)}
    return {"text": item} if isinstance(item, str) else None


def _lines(text: str, name: str, problems: Problems) -> list[Record]:
    found: list[Record] = []
    number = 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        number += 1
        origin = f"{name}, row {number}"
        try:
            item = json.loads(line, object_pairs_hook=_unique(origin, problems))
        except (ValueError, RecursionError) as error:
            problems.add("rows that are broken JSON", f"{origin} is broken JSON and was left out ({_short(error)}).")
            continue
        values = _values(_whole(item) if HALVES.search(line) else item)
        if values is None:
            problems.add("rows that are no objects", f"{origin} is no object with columns; it was left out.")
        else:
            found.append(Record(origin, values))
    return found


def _short(error: BaseException) -> str:
    return str(error).partition(":")[0][:80] or "nested too deeply"


def _is_fiqa(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("sentence"), str) and isinstance(value.get("info"), list)


def _fiqa(origin: str, value: dict[str, Any]) -> Record:
    """A sentence of FiQA 2018, task 1, which has a score from −1 to 1 for each thing it speaks of.

    The label is the sign of their mean: the task has scores alone.
    """
    info = [one for one in value["info"] if isinstance(one, dict)]
    scores: list[float] = []
    for one in info:
        try:
            scores.append(float(one.get("sentiment_score", "")))
        except (TypeError, ValueError):
            continue
    mean = sum(scores) / len(scores) if scores else 0.0
    label = "positive" if mean > 0 else "negative" if mean < 0 else "neutral"
    return Record(origin, {"sentence": value["sentence"], "sentiment": label, "sentiment_score": mean, "info": info})


def with_parts(record: Record) -> Record:
    """A chat whose messages have parts, with columns for the files in them."""
    for column in ("messages", "conversations", "conversation", "chat"):
        found = chat.media(record.values.get(column))
        if found:
            more = {f"{kind}s": names for kind, names in found.items() if not record.values.get(f"{kind}s")}
            return Record(record.origin, {**record.values, **more}, record.near, record.split)
    return record
