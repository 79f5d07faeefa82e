"""A search for the settings of a run with Optuna: trials one after another, on the task's metric, within a time.

`python -m mmdemo.training.search FOLDER` begins it, or goes on with it. Everything it knows is in its folder: Optuna's
storage (`study.sqlite`), a folder of its own for each trial, and `trials.json` for whoever looks. A trial that was
broken off is marked failed, and tried again from its last checkpoint with the same settings.
"""

from __future__ import annotations

import gc
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import torch
from optuna.trial import FrozenTrial, Trial, TrialState

from mmdemo.errors import Cancelled, DoesNotFit, InputError, JobError, StudioError
from mmdemo.options import build
from mmdemo.runtime.sources.base import Progress
from mmdemo.settings import Settings
from mmdemo.training import checkpoints, config, data, ranges, recipes, search_config, submit, trials
from mmdemo.training.config import TrainOptions
from mmdemo.training.ending import told
from mmdemo.training.events import Events, Listener
from mmdemo.training.loop import MANY, Diverged, Stopped
from mmdemo.training.models import settled
from mmdemo.training.run import Run
from mmdemo.training.search_config import STUDY_FILE, SearchOptions
from mmdemo.training.signals import asked_to_stop

FOLDER = "trials"
TOLD_EVERY = 2.0
"""Seconds between two lines of progress within a trial."""
LEARNED_FROM = 4
"""Trials before others are given up for falling behind them, and at least so many that are drawn by chance alone."""
FACTOR = 3
"""Of Hyperband (arXiv:1603.06560): a third of the trials goes on, three times as long."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def search(
    folder: Path,
    settings: Settings | None = None,
    listener: Listener = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Do what `search.json` in the folder says, or go on with it; the exit status, as of `run.run`.

    Nothing is raised: what went wrong is the last event.
    """
    events = Events(folder, listener)
    return told(folder, events, lambda: Search(folder, settings or Settings.load(), events, stopping).whole())


class Search:
    """One search, in this process."""

    def __init__(self, folder: Path, settings: Settings, events: Events, stopping: Callable[[], bool]) -> None:
        self.folder, self.settings, self.events, self.stopping = folder, settings, events, stopping
        asked, self.how = search_config.read(folder)
        self.kind = recipes.get(asked.task)
        self.options: TrainOptions = settled(asked, self.kind)
        parts = data.parts_of(self.options, self.kind, settings, lambda sentence: events("note", message=sentence))
        if not parts.held:
            raise InputError("No row of the data is held out: a search needs some to compare its trials by.")
        rows = len(parts.train)
        self.ranges = ranges.parse(self.how.ranges) or ranges.offered(self.options, self.kind, rows)
        if not self.ranges:
            raise InputError("There is nothing to search for: name a range, such as learning_rate=1e-5..1e-3.")
        self.study = opened(folder, self.kind.lower, pruner_of(self.how, self._most_epochs(rows)))
        if not self.study.trials:
            self.study.enqueue_trial(ranges.first(self.ranges, self.options, self.kind, rows))
        self.spent = float(self.study.user_attrs.get("seconds", 0.0))
        self.began = time.monotonic()
        self._told = self._kept = 0.0

    def _most_epochs(self, rows: int) -> int:
        from mmdemo.training.plan import usual_epochs

        named = next((one for one in self.ranges if one.name == "epochs"), None)
        if named:
            return int(max(named.values) if named.values else named.high)
        return self.options.epochs or usual_epochs(self.kind, rows)

    @property
    def seconds(self) -> float:
        """Spent on all trials so far, also before it was broken off."""
        return self.spent + time.monotonic() - self.began

    def _over(self) -> bool:
        return bool(self.how.minutes) and self.seconds > 60 * self.how.minutes

    def whole(self) -> None:
        """Every trial that is left, then what came of them.

        Raises:
            Stopped: it goes on where it was.
            StudioError: the data or the model cannot be used, or no trial came to an evaluation.
        """
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            self._again(trial)
        while self._done() < self.how.trials and not self._over():
            self._one()
        self._keep()
        best = trials.best(self.study)
        if best is None:
            raise JobError("No trial came to an evaluation: give the search more minutes, or other ranges.")
        said = trials.words(best.params)
        self.events(
            "done",
            message=f"The best of {self._done()} trials: {self.kind.metric} {trials.score(best, self.kind.lower):.4f} "
            f"with {said}.",
        )
        if self.how.train_best:
            job = submit.best(self.folder, self.settings)
            self.events("note", message=f"A training with the best settings follows: {job.id}.")

    def _done(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=FINISHED))

    def _one(self) -> None:
        """The next trial, from its settings to its score."""
        number = len(self.study.trials)
        # a trial follows from the seed, its number and the trials before it, however often the search was broken off
        self.study.sampler = optuna.samplers.TPESampler(
            seed=(self.options.seed * MANY + number) % 2**32, n_startup_trials=max(LEARNED_FROM, self.how.trials // 4)
        )
        trial = self.study.ask()
        values = {one.name: one.draw(trial) for one in self.ranges}
        if "folder" not in trial.user_attrs:
            trial.set_user_attr("folder", f"{FOLDER}/{trial.number:04d}")
        self._keep()
        reached: dict[int, float] = {}
        try:
            value = self._learn(trial, values, reached)
        except optuna.TrialPruned:
            self._tell(trial, None, str(JobError("It fell behind the others.")))
        except (Diverged, DoesNotFit) as error:
            self._tell(trial, None, str(error))
        except (Stopped, Cancelled):
            if self.stopping() or not self._over():
                self._again(self.study.trials[trial.number])
                self._keep()
                raise
            self._tell(trial, None, str(JobError("The time was up.")))
        except StudioError:
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        else:
            self._tell(trial, value, "")
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _learn(self, trial: Trial, values: dict[str, Any], reported: dict[int, float]) -> float:
        """Train with these settings; the best score on held-out rows.

        Raises:
            TrialPruned: it fell behind the others.
        """
        place = self.folder / trial.user_attrs["folder"]
        if not (place / config.RUN_FILE).exists():
            config.write(build(TrainOptions, asdict(replace(self.options, **values))), place)
        for step, score in trial.user_attrs.get("reached", {}).items():  # before it was broken off
            trial.report(score, int(step))
            reported[int(step)] = score

        def reached(epochs: float, score: float) -> None:
            whole = int(epochs + 1e-6)
            if whole and whole not in reported:
                reported[whole] = score
                trial.report(score, whole)
                if time.monotonic() - self._kept > TOLD_EVERY:
                    self._keep()
                if trial.should_prune():
                    raise optuna.TrialPruned

        run = Run(
            place, self.settings, Events(place, lambda event: self._inside(trial.number, event)),
            lambda: self.stopping() or self._over(),
        )  # fmt: skip
        best = run.trial(reached)
        assert best is not None  # rows are held out
        return best

    def _inside(self, number: int, event: dict[str, Any]) -> None:
        """Say how far a trial is."""
        if event["kind"] == "progress" and time.monotonic() - self._told > TOLD_EVERY:
            self._told = time.monotonic()
            stage = Progress(f"Trial {number + 1}: step {event['step']} of {event['steps']}").stage
            said = event.get("message") or stage  # it has no steps yet while it reads the media
            self.events("progress", step=self._done(), steps=self.how.trials, message=said)
        elif event["kind"] == "note" and not number:  # of the first trial: how long one takes, what the data lack
            self.events("note", message=event["message"])

    def _tell(self, trial: Trial, value: float | None, why: str) -> None:
        """End a trial: with its score, or given up, and why."""
        if why:
            trial.set_user_attr("why", why)
        self.study.tell(trial, value, TrialState.PRUNED if value is None else TrialState.COMPLETE)
        shutil.rmtree(self.folder / trial.user_attrs["folder"] / checkpoints.FOLDER, ignore_errors=True)
        self._keep()
        self.events("progress", step=self._done(), steps=self.how.trials)
        score = trials.score(self.study.trials[trial.number], self.kind.lower)
        if score is not None:
            self.events("metric", step=trial.number + 1, values={self.kind.metric: score}, split="trial")

    def _again(self, trial: FrozenTrial) -> None:
        """Mark a trial failed that was broken off, and put its settings first in the line."""
        self.study._storage.set_trial_user_attr(trial._trial_id, "why", str(JobError("It is tried again.")))
        self.study.tell(trial.number, state=TrialState.FAIL)
        kept = {"reached": {str(step): score for step, score in trial.intermediate_values.items()}}
        more = {"folder": trial.user_attrs["folder"]} if "folder" in trial.user_attrs else {}
        self.study.enqueue_trial(trial.params, {**kept, **more, "again": trial.number})

    def _keep(self) -> None:
        """Write down how things stand."""
        self._kept = time.monotonic()
        self.study.set_user_attr("seconds", self.seconds)
        trials.write(self.folder, self.study, self.options, self.kind, self.ranges, self.seconds)


def opened(folder: Path, lower: bool, pruner: optuna.pruners.BasePruner | None = None) -> optuna.Study:
    """The study of a search's folder; a new one where there is none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # as a URI, so that the path may hold any letter
    storage = optuna.storages.RDBStorage(f"sqlite:///file:{quote(str(folder / STUDY_FILE))}?uri=true")
    return optuna.create_study(
        storage=storage, study_name="search", load_if_exists=True, pruner=pruner,
        direction="minimize" if lower else "maximize",
    )  # fmt: skip


def pruner_of(how: SearchOptions, epochs: int) -> optuna.pruners.BasePruner:
    """What gives trials up that fall behind; it compares them after each epoch."""
    if how.pruner == "none":
        return optuna.pruners.NopPruner()
    if how.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(1, epochs), reduction_factor=FACTOR)
    return optuna.pruners.MedianPruner(n_startup_trials=LEARNED_FROM)


def main(argv: Sequence[str]) -> int:
    """Run the search in the folder that the command line names."""
    if len(argv) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    stopping = asked_to_stop()
    folder = Path(argv[0]).expanduser().resolve()
    return search(folder, stopping=stopping, listener=lambda event: print(event, flush=True))


if __name__ == "__main__":
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what a library deprecates is nothing the user can act on
    sys.exit(main(sys.argv[1:]))
