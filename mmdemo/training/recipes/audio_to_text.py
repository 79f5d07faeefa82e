"""Captions of sounds: a chain that hears learns to say what these captions say."""

from __future__ import annotations

from mmdemo.datasets.rows import Row
from mmdemo.training.recipes.chained import Chained


class AudioToText(Chained):
    """Rows with a recording."""

    @staticmethod
    def lacks(row: Row) -> str:
        """A recording and a caption."""
        if row.audio is None and row.video is None:
            return "a recording"
        return "" if Chained._captioned(row) else "a caption"
