"""The command `data`: look at a data set before training; the user's own sets of corrections."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, TextIO

from mmdemo.cli import own
from mmdemo.cli.output import table
from mmdemo.cli.progress import Reporter
from mmdemo.datasets.problems import shown
from mmdemo.datasets.report import Report, examined
from mmdemo.errors import StudioError
from mmdemo.settings import Settings

SHOWN = 12
"""Classes, and problems, that the summary names; `--json` has them all."""


def add_command(commands: Any) -> None:
    """`data check|list|export|restore|remove`."""
    about = "Look at a data set before training, and keep your own."
    group = commands.add_parser("data", help=about, description=about)
    actions = group.add_subparsers(dest="what", required=True, metavar="check|list|export|restore|remove")
    sentence = "Say how a data set is laid out, what is in it, what it can train, and what is wrong with it."
    check = actions.add_parser("check", help=sentence, description=sentence)
    check.add_argument("path", metavar="PATH", help="a folder, a zip, or a file of rows")
    check.add_argument("--layout", default="", help="how it is laid out, where that is not recognised")
    check.add_argument(
        "--column", action="append", default=[], metavar="NAME=FIELD",
        help="what a column is: image, audio, video, file, text, targets, label, …; empty to ignore it",
    )  # fmt: skip
    check.add_argument("--seconds", type=float, default=20.0, metavar="S", help="time for opening media (default: 20)")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.set_defaults(action=lambda arguments, stdout: run_check(check, arguments, stdout))
    own.add_commands(actions)


def run_check(command: argparse.ArgumentParser, arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 if it can train something, else 1."""
    from mmdemo.datasets import read

    columns = {}
    for pair in arguments.column:
        name, equals, field = pair.rpartition("=")
        if not equals:
            command.error(f"--column is NAME=FIELD, not {pair}")
        columns[name] = field
    settings = Settings.load()
    try:
        found = examined(
            read(Path(arguments.path), settings, columns=columns, layout=arguments.layout),
            settings,
            seconds=arguments.seconds,
        )
    except StudioError as error:
        if arguments.json:
            record = {"usable": False, "path": shown(arguments.path), "error": shown(str(error))}
            stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        Reporter().line(shown(str(error)))
        return 1
    if arguments.json:
        record = {"path": shown(arguments.path), **found.as_json()}
        stdout.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
    else:
        stdout.writelines(line + "\n" for line in summary(found))
    return 0 if found.usable else 1


def summary(report: Report) -> list[str]:
    """A report as lines to read."""
    texts, opened = report.texts, report.opened
    cells = [
        ("layout", report.layout),
        ("columns", ", ".join(f"{column} as {field}" for column, field in report.columns.items())),
        ("rows", f"{report.rows:,}"),
        ("splits", ", ".join(f"{name or 'to be divided'} {count:,}" for name, count in report.splits.items())),
        ("can train", ", ".join(report.tasks) or "nothing yet"),
    ]
    if report.media:
        minutes = f", {opened.seconds / 60:,.1f} minutes" if opened.seconds else ""
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in report.media.items())
        cells.append(("media", f"{kinds} ({opened.opened:,} files opened{minutes})"))
    if texts.words:
        cells.append(("words", f"{texts.words:,}, {texts.mean:g} a text, {texts.longest:,} in the longest"))
    for name, counts in (("classes", report.labels), ("entities", report.tags), ("languages", report.languages)):
        if counts:
            first = ", ".join(f"{label} {count:,}" for label, count in list(counts.items())[:SHOWN])
            cells.append((name, first + (f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else "")))
    lines = table(cells)
    for title, sentences in (("To know:", report.findings), ("Left out or repaired:", report.problems)):
        if sentences:
            lines += ["", title, *(f"  {one}" for one in sentences[:SHOWN])]
            if len(sentences) > SHOWN:
                lines.append(f"  and {len(sentences) - SHOWN:,} more; --json has them.")
    return [shown(line) for line in lines]
