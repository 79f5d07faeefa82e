"""Sentences of the core in the reader's language: errors, notes, what is being done now.

The core knows no languages: it says each sentence once, in English, where there is something to say. As in gettext that
English is the key of its translation; what was put into it stands as `{0}`, `{1}` … in the part `sentences` of
`strings.json`, in the order of the English. The Chinese has them in an order of its own, and may say of one:

- `{1:said}`: English of the program too ("a picture", a reason, the label of an option), to be translated by itself;
- `{1:each}`: several such, with semicolons between them.

All else that was put in (names of files and models, numbers, what a library said) stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from string import Formatter

from mmdemo.ui.i18n import catalogue

TRIES = 64
"""Readings of one sentence that are looked at, where its words can be read in several ways."""


def translate(text: str, language: str) -> str:
    """A sentence of the core in `language`; unchanged where the catalogue does not have it."""
    if language != "zh":
        return text
    return next((words for one in _templates() if (words := one.read(text)) is not None), text)


@dataclass(frozen=True)
class Template:
    """An English sentence and its Chinese.

    Attributes:
        english: what stands before, between and after the fields.
        chinese: text, and after each text the number and the mark of a field, or None.
    """

    english: tuple[str, ...]
    chinese: tuple[tuple[str, int | None, str], ...]

    @classmethod
    def of(cls, english: str, chinese: str) -> Template:
        """From the two lines of the catalogue."""
        pieces = list(Formatter().parse(english))
        literals = [literal for literal, _, _, _ in pieces]
        if pieces[-1][1] is not None:
            literals.append("")
        return cls(
            tuple(literals),
            tuple(
                (literal, None if name is None else int(name), mark or "")
                for literal, name, mark, _ in Formatter().parse(chinese)
            ),
        )

    def read(self, text: str) -> str | None:
        """The Chinese of `text`; None if it is another sentence.

        Where it can be read in several ways, the one counts whose words of the program are known; else the first.
        """
        first: str | None = None
        for values in islice(splits(text, self.english), TRIES):
            words, known = self._filled(values)
            if known:
                return words
            first = words if first is None else first
        return first

    def _filled(self, values: list[str]) -> tuple[str, bool]:
        """The Chinese with `values`, and whether all of them that are the program's words have a translation."""
        words, known = "", True
        for literal, number, mark in self.chinese:
            words += literal
            if number is None:
                continue
            value = values[number]
            if mark == "said":
                value = _said(value)
                known &= value != values[number]
            elif mark == "each":
                value = "；".join(_said(part) for part in value.split("; "))
            words += value
        return words, known


def splits(text: str, literals: tuple[str, ...]) -> Iterator[list[str]]:
    """What stands between `literals`, if these begin and end `text` and follow each other in it: each way to read it.

    The first way gives the first field as much as it can have: names come first, and may hold anything.
    """
    if len(literals) == 1:
        if text == literals[0]:
            yield []
        return
    first, *inner, last = literals
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return
    body = text[len(first) : len(text) - len(last)]

    def up_to(end: int, count: int) -> Iterator[list[str]]:
        """Ways to read `body` up to `end` with the first `count` of the inner literals."""
        if count == 0:
            yield [body[:end]]
            return
        literal = inner[count - 1]
        at = body.rfind(literal, 0, end)
        while at >= 0:
            some = False
            for before in up_to(at, count - 1):
                some = True
                yield [*before, body[at + len(literal) : end]]
            if not some:
                return  # what does not fit here fits no shorter text
            at = body.rfind(literal, 0, at + len(literal) - 1)

    yield from up_to(len(body), len(inner))


@cache
def _templates() -> list[Template]:
    """All of the catalogue, those that say most in their own words first."""
    templates = [Template.of(*pair) for pair in catalogue()["sentences"].items()]
    return sorted(templates, key=lambda one: -sum(map(len, one.english)))


@cache
def _labels() -> dict[str, str]:
    """Labels of options, in small letters."""
    return {english.lower(): chinese for english, chinese in catalogue()["options"].items()}


def _said(text: str) -> str:
    """Words of the program within a sentence."""
    words = translate(text, "zh")
    return words if words != text else _labels().get(text.lower(), text)
