"""Classes and tags that are written as numbers, and the names that a data set has for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmdemo.datasets.folder import Folder
from mmdemo.datasets.names import plain
from mmdemo.datasets.rows import Row

LISTS = ("{0}.txt", "{0}_names.txt", "names.txt", "classes.txt", "tags.txt")
"""Files beside the data with a name a line, the first for 0; `{0}` is the column."""
INFOS = ("dataset_info.json", "dataset_infos.json")
"""What the package `datasets` writes beside a data set."""
CARD = "README.md"
"""A card of the Hub; its first lines, between `---`, are YAML with `dataset_info`."""
LARGEST = 4_000_000
OUTSIDE = "0"


def named(rows: Sequence[Row], columns: Mapping[str, str], folder: Folder) -> list[Row]:
    """The rows with names instead of numbers: of tags, and of labels where there are names for them.

    Tags without names: a run of one number other than 0 is an entity of the kind `LABEL_n`, as `transformers` calls a
    class without a name; whether a number begins an entity or goes on with one is not known.
    """
    found = list(rows)
    for field in ("tags", "label"):
        of = [column for column, meant in columns.items() if meant == field]
        values = {one for row in found for one in (row.tags if field == "tags" else [row.label]) if one}
        if len(of) != 1 or not values or not all(one.isdecimal() for one in values):
            continue
        names = _names(of[0], folder)
        if max(map(int, values)) < len(names):
            found = [_with(row, field, names) for row in found]
        elif field == "tags":
            folder.problems.once(
                "tags without names",
                f"The numbers of {of[0]} are not named: a run of one number is taken for an entity LABEL_n, 0 for no "
                f"name. Put their names into {of[0]}.txt beside the data, one a line, the first for 0.",
            )
            found = [replace(row, tags=runs(row.tags)) for row in found]
    return found


def _with(row: Row, field: str, names: Sequence[str]) -> Row:
    if field == "tags":
        return replace(row, tags=tuple(names[int(tag)] for tag in row.tags))
    return replace(row, label=names[int(row.label)] if row.label else "")


def runs(tags: Sequence[str]) -> tuple[str, ...]:
    """Numbers as BIO tags: each run of one number is an entity, 0 is none."""
    before = [OUTSIDE, *tags]
    return tuple(
        "O" if tag == OUTSIDE else f"{'I' if tag == last else 'B'}-LABEL_{tag}"
        for last, tag in zip(before, tags, strict=False)
    )


def _names(column: str, folder: Folder) -> list[str]:
    """The names of a column's numbers, from the files that say them; empty where none does."""
    for pattern in LISTS:
        lines = _text(folder.root / pattern.format(plain(column))).split("\n")
        names = [line.strip() for line in lines if line.strip()]
        if len(names) > 1:
            return names
    for feature in _features(folder.root):
        if feature.get("name") == column and (names := _inside(feature)):
            return names
    return []


def _text(file: Path) -> str:
    """A small file beside the data; empty if there is none, or it is a link."""
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
            return ""
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return ""


def _features(root: Path) -> Iterator[dict[str, Any]]:
    """What is said of each column, with its `name`."""
    told: list[Any] = []
    for name in INFOS:
        try:
            about = json.loads(_text(root / name) or "null")
        except (ValueError, RecursionError):
            continue
        told += [about, *about.values()] if isinstance(about, dict) else []
    head = _text(root / CARD).split("\n---", 1)[0]
    if head.startswith("---"):
        import yaml  # type: ignore[import-untyped]

        try:
            card = yaml.safe_load(head.removeprefix("---"))
        except (yaml.YAMLError, RecursionError):
            card = None
        about = card.get("dataset_info") if isinstance(card, dict) else None
        told += about if isinstance(about, list) else [about]
    for one in told:
        features = one.get("features") if isinstance(one, dict) else None
        if isinstance(features, dict):
            features = [{"name": name, "is": feature} for name, feature in features.items()]
        yield from (feature for feature in features or () if isinstance(feature, dict))


def _inside(value: Any, depth: int = 6) -> list[str]:
    """The list under `names`, however deep: a list, or an object with the numbers as keys."""
    if not isinstance(value, dict) or not depth:
        return []
    names = value.get("names")
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names, key=lambda key: int(key) if str(key).isdecimal() else 0)]
    if isinstance(names, list) and names:
        return [str(one) for one in names]
    return next(filter(None, (_inside(one, depth - 1) for one in value.values())), [])
