"""A record: what one row of a file says, before it is known which column is what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Record:
    """Values by column.

    Attributes:
        origin: `metadata.csv, row 12`; rows are counted from 1, a header is not one.
        near: the folder that its files are named from, the data set's own if None.
        split: what its file or folder is called, where that means a split.
    """

    origin: str
    values: Mapping[str, Any]
    near: Path | None = None
    split: str = ""
