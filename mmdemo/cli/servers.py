"""The command `models served`: what a server serves, and adding one of its models under a name of its own."""

from __future__ import annotations

import argparse
import json
from typing import Any, TextIO

from mmdemo import remote_rows
from mmdemo.cli.progress import Reporter
from mmdemo.runtime.sources import Progress
from mmdemo.studio import Studio


def add_command(actions: Any) -> None:
    """`models served URL [--add MODEL] [--json]`."""
    sentence = "List the models that a server with OpenAI's protocol serves, or add one of them."
    command = actions.add_parser("served", help=sentence, description=sentence)
    command.add_argument("url", metavar="URL", help="where the server's API begins, such as http://127.0.0.1:8000/v1")
    command.add_argument(
        "--add", metavar="MODEL", default="", help="give this model of the server a name, for all tabs and commands"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object for each model, a line each")
    command.set_defaults(action=run)


def run(arguments: argparse.Namespace, stdout: TextIO) -> int:
    """The exit status: 0 if the server answered, and has what is to be added.

    Raises:
        InputError: for an address that is none.
        Unreachable, ServerFailed: the server does not answer, or not as it should.
    """
    studio, reporter = Studio(), Reporter()
    keys: list[str] = []
    try:
        for event in studio.served(arguments.url):
            if isinstance(event, Progress):
                reporter.progress(event)
            else:
                keys = event
        if arguments.add:
            wanted = f"{remote_rows.PREFIX}{arguments.add}@{remote_rows.base(arguments.url)}"
            if wanted not in keys:
                names = ", ".join(remote_rows.parted(key)[0] for key in keys)
                reporter.line(f"The server has no model {arguments.add!r}; it has: {names}.")
                return 1
            keys = [studio.declare(wanted).key]
    finally:
        reporter.clear()
        studio.close()
    lines = [json.dumps({"key": key}, ensure_ascii=False) for key in keys] if arguments.json else keys
    stdout.writelines(line + "\n" for line in lines)
    return 0
