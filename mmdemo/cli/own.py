"""The commands `data list`, `export`, `restore` and `remove`: data sets of the user's own corrections."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, TextIO

from mmdemo.cli.output import megabytes, table
from mmdemo.cli.progress import Reporter
from mmdemo.datasets.corrections import Corrections
from mmdemo.errors import StudioError
from mmdemo.settings import Settings

COLUMNS = ("name", "rows", "version", "changed", "size", "folder")


def add_commands(actions: Any) -> None:
    """Beside `data check`."""
    sentence = "Show the data sets that corrections are kept in, or the versions of one."
    command = actions.add_parser("list", help=sentence, description=sentence)
    command.add_argument("name", nargs="?", default="", metavar="NAME", help="a set, for its versions")
    command.add_argument("--json", action="store_true", help="print one JSON object for each, a line each")
    command.set_defaults(action=run_list)
    sentence = "Write a data set as a zip that any reader of Hugging Face's layout takes."
    command = actions.add_parser("export", help=sentence, description=sentence)
    command.add_argument("name", metavar="NAME", help="a set that `data list` shows")
    command.add_argument("-o", "--output", default="", metavar="OUT", help="the file (default: NAME.zip)")
    command.set_defaults(action=run_export)
    sentence = "Make a data set what it was at an earlier version; what it is now stays a version too."
    command = actions.add_parser("restore", help=sentence, description=sentence)
    command.add_argument("name", metavar="NAME", help="a set that `data list` shows")
    command.add_argument("version", type=int, metavar="VERSION", help="a number that `data list NAME` shows")
    command.set_defaults(action=run_restore)
    sentence = "Delete data sets with all their versions and media."
    command = actions.add_parser("remove", help=sentence, description=sentence)
    command.add_argument("names", nargs="+", metavar="NAME", help="a set that `data list` shows")
    command.set_defaults(action=run_remove)


def run_list(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0.

    Raises:
        UnknownName: there is no such set.
    """
    own = Corrections(Settings.load())
    if arguments.name:
        versions = own.versions(arguments.name)
        records = [{"version": one.number, "rows": one.rows, "time": one.time.isoformat()} for one in versions]
        cells: list[tuple[str, ...]] = [("version", "rows", "made")]
        cells += [(str(one.number), str(one.rows), _local(one.time)) for one in versions]
    else:
        found = own.summaries()
        records = [
            {
                "name": one.name, "rows": one.rows, "version": one.version, "changed": one.changed.isoformat(),
                "bytes": one.bytes, "folder": str(own.path(one.name)),
            }
            for one in found
        ]  # fmt: skip
        cells = [COLUMNS]
        for one in found:
            size, where = megabytes(one.bytes), str(own.path(one.name))
            cells.append((one.name, str(one.rows), str(one.version), _local(one.changed), size, where))
    if arguments.json:
        stdout.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    elif records:
        stdout.writelines(line + "\n" for line in table(cells))
    else:
        Reporter().line("No corrections are kept yet: correct a result in the page and keep it for training.")
    return 0


def run_export(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0; the file's path is printed.

    Raises:
        UnknownName: there is no such set.
        NoSpace: it cannot be written.
    """
    out = Path(arguments.output or f"{arguments.name}.zip")
    own = Corrections(Settings.load())
    if out.is_dir():
        out = out / f"{own.path(arguments.name).name}.zip"
    stdout.write(f"{own.export(arguments.name, out)}\n")
    return 0


def run_restore(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0.

    Raises:
        UnknownName: there is no such set or version.
    """
    number = Corrections(Settings.load()).bring_back(arguments.name, arguments.version)
    stdout.write(f"{arguments.name}: version {number}, as version {arguments.version} was\n")
    return 0


def run_remove(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 if all were there, else 1; one that is not does not keep the others."""
    own, status = Corrections(Settings.load()), 0
    for name in arguments.names:
        try:
            stdout.write(f"{name}: {megabytes(own.remove(name))} freed\n")
        except StudioError as error:
            Reporter().line(str(error))
            status = 1
    return status


def _local(time: Any) -> str:
    return str(time.astimezone().strftime("%Y-%m-%d %H:%M"))
