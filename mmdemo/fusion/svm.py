"""A linear SVM on frozen features, as the weights of a linear head: the cheap baseline of alignment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.fusion.spread import spread

Floats = NDArray[np.float32]


def fit(features: NDArray[Any], labels: NDArray[np.int64], balanced: bool = False) -> tuple[Floats, Floats]:
    """One class against the rest, squared hinge loss, C = 1 (scikit-learn's `LinearSVC`: LIBLINEAR, JMLR 9, 2008).

    What it learns from is standardised and divided by √channels, so that C weighs the same for every encoder. Both are
    folded into what is given back, w′ = w / (s √channels) and b′ = b − w′ · m, which takes features as they come.

    Args:
        features: (rows, channels), finite.
        labels: (rows), numbers of two or more classes, counted from 0 without a gap.
        balanced: rare classes count as much as common ones.

    Returns:
        Weights (classes, channels) and biases (classes): a row is of the class with the highest score.
    """
    from sklearn.svm import LinearSVC

    wide = np.asarray(features, dtype=np.float64)
    mean, deviation = spread(wide)
    scale = deviation * wide.shape[1] ** 0.5
    machine = LinearSVC(class_weight="balanced" if balanced else None, random_state=0, max_iter=5000)
    machine.fit((wide - mean) / scale, labels)
    weights, bias = machine.coef_ / scale, machine.intercept_
    bias = bias - weights @ mean
    if len(weights) == 1:  # of two classes it keeps the side of the second
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    return weights.astype(np.float32), bias.astype(np.float32)
