"""Rows that were corrected or dropped, as a set of the studio's own over another: that one's files stay as they are.

A set is a folder in `fixed` of the home with `edits.jsonl`. Its first line names what it is made over; each line after
that is one step, and the number of steps is the version: a row's new words, a row that is dropped, or the last step
taken back. Reading it reads the other set and applies the steps. Such a file is followed nowhere else: one that comes
with somebody's data could name any file of this machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmdemo.datasets.problems import shown
from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, NoSpace
from mmdemo.settings import Settings

FILE = "edits.jsonl"
Step = dict[str, Any]


@dataclass(frozen=True)
class Edits:
    """What has been done to a set.

    Attributes:
        source: what is to be read first, a folder, a zip or a file.
        steps: those that count: none that was taken back, nor what took it back.
        version: how many steps there were.
    """

    source: Path
    steps: tuple[Step, ...] = ()
    version: int = 0


def root(settings: Settings) -> Path:
    """The folder of all such sets."""
    return Path(settings.home).resolve() / "fixed"


def is_one(folder: Path, settings: Settings) -> bool:
    """Whether a folder is such a set."""
    return folder.resolve().parent == root(settings) and (folder / FILE).is_file()


def place(path: Path, settings: Settings) -> Path:
    """The set over the data at `path`, which may not be there yet; that set itself if `path` is one."""
    if is_one(path, settings):
        return path
    path = path.resolve()
    plain = re.sub(r"[^\w\- ]", "-", shown(path.parent.name if path.name.startswith(".") else path.stem))[:64].strip()
    return root(settings) / f"{plain or 'set'}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def history(folder: Path) -> Edits:
    """What has been done to a set.

    Raises:
        InputError: its file cannot be read.
    """
    try:
        first, *lines = [json.loads(line) for line in (folder / FILE).read_text("utf-8").split("\n") if line.strip()]
        source = Path(first["source"])
        steps: list[Step] = []
        for line in lines:
            if line.get("undo"):
                steps = steps[:-1]
            else:
                steps.append({**line, "row": str(line["row"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"The corrections of {folder.name} cannot be read: choose the data set itself again."
        ) from error
    return Edits(source, tuple(steps), len(lines))


def key(row: Row) -> str:
    """What tells a row of the source from others: where it stands and what it says."""
    said = (row.origin, row.text, row.label, *row.targets, *row.tokens, *row.tags, repr(row.messages))
    return hashlib.sha256("\x1f".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def change(path: Path, row: str, text: str, answer: str, settings: Settings) -> Path:
    """Give the row of that `key` other words, see `changed`; the set that has it now.

    Raises:
        InputError, NoSpace: it cannot be written.
    """
    return _append(path, {"row": row, "text": text, "answer": answer}, settings)


def drop(path: Path, row: str, settings: Settings) -> Path:
    """Leave the row of that `key` out; the set that has not."""
    return _append(path, {"row": row, "drop": True}, settings)


def undo(folder: Path, settings: Settings) -> Path:
    """Take the last step back that counts.

    Raises:
        InputError: there is none.
    """
    if not is_one(folder, settings) or not history(folder).steps:
        raise InputError("There is no correction to take back.")
    return _append(folder, {"undo": True}, settings)


def _append(path: Path, step: Step, settings: Settings) -> Path:
    folder = place(path, settings)
    step["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            _write(folder / FILE, "xb", {"source": str(path.resolve())})
        _write(folder / FILE, "ab", step)
    except OSError as error:
        raise NoSpace(f"The correction cannot be written to {folder} ({error.strerror}): make room there.") from error
    return folder


def _write(file: Path, mode: str, line: Step) -> None:
    with file.open(mode) as opened:
        opened.write((json.dumps(line) + "\n").encode())
        opened.flush()
        os.fsync(opened.fileno())


def asked(row: Row) -> str:
    """What a model is given of a row, as it can be edited."""
    if row.messages:
        return next((one["content"] for one in reversed(row.messages) if one.get("role") == "user"), "")
    return row.text or " ".join(row.tokens)


def answered(row: Row) -> str:
    """What should be answered, as it can be edited: a label, tags with spaces, or texts, one a line."""
    if row.messages:
        return next((one["content"] for one in reversed(row.messages) if one.get("role") == "assistant"), "")
    return row.label or " ".join(row.tags) or "\n".join(" ".join(one.split()) for one in row.targets)


def changed(row: Row, text: str, answer: str) -> Row:
    """The row with other words, in the fields that `asked` and `answered` showed.

    Raises:
        InputError: words and tags that do not fit.
    """
    text, answer = text.strip(), answer.strip()
    if row.messages:
        for role, words in (("user", text), ("assistant", answer)):
            last = max((n for n, one in enumerate(row.messages) if one.get("role") == role), default=None)
            if last is not None:
                new = {**row.messages[last], "content": words}
                row = replace(row, messages=(*row.messages[:last], new, *row.messages[last + 1 :]))
        return row
    if row.tokens:
        tokens, tags = tuple(text.split()), tuple(answer.split())
        if len(tokens) != len(tags):
            raise InputError(f"There are {len(tokens)} words and {len(tags)} tags: give each word one.")
        return replace(row, tokens=tokens, tags=tags)
    if row.label or not row.targets:
        return replace(row, text=text, label=answer)
    return replace(row, text=text, targets=tuple(line.strip() for line in answer.split("\n") if line.strip()))


def applied(rows: Sequence[Row], steps: Sequence[Step]) -> tuple[list[tuple[str, Row]], int]:
    """The rows as they are now, each with its `key`; and how many steps are about rows that are not there."""
    by_key = {step["row"]: step for step in steps}
    found: list[tuple[str, Row]] = []
    for row in rows:
        name = key(row)
        step = by_key.pop(name, None) if name in by_key else None
        if step is None:
            found.append((name, row))
        elif not step.get("drop"):
            found.append((name, changed(row, str(step.get("text", "")), str(step.get("answer", "")))))
    return found, len(by_key)
