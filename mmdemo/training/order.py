"""Which rows each step sees: decided by seed and epoch alone, rows of about the same size together."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

POOL = 50
"""Steps whose rows are sorted by size together: enough to pad little, few enough to mix."""


def steps_of(epoch: int, sizes: Sequence[int], rows: int, seed: int) -> list[list[int]]:
    """The steps of an epoch: places of rows, `rows` in each but perhaps one.

    The same arguments give the same steps, so that a run that goes on sees what it would have seen.
    """
    drawn = random.Random(f"{seed}/{epoch}")
    order = list(range(len(sizes)))
    drawn.shuffle(order)
    steps: list[list[int]] = []
    for start in range(0, len(order), POOL * rows):
        pool = sorted(order[start : start + POOL * rows], key=lambda place: sizes[place])
        steps += [pool[first : first + rows] for first in range(0, len(pool), rows)]
    drawn.shuffle(steps)
    return steps


def per_epoch(count: int, rows: int) -> int:
    """How many steps an epoch of `count` rows has."""
    return -(-count // rows)


def shares(places: Sequence[int], batch: int, processes: int) -> list[list[list[int]]]:
    """A step's rows by process, in batches of at most `batch`, of sizes as even as can be.

    All processes have as many batches, since they compute them together; some may be empty.
    """
    rows = [places[process::processes] for process in range(processes)]
    count = -(-len(rows[0]) // batch)
    return [pieces(some, count) for some in rows]


def pieces(places: Sequence[int], count: int) -> list[list[int]]:
    """Rows in so many batches, of sizes as even as can be."""
    size, more = divmod(len(places), count)
    bounds = [0]
    for number in range(count):
        bounds.append(bounds[-1] + size + (number < more))
    return [list(places[begin:end]) for begin, end in itertools.pairwise(bounds)]
