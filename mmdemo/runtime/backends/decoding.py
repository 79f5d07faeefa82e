"""Decoding a batch of sentences one word a step: beam search over any engine; one beam is greedy search."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.runtime.backends.fusion_engines import Engine, Floats


@dataclass
class Sentence:
    """What one picture's beams have so far.

    Attributes:
        beams: token ids of the unfinished hypotheses, best first.
        scores: their summed log-probabilities.
        ended: finished hypotheses with their summed log-probability divided by their length.
    """

    index: int
    beams: list[list[int]]
    scores: list[float]
    ended: list[tuple[float, list[int]]] = field(default_factory=list)

    def best(self) -> list[int]:
        """The best finished hypothesis, or the best unfinished one while there is none."""
        return max(self.ended)[1] if self.ended else self.beams[0]

    def over(self, width: int) -> bool:
        """Whether to look no further: `width` hypotheses have ended, and no unfinished one is better than the worst.

        The rule of `transformers` with `early_stopping=False`, so that both say the same.
        """
        if len(self.ended) < width:
            return False
        worst = heapq.nlargest(width, self.ended)[-1][0]
        return self.scores[0] / len(self.beams[0]) <= worst


def decode(
    engine: Engine,
    logits: Floats,
    state: Any,
    *,
    end: int,
    limits: Sequence[int],
    width: int,
    no_repeat: int = 0,
    left: Sequence[Callable[[], bool]] = (),
) -> Iterator[tuple[int, list[int], bool]]:
    """Sentences as they grow: (picture, token ids so far, whether it has ended).

    Args:
        logits, state: what `engine.prefill` gave, a row a picture.
        end: the token that ends a sentence; it is not part of the ids.
        limits: tokens at most, for each picture.
        width: hypotheses kept for each picture; scores are means of log-probabilities over the length, as
            `transformers` has them with `length_penalty=1`.
        left: for each picture, whether nobody wants the rest of its sentence any more.
        no_repeat: so many tokens in a row never come twice in a sentence, as with `no_repeat_ngram_size`; 0: they may.
    """
    width = max(1, width)
    going = [Sentence(index, [[]], [0.0]) for index in range(len(logits))]
    for step in range(1, max(limits) + 1):
        parents: list[int] = []
        offset, still = 0, []
        probabilities = _log_softmax(logits)
        for sentence in going:
            rows = slice(offset, offset + len(sentence.beams))
            for beam, row in zip(sentence.beams, probabilities[rows], strict=True):
                row[_repeating(beam, no_repeat)] = -np.inf
            last = step >= limits[sentence.index] or bool(left and left[sentence.index]())
            parents += [offset + beam for beam in _grow(sentence, probabilities[rows], end, width, last)]
            offset = rows.stop
            done = sentence.over(width) or last or (width == 1 and bool(sentence.ended))
            yield sentence.index, sentence.best(), done
            if done:
                del parents[len(parents) - len(sentence.beams) :]
            else:
                still.append(sentence)
        going = still
        if not going:
            return
        tokens = np.array([beam[-1] for sentence in going for beam in sentence.beams], np.int64)
        if parents != list(range(offset)):
            state = engine.select(state, parents)
        logits, state = engine.step(tokens, state)


def _repeating(tokens: list[int], size: int) -> list[int]:
    """The tokens that would end a run of `size` tokens which has been there before."""
    if not 0 < size <= len(tokens):
        return []
    runs = (tokens[start : start + size] for start in range(len(tokens) - size + 1))
    last = tokens[len(tokens) - size + 1 :]
    return [run[-1] for run in runs if run[:-1] == last]


def _grow(sentence: Sentence, probabilities: Floats, end: int, width: int, last: bool) -> list[int]:
    """Lengthen a picture's hypotheses by one token; for each that goes on, which of the old ones it came from.

    Args:
        last: no more tokens may come, so that what has not ended ends here.
    """
    totals = np.asarray(sentence.scores, np.float32)[:, None] + probabilities
    wanted = min(2 * width, totals.size)  # at most `width` of them end
    flat = totals.ravel()
    best = np.argpartition(-flat, wanted - 1)[:wanted] if wanted < flat.size else np.arange(flat.size)
    best = best[np.argsort(-flat[best], kind="stable")]
    beams: list[list[int]] = []
    scores: list[float] = []
    parents: list[int] = []
    for rank, place in enumerate(best):
        beam, token = divmod(int(place), probabilities.shape[1])
        score, before = float(flat[place]), sentence.beams[beam]
        if rank < width and (token == end or last):
            whole = before if token == end else [*before, token]
            sentence.ended.append((score / (len(before) + 1), whole))
        if token == end:
            continue
        if len(beams) < width:
            beams.append([*before, token])
            scores.append(score)
            parents.append(beam)
    sentence.beams, sentence.scores = beams, scores
    return parents


def _log_softmax(logits: NDArray[np.float32]) -> Floats:
    """Over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
