"""Captions: the starter describer, or any chain that sees, learns to say what these captions say of a picture."""

from __future__ import annotations

from mmdemo.datasets.rows import Row
from mmdemo.training.recipes.chained import Chained


class ImageToText(Chained):
    """Rows with a picture; a text beside it goes to the chain's text encoder, if it has one."""

    @staticmethod
    def lacks(row: Row) -> str:
        """A picture and a caption."""
        if row.image is None:
            return "a picture"
        return "" if Chained._captioned(row) else "a caption"
