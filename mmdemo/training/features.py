"""What a frozen encoder makes of a row's media, computed once and kept by content, for every run on this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.datasets.rows import Row
from mmdemo.errors import NoSpace, WeightsError
from mmdemo.settings import Settings

AT_ONCE = 8
SPARE = 500_000_000
"""Bytes left free on the disk."""
MARK = "encoder.txt"
"""Says whose features a folder holds."""


class Features:
    """A cache on the disk, one file a row; the same file in another row, split or data set is found again."""

    def __init__(
        self,
        settings: Settings,
        made_by: str,
        encode: Callable[[Sequence[Row]], NDArray[np.float32]],
        kept_as: type[np.floating[Any]] = np.float16,
    ) -> None:
        """Nothing is computed yet.

        Args:
            made_by: what tells this encoder from others: its name, its weights' size, how its input is made.
            encode: rows to (rows, …), one array each of the same shape.

        Raises:
            WeightsError: the folder of these features holds those of another encoder.
        """
        name = hashlib.sha256(made_by.encode()).hexdigest()[:16]
        self._folder = Path(settings.home) / "cache" / "features" / name
        self._encode = encode
        self._kept_as = kept_as
        mark = self._folder / MARK
        if mark.exists() and mark.read_text(encoding="utf-8") != made_by:
            raise WeightsError(
                f"The features in {self._folder} are of another encoder: remove that folder, then train again."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(made_by, encoding="utf-8")

    def prepare(self, rows: Sequence[Row], progress: Callable[[int, int], None]) -> None:
        """Compute what is not there yet.

        Raises:
            NoSpace: the disk would be full.
            StudioError: media that cannot be read, with the row.
        """
        absent = list({self._file(row): row for row in rows if not self._is_there(row)}.values())
        for start in range(0, len(absent), AT_ONCE):
            progress(start, len(absent))
            self._add(absent[start : start + AT_ONCE])

    def __call__(self, row: Row) -> NDArray[Any]:
        """The features of a row, as they are kept: also the first time, so that every run reads the same numbers."""
        if not self._is_there(row):
            self._add([row])
        found: NDArray[Any] = np.load(self._file(row))
        return found

    def _is_there(self, row: Row) -> bool:
        """Whether the features of a row are here, whole: a file that is damaged is made again."""
        try:
            np.load(self._file(row), mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return False
        return True

    def many(self, rows: Sequence[Row]) -> Iterator[NDArray[Any]]:
        """Of several rows."""
        return map(self, rows)

    def _add(self, rows: Sequence[Row]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for row, found in zip(rows, self._encode(rows), strict=True):
            file = self._file(row)
            if shutil.disk_usage(self._folder).free < found.nbytes + SPARE:
                raise NoSpace(
                    f"The disk of {self._folder} has no room for what the encoder computes: free some, or train "
                    "without a frozen encoder."
                )
            partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
            with partial.open("wb") as opened:
                np.save(opened, found.astype(self._kept_as))
            partial.replace(file)

    def _file(self, row: Row) -> Path:
        part = f"-{row.start:g}-{row.end:g}" if row.end is not None else f"-{row.start:g}" if row.start else ""
        return self._folder / f"{row.content}{part}.npy"
