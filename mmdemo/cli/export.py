"""The command `export`: a finished run's model in a form to take away."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TextIO

FORMATS = ("adapter", "merged", "ctranslate2", "gguf", "gguf-q8_0", "zip")


def add_command(commands: Any) -> None:
    """`export`."""
    text = "take a trained model away"
    command = commands.add_parser("export", help=text, description=f"{text.capitalize()}.")
    command.add_argument("run", metavar="DIR", help="the run's folder")
    command.add_argument("--format", choices=FORMATS, default="zip", help="(default: zip)")
    command.add_argument("-o", "--output", metavar="OUT", help="where to write it (default: in the run's folder)")
    command.set_defaults(action=run)


def run(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status, 0: what goes wrong is raised."""
    from mmdemo.training.export import export

    out = Path(arguments.output).expanduser().resolve() if arguments.output else None
    stdout.write(f"{export(Path(arguments.run).expanduser().resolve(), arguments.format, out)}\n")
    return 0
