"""The command `search`: look for the settings of a run by trying, here and now; Ctrl+C keeps what was found."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any, TextIO

from mmdemo.cli.progress import Reporter
from mmdemo.cli.train import show, stopping, values
from mmdemo.errors import InputError, UnknownName
from mmdemo.options import build
from mmdemo.training import config, ranges, search_config
from mmdemo.training.config import TrainOptions
from mmdemo.training.recipes import RECIPES
from mmdemo.training.search_config import PRUNERS, SEARCH_FILE, TRIALS_FILE, SearchOptions


def add_command(commands: Any) -> None:
    """`search`."""
    text = "search for the settings that a model learns best with"
    command = commands.add_parser("search", help=text, description=f"{text.capitalize()}.")
    command.add_argument("--task", choices=tuple(RECIPES), help="what is to be learned")
    command.add_argument("--data", metavar="PATH", help="a folder, a file or a zip")
    command.add_argument("--model", metavar="KEY", default="", help="what to start from (default: the task's starter)")
    command.add_argument("--out", metavar="DIR", help="the search's folder")
    command.add_argument("--method", choices=config.METHODS, default="auto", help="what is trained")
    command.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="a field that is the same in all trials"
    )
    command.add_argument(
        "--range", action="append", default=[], metavar="FIELD=LOW..HIGH",
        help="what to search: FIELD=LOW..HIGH or FIELD=ONE,OTHER (default: what suits the task)",
    )  # fmt: skip
    command.add_argument("--trials", type=int, metavar="N", help=f"so many settings (default: {SearchOptions.trials})")
    command.add_argument("--minutes", type=float, metavar="M", help="end the search after so long")
    command.add_argument("--pruner", choices=PRUNERS, help="how trials are given up that fall behind (default: median)")
    command.add_argument("--train-best", action="store_true", help="a training with the best follows, as a job")
    command.add_argument(
        "--resume", metavar="DIR", help="go on with the search in a folder; --trials and --minutes may be more now"
    )
    command.add_argument("--json", action="store_true", help="print what came of it as one JSON object")
    command.set_defaults(action=lambda arguments, stdout: run(command, arguments, stdout))


def run(command: argparse.ArgumentParser, arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 done, 75 stopped, 1 failed."""
    if arguments.resume:
        folder = Path(arguments.resume).expanduser().resolve()
        if not (folder / SEARCH_FILE).is_file():
            command.error(f"{folder} holds no search: it has no {SEARCH_FILE}")
        _more(command, arguments, folder)
    else:
        folder = _begun(command, arguments)
    reporter = Reporter()
    from mmdemo.training.ending import STOPPED
    from mmdemo.training.search import search

    with stopping() as stop:
        status = search(folder, listener=lambda event: show(event, reporter), stopping=stop.is_set)
    reporter.clear()
    if status == STOPPED:
        reporter.line(f"It goes on with: python -m mmdemo search --resume {folder}")
    elif status == 0:
        came = json.loads((folder / TRIALS_FILE).read_text(encoding="utf-8"))
        stdout.write(json.dumps(came, ensure_ascii=False) + "\n" if arguments.json else _told(came, folder))
    return status


def _more(command: argparse.ArgumentParser, arguments: argparse.Namespace, folder: Path) -> None:
    """Give a search that goes on more trials or more time, if the command line does."""
    given = {name: getattr(arguments, name) for name in ("trials", "minutes") if getattr(arguments, name) is not None}
    if given:
        options, how = search_config.read(folder)
        try:
            search_config.write(options, build(SearchOptions, dataclasses.asdict(how) | given), folder)
        except (InputError, UnknownName) as error:
            command.error(str(error))


def _begun(command: argparse.ArgumentParser, arguments: argparse.Namespace) -> Path:
    """The folder of a new search, with its file."""
    for name in ("task", "data", "out"):
        if not getattr(arguments, name):
            command.error(f"--{name} is needed, or --resume DIR")
    folder = Path(arguments.out).expanduser().resolve()
    given = {name: getattr(arguments, name) for name in ("trials", "minutes", "pruner")}
    given = {name: value for name, value in given.items() if value is not None}
    arguments.minutes = None  # of the search, and not of each run
    try:
        options = build(TrainOptions, values(arguments))
        wanted = "\n".join(arguments.range)
        ranges.parse(wanted)
        how = build(SearchOptions, {**given, "ranges": wanted, "train_best": arguments.train_best})
    except (InputError, UnknownName) as error:
        command.error(str(error))
    if (folder / SEARCH_FILE).exists():
        command.error(f"{folder} holds a search already: choose another folder, or --resume it")
    search_config.write(options, how, folder)
    return folder


def _told(came: dict[str, Any], folder: Path) -> str:
    """The best settings as flags of `train`, and what mattered."""
    lines = [f"--set {name}={value}" for name, value in came["params"].items()]
    if came["importance"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in came["importance"].items())
        lines.append(f"what mattered: {shares}")
    return "\n".join([*lines, str(folder / TRIALS_FILE)]) + "\n"
