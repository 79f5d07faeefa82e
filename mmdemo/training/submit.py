"""Trainings and searches as jobs: the same one again as long as the same one waits or runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmdemo import catalog
from mmdemo.errors import InputError, StudioError
from mmdemo.jobs import Job, Jobs
from mmdemo.jobs.job import WAITING
from mmdemo.options import build
from mmdemo.settings import Settings
from mmdemo.training import config, search_config
from mmdemo.training.config import TrainOptions
from mmdemo.training.search_config import TRIALS_FILE, SearchOptions

TRAIN, SEARCH = "train", "search"
"""Kinds of jobs."""


def training(options: TrainOptions, jobs: Jobs) -> Job:
    """Put a training in the queue."""

    def make(folder: Path) -> Sequence[str]:
        return [sys.executable, "-m", "mmdemo.training", str(config.write(options, folder))]

    return _once(TRAIN, title(options), options, make, jobs)


def search(options: TrainOptions, how: SearchOptions, jobs: Jobs) -> Job:
    """Put a search for settings in the queue."""

    def make(folder: Path) -> Sequence[str]:
        return [sys.executable, "-m", "mmdemo.training.search", str(search_config.write(options, how, folder).parent)]

    return _once(SEARCH, title(options), (options, how), make, jobs)


def best(folder: Path, settings: Settings) -> Job:
    """Put a training with the best settings of a search in the queue.

    Raises:
        InputError: the search has not found any.
    """
    return training(best_options(folder), Jobs(settings))


def best_options(folder: Path) -> TrainOptions:
    """The options of a run with the best settings that a search has found so far.

    Raises:
        InputError: it has not found any.
    """
    options, _ = search_config.read(folder)
    try:
        found: Any = json.loads((folder / TRIALS_FILE).read_text(encoding="utf-8"))["params"]
    except (OSError, ValueError, KeyError):
        found = {}
    if not found:
        raise InputError("The search has found no settings yet: let it go on.")
    return build(TrainOptions, dataclasses.asdict(options) | found)


def title(options: TrainOptions) -> str:
    """What people read: the data's name, and what begins to learn from them."""
    data = Path(options.data)
    try:
        begins = catalog.get(options.model).title if options.model else options.task
    except StudioError:  # a folder that is looked at when the job begins
        begins = Path(options.model).name
    return f"{data.stem or data.name} · {begins}"


def _once(kind: str, name: str, options: Any, make: Callable[[Path], Sequence[str]], jobs: Jobs) -> Job:
    """The job of a wish: two clicks, or two devices, start it once; what has ended may be done again."""
    both = options if isinstance(options, tuple) else (options,)
    told = json.dumps([kind, *map(dataclasses.asdict, both)], sort_keys=True)
    digest = hashlib.sha256(told.encode()).hexdigest()[:24]
    over = [job for job in jobs.all() if job.token.startswith(digest) and job.state not in WAITING]
    return jobs.submit(kind, name, make, token=f"{digest}-{len(over)}")
