"""The command `classify`: texts, pictures or recordings in, their classes out; of a tagger what a text names."""

from __future__ import annotations

import argparse
import sys
from typing import Any, TextIO

from mmdemo import tasks
from mmdemo.cli import output
from mmdemo.cli.flags import add_flags, given
from mmdemo.cli.inputs import expand
from mmdemo.cli.progress import Reporter
from mmdemo.errors import Cancelled, InputError, UnknownName
from mmdemo.media.records import record
from mmdemo.options import build
from mmdemo.results import Classification
from mmdemo.runtime.sources import Progress
from mmdemo.studio import Studio


def add_command(commands: Any) -> None:
    """`classify FILE… --model KEY_OR_DIR`, or `classify --text TEXT`."""
    entry = tasks.get("classify")
    command = commands.add_parser("classify", help=entry.about, description=entry.about)
    command.add_argument(
        "files", nargs="*", metavar="FILE", help="a file, or a folder for the files directly inside it"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object for each input, a line each")
    add_flags(command, entry.options)
    command.set_defaults(action=lambda arguments, stdout, command=command: run(command, arguments, stdout))


def run(command: argparse.ArgumentParser, arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 if every input gave a result, else 1.

    Raises:
        StudioError: the model or the only input cannot be used.
    """
    cls = tasks.get("classify").options
    values = given(arguments, cls)
    if values.get("text") == "-":
        values["text"] = sys.stdin.read()
    try:
        options = build(cls, values)
    except (InputError, UnknownName) as error:
        command.error(str(error))
    text = str(values.get("text", ""))
    if not arguments.files and not text:
        command.error("give a FILE, or a text with --text")
    inputs, reporter, failures = expand("classify", arguments.files), Reporter(), 0
    for name, why in inputs.refused:
        reporter.line(f"{name}: {why}")
        failures += 1
    studio = Studio()
    try:
        if inputs.files or text:
            for event in studio.run("classify", list(inputs.files), options):
                if isinstance(event, Progress):
                    reporter.progress(event)
                elif isinstance(event, Classification):
                    reporter.clear()
                    failures += bool(event.error)
                    stdout.write(output.line(record(event)) if arguments.json else spoken(event))
    except Cancelled:
        raise KeyboardInterrupt from None
    studio.close()
    return 1 if failures else 0


def spoken(found: Classification) -> str:
    """A result as lines for people."""
    if found.error:
        return f"{found.file}\t{found.error}\n"
    if found.labels:
        return f"{found.file}\t" + ", ".join(f"{one.name} {one.probability:.2f}" for one in found.labels) + "\n"
    lines = [f"{one.start}-{one.end}\t{one.kind}\t{one.probability:.2f}\t{one.text}\n" for one in found.entities]
    return "".join(lines) or f"{found.file}\tnothing is named\n"
