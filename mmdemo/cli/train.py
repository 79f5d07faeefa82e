"""The command `train`: learn from a data set, here and now; Ctrl+C keeps a checkpoint."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, get_type_hints

from mmdemo.cli.progress import Reporter
from mmdemo.errors import InputError, UnknownName
from mmdemo.options import build
from mmdemo.runtime.sources import Progress
from mmdemo.settings import YES_NO
from mmdemo.training import config
from mmdemo.training.config import TrainOptions
from mmdemo.training.recipes import RECIPES

SHOWN = ("loss", "samples_per_second")


def add_command(commands: Any) -> None:
    """`train`."""
    command = commands.add_parser(
        "train", help="fine-tune a model on a data set", description="Fine-tune a model on a data set."
    )
    command.add_argument("--task", choices=tuple(RECIPES), help="what is to be learned")
    command.add_argument("--data", metavar="PATH", help="a folder, a file or a zip")
    command.add_argument("--model", metavar="KEY", default="", help="what to start from (default: the task's starter)")
    command.add_argument("--out", metavar="DIR", help="the run's folder; the result is in its folder model")
    command.add_argument("--method", choices=config.METHODS, default="auto", help="what is trained")
    command.add_argument(
        "--also", metavar="PATH", help="a data set of another kind, scored before and after: forgetting shows"
    )
    command.add_argument("--minutes", type=float, metavar="N", help="stop learning after so long")
    command.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help=_fields())
    command.add_argument("--resume", metavar="DIR", help="go on with the run in a folder")
    command.set_defaults(action=lambda arguments, stdout: run(command, arguments, stdout))


def _fields() -> str:
    """The other fields of a run, for the help."""
    taken = {"task", "data", "model", "method", "minutes", "also"}
    names = (field.name for field in dataclasses.fields(TrainOptions))
    return "any other field of a run: " + ", ".join(name for name in names if name not in taken)


def run(command: argparse.ArgumentParser, arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 done, 75 stopped, 1 failed."""
    if arguments.resume:
        folder = Path(arguments.resume).expanduser().resolve()
        if not (folder / config.RUN_FILE).is_file():
            command.error(f"{folder} holds no run: it has no {config.RUN_FILE}")
    else:
        for name in ("task", "data", "out"):
            if not getattr(arguments, name):
                command.error(f"--{name} is needed, or --resume DIR")
        try:
            options = build(TrainOptions, values(arguments))
        except (InputError, UnknownName) as error:
            command.error(str(error))
        folder = Path(arguments.out).expanduser().resolve()
        if (folder / config.RUN_FILE).exists():
            command.error(f"{folder} holds a run already: choose another folder, or --resume it")
        config.write(options, folder)
    reporter = Reporter()
    from mmdemo.training.ending import STOPPED
    from mmdemo.training.run import run as train

    with stopping() as stop:
        status = train(folder, listener=lambda event: show(event, reporter), stopping=stop.is_set)
    if status == STOPPED:
        reporter.line(f"It goes on with: python -m mmdemo train --resume {folder}")
    elif status == 0:
        stdout.write(f"{folder / 'model'}\n")
    return status


def values(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a run that the command line names.

    Raises:
        UnknownName, InputError: for a field that does not exist, or a value of the wrong kind.
    """
    found: dict[str, Any] = {name: getattr(arguments, name) for name in ("task", "model", "method")}
    found["data"] = str(Path(arguments.data).expanduser().resolve())
    if getattr(arguments, "also", None):
        found["also"] = str(Path(arguments.also).expanduser().resolve())
    if arguments.model and Path(arguments.model).expanduser().is_dir():
        found["model"] = str(Path(arguments.model).expanduser().resolve())
    if arguments.minutes is not None:
        found["minutes"] = arguments.minutes
    return found | given(arguments.set)


def given(pairs: list[str]) -> dict[str, Any]:
    """`field=value` pairs, with each value as its field's kind.

    Raises:
        UnknownName, InputError: as `values`.
    """
    kinds = get_type_hints(TrainOptions)
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not sign:
            raise InputError(f"--set needs field=value, not {pair!r}.")
        if name not in kinds:
            raise UnknownName("field of a run", name, kinds)
        try:
            found[name] = YES_NO[text.lower()] if kinds[name] is bool else kinds[name](text)
        except (KeyError, ValueError):
            raise InputError(f"{name} is {text!r}, which is of the wrong kind.") from None
    return found


def show(event: dict[str, Any], reporter: Reporter) -> None:
    """An event as people read it in a terminal."""
    kind = event["kind"]
    if kind == "progress":
        about = ", ".join(f"{name.replace('_', ' ')} {event[name]:g}" for name in SHOWN if event.get(name) is not None)
        stage = event.get("message") or (f"Learning ({about})" if reporter.terminal else "Learning")
        reporter.progress(Progress(stage, event["step"], event["steps"]))
    elif kind == "metric":
        reporter.line(f"step {event['step']}, {event['split']}: {json.dumps(event['values'])}")
    elif kind != "sample":
        reporter.line(event["message"])


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that Ctrl+C and SIGTERM set; the second Ctrl+C ends the program at once."""
    stop = threading.Event()

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
