"""What decides a search: how many trials, how long, from which ranges; `search.json` in its folder."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from mmdemo.errors import InputError
from mmdemo.options import build, option
from mmdemo.training.config import TrainOptions

SEARCH_FILE, STUDY_FILE, TRIALS_FILE = "search.json", "study.sqlite", "trials.json"
"""In the folder of a search: what was asked for; Optuna's own storage; what came out, as it stands."""
PRUNERS = ("median", "hyperband", "none")


@dataclass(frozen=True)
class SearchOptions:
    """How to search for the settings of a run."""

    trials: int = option(
        20, "Trials", "So many settings are tried.", minimum=1, maximum=10_000, advanced=False
    )  # fmt: skip
    minutes: float = option(
        0.0, "Minutes for all trials", "The search ends after so long; 0: no limit.", minimum=0, maximum=100_000,
        advanced=False,
    )  # fmt: skip
    pruner: str = option(
        "median", "Give up early", "Trials that fall behind the others are ended before their time.", choices=PRUNERS,
        advanced=False,
    )  # fmt: skip
    ranges: str = option(
        "", "Ranges",
        "One a line, such as learning_rate=1e-5..1e-3 or batch=8,16,32. Empty: what suits the task.", advanced=False,
    )  # fmt: skip
    train_best: bool = option(
        False, "Train with the best in the end", "A training with the best settings follows by itself.", advanced=False
    )


def read(folder: Path) -> tuple[TrainOptions, SearchOptions]:
    """The options of the runs and of the search in a folder.

    Raises:
        InputError: they cannot be read, or a value is wrong.
        UnknownName: a field does not exist; lists those that do.
    """
    file = folder / SEARCH_FILE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        run, search = values["run"], values["search"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The search file {file} cannot be read ({error}).") from error
    if not isinstance(run, dict) or not isinstance(search, dict):
        raise InputError(f"The search file {file} must hold the objects run and search.")
    return build(TrainOptions, run), build(SearchOptions, search)


def write(run: TrainOptions, search: SearchOptions, folder: Path) -> Path:
    """Write `search.json` into a search's folder, which is made; the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file, partial = folder / SEARCH_FILE, folder / f"{SEARCH_FILE}.partial"
    values = {"run": dataclasses.asdict(run), "search": dataclasses.asdict(search)}
    partial.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    partial.replace(file)
    return file
