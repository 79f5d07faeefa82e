"""What is said on standard error while work runs."""

from __future__ import annotations

import sys

from mmdemo.runtime.sources import Progress


class Reporter:
    """Progress on one line that is written over and over, notes and errors on lines of their own.

    Without a terminal there is one line for each new stage and none for every percent.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""
        self._noted: set[str] = set()

    @property
    def terminal(self) -> bool:
        """Whether somebody sees a line that is written over and over."""
        return self._terminal

    def progress(self, progress: Progress) -> None:
        """A stage, and how far it is when that is known."""
        if self._terminal:
            text = progress.stage + amount(progress)
            if text != self._shown:
                sys.stderr.write(f"\r\x1b[K{text}")
                sys.stderr.flush()
                self._shown = text
        elif progress.stage != self._shown:
            self._shown = progress.stage
            print(progress.stage, file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        print(text, file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """A line that stays, said once."""
        if text not in self._noted:
            self._noted.add(text)
            self.line(text)

    def clear(self) -> None:
        """Take the progress line away."""
        if self._terminal and self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        self._shown = ""


def amount(progress: Progress) -> str:
    """` 12 of 140 MB`, ` 3 of 200`, ` 45 %`, or nothing."""
    if not progress.done and not progress.total:
        return ""
    if progress.total == 100:
        return f" {progress.done} %"
    if max(progress.done, progress.total) < 1_000_000:
        return f" {progress.done} of {progress.total}" if progress.total else f" {progress.done}"
    return f" {progress.done / 1e6:.0f}" + (f" of {progress.total / 1e6:.0f}" if progress.total else "") + " MB"
