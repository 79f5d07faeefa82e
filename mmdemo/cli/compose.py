"""The command `compose`: what a chain of encoders, fusion and language model looks like; with --out, make it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mmdemo.chains import Compose
from mmdemo.cli import flags
from mmdemo.cli.output import megabytes, table
from mmdemo.cli.progress import Reporter
from mmdemo.options import build
from mmdemo.settings import Settings

if TYPE_CHECKING:
    from mmdemo.fusion.shape import Chain

COLUMNS = ("part", "kind", "gives", "trainable", "frozen", "memory")
FAILED = 1


def add_command(commands: Any) -> None:
    """`compose`."""
    sentence = "Show a chain of encoders, fusion and language model; with --out, compose it."
    command = commands.add_parser("compose", help=sentence, description=sentence)
    command.add_argument("--out", metavar="DIR", default="", help="write the chain here, as a model of the studio")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    flags.add_flags(command, Compose)
    command.set_defaults(action=run)


def run(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0, or 1 if there is no such chain.

    Raises:
        StudioError: it cannot be composed.
    """
    options = build(Compose, flags.given(arguments, Compose))
    settings, reporter = Settings.load(), Reporter()
    from mmdemo.training import composing

    folder = None
    if arguments.out:
        folder = Path(arguments.out).expanduser().resolve()
        composing.write(options, folder, settings, reporter.progress)
    found = composing.chain(options, settings, reporter.progress)
    if arguments.json:
        stdout.write(json.dumps(record(found, folder), ensure_ascii=False) + "\n")
    else:
        stdout.writelines(line + "\n" for line in shown(found))
        if folder:
            stdout.write(f"{folder}\n")
    return FAILED if found.problems else 0


def record(chain: Chain, folder: Path | None = None) -> dict[str, Any]:
    """A chain as a JSON object; sizes in bytes, shapes without the batch."""
    parts = [{**dataclasses.asdict(part), "bytes": part.bytes} for part in chain.parts]
    sums = {name: getattr(chain, name) for name in ("trainable", "frozen", "bytes", "training_bytes")}
    return {"parts": parts, **sums, "problems": list(chain.problems), "folder": str(folder) if folder else None}


def shown(chain: Chain) -> list[str]:
    """A chain as a table, or why there is none."""
    if chain.problems:
        return list(chain.problems)
    rows: list[tuple[str, ...]] = [COLUMNS]
    for part in chain.parts:
        name = f"{part.modality} {part.role}".strip()
        shape = " × ".join(map(str, part.output))
        rows.append((name, part.kind, shape, f"{part.trainable:,}", f"{part.frozen:,}", megabytes(part.bytes)))
    told = f"{chain.trainable:,} learned, {chain.frozen:,} frozen; {megabytes(chain.bytes)} in memory, "
    return [*table(rows), told + f"{megabytes(chain.training_bytes)} while it learns"]
