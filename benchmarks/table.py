"""A row of the benchmark table, and the table as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("what", "ours", "reference", "ratio", "goal", "met")


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: what was measured.
        ours: this program's figure, with its unit.
        theirs: the reference's figure, with its unit; `–` where the goal is absolute.
        ratio: one divided by the other, whichever way the goal reads; None where the goal is absolute.
        goal: what was asked for, as a sentence part: `at least 5 ×`.
        met: whether it was reached; None where nothing was asked for.
    """

    name: str
    ours: str
    theirs: str
    ratio: float | None
    goal: str
    met: bool | None

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `HEAD`."""
        ratio = "–" if self.ratio is None else f"{self.ratio:.2f}"
        met = "–" if self.met is None else "yes" if self.met else "NO"
        return (self.name, self.ours, self.theirs, ratio, self.goal, met)


def at_least(name: str, ours: str, theirs: str, ratio: float, goal: float) -> Row:
    """A row whose ratio must not be lower than `goal`."""
    return Row(name, ours, theirs, ratio, f"at least {goal:g}", ratio >= goal)


def at_most(name: str, ours: str, theirs: str, ratio: float, goal: float) -> Row:
    """A row whose ratio must not be higher than `goal`."""
    return Row(name, ours, theirs, ratio, f"at most {goal:g}", ratio <= goal)


def text(rows: Sequence[Row]) -> str:
    """The table for a terminal, columns aligned."""
    cells = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown(rows: Sequence[Row]) -> str:
    """The table for a document."""
    cells = [HEAD, ("---",) * len(HEAD), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)
