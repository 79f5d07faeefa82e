"""The command `models`: what there is, search for more, what one takes, fetch it, prepare it, remove it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any, TextIO

from mmdemo import catalog
from mmdemo.cli import estimate, search, servers
from mmdemo.cli.output import megabytes, table
from mmdemo.cli.progress import Reporter
from mmdemo.errors import StudioError
from mmdemo.runtime.standing import Row
from mmdemo.studio import Studio

COLUMNS = ("key", "title", "size", "cached", "used", "licence")


def add_command(commands: Any) -> None:
    """`models list|search|served|estimate|fetch|prepare|remove`."""
    about = "List, search, estimate, fetch, prepare and remove checkpoints."
    group = commands.add_parser("models", help=about, description=about)
    actions = group.add_subparsers(
        dest="what", required=True, metavar="list|search|served|estimate|fetch|prepare|remove"
    )
    search.add_command(actions)
    servers.add_command(actions)
    estimate.add_command(actions)
    for what, sentence in (
        ("list", "Show what there is and what is in the cache."),
        ("fetch", "Put checkpoints into the cache."),
        (
            "prepare",
            "Load checkpoints once, so that what an engine converts is converted and the first answer is quick.",
        ),
        ("remove", "Delete checkpoints from the cache."),
    ):
        command = actions.add_parser(what, help=sentence, description=sentence)
        command.add_argument("keys", nargs="*", metavar="KEY", help="a key that `models list` or `models search` shows")
        command.add_argument("--starter", action="store_true", help="the starter set")
        command.add_argument(
            "--json", action="store_true", help="print one JSON object for each checkpoint, a line each"
        )
        command.set_defaults(action=lambda arguments, stdout, command=command: run(command, arguments, stdout))


def run(command: argparse.ArgumentParser, arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 if everything asked for was done, else 1.

    Raises:
        UnknownName: for a key that the catalog does not have, before anything is done.
    """
    if not arguments.keys and not arguments.starter and arguments.what != "list":
        command.error("name at least one KEY, or --starter")
    studio = Studio()  # which knows where rows are that the catalog has not
    keys = list(dict.fromkeys(catalog.get(key).key for key in arguments.keys))
    if arguments.starter:
        keys += [row.key for row in catalog.ROWS if row.starter and row.key not in keys]
    if arguments.what == "list":
        status = _list(studio, keys, arguments.json, stdout)
    else:
        status = _each(studio, arguments.what, keys, arguments.json, stdout)
    studio.close()
    return status


def _list(studio: Studio, keys: list[str], as_json: bool, stdout: TextIO) -> int:
    rows = [row for row in studio.rows() if not keys or row.spec.key in keys]
    if as_json:
        stdout.writelines(json.dumps(record(row), ensure_ascii=False) + "\n" for row in rows)
        return 0
    cells = [COLUMNS] + [
        (row.spec.key, row.spec.title, megabytes(size(row)), _here(row), _used(row), row.spec.licence) for row in rows
    ]
    stdout.writelines(line + "\n" for line in table(cells))
    return 0


def _here(row: Row) -> str:
    if row.cached:
        return "yes, but broke down" if row.problem else "yes"
    return f"{megabytes(row.arrived)} of it" if row.arrived else "no"


def _used(row: Row) -> str:
    return row.last_used.astimezone().strftime("%Y-%m-%d %H:%M") if row.last_used else "-"


def _each(studio: Studio, what: str, keys: list[str], as_json: bool, stdout: TextIO) -> int:
    """Fetch, prepare or remove each; one that fails does not keep the others from being tried."""
    reporter, status = Reporter(), 0
    for key in keys:
        try:
            found = ACTIONS[what](studio, key, reporter)
        except StudioError as error:
            reporter.line(f"{key}: {error}")
            found, status = {"key": key, "error": str(error)}, 1
        if as_json:
            stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
            stdout.flush()
    return status


def _fetch(studio: Studio, key: str, reporter: Reporter) -> dict[str, Any]:
    """Fetch a row and the rows it is assembled from."""
    for progress in studio.fetch(key):
        reporter.progress(progress)
    for part in catalog.get(key).parts:
        for progress in studio.fetch(part):
            reporter.progress(progress)
    row = next(row for row in studio.rows() if row.spec.key == key)
    reporter.line(f"{key}: in the cache ({megabytes(size(row))})")
    return {"key": key, "cached": row.cached, "bytes": size(row)}


def _prepare(studio: Studio, key: str, reporter: Reporter) -> dict[str, Any]:
    """Load a row once and free it again."""
    for progress in studio.load(key):
        reporter.progress(progress)
    studio.unload(key)
    reporter.line(f"{key}: ready")
    return {"key": key, "ready": True}


def _remove(studio: Studio, key: str, reporter: Reporter) -> dict[str, Any]:
    freed = studio.remove(key)
    reporter.line(f"{key}: {megabytes(freed)} freed")
    return {"key": key, "freed": freed}


ACTIONS: dict[str, Callable[[Studio, str, Reporter], dict[str, Any]]] = {
    "fetch": _fetch,
    "prepare": _prepare,
    "remove": _remove,
}


def record(row: Row) -> dict[str, Any]:
    """A row of the catalog as a JSON object; sizes in bytes."""
    spec = row.spec
    return {
        "key": spec.key,
        "title": spec.title,
        "tasks": list(spec.tasks),
        "bytes": size(row),
        "cached": row.cached,
        "arrived": row.arrived,
        "problem": row.problem,
        "last_used": row.last_used.isoformat() if row.last_used else None,
        "starter": spec.starter,
        "licence": spec.licence,
        "origin": spec.origin,
        "about": spec.about,
    }


def size(row: Row) -> int:
    """Bytes on disk, or what they will be."""
    return row.disk or row.spec.bytes
