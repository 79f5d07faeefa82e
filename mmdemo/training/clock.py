"""What the clock said before each step of a run with a limit of time: written down, so that it goes on as it was.

With `minutes` the learning rate follows the clock, and the clock ends the run. No two runs read the same clock, so two
that are never disturbed end with slightly different weights. Exact means here: the weights follow from the seed, the
data, the plan and the readings in `clock.txt`. A run that is killed and goes on repeats the steps after its last
checkpoint with the readings that they had, then goes on from there; the time in which it did not run does not count.
It ends with the very weights of a run that was never disturbed and read the same clock.
"""

from __future__ import annotations

from pathlib import Path

CLOCK_FILE = "clock.txt"


class Clock:
    """The readings of one run, a line each: the number of the step, seconds of learning before it."""

    def __init__(self, folder: Path) -> None:
        """Take up the readings that a run's folder has; a last line that was cut off counts for nothing."""
        self._file = folder / CLOCK_FILE
        self._known: dict[int, float] = {}
        text = self._file.read_text(encoding="ascii") if self._file.exists() else ""
        whole, _, cut = text.rpartition("\n")
        for line in whole.splitlines():
            step, _, seconds = line.partition(" ")
            self._known[int(step)] = float(seconds)
        if cut:
            self._file.write_text(f"{whole}\n" if whole else "", encoding="ascii")

    def before(self, step: int, seconds: float) -> float:
        """Seconds of learning before a step: as they were written down, else `seconds`, which are written down now.

        Raises:
            OSError: the disk is full.
        """
        if step not in self._known:
            with self._file.open("a", encoding="ascii") as file:  # before the step is taken: none is without its line
                file.write(f"{step} {seconds!r}\n")
            self._known[step] = seconds
        return self._known[step]
