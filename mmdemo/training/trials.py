"""What came of the trials of a search, as `trials.json`: settings, scores, what mattered. Optuna's numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from mmdemo.training.search_config import TRIALS_FILE

if TYPE_CHECKING:
    from mmdemo.training.config import TrainOptions
    from mmdemo.training.ranges import Range
    from mmdemo.training.recipes.base import Recipe

ENOUGH = 4
"""Finished trials from which on it is said which settings mattered."""


def score(trial: FrozenTrial, lower: bool) -> float | None:
    """The score of a trial; of one that was given up, the best that it had reached; None without any."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    reached = list(trial.intermediate_values.values())
    return (min(reached) if lower else max(reached)) if reached else None


def best(study: optuna.Study) -> FrozenTrial | None:
    """The best of the trials that came to their end; if none did, of those that were given up."""
    lower = study.direction == optuna.study.StudyDirection.MINIMIZE
    for state in (TrialState.COMPLETE, TrialState.PRUNED):
        scored = [
            (value, trial) for trial in study.get_trials(states=(state,)) if (value := score(trial, lower)) is not None
        ]
        if scored:
            return (min if lower else max)(scored, key=lambda one: one[0])[1]
    return None


def importance(study: optuna.Study) -> dict[str, float]:
    """How much of the difference between trials each setting made (PED-ANOVA, arXiv:2304.10255), in all 1.

    Empty while there are too few trials, or all scored the same.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < ENOUGH or len({trial.value for trial in done}) < 2:
        return {}
    return dict(optuna.importance.get_param_importances(study))


def words(params: Mapping[str, Any]) -> str:
    """Settings as people read them: `learning_rate=0.0002, epochs=4`."""
    return ", ".join(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
                     for name, value in params.items())  # fmt: skip


def write(
    folder: Path,
    study: optuna.Study,
    options: TrainOptions,
    kind: type[Recipe],
    ranges: Sequence[Range],
    seconds: float,
) -> None:
    """Write `trials.json` into a search's folder."""
    first = best(study)
    values = {
        "task": options.task,
        "model": options.model,
        "metric": kind.metric,
        "lower": kind.lower,
        "seconds": round(seconds, 1),
        "ranges": [str(one) for one in ranges],
        "best": None if first is None else first.number,
        "params": {} if first is None else first.params,
        "importance": {name: round(share, 4) for name, share in importance(study).items()},
        "trials": [_one(trial, kind.lower) for trial in study.trials if trial.state != TrialState.WAITING],
    }
    partial = folder / f"{TRIALS_FILE}.partial"
    partial.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / TRIALS_FILE)


def _one(trial: FrozenTrial, lower: bool) -> dict[str, Any]:
    took = trial.duration.total_seconds() if trial.duration else 0.0
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "score": score(trial, lower),
        "params": trial.params,
        "reached": {str(epoch): value for epoch, value in sorted(trial.intermediate_values.items())},
        "seconds": round(took, 1),
        "why": trial.user_attrs.get("why", ""),
        "again": trial.user_attrs.get("again"),
    }
