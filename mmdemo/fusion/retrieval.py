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
    mine = own[None, :] == np.arange(len(scores))[:, None]
    best = np.where(mine, scores, -np.inf).max(1)
    ahead = (np.where(mine, -np.inf, scores) >= best[:, None]).sum(1)
    theirs = scores[own, np.arange(len(own))]
    before = (scores >= theirs[None, :]).sum(0) - 1
    found = {f"to_text_{k}": float((ahead < k).mean()) for k in ks}
    return found | {f"to_media_{k}": float((before < k).mean()) for k in ks}


def accuracy(scores: NDArray[Any], classes: Sequence[int]) -> float:
    """Share of files whose own class has the highest score.

    Args:
        scores: (files, classes): of a classifier, or against one text for each class.
        classes: for each file its class.
    """
    return float((scores.argmax(1) == np.asarray(classes)).mean())
