"""The command `speak`: a text in, a WAV file out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, TextIO

from mmdemo import tasks
from mmdemo.cli import output
from mmdemo.cli.flags import add_flags, given
from mmdemo.cli.progress import Reporter
from mmdemo.cli.writer import plan, unwritable
from mmdemo.errors import Cancelled, InputError, UnknownName
from mmdemo.media.records import record
from mmdemo.options import build
from mmdemo.results import Speech
from mmdemo.runtime.sources import Progress
from mmdemo.studio import Studio


def add_command(commands: Any) -> None:
    """`speak TEXT -o OUT.wav`."""
    entry = tasks.get("speak")
    command = commands.add_parser("speak", help=entry.about, description=entry.about)
    command.add_argument("words", nargs="?", metavar="TEXT", help="what to read aloud; -: from standard input")
    command.add_argument("-o", "--output", metavar="OUT", required=True, help="the WAV file to write")
    command.add_argument("--json", action="store_true", help="print a JSON object that tells of the file")
    add_flags(command, entry.options)
    command.set_defaults(action=lambda arguments, stdout, command=command: run(command, arguments, stdout))


def run(command: argparse.ArgumentParser, arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0, for the file was written.

    Raises:
        StudioError: nothing could be spoken, or not be written.
    """
    cls = tasks.get("speak").options
    values = given(arguments, cls)
    if arguments.words is not None:
        values["text"] = sys.stdin.read() if arguments.words == "-" else arguments.words
    try:
        options = build(cls, values)
    except (InputError, UnknownName) as error:
        command.error(str(error))
    target = Path(arguments.output)
    if target.is_dir():
        command.error(f"-o needs a file here, and {target} is a folder")
    plan([target], target, "wav", folder=False)
    reporter = Reporter()
    spoken = _spoken(options, reporter)
    _write(target, spoken)
    for note in spoken.provenance.notes:
        reporter.note(f"Note: {note}")
    reporter.line(f"{spoken.seconds:.1f} s → {target}")
    reporter.clear()
    if arguments.json:
        stdout.write(output.line(record(spoken, str(target))))
        stdout.flush()
    return 0


def _spoken(options: object, reporter: Reporter) -> Speech:
    """The whole of it."""
    studio = Studio()
    spoken: Speech | None = None
    try:
        for event in studio.run("speak", (), options):
            if isinstance(event, Progress):
                reporter.progress(event)
            elif isinstance(event, Speech):
                spoken = event
                reporter.progress(Progress("Speaking", round(event.progress * 100), 100))
    except Cancelled:
        raise KeyboardInterrupt from None
    studio.close()
    assert spoken is not None, "a text that cannot be spoken is an error"
    return spoken


def _write(target: Path, spoken: Speech) -> None:
    """Write the file.

    Raises:
        InputError: the disk is full or the place has gone.
    """
    from mmdemo.media.audio import write_wav

    try:
        write_wav(target, spoken.samples, spoken.rate)
    except OSError as error:
        raise unwritable(target, error) from None
    except RuntimeError as error:  # of the library of sound files
        raise unwritable(target, OSError(0, str(error))) from None
