"""Before and after on the same rows: paired bootstrap intervals, a verdict, and the rows that changed most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmdemo.datasets.rows import Row
from mmdemo.training.metrics import Numbers, Scores

DRAWS = 1000
SHOWN = 20
"""Rows that are shown side by side."""


def intervals(scores: Scores, seed: int = 0) -> dict[str, tuple[float, float]]:
    """For each score the 95 % interval of a bootstrap over the rows (Efron and Tibshirani 1993, percentiles)."""
    drawn = scores.combine(_draws(len(scores.counts), seed) @ scores.counts)
    return {name: _middle(values) for name, values in drawn.items()}


def differences(before: Scores, after: Scores, seed: int = 0) -> dict[str, tuple[float, float]]:
    """For each score the 95 % interval of after − before, over the same draws of rows (paired)."""
    draws = _draws(len(before.counts), seed)
    old, new = before.combine(draws @ before.counts), after.combine(draws @ after.counts)
    return {name: _middle(new[name] - old[name]) for name in new if name in old}


def verdict(interval: tuple[float, float], lower: bool, rows: int) -> str:
    """`better`, `worse`, or `can't tell yet: n rows`; `lower` if less is better."""
    low, high = (-interval[1], -interval[0]) if lower else interval
    if low > 0:
        return "better"
    return "worse" if high < 0 else f"can't tell yet: {rows} rows"


def report(
    rows: Sequence[Row],
    answers: tuple[Sequence[str], Sequence[str]],
    score: Callable[[Sequence[Row], Sequence[str]], Scores],
    target: Callable[[Row], str],
    metric: str,
    lower: bool,
) -> dict[str, Any]:
    """Before and after, as `report.json` has it.

    Args:
        answers: before and after, one a row.
        score: of rows and their answers.
        metric: the score that decides; `lower` if less of it is better.
    """
    before, after = score(rows, answers[0]), score(rows, answers[1])
    change = differences(before, after)
    return {
        "rows": len(rows),
        "metric": metric,
        "verdict": verdict(change[metric], lower, len(rows)),
        "before": {"metrics": before.values, "intervals": intervals(before)},
        "after": {"metrics": after.values, "intervals": intervals(after)},
        "difference": change,
        "report": after.report,
        "labels": after.labels,
        "confusion": after.confusion,
        "changed": _changed(rows, answers, score, target, metric, lower),
    }


def _changed(
    rows: Sequence[Row],
    answers: tuple[Sequence[str], Sequence[str]],
    score: Callable[[Sequence[Row], Sequence[str]], Scores],
    target: Callable[[Row], str],
    metric: str,
    lower: bool,
) -> list[dict[str, Any]]:
    """The rows whose own score changed most, the greatest change first; those whose words changed after them."""
    both = [_alone(score(rows, side), metric) for side in answers]
    gain = (both[0] - both[1]) if lower else (both[1] - both[0])
    moved = [place for place in range(len(rows)) if answers[0][place] != answers[1][place]]
    moved.sort(key=lambda place: -abs(gain[place]))
    return [
        {
            "origin": rows[place].origin,
            "media": [str(path) for path in rows[place].media],
            "input": rows[place].text or " ".join(rows[place].tokens),
            "target": target(rows[place]),
            "before": answers[0][place],
            "after": answers[1][place],
            "gain": round(float(gain[place]), 4),
        }
        for place in moved[:SHOWN]
    ]


def _alone(scores: Scores, metric: str) -> Numbers:
    """The score of each row by itself, (rows)."""
    return np.nan_to_num(scores.combine(scores.counts)[metric])


def _draws(rows: int, seed: int) -> Numbers:
    """How often each row is drawn, (draws, rows): as many rows as there are, with replacement."""
    return np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=DRAWS).astype(float)


def _middle(values: Numbers) -> tuple[float, float]:
    low, high = np.percentile(values, (2.5, 97.5))
    return round(float(low), 6), round(float(high), 6)
