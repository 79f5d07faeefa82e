"""What a describer says of a picture that is unlike all it has learned from: less, and only what its encoder knows.

A decoder that was trained on few kinds of pictures describes every picture as one of them. The encoder's classifier was
trained on many more. So a picture whose class logits are unlike those of the training pictures is named from its labels
instead, as far down the tree of kinds as they agree ("A bird, perhaps a magpie."), unless the sentence speaks of a
likely label and of no person: people are what such a decoder adds to everything.

How unlike: with p the class probabilities and z the class logits, both of one picture, and statistics of the training
pictures,

    score = (log Σ p·w − μ₁) / σ₁ + ½ (−log d² − μ₂) / σ₂

where w is how much likelier each class is among the training pictures than among all classes, and d² the squared
Mahalanobis distance of z in the space of the strongest principal components (Lee et al., arXiv:1807.03888, for one
class). A picture is unfamiliar if its score is below a quantile of the training pictures' own.

Naming a kind only as exactly as the probabilities allow follows Deng et al., "Hedging your bets" (CVPR 2012).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WORDS_FILE = "names.json"
STATISTICS_FILE = "familiar.npz"
FILES = (WORDS_FILE, STATISTICS_FILE)

SURE = 0.5
"""From this probability on a label, or a kind, is said without "perhaps"."""
LIKELY = 0.05
"""Labels below it do not count as what the picture may show."""
PEOPLE = frozenset(
    ("man", "men", "woman", "women", "boy", "boys", "girl", "girls", "child", "children", "person", "people", "kid",
     "kids", "baby", "toddler", "lady", "guy", "player", "players", "someone")
)  # fmt: skip
"""Words for people in captions; the encoder has hardly a class for them."""
FIRST = 5
"""So many labels count at most."""
DISTANCE_WEIGHT = 0.5


@dataclass(frozen=True)
class Statistics:
    """Class logits of the training pictures.

    Attributes:
        odds: (classes,) mean probability of each class among them, times the number of classes: w above.
        mean: (classes,) mean logits.
        directions: (components, classes) the principal components, each divided by its standard deviation.
        scale: μ₁, σ₁, μ₂, σ₂.
        threshold: the score below which a picture is unfamiliar.
    """

    odds: Floats
    mean: Floats
    directions: Floats
    scale: Floats
    threshold: float

    @classmethod
    def of(cls, logits: Floats, components: int, quantile: float) -> Statistics:
        """From the logits of the training pictures, (pictures, classes)."""
        odds = softmax(logits).mean(axis=0) * logits.shape[1]
        mean = logits.mean(axis=0)
        _, strengths, axes = np.linalg.svd(logits - mean, full_matrices=False)
        deviations = strengths[:components, None] / np.sqrt(len(logits))
        unscaled = cls(odds, mean, axes[:components] / deviations, np.array([0, 1, 0, 1], np.float32), 0.0)
        parts = unscaled.parts(logits)
        scale = np.array([value for part in parts for value in (part.mean(), part.std())], np.float32)
        whole = cls(odds, mean, unscaled.directions, scale, 0.0)
        return cls(odds, mean, whole.directions, scale, float(np.quantile(whole.scores(logits), quantile)))

    def parts(self, logits: Floats) -> tuple[Floats, Floats]:
        """log Σ p·w and −log d² of each picture, (pictures,)."""
        distances = (((logits - self.mean) @ self.directions.T) ** 2).sum(axis=1)
        return np.log(softmax(logits) @ self.odds), -np.log(distances)

    def scores(self, logits: Floats) -> Floats:
        """How like the training pictures each is, (pictures,); higher is more alike."""
        odds, distances = self.parts(logits)
        first, second, third, fourth = self.scale
        scores: Floats = (odds - first) / second + DISTANCE_WEIGHT * (distances - third) / fourth
        return scores

    def save(self, file: Path) -> None:
        """Write them as `.npz`, the arrays in float16."""
        small = {name: getattr(self, name).astype(np.float16) for name in ("odds", "mean", "directions")}
        np.savez(file, scale=np.append(self.scale, self.threshold).astype(np.float32), **small)

    @classmethod
    def load(cls, file: Path) -> Statistics:
        """Read what `save` wrote."""
        with np.load(file, allow_pickle=False) as stored:
            tensors = {name: stored[name].astype(np.float32) for name in stored.files}
        *scale, threshold = tensors.pop("scale")
        return cls(**tensors, scale=np.array(scale, np.float32), threshold=float(threshold))


class Names:
    """The words for the encoder's classes, and when to use them."""

    def __init__(self, words: dict[str, Any], statistics: Statistics) -> None:
        """`words`: `phrases` (one a class, with its article), `kinds` (phrase and classes) and `words` (by class)."""
        self._statistics = statistics
        self._phrases: list[str] = words["phrases"]
        self._words = [frozenset(said) for said in words["words"]]
        self._kinds = [(str(kind["phrase"]), np.array(kind["classes"])) for kind in words["kinds"]]

    @classmethod
    def of(cls, folder: Path) -> Names | None:
        """Those of a checkpoint, if it has any."""
        if not all((folder / name).is_file() for name in FILES):
            return None
        words = json.loads((folder / WORDS_FILE).read_text(encoding="utf-8"))
        return cls(words, Statistics.load(folder / STATISTICS_FILE))

    def unfamiliar(self, logits: Floats) -> NDArray[np.bool_]:
        """Which of the pictures are unlike the training pictures: (pictures, classes) → (pictures,)."""
        return self._statistics.scores(logits) < self._statistics.threshold

    def supports(self, logits: Floats, sentence: str) -> bool:
        """Whether a sentence speaks of what one of a picture's likely labels may be called, and of no person."""
        probabilities = softmax(logits[None])[0]
        spoken = re.findall(r"[a-z]+", sentence.lower())
        if not PEOPLE.isdisjoint(spoken):
            return False
        said = f" {' '.join(spoken)} "
        likely = [index for index in np.argsort(-probabilities)[:FIRST] if probabilities[index] > LIKELY]
        return any(f" {word} " in said or f" {word}s " in said for index in likely for word in self._words[index])

    def sentence(self, logits: Floats) -> str:
        """A picture's labels, (classes,), as a sentence that says no more than they do."""
        probabilities = softmax(logits[None])[0]
        first, second = np.argsort(-probabilities)[:2]
        if probabilities[first] >= SURE:
            return f"{capital(self._phrases[first])}."
        kind = self._kind(probabilities, int(first))
        if kind:
            return f"{capital(kind)}, perhaps {self._phrases[first]}."
        return f"Perhaps {self._phrases[first]} or {self._phrases[second]}."

    def named(self, logits: Floats) -> tuple[list[int], list[str]]:
        """The two classes that a sentence of labels, (classes,), may name: numbers and phrases, the likeliest first."""
        best = [int(index) for index in np.argsort(-logits)[:2]]
        return best, [self._phrases[index] for index in best]

    def _kind(self, probabilities: Floats, first: int) -> str:
        """The smallest kind that surely holds the picture's thing, and the likeliest class with it; else empty."""
        sure = [
            (len(classes), phrase)
            for phrase, classes in self._kinds
            if first in classes and probabilities[classes].sum() >= SURE
        ]
        return min(sure, default=(0, ""))[1]


def softmax(logits: Floats) -> Floats:
    """Probabilities, each row by itself."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def article(name: str, without: Sequence[str] = ()) -> str:
    """The name of a thing with its article; names in `without`, and what looks like a plural, have none."""
    last = name.split()[-1]
    plural = last.endswith("s") and not last.endswith(("ss", "us", "is", "as", "os"))
    if name in without or plural:
        return name
    an = name[0].lower() in "aeiou" and not name.lower().startswith(("uni", "euro", "one", "us"))
    return f"{'an' if an else 'a'} {name}"
