"""Which languages texts are in, by py3langid; a text too short to tell counts for none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

SAMPLE = 300
"""Texts that are looked at, evenly over all."""
SURE, SURE_BEYOND = 0.9, 0.35
"""Probability that counts; beyond Latin, Greek and Cyrillic the letters leave few languages, and those share it."""
SHORTEST = 20
"""Letters that tell a language; of letters beyond Latin, Greek and Cyrillic a fifth of it does."""


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def found(texts: Sequence[str]) -> dict[str, int]:
    """ISO 639-1 code to how many of a sample of the texts are in it, the most first."""
    step = max(1, len(texts) // SAMPLE)
    counts: Counter[str] = Counter()
    for text in texts[::step][:SAMPLE]:
        letters = [letter for letter in text[:1000] if letter.isalpha()]
        beyond = sum(letter > "\u0590" for letter in letters)
        if len(letters) + 4 * beyond >= SHORTEST:
            code, sure = _identifier().classify(text[:1000])
            if sure >= (SURE_BEYOND if 2 * beyond > len(letters) else SURE):
                counts[str(code)] += 1
    return dict(counts.most_common())
