"""Splits by content hash: the same file, or the same text, is never on two sides."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import replace

from mmdemo.datasets.rows import Dataset, Row
from mmdemo.errors import InputError


def divided(dataset: Dataset, *, validation: float = 0.1, test: float = 0.0, seed: int = 0) -> Dataset:
    """The data set with every row in a split.

    Splits that the data set names stay as they are. If it has no validation rows, a share of its training rows and of
    those without a split becomes validation, and likewise test; the rest is training. A row without a split whose
    content is in a split already goes there too.

    The share is drawn by a hash of content and seed, so that a row stays where it was when rows are added; at least
    half the share is taken, and at least one content where there are two.

    Raises:
        InputError: shares that leave nothing to train on; a file that cannot be read.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise InputError(
            f"Validation {validation:g} and test {test:g} must be from 0 to 1 and leave something to train on."
        )
    named = {row.split for row in dataset.rows}
    drawn = [
        (name, share) for name, share in (("test", test), ("validation", validation)) if name not in named and share
    ]
    if not drawn and "" not in named:
        return dataset
    taken: dict[str, str] = {}
    for name in ("validation", "test", "train"):  # a content in two splits: training has the last word on new rows
        taken.update((row.content, name) for row in dataset.rows if row.split == name)
    free = [row for row in dataset.rows if row.split in ("", "train")]
    kept = {row.content for row in dataset.rows if row.split in ("validation", "test")}
    order = sorted({row.content for row in free} - kept, key=lambda content: _place(content, seed))
    where: dict[str, str] = {}
    start = 0.0
    for name, share in drawn:
        inside = [content for content in order if content not in where]
        count = sum(1 for content in inside if _place(content, seed) < start + share)
        least = max(math.ceil(share * len(order) / 2), 1)
        count = min(max(count, least), max(len(inside) - 1, 0))
        where.update((content, name) for content in inside[:count])
        start += share
    rows = [_moved(row, _split(row, where, taken)) for row in dataset.rows]
    return replace(dataset, rows=tuple(rows))


def _split(row: Row, where: dict[str, str], taken: dict[str, str]) -> str:
    if row.split not in ("", "train"):
        return row.split
    return where.get(row.content) or row.split or taken.get(row.content) or "train"


def _place(content: str, seed: int) -> float:
    """From 0 to 1, the same for the same content and seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{content}".encode()).digest()[:8]) / 2**64


def _moved(row: Row, split: str) -> Row:
    """The row in another split; its content is not read again."""
    if split == row.split:
        return row
    moved = replace(row, split=split)
    if "content" in row.__dict__:
        moved.__dict__["content"] = row.content
    return moved


def crossing(rows: Iterable[Row]) -> dict[str, set[str]]:
    """Contents that are in more than one split, with the splits."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        seen.setdefault(row.content, set()).add(row.split)
    return {content: splits for content, splits in seen.items() if len(splits) > 1}
