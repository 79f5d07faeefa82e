"""A blind vote on answers before and after: which side is which, votes that last, and what they tell.

The two answers to a row are A and B in an order that follows from a secret of the run's folder. A vote is a line of
`votes.jsonl`. How the votes stand is told when there are enough, with an exact sign test (Dixon and Mood 1946).
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdemo.datasets.rows import Row
from mmdemo.errors import NoSpace, UnknownName

ANSWERS_FILE, VOTES_FILE, SECRET_FILE = "answers.json", "votes.jsonl", "votes.secret"
CHOICES = ("a", "b", "same", "bad")
MOST = 500
"""Rows that are asked about."""
ENOUGH = 10
"""Votes until which it is not told how they stand, so that nobody votes for the side that leads."""
LEVEL = 0.05


@dataclass(frozen=True)
class Question:
    """A row to vote on: its input, and two answers of which nobody says which is which."""

    origin: str
    media: tuple[str, ...]
    input: str
    a: str
    b: str


@dataclass(frozen=True)
class Tally:
    """How the votes stand.

    Attributes:
        before, after: votes for each side; `same` and `bad` for neither.
        told: whether there are enough to say so.
        share: of the votes for a side, those for after; None without any.
        low, high: its 95 % interval (Wilson 1927).
        p: of the sign test.
        verdict: `better`, `worse` or `open`.
    """

    before: int = 0
    after: int = 0
    same: int = 0
    bad: int = 0
    needed: int = ENOUGH
    share: float | None = None
    low: float = 0.0
    high: float = 1.0
    p: float = 1.0
    verdict: str = "open"

    @property
    def votes(self) -> int:
        """All of them."""
        return self.before + self.after + self.same + self.bad

    @property
    def told(self) -> bool:
        """Whether there are enough votes to say how they stand."""
        return self.votes >= self.needed


def asked(rows: Sequence[Row], before: Sequence[str], after: Sequence[str]) -> list[dict[str, Any]]:
    """What `answers.json` holds: rows whose answers differ, with both."""
    pairs = [one for one in zip(rows, before, after, strict=True) if one[1].strip() != one[2].strip()]
    return [
        {
            "origin": row.origin,
            "media": [str(path) for path in row.media],
            "input": row.text or " ".join(row.tokens),
            "before": old,
            "after": new,
        }
        for row, old, new in pairs[:MOST]
    ]


class Ballot:
    """The vote on one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows = {str(row["origin"]): row for row in _read(folder / ANSWERS_FILE)}

    def __len__(self) -> int:
        """Rows to vote on."""
        return len(self._rows)

    def votes(self) -> dict[str, str]:
        """The last vote on each row: `before`, `after`, `same` or `bad`."""
        found: dict[str, str] = {}
        with contextlib.suppress(OSError):
            for line in (self.folder / VOTES_FILE).read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):  # a line that a crash cut off
                    one = json.loads(line)
                    if one["origin"] in self._rows:
                        found[one["origin"]] = one["for"]
        return found

    def next(self) -> Question | None:
        """A row that has no vote yet; None if all have."""
        voted = self.votes()
        left = [origin for origin in self._rows if origin not in voted]
        return self.question(min(left, key=lambda origin: self._draw(f"order {origin}"))) if left else None

    def question(self, origin: str) -> Question:
        """A row as it is asked about."""
        row = self._rows[origin]
        pair = row["after"], row["before"]
        a, b = pair if self._after_first(origin) else pair[::-1]
        return Question(origin, tuple(row["media"]), row["input"], a, b)

    def vote(self, origin: str, choice: str) -> None:
        """Keep a vote; it is on the disk when this returns.

        Raises:
            UnknownName: there is no such row or choice.
            NoSpace: it could not be written.
        """
        if origin not in self._rows:
            raise UnknownName("row to vote on", origin, list(self._rows)[:ENOUGH] or ["none"])
        if choice not in CHOICES:
            raise UnknownName("vote", choice, CHOICES)
        sides = ("after", "before") if self._after_first(origin) else ("before", "after")
        side = {"a": sides[0], "b": sides[1]}.get(choice, choice)
        line = json.dumps({"time": round(time.time(), 3), "origin": origin, "vote": choice, "for": side})
        try:
            with (self.folder / VOTES_FILE).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NoSpace(f"The vote could not be kept ({error.strerror}): free some room, then vote again.") from error

    def tally(self) -> Tally:
        """How the votes stand."""
        given = list(self.votes().values())
        before, after, same, bad = (given.count(side) for side in ("before", "after", "same", "bad"))
        needed = min(ENOUGH, len(self))
        if not before + after:
            return Tally(before, after, same, bad, needed)
        from scipy.stats import binomtest

        test = binomtest(after, before + after)
        span = test.proportion_ci(method="wilson")
        verdict = "open" if test.pvalue >= LEVEL else "better" if after > before else "worse"
        return Tally(
            before, after, same, bad, needed, after / (before + after), float(span.low), float(span.high),
            float(test.pvalue), verdict,
        )  # fmt: skip

    def _after_first(self, origin: str) -> bool:
        return self._draw(f"side {origin}")[0] % 2 == 1

    def _draw(self, about: str) -> bytes:
        return hmac.digest(self._secret(), about.encode(), "sha256")

    def _secret(self) -> bytes:
        """What decides the order, made once for a folder."""
        file = self.folder / SECRET_FILE
        if not file.exists():
            partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
            partial.write_text(secrets.token_hex(16), encoding="ascii")
            with contextlib.suppress(FileExistsError):  # another page was quicker: its secret counts
                os.link(partial, file)
            partial.unlink()
        return file.read_bytes()


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []
