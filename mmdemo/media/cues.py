"""Long segments to cues that can be read in time: two lines of 42 characters, seven seconds.

The numbers are those of broadcasters' guides (Netflix Timed Text Style Guide, BBC Subtitle Guidelines: 37 to 42
characters a line, two lines, at most seven seconds).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mmdemo.results import Segment, Word

LINE = 42
LINES = 2
LONGEST = 7.0
SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")


def readable(
    segments: Iterable[Segment], *, line: int = LINE, lines: int = LINES, longest: float = LONGEST
) -> tuple[Segment, ...]:
    """Speech cut into cues of at most `lines` lines of `line` characters and `longest` seconds; scenes only wrapped.

    Cuts fall between words, at the times of the words where they are known and still those of the text (someone may
    have edited it), else in proportion to the letters. A wide character (Chinese, Japanese, Korean) counts as two.
    """
    cues: list[Segment] = []
    for one in segments:
        if one.kind == "scene":
            cues.append(replace(one, text="\n".join(wrapped(one.text.split(), line)) or one.text))
            continue
        for group in _groups(list(_tokens(one, line)), line, lines, longest):
            start, end = group[0].start, min(group[-1].end, group[0].start + longest)
            words = tuple(token.word for token in group if token.word is not None)
            text = "\n".join(wrapped([token.text for token in group], line, [token.glued for token in group]))
            cues.append(Segment(start, max(start, end), text, one.kind, words))
    return tuple(cues)


@dataclass(frozen=True)
class _Token:
    """A word, or one character of a script without spaces. `glued`: no space before it."""

    start: float
    end: float
    text: str
    glued: bool
    word: Word | None = None


def width(text: str) -> int:
    """Columns that `text` takes on a line."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrapped(words: Sequence[str], line: int = LINE, glued: Sequence[bool] = ()) -> list[str]:
    """`words` on as few lines as greedy wrapping needs; two lines are balanced."""
    pieces = [word if index < len(glued) and glued[index] else f" {word}" for index, word in enumerate(words)]
    rows: list[str] = []
    for piece in pieces:
        if rows and width((rows[-1] + piece).strip()) <= line:
            rows[-1] += piece
        else:
            rows.append(piece)
    if len(rows) == 2:
        splits = (("".join(pieces[:n]).strip(), "".join(pieces[n:]).strip()) for n in range(1, len(pieces)))
        fitting = [pair for pair in splits if max(map(width, pair)) <= line]
        if fitting:
            rows = list(min(fitting, key=lambda pair: max(map(width, pair))))
    return [row.strip() for row in rows]


def _tokens(one: Segment, line: int) -> Iterator[_Token]:
    """The words of a segment with their times."""
    if one.words and _bare(one.text) == _bare("".join(word.text for word in one.words)):
        spaced = any(word.text[:1].isspace() for word in one.words[1:])
        before = ""
        for word in one.words:
            text = word.text.strip()
            if text:
                glued = not word.text[:1].isspace() if spaced else _wide(before[-1:]) or _wide(text[0])
                yield _Token(word.start, word.end, text, glued or not before, word)
                before = text
        return
    texts = list(_split(one.text, line))
    total = sum(width(text) for text, _ in texts) or 1
    scale = (one.end - one.start) / total
    done = 0
    for text, glued in texts:
        begin, done = done, done + width(text)
        yield _Token(one.start + begin * scale, one.start + done * scale, text, glued)


def _split(text: str, line: int) -> Iterator[tuple[str, bool]]:
    """Words, and whether each is glued to the one before: wide characters one by one, very long words in pieces."""
    for word in text.split():
        glued = False
        piece = ""
        for c in word:
            # Closing punctuation stays with the character before it.
            if piece and (width(piece) >= line or (_wide(c) and c.isalnum()) or (_wide(piece[-1]) and c.isalnum())):
                yield piece, glued
                piece, glued = "", True
            piece += c
        yield piece, glued


def _groups(tokens: list[_Token], line: int, lines: int, longest: float) -> Iterator[list[_Token]]:
    """Tokens in cues: as many as fit; a full stop ends a cue that is at least a line long."""
    group: list[_Token] = []
    for token in tokens:
        grown = [*group, token]
        rows = wrapped([one.text for one in grown], line, [one.glued for one in grown])
        full = len(rows) > lines or token.end - grown[0].start > longest
        ended = group and group[-1].text.endswith(SENTENCE_ENDS) and len(wrapped([one.text for one in group], line)) > 1
        if group and (full or ended):
            yield group
            grown = [replace(token, glued=True)]
        group = grown
    if group:
        yield group


def _bare(text: str) -> str:
    return "".join(text.split())


def _wide(text: str) -> bool:
    return bool(text) and unicodedata.east_asian_width(text) in "WF"
