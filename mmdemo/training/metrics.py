"""Scores as the field computes them, with what a bootstrap needs: counts for each row that add up.

Word errors by jiwer after one normaliser (Whisper's, arXiv:2212.04356, appendix C), tags by seqeval, classes by
scikit-learn, captions by pycocoevalcap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese letters: written without spaces, each counts as a word."""


@dataclass(frozen=True)
class Scores:
    """Scores of answers.

    Attributes:
        values: by name in lower case.
        counts: (rows, columns): what each row adds.
        combine: (…, columns), sums of such rows, to scores by name, each of the leading shape.
        report: a text for people, as the libraries print it.
        confusion: (classes, classes), true by predicted, with `labels`; empty where there are no classes.
    """

    values: dict[str, float]
    counts: Numbers
    combine: Callable[[Numbers], dict[str, Numbers]]
    report: str = ""
    labels: tuple[str, ...] = ()
    confusion: list[list[int]] = field(default_factory=list)


def speech(references: Sequence[str], heard: Sequence[str], languages: Sequence[str]) -> Scores:
    """`wer` and `cer` over all rows: edits of words (of letters, where a language has no spaces) and of letters."""
    import jiwer

    counts = np.zeros((len(references), 4))
    for row, (said, found, language) in enumerate(zip(references, heard, languages, strict=True)):
        truth, guess = normalised(said, language), normalised(found, language)
        letters, guessed = truth.replace(" ", ""), guess.replace(" ", "")
        if not truth:  # nothing was said: every word is one too many, but there are none to divide by
            counts[row] = len(guess.split()), 0, len(guessed), 0
            continue
        words = jiwer.process_words(truth, guess)
        signs = jiwer.process_characters(letters, guessed)
        edits = [one.substitutions + one.deletions + one.insertions for one in (words, signs)]
        counts[row] = edits[0], len(truth.split()), edits[1], len(letters)

    def combine(sums: Numbers) -> dict[str, Numbers]:
        return {"wer": _ratio(sums[..., 0], sums[..., 1]), "cer": _ratio(sums[..., 2], sums[..., 3])}

    return Scores(_values(combine, counts), counts, combine)


def normalised(text: str, language: str = "") -> str:
    """Text as word errors are counted: Whisper's normaliser, for English with its numbers and contractions."""
    import re

    english = language.startswith("en") or (not language and text.isascii())
    plain = str(_normalisers()[0 if english else 1](text))
    return " ".join(re.sub(f"([{UNSPACED}])", r" \1 ", plain).split())


@cache
def _normalisers() -> tuple[Any, Any]:
    from mmdemo import torchvision_ops

    torchvision_ops.prepare()
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    return EnglishTextNormalizer({}), BasicTextNormalizer()


def classes(truth: Sequence[str], guess: Sequence[str]) -> Scores:
    """`accuracy`, `macro_f1` over the classes there are, and scikit-learn's report."""
    from sklearn.metrics import classification_report, confusion_matrix

    labels = tuple(sorted({*truth, *guess}))
    places = {label: place for place, label in enumerate(labels)}
    true, found = (np.array([places[label] for label in side], int) for side in (truth, guess))
    rows, width = np.arange(len(truth)), len(labels)
    counts = np.zeros((len(truth), 3 * width + 1))
    counts[rows, true] = 1  # how often it is right to say it
    counts[rows, width + found] = 1  # how often it is said
    counts[rows[true == found], 2 * width + true[true == found]] = 1  # how often both
    counts[:, -1] = 1

    def combine(sums: Numbers) -> dict[str, Numbers]:
        right = sums[..., 2 * width : 3 * width]
        both = sums[..., :width] + sums[..., width : 2 * width]
        there = both > 0
        f1 = np.where(there, 2 * right / np.maximum(both, 1), 0).sum(-1) / np.maximum(there.sum(-1), 1)
        return {"accuracy": _ratio(right.sum(-1), sums[..., -1]), "macro_f1": f1}

    report = str(
        classification_report(true, found, labels=range(width), target_names=labels, digits=3, zero_division=0)
    )
    # of a single class scikit-learn warns that there is only one, though it was told so
    matrix = [[len(true)]] if width == 1 else confusion_matrix(true, found, labels=range(width)).tolist()
    return Scores(_values(combine, counts), counts, combine, report, labels, matrix)


def tags(truth: Sequence[Sequence[str]], guess: Sequence[Sequence[str]]) -> Scores:
    """`micro_f1`, `macro_f1`, `precision` and `recall` of whole entities (CoNLL-2003), and seqeval's report by tag."""
    from seqeval.metrics import classification_report
    from seqeval.metrics.sequence_labeling import get_entities

    entities = [[set(get_entities(list(row))) for row in side] for side in (truth, guess)]
    kinds = tuple(sorted({kind for side in entities for row in side for kind, _, _ in row}))
    width = len(kinds)
    counts = np.zeros((len(truth), 3 * width + 1))
    for row, (true, found) in enumerate(zip(*entities, strict=True)):
        for block, some in enumerate((true, found, true & found)):
            for kind, _, _ in some:
                counts[row, block * width + kinds.index(kind)] += 1

    def combine(sums: Numbers) -> dict[str, Numbers]:
        true, found, both = (sums[..., block * width : (block + 1) * width] for block in range(3))
        each = _ratio(2 * both, true + found)
        return {
            "micro_f1": _ratio(2 * both.sum(-1), true.sum(-1) + found.sum(-1)),
            "macro_f1": each.mean(-1) if width else np.zeros(sums.shape[:-1]),
            "precision": _ratio(both.sum(-1), found.sum(-1)),
            "recall": _ratio(both.sum(-1), true.sum(-1)),
        }

    lists = [list(map(list, side)) for side in (truth, guess)]
    report = str(classification_report(*lists, digits=3, zero_division=0)) if width else ""
    return Scores(_values(combine, counts), counts, combine, report, kinds)


def captions(references: Sequence[Sequence[str]], written: Sequence[str]) -> Scores:
    """`cider` (CIDEr-D, arXiv:1411.5726), `bleu4` and `rouge_l`, against all references of each row."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    guess = {row: [caption_words(text)] for row, text in enumerate(written)}
    truth = {row: [caption_words(text) for text in texts] or [""] for row, texts in enumerate(references)}
    # with no word at all, the library divides by zero
    empty = not any(text for texts in truth.values() for text in texts) or not any(text[0] for text in guess.values())
    cider = np.zeros(len(written)) if empty else np.asarray(Cider().compute_score(truth, guess)[1], float)
    rouge = np.zeros(len(written)) if empty else np.asarray(Rouge().compute_score(truth, guess)[1], float)
    bleu = 0.0 if empty else float(Bleu(4).compute_score(truth, guess, verbose=0)[0][3])
    counts = np.stack([cider, rouge, np.ones(len(written))], axis=1)

    def combine(sums: Numbers) -> dict[str, Numbers]:
        return {"cider": _ratio(sums[..., 0], sums[..., 2]), "rouge_l": _ratio(sums[..., 1], sums[..., 2])}

    return Scores({**_values(combine, counts), "bleu4": round(bleu, 6)}, counts, combine)


def retrieval(ranks: Sequence[tuple[int, Sequence[int]]]) -> Scores:
    """`to_text_1`, `_5`, `_10`, `to_media_1`, … (recall@k), and `mean_recall`, the mean of the six (arXiv:1707.05612).

    Args:
        ranks: for each row the rank from 1 of the first of its texts among all texts, and for each of its texts that of
            its medium among all media.
    """
    ks = (1, 5, 10)
    counts = np.zeros((len(ranks), 8))
    for row, (text, media) in enumerate(ranks):
        counts[row, :3] = [text <= k for k in ks]
        counts[row, 3:6] = [sum(rank <= k for rank in media) for k in ks]
        counts[row, 6:] = 1, len(media)

    def combine(sums: Numbers) -> dict[str, Numbers]:
        found = {f"to_text_{k}": _ratio(sums[..., place], sums[..., 6]) for place, k in enumerate(ks)}
        found |= {f"to_media_{k}": _ratio(sums[..., 3 + place], sums[..., 7]) for place, k in enumerate(ks)}
        return {"mean_recall": np.mean(list(found.values()), axis=0), **found}

    return Scores(_values(combine, counts), counts, combine)


def caption_words(text: str) -> str:
    """Lower-case words without punctuation, as the COCO caption scores count them; a letter each without spaces."""
    import re

    parts = re.findall(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+(?:['’-][^\W_{UNSPACED}]+)*", text.lower())
    return " ".join(parts)


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    """above / below; 0 where there is nothing to divide by."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), 0.0)


def _values(combine: Callable[[Numbers], dict[str, Numbers]], counts: Numbers) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in combine(counts.sum(0)).items()}
