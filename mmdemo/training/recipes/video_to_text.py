"""Captions of videos, frames and sound together: a chain learns to say what these captions say."""

from __future__ import annotations

from mmdemo.datasets.rows import Row
from mmdemo.training.recipes.chained import Chained


class VideoToText(Chained):
    """Rows with a video: a chain that hears too is given its sound, if it has one."""

    @staticmethod
    def lacks(row: Row) -> str:
        """A video and a caption."""
        if row.video is None:
            return "a video"
        return "" if Chained._captioned(row) else "a caption"
