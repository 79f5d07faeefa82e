"""Column files of tagged words: CoNLL-2003, WNUT-17, the tweets of Twitter-2015 and -2017 with their pictures.

A word a line, its tag in the last column, an empty line after a sentence. Format of CoNLL-2003:
https://www.clips.uantwerpen.be/conll2003/ner/ (IOB1: `B-` stands only between two entities of one kind that touch).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmdemo.datasets.encodings import text_of
from mmdemo.datasets.folder import Folder
from mmdemo.datasets.layouts import Found
from mmdemo.datasets.layouts.table import chosen, splits_of
from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError
from mmdemo.media import endings

ENDINGS = (".conll", ".bio", ".iob", ".iob2", ".conllu", ".txt", ".tsv", ".train", ".dev", ".test", ".testa", ".testb")
TAG = re.compile(r"O|[BIESLU]-\S+")
PICTURE = "IMGID:"
SAMPLE = 1 << 16
"""Characters of a file that tell whether it is one."""
LONGEST = 20_000
"""Words in a sentence; more are a file without empty lines."""


def read(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """A row a sentence; None where no file has tags in its last column."""
    files = [path for path in folder.files if _is_one(path, folder)]
    if not files:
        return None
    others = [path for path in chosen(folder) if path not in files]
    if others:
        raise InputError(
            f"{folder.name(files[0])} holds tagged words and {folder.name(others[0])} does not: "
            "choose one of the files, not their folder."
        )
    splits = splits_of(files, folder)
    rows: list[Row] = []
    pictures: dict[str, Path] = {path.stem.lower(): path for path in folder.media() if endings.kind(path) == "image"}
    if folder.only:
        pictures = _beside(folder.root)
    for path in files:
        name = folder.name(path)
        text = text_of(path, name, folder.settings, folder.problems)
        for row in _rows(text, name, folder, pictures):
            rows.append(Row(**{**row, "split": splits.get(path, "")}))  # type: ignore[arg-type]
    return Found("conll", rows, {"first column": "tokens", "last column": "tags"})


def _is_one(path: Path, folder: Folder) -> bool:
    if path != folder.only and path.suffix.lower() not in ENDINGS:
        return False
    try:
        with path.open("rb") as file:
            text = file.read(SAMPLE).decode("utf-8", "ignore").rpartition("\n")[0]
    except OSError:
        return False
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith((PICTURE, "#", "-DOCSTART-"))]
    columns = [_cells(line) for line in lines]
    wide = [cells for cells in columns if len(cells) > 1]
    tagged = sum(1 for cells in wide if TAG.fullmatch(cells[-1]))
    return len(wide) >= 2 and len(wide) * 2 > len(lines) and tagged >= 0.95 * len(wide)


def _beside(root: Path) -> dict[str, Path]:
    """Pictures of the folders that go with the tweets, where the file alone was given."""
    found: dict[str, Path] = {}
    for folder in sorted(root.glob("*")):
        if folder.is_dir() and not folder.is_symlink() and re.search("ima?ge?s?|pic", folder.name.lower()):
            found |= {path.stem.lower(): path for path in sorted(folder.iterdir()) if endings.kind(path) == "image"}
    return found


def _cells(line: str) -> list[str]:
    return [cell for cell in (line.split("\t") if "\t" in line else line.split()) if cell.strip()]


def _rows(text: str, name: str, folder: Folder, pictures: Mapping[str, Path]) -> Iterator[dict[str, object]]:
    number, missing = 0, 0
    for first, lines, picture in _sentences(text):
        tokens, tags = [], []
        number += 1
        for at, line in enumerate(lines, first):
            cells = _cells(line)
            if len(cells) < 2 or not TAG.fullmatch(cells[-1]):
                folder.problems.add(
                    "lines without a tag", f"{name}, line {at} has no word with a tag and was left out of its sentence."
                )
                continue
            tokens.append(cells[0].strip())
            tags.append(cells[-1].strip())
        if len(tokens) > LONGEST:
            raise InputError(
                f"{name}, line {first} begins a sentence of {len(tokens):,} words: put empty lines between."
            )
        if not tokens:
            continue
        image = pictures.get(picture.lower())
        missing += bool(picture and not image)
        yield {
            "origin": f"{name}, sentence {number} (line {first})", "image": image, "tokens": tuple(tokens),
            "tags": bio(tags), "more": {"picture": picture} if picture else {},
        }  # fmt: skip
    if missing:
        folder.problems.add(
            "tweets without their picture",
            f"{name}: the pictures of {missing:,} sentences are not there; those are read as text alone.",
        )


def _sentences(text: str) -> Iterator[tuple[int, list[str], str]]:
    """The number of the first line, the lines, the picture."""
    lines: list[str] = []
    first, picture = 1, ""
    for number, line in enumerate([*text.split("\n"), ""], 1):
        bare = line.strip()
        if bare.startswith(PICTURE):
            if lines:
                yield first, lines, picture
            lines, picture = [], bare.removeprefix(PICTURE).strip()
        elif (
            not bare
            or bare.startswith("-DOCSTART-")
            or (bare.startswith("# ") and TAG.fullmatch(bare.split()[-1]) is None)
        ):
            if lines:
                yield first, lines, picture
                picture = ""
            lines = []
        else:
            if not lines:
                first = number
            lines.append(line)
    if lines:
        yield first, lines, picture


def bio(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags as BIO, from IOB1, BIOES or BILOU: an entity begins with `B-` and goes on with `I-`."""
    found: list[str] = []
    before = "O"
    for tag in tags:
        prefix, _, kind = tag.partition("-")
        if not kind:
            found.append("O")
        elif prefix in "BSU":
            found.append(f"B-{kind}")
        else:  # I, E, L go on with an entity of their kind, else begin one
            found.append(f"I-{kind}" if before == kind else f"B-{kind}")
        before = "" if prefix in "SUEL" and kind else kind
    return tuple(found)
