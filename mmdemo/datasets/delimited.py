"""CSV and its kin: the delimiter is found, ragged rows are repaired or named."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Any

from mmdemo.datasets.names import is_known, is_text
from mmdemo.datasets.problems import Problems
from mmdemo.datasets.records import Record
from mmdemo.errors import InputError
from mmdemo.media import endings

DELIMITERS = (",", "\t", ";", "|")
SPOKEN = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
SAMPLE = 200
"""Lines that the delimiter is judged by."""
LONGEST_FIELD = 16_000_000
"""Characters in a cell; the module's own limit of 131,072 is less than a long document."""


def records(text: str, name: str, problems: Problems, *, quoted: bool = True) -> list[Record]:
    """One record a row.

    A row with another number of cells than the header is split at another delimiter if that fits, filled if only its
    last cells are missing and empty, else left out and named.

    Raises:
        InputError: no rows; or a header that mixes delimiters.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    first, _, rest = text.partition("\n")
    given = ""
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's own hint
        given, text = first.strip()[4], rest
    lines = [line + "\n" for line in text.split("\n")]  # not `splitlines`, which cuts at U+2028 too
    delimiter = given or sniffed(lines[:SAMPLE])
    rows = list(_rows(lines, delimiter, quoted, name))
    if delimiter == "\t" and quoted and any(last - start > 1 for _, start, last in rows):
        rows = list(_rows(lines, delimiter, False, name))  # a quote in a tab-separated file is most often just a quote
    rows = [row for row in rows if any(cell.strip() for cell in row[0])]
    if not rows:
        raise InputError(f"{name} has no rows: choose another file.")
    header = [cell.strip().strip("\ufeff") for cell in rows[0][0]]
    if has_header(header, [cells for cells, _, _ in rows[1:SAMPLE]]):
        for other in DELIMITERS:
            if other != delimiter and any(other in cell for cell in header):
                raise InputError(
                    f"{name}, row 1 mixes {SPOKEN.get(delimiter, delimiter)} and {SPOKEN[other]} in its header: "
                    "save it with one delimiter and try again."
                )
        rows = rows[1:]
    else:
        header = [f"column {number}" for number in range(1, len(header) + 1)]
    header = _unique(header, name, problems)
    return list(_records(rows, header, lines, delimiter, name, problems))


def _rows(lines: list[str], delimiter: str, quoted: bool, name: str) -> Iterator[tuple[list[str], int, int]]:
    """Cells, and the lines they stand on: from, to (past the last)."""
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        skipinitialspace=delimiter != "\t",
    )
    start = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{name}, line {reader.line_num:,} cannot be read ({error}): correct it and try again."
            ) from error
        if cells is None:
            return
        yield cells, start, reader.line_num
        start = reader.line_num


def sniffed(lines: Sequence[str]) -> str:
    """The delimiter that cuts the most rows into as many cells as the first row has; a comma if none does.

    `csv.Sniffer` takes letters for delimiters where cells hold sentences.
    """
    best, found = (0.0, 0), ","
    for delimiter in DELIMITERS:
        try:
            counts = [len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells]
        except csv.Error:
            continue
        if not counts or counts[0] < 2:
            continue
        score = (sum(count == counts[0] for count in counts) / len(counts), counts[0])
        if score > best:
            best, found = score, delimiter
    return found


def has_header(cells: Sequence[str], rows: Sequence[Sequence[str]] = ()) -> bool:
    """Whether a first row names columns: a name that is known, or short words, all different, no numbers, no files.

    What stands in its column again, in one of the `rows` below, with whatever numbers, names no column.
    """
    if any(is_known(cell) for cell in cells):
        return True
    if len(set(cells)) < len(cells) or len(cells) < 2:
        return False
    below: list[set[str]] = [{_shape(row[at].strip()) for row in rows if at < len(row)} for at in range(len(cells))]
    return all(
        cell and len(cell) <= 40 and cell.count(" ") <= 2 and not _number(cell) and not endings.kind(cell)
        and cell[-1] not in ".?!" and _shape(cell) not in below[at] for at, cell in enumerate(cells)
    )  # fmt: skip


def _shape(cell: str) -> str:
    return re.sub(r"\d+", "0", cell)


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _unique(header: list[str], name: str, problems: Problems) -> list[str]:
    seen: set[str] = set()
    result: list[str] = []
    for number, column in enumerate(header, 1):
        label = column or f"column {number}"
        if label in seen:
            copy = 2
            while f"{label} ({copy})" in seen:
                copy += 1
            problems.add(
                "two columns of one name",
                f"{name}, row 1 names the column {label} twice; one is {label} ({copy}) here.",
            )
            label = f"{label} ({copy})"
        seen.add(label)
        result.append(label)
    return result


def _records(
    rows: list[tuple[list[str], int, int]], header: list[str], lines: list[str], delimiter: str, name: str,
    problems: Problems,
) -> Iterator[Record]:  # fmt: skip
    wide = len(header)
    for number, (cells, start, end) in enumerate(rows, 1):
        origin = f"{name}, row {number}"
        if len(cells) != wide and end - start > 1:  # a quote that is never closed has swallowed lines
            again = [line.rstrip("\n").split(delimiter) for line in lines[start:end] if line.strip()]
            if all(len(one) == wide for one in again):
                problems.add(
                    "quotes that are not closed",
                    f"{origin} has a quote that is not closed; its lines were read one by one.",
                )
                for one in again:
                    yield Record(origin, dict(zip(header, (cell.strip().strip('"') for cell in one), strict=True)))
                continue
        if len(cells) != wide:
            cells = _repaired(cells, "".join(lines[start:end]), header, delimiter, origin, problems)
            if not cells:
                continue
        values: dict[str, Any] = dict(zip(header, cells, strict=True))
        yield Record(origin, values)


def _again(raw: str, delimiter: str) -> list[str]:
    """The cells of a row at another delimiter; none where it cannot be cut there."""
    try:
        return next(csv.reader(raw.splitlines(keepends=True), delimiter=delimiter), [])
    except csv.Error:
        return []


def _repaired(
    cells: list[str], raw: str, header: Sequence[str], delimiter: str, origin: str, problems: Problems
) -> list[str]:
    """The row with as many cells as the header, empty if that cannot be."""
    wide = len(header)
    while len(cells) > wide and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) == wide:
        return cells
    for other in DELIMITERS:
        if other != delimiter:
            again = _again(raw, other)
            if len(again) == wide:
                problems.add(
                    "rows with another delimiter", f"{origin} is separated by {SPOKEN[other]} and was read so."
                )
                return again
    texts = [at for at, column in enumerate(header) if is_text(column)]
    if len(cells) > wide and len(texts) == 1 and '"' not in raw:
        problems.add(
            "rows with a text that is not quoted",
            f"{origin} has {SPOKEN.get(delimiter, delimiter)}s in its text, which was put together.",
        )
        after = len(cells) - wide + texts[0] + 1
        return [
            *cells[: texts[0]],
            delimiter.join(raw.rstrip("\n").split(delimiter)[texts[0] : after]).strip(),
            *cells[after:],
        ]
    if len(cells) < wide and len(cells) >= 2:
        problems.add(
            "rows with too few cells", f"{origin} has {len(cells)} of {wide} cells; the last were taken as empty."
        )
        return cells + [""] * (wide - len(cells))
    problems.add(
        "rows with another number of cells",
        f"{origin} has {len(cells)} cells and the header {wide}, and was left out: put text with a "
        f"{SPOKEN.get(delimiter, delimiter)} in quotes.",
    )
    return []
