"""How well two spaces are aligned: who finds whom."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def ranks(scores: NDArray[Any], belong: NDArray[np.bool_]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """For each file how many texts of others come before the nearest of its own, for each text likewise how many files.

    Args:
        scores: (files, texts), higher for what is nearer; what equals its own counts as before it.
        belong: (files, texts): a text may belong to several files, and a file have several texts.

    Returns:
        (files) and (texts), 0 for what is found first.
    """
    mine, others = np.where(belong, scores, -np.inf), np.where(belong, -np.inf, scores)
    return (others >= mine.max(1, keepdims=True)).sum(1), (others >= mine.max(0, keepdims=True)).sum(0)
