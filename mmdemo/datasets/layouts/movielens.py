"""MovieLens 100K: who gave which film how many stars. The text is the film's title and genres, the label its stars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmdemo.datasets.folder import Folder
from mmdemo.datasets.layouts import Found
from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError

RATINGS, FILMS, PEOPLE, GENRES = "u.data", "u.item", "u.user", "u.genre"
FIRST_GENRE = 5
"""In `u.item`, after number, title, two dates and an address."""


def read(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """None where `u.data` and `u.item` are not both there. Its files are Latin-1 (see its README)."""
    root = folder.root
    named = folder.only is None or folder.only.name == RATINGS
    if not named or not (root / RATINGS).is_file() or not (root / FILMS).is_file():
        return None
    genres = [line.split("|")[0] for line in _lines(root / GENRES) if "|" in line]
    films = {}
    for line in _lines(root / FILMS):
        cells = line.split("|")
        if len(cells) > FIRST_GENRE:
            kinds = [name for name, flag in zip(genres, cells[FIRST_GENRE:], strict=False) if flag == "1"]
            films[cells[0]] = f"{cells[1]}: {', '.join(kinds)}" if kinds else cells[1]
    people = {line.split("|")[0]: line.split("|")[1:4] for line in _lines(root / PEOPLE) if line.count("|") >= 4}
    rows: list[Row] = []
    for number, line in enumerate(_lines(root / RATINGS), 1):
        cells = line.split("\t")
        if len(cells) < 3 or cells[1] not in films:
            folder.problems.add(
                "ratings of no film", f"{RATINGS}, row {number} rates no film of {FILMS}; it was left out."
            )
            continue
        more = {"user": cells[0], "film": cells[1]} | dict(
            zip(("age", "gender", "occupation"), people.get(cells[0], ()), strict=False)
        )
        rows.append(Row(f"{RATINGS}, row {number}", text=films[cells[1]], label=cells[2], more=more))
    return Found("movielens", rows, {f"{FILMS}: title and genres": "text", f"{RATINGS}: rating": "label"})


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="latin-1").split("\n") if line.strip()]
    except OSError as error:
        if path.name in (PEOPLE, GENRES):
            return []
        raise InputError(f"{path.name} cannot be read ({error.strerror}): check that it is there.") from error
