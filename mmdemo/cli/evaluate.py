"""The command `evaluate`: a model's scores on the rows of a data set."""

from __future__ import annotations

import argparse
import json
from typing import Any, TextIO

from mmdemo.cli.progress import Reporter
from mmdemo.cli.train import given
from mmdemo.options import build
from mmdemo.settings import Settings
from mmdemo.training.config import TrainOptions
from mmdemo.training.recipes import RECIPES


def add_command(commands: Any) -> None:
    """`evaluate`."""
    text = "score a model on a data set"
    command = commands.add_parser("evaluate", help=text, description=f"{text.capitalize()}.")
    command.add_argument("--task", choices=tuple(RECIPES), required=True, help="what it is to do")
    command.add_argument("--data", metavar="PATH", required=True, help="a folder, a file or a zip")
    command.add_argument("--model", metavar="KEY_OR_DIR", default="", help="a key, a folder, or a run's folder")
    command.add_argument("--also", metavar="PATH", default="", help="a data set of another kind, scored as well")
    command.add_argument("--split", default="", help="default: test, else validation, else all rows")
    command.add_argument("--limit", type=int, default=0, metavar="N", help="so many rows at most, drawn from all")
    command.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="language, device, max_length"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(action=run)


def run(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status, 0: what goes wrong is raised.

    Raises:
        StudioError: the data, the model, or what was asked for is not right.
    """
    named = {name: getattr(arguments, name) for name in ("task", "data", "model", "also")}
    options = build(TrainOptions, named | given(arguments.set))
    from mmdemo.training.evaluate import evaluate

    reporter = Reporter()
    found = evaluate(
        options, Settings.load(), arguments.split, arguments.limit, note=reporter.note, report=reporter.progress
    )
    reporter.clear()
    if arguments.json:
        stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return 0
    stdout.write(f"{found['model']}, {found['task']}, {found['rows']} rows\n" + _scores(found))
    if "also" in found:
        stdout.write(f"{found['also']['data']}, {found['also']['rows']} rows\n" + _scores(found["also"]))
    if found["report"]:
        stdout.write("\n" + found["report"] + "\n")
    return 0


def _scores(found: dict[str, Any]) -> str:
    """Each score with its interval, a line each."""
    lines = ""
    for name, value in found["metrics"].items():
        low, high = found["intervals"].get(name, (None, None))
        about = f"  (95 %: {low:.4f} to {high:.4f})" if low is not None else ""
        lines += f"  {name:10} {value:.4f}{about}\n"
    return lines
