"""Takes results as they are done and puts each where the command line asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from mmdemo.cli import output
from mmdemo.cli.inputs import targets
from mmdemo.cli.progress import Reporter
from mmdemo.errors import InputError
from mmdemo.media.records import Result, record
from mmdemo.results import Classification, Description, Explanation, Nearness
from mmdemo.runtime.sources import Progress


@dataclass
class Writer:
    """Writes results, and keeps count of what is still to come and what failed.

    Attributes:
        pending: inputs without a result; an input named twice is there twice.
        stream: where text and JSON lines are printed.
        json: print a JSON line for each input.
        form: one of `output.FORMATS`.
        targets: the file to write for an input, instead of printing it.
    """

    pending: list[Path]
    stream: TextIO
    json: bool
    form: str
    targets: dict[Path, Path]
    reporter: Reporter
    failures: int = 0
    _many: bool = field(init=False)

    def __post_init__(self) -> None:
        self._many = len(self.pending) > 1

    def take(self, result: Result) -> None:
        """A result of the task; one that still grows only moves the progress line."""
        if not result.done:
            self._growing(result)
            return
        file = self._match(result.file)
        if result.error:
            self.failed(str(file), result.error)
            return
        for note in result.provenance.notes:
            self.reporter.note(f"Note: {note}")
        target = self.targets.get(file)
        if target:
            try:
                write(target, output.rendered(file, result, self.form))
            except InputError as error:
                self.failed(str(file), str(error))
                return
            self.reporter.line(f"{file} → {target}")
        self.reporter.clear()
        if self.json:
            self._print(output.line(record(result, str(file))))
        elif not target:
            self._print(self._text(file, result))

    def failed(self, name: str, why: str) -> None:
        """An input that gave nothing: one line on standard error, and the JSON line."""
        self.failures += 1
        self.reporter.line(why if name in why else f"{name}: {why}")
        if self.json:
            self._print(output.line({"file": name, "error": why}))

    def rest(self, why: str) -> None:
        """Whatever has no result yet failed for the same reason, which is said once."""
        pending, self.pending = self.pending, []
        if len(pending) > 1 and not self.json:
            self.failures += len(pending)
            self.reporter.line(why)
            return
        for file in pending:
            self.failed(str(file), why)

    def _text(self, file: Path, result: Result) -> str:
        """What is printed of one result; with several inputs it says which one."""
        text = output.rendered(file, result, self.form)
        if not self._many:
            return text
        if self.form != "txt":
            self.reporter.note("Several files: -o FOLDER writes a file for each, --json prints a line for each.")
            return text
        return f"{file}: {text}" if isinstance(result, Description | Nearness) else f"{file}:\n{text}\n"

    def _match(self, file: str) -> Path:
        """The input that a result names, by path or by name; each input is matched once."""
        for name in (str, lambda path: path.name):  # results mostly come in order: the first look finds it
            index = next((i for i, path in enumerate(self.pending) if name(path) == file), None)
            if index is not None:
                return self.pending.pop(index)
        raise AssertionError(f"a result for {file!r}, which is not among the inputs left: {self.pending}")

    def _growing(self, result: Result) -> None:
        """A line that says how far a long file is."""
        if not isinstance(result, Description | Explanation | Nearness | Classification) and result.progress:
            self.reporter.progress(Progress(Path(result.file).name, round(result.progress * 100), 100))

    def _print(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def plan(files: Sequence[Path], out: Path, ending: str, *, folder: bool) -> dict[Path, Path]:
    """Where each input's result goes, with the folder made and known to be writable before any work is done.

    Raises:
        InputError: if nothing can be written there.
    """
    chosen = targets(files, out, ending) if folder else dict.fromkeys(files, out)
    for target in chosen.values():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.open("ab").close()
            if not target.stat().st_size:
                target.unlink()
        except OSError as error:
            raise unwritable(target, error) from None
    return chosen


def write(target: Path, text: str) -> None:
    """Write a result to a file of its own.

    Raises:
        InputError: if the disk is full or the place has gone.
    """
    try:
        target.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise unwritable(target, error) from None


def unwritable(target: Path, error: OSError) -> InputError:
    """The sentence for a place that cannot be written to."""
    return InputError(f"{target} cannot be written ({error.strerror}): choose another place with -o.")
