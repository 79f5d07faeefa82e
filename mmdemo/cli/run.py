"""The commands `describe`, `caption`, `transcribe` and `why`: files in, results out as each is done."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from mmdemo import catalog, tasks
from mmdemo.cli.flags import add_flags, given
from mmdemo.cli.inputs import NOUNS, expand
from mmdemo.cli.output import FORMATS
from mmdemo.cli.progress import Reporter
from mmdemo.cli.writer import Writer, plan, unwritable
from mmdemo.errors import Cancelled, InputError, StudioError, UnknownName
from mmdemo.options import build
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.studio import Studio

DEFAULT_FORMAT = {"caption": "srt", "transcribe": "txt"}


def add_commands(commands: Any) -> None:
    """A command for each task."""
    for name, entry in tasks.TASKS.items():
        if entry.takes != "files":
            continue
        command = commands.add_parser(name, help=entry.about, description=entry.about)
        command.add_argument(
            "files", nargs="+", metavar="FILE", help=f"a file, or a folder for all {NOUNS[name]} directly inside it"
        )
        command.add_argument(
            "--json", action="store_true", help="print one JSON object for each input, a line each, as it is done"
        )
        if name in DEFAULT_FORMAT:
            form = DEFAULT_FORMAT[name]
            command.add_argument("--format", choices=FORMATS, default=form, help=f"what to write (default: {form})")
            where = "a file, or for several inputs a folder, to write the --format to"
        else:
            where = "a file to write to instead of standard output"
        command.add_argument("-o", "--output", metavar="OUT", help=where)
        command.add_argument(
            "--trust-remote-code", action="store_true",
            help="let Python code that the --model brings run: it can do anything that you can on this machine",
        )  # fmt: skip
        add_flags(command, entry.options)
        command.set_defaults(action=lambda arguments, stdout, command=command: run(command, arguments, stdout))


def run(command: argparse.ArgumentParser, arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 if every input gave a result, else 1."""
    task: str = arguments.command
    cls = tasks.get(task).options
    try:
        options = build(cls, given(arguments, cls))
    except (InputError, UnknownName) as error:
        command.error(str(error))
    inputs = expand(task, arguments.files)
    files = list(inputs.files)
    form: str = getattr(arguments, "format", "txt")
    planned: dict[Path, Path] = {}
    if arguments.output and task in DEFAULT_FORMAT:
        folder = _means_folder(command, arguments.output, len(files) + len(inputs.refused))
        planned = plan(files, Path(arguments.output), form, folder=folder)
    with _stream(command, arguments.output if not planned and task not in DEFAULT_FORMAT else "", stdout) as stream:
        writer = Writer(files, stream, arguments.json, form, planned, Reporter())
        for name, why in inputs.refused:
            writer.failed(name, why)
        if files:
            _work(_studio(options if arguments.trust_remote_code else None), task, inputs.files, options, writer)
        writer.reporter.clear()
    return 1 if writer.failures else 0


def _studio(trusting: Any) -> Studio:
    """A studio that runs the code of the model that these options name, if any are given, besides those it trusts."""
    settings = Settings.load()
    if trusting is None:
        return Studio(settings)
    keys = ",".join(filter(None, (settings.trust_remote_code, catalog.get(trusting.model).key)))
    return Studio(replace(settings, trust_remote_code=keys))


def _work(studio: Studio, task: str, files: tuple[Path, ...], options: object, writer: Writer) -> None:
    """Run the task on all files at once, so that they batch, and write each result when it is done."""
    try:
        for event in studio.run(task, files, options):
            if isinstance(event, Progress):
                writer.reporter.progress(event)
            else:
                writer.take(event)
    except Cancelled:
        raise KeyboardInterrupt from None
    except StudioError as error:
        writer.rest(str(error))
    else:
        writer.rest("No result came for this file; please report it.")
    # Not reached after Ctrl+C: to close would be to wait for a native call that may take long.
    studio.close()


def _means_folder(command: argparse.ArgumentParser, out: str, inputs: int) -> bool:
    """Whether `-o` names a folder for a file per input rather than the one file."""
    path = Path(out)
    if inputs > 1 and path.exists() and not path.is_dir():
        command.error(f"several inputs need a folder after -o, and {out} is a file")
    return inputs > 1 or path.is_dir() or out.endswith(("/", "\\"))


@contextlib.contextmanager
def _stream(command: argparse.ArgumentParser, out: str | None, stdout: TextIO) -> Iterator[TextIO]:
    """Where lines are printed: standard output, or the file `out`."""
    if not out:
        yield stdout
        return
    if Path(out).is_dir():
        command.error(f"-o needs a file here, and {out} is a folder")
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        file = Path(out).open("w", encoding="utf-8", newline="\n")  # noqa: SIM115  # closed below
    except OSError as error:
        raise unwritable(Path(out), error) from None
    with file:
        yield file
