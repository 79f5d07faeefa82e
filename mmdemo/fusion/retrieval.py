"""How well two spaces are aligned: who finds whom, and what is what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

KS = (1, 5, 10)


def recalls(scores: NDArray[Any], owners: Sequence[int] | None = None, ks: Sequence[int] = KS) -> dict[str, float]:
    """Recall@k both ways: how often what belongs to a file (or text) is among the k with the highest scores.

    Args:
        scores: (files, texts), higher for what is nearer.
        owners: for each text its file, as in sets with several captions each; by default the i-th has the i-th.

    Returns:
        `to_text_1`, `to_text_5`, …: of files, at least one of their texts is found; `to_media_1`, …: of texts, theirs.
        A score that equals others' counts as behind them.
    """
    own = np.arange(scores.shape[1]) if owners is None else np.asarray(owners)
    ahead, before = ranks(scores, own[None, :] == np.arange(len(scores))[:, None])
    found = {f"to_text_{k}": float((ahead < k).mean()) for k in ks}
    return found | {f"to_media_{k}": float((before < k).mean()) for k in ks}


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


def accuracy(scores: NDArray[Any], classes: Sequence[int]) -> float:
    """Share of files whose own class has the highest score.

    Args:
        scores: (files, classes): of a classifier, or against one text for each class.
        classes: for each file its class.
    """
    return float((scores.argmax(1) == np.asarray(classes)).mean())
