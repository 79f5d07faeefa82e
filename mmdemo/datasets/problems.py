"""What a reader left out or repaired: one sentence each, and few of each kind, so that the list can be read."""

from __future__ import annotations

from collections import Counter


class Finding(str):
    """A whole sentence on a data set, as people read it; each has its translation, as the sentence of an error has."""

    __slots__ = ()


SHOWN = 20
"""Sentences of one kind that are kept; of the others, how many there are."""


class Problems:
    """Collects sentences as files are read."""

    def __init__(self) -> None:
        self._sentences: list[tuple[str, str]] = []
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, sentence: str) -> None:
        """Note what is wrong with which file and row; `kind` is what one sentence has in common with its like."""
        self._counts[kind] += 1
        if self._counts[kind] <= SHOWN:
            self._sentences.append((kind, sentence))

    def once(self, kind: str, sentence: str) -> None:
        """Note what needs to be said of the first alone."""
        if not self._counts[kind]:
            self.add(kind, sentence)

    def count(self, kind: str) -> int:
        """How many of a kind there were."""
        return self._counts[kind]

    def sentences(self) -> tuple[str, ...]:
        """All of them, those of a kind together, in the order the kinds came up."""
        lines: list[str] = []
        for kind, count in self._counts.items():
            lines += [sentence for of, sentence in self._sentences if of == kind]
            if count > SHOWN:
                lines.append(Finding(f"{count - SHOWN:,} more rows or files have the same problem: {kind}."))
        return tuple(lines)


def shown(name: str) -> str:
    """A file's name as it can be printed and written as JSON: bytes that are not UTF-8 become `\\xNN`."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, as JSON can hold
        return name.encode("utf-8", "backslashreplace").decode()
