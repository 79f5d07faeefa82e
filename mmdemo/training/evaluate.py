"""How good a model is at a task, on the rows of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from mmdemo.datasets.rows import Row
from mmdemo.runtime import device
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.training import compare, data, models, recipes
from mmdemo.training.config import TrainOptions
from mmdemo.training.recipes.base import Given


def evaluate(
    options: TrainOptions,
    settings: Settings,
    split: str = "",
    limit: int = 0,
    note: Callable[[str], None] = lambda sentence: None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Answer every row and score the answers.

    Args:
        options: its task, data, model, language and device count.
        split: one of the data set's; by default test, else validation, else all rows.
        limit: so many rows at most; 0 for all.

    Returns:
        `task`, `model`, `rows`, `metrics` and `intervals` by lower-case name, and `report`, the libraries' own text;
        where the options name other data, `also` with `data`, `rows`, `metrics` and `intervals` of those.

    Raises:
        StudioError: as reading, loading and answering raise.
    """
    kind = recipes.get(options.task)
    dataset = data.opened(options.data, settings)
    rows = data.fit(data.chosen(dataset, split), kind, note)
    rows = data.some(rows, limit, options.seed) if limit else rows
    options = replace(options, model=options.model or kind.starter, method=next(iter(kind.methods)))
    place = device.choose(options.device if options.device != "auto" else settings.device)
    torch.set_num_threads(settings.threads or device.cores())
    recipe = kind(Given(options, models.base_of(options.model, settings, report), settings, place, note=note))
    others: tuple[Row, ...] = ()
    if options.also:
        there = data.fit(data.chosen(data.opened(options.also, settings), ""), kind, note)
        others = data.some(there, limit or data.OTHERS, options.seed)
    recipe.prepare((*rows, *others), lambda done, total: report(Progress("Reading the media", done, total)))
    report(Progress(f"Answering {len(rows) + len(others)} rows"))
    scores = recipe.scores(rows, recipe.predict(rows))
    found = {
        "task": options.task,
        "model": options.model,
        "rows": len(rows),
        "metrics": scores.values,
        "intervals": compare.intervals(scores),
        "report": scores.report,
    }
    if others:
        elsewhere = recipe.scores(others, recipe.predict(others))
        found["also"] = {
            "data": options.also,
            "rows": len(others),
            "metrics": elsewhere.values,
            "intervals": compare.intervals(elsewhere),
        }
    return found
