"""A linear SVM on frozen features: the cheap baseline of alignment and classification."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.errors import InputError, WeightsError

Floats = NDArray[np.float32]
FILE = "svm.safetensors"


@dataclass(frozen=True)
class Svm:
    """One hyperplane for each class, over standardised features.

    Attributes:
        classes: names, in the order of the scores.
        mean, scale: (channels,), of the features it learned from.
        weights, bias: (classes, channels) and (classes,).
    """

    classes: tuple[str, ...]
    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats

    def scores(self, features: NDArray[Any]) -> Floats:
        """(rows, channels) or (rows, positions, channels) → (rows, classes): how far each is on a class's side."""
        return np.asarray((pooled(features) - self.mean) / self.scale @ self.weights.T + self.bias, dtype=np.float32)

    def predict(self, features: NDArray[Any]) -> list[str]:
        """The likeliest class of each row."""
        return [self.classes[best] for best in self.scores(features).argmax(1)]

    def save(self, folder: Path) -> None:
        """Write it as numbers: no pickle."""
        from safetensors.numpy import save_file

        tensors = {"mean": self.mean, "scale": self.scale, "weights": self.weights, "bias": self.bias}
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / FILE, metadata={"classes": json.dumps(self.classes, ensure_ascii=False)})

    @classmethod
    def load(cls, folder: Path) -> Svm:
        """What `save` wrote.

        Raises:
            WeightsError: it is not there.
        """
        from safetensors import safe_open

        if not (folder / FILE).exists():
            raise WeightsError(f"{folder} has no {FILE}: train the SVM first.")
        with safe_open(folder / FILE, framework="np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return cls(tuple(json.loads(file.metadata()["classes"])), **tensors)


def fit(features: NDArray[Any], labels: Sequence[str], strength: float = 1.0, seed: int = 0) -> Svm:
    """One class against the rest, squared hinge loss (scikit-learn's `LinearSVC`).

    Args:
        features: (rows, channels), or (rows, positions, channels), whose mean over positions is taken.
        strength: C, the weight of the loss against that of wide margins.

    Raises:
        InputError: there is only one class, or a class has one example alone.
    """
    from sklearn.svm import LinearSVC

    counts = Counter(labels)
    if len(counts) < 2:
        raise InputError("There is only one class to learn: give examples of at least two.")
    alone = sorted(name for name, count in counts.items() if count < 2)
    if alone:
        raise InputError(f"The class {alone[0]!r} has one example only: add another, or leave the class out.")
    flat = pooled(features)
    mean, scale = flat.mean(0), flat.std(0) + 1e-6
    machine = LinearSVC(C=strength, random_state=seed, max_iter=5000)
    machine.fit((flat - mean) / scale, list(labels))
    weights, bias = machine.coef_, machine.intercept_
    if len(weights) == 1:  # of two classes it keeps the side of the second
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    arrays = (np.ascontiguousarray(part, dtype=np.float32) for part in (mean, scale, weights, bias))
    return Svm(tuple(str(name) for name in machine.classes_), *arrays)


def pooled(features: NDArray[Any]) -> Floats:
    """(rows, positions, channels) → their mean over positions, (rows, channels); two axes stay as they are."""
    wide = np.asarray(features, dtype=np.float32)
    return wide.mean(1) if wide.ndim == 3 else wide
