"""The command `models search`: what the Hub has that an engine here runs."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any, TextIO

from mmdemo.cli.output import megabytes, table
from mmdemo.cli.progress import Reporter
from mmdemo.runtime.sources import Progress
from mmdemo.runtime.sources.hub_find import Found, Wanted
from mmdemo.runtime.sources.hub_search import USABLE
from mmdemo.studio import Studio

COLUMNS = ("key", "task", "size", "downloads", "licence")


def add_command(actions: Any) -> None:
    """`models search WORDS [--task T] [--json]`."""
    sentence = "Search the Hub for models that run here."
    command = actions.add_parser("search", help=sentence, description=sentence)
    command.add_argument(
        "words", nargs="+", metavar="WORDS", help="words in a model's name, or hub:owner/name for one repository"
    )
    command.add_argument("--task", choices=sorted(set(USABLE.values())), help="only models that do this")
    command.add_argument("--licence", default="", help="only models with this licence, such as apache-2.0")
    command.add_argument(
        "--billions", type=float, default=0.0, metavar="B", help="only models of at most so many billions of parameters"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object for each model, a line each")
    command.set_defaults(action=run)


def run(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0, also if nothing was found.

    Raises:
        Unreachable: the Hub does not answer.
        WeightsError: for one repository, why it cannot be used.
    """
    studio, reporter = Studio(), Reporter()
    found: list[Found] = []
    tasks = (arguments.task,) if arguments.task else ()
    wanted = Wanted(" ".join(arguments.words), tasks, arguments.licence, arguments.billions)
    try:
        for event in studio.search(wanted):
            if isinstance(event, Progress):
                reporter.progress(event)
            else:
                found = event
    finally:
        reporter.clear()
        studio.close()
    if arguments.json:
        stdout.writelines(json.dumps(dataclasses.asdict(one), ensure_ascii=False) + "\n" for one in found)
    elif found:
        cells = [COLUMNS] + [
            (one.key, one.task, megabytes(one.bytes) if one.bytes else "-", f"{one.downloads:,}", _licence(one))
            for one in found
        ]
        stdout.writelines(line + "\n" for line in table(cells))
    else:
        reporter.line("The Hub has no model of that name that runs here.")
    return 0


def _licence(one: Found) -> str:
    return (one.licence or "not stated") + (" (gated)" if one.gated else "")
