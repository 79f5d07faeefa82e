"""Ask the Hub: run `hub_program` in a process of its own, watch it, and say in a sentence what went wrong.

Nothing else reaches the Hub: see docs/decisions/0004.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmdemo
from mmdemo.catalog import Hub
from mmdemo.errors import Unreachable, WeightsError
from mmdemo.runtime.sources import process
from mmdemo.runtime.sources.base import Fetch, Progress
from mmdemo.runtime.sources.store import no_space

ROOT = Path(mmdemo.__file__).parents[1]
# last on the path, and -P: nothing in these folders may shadow what the program imports
PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); from mmdemo.runtime.sources.hub_program import main; sys.exit(main())"
)
PAUSES = (1.0, 2.0, 4.0)
"""Seconds before something is asked again that failed for a reason that may pass."""
Lines = list[dict[str, Any]]


def ask(
    job: dict[str, Any],
    fetch: Fetch,
    scratch: Path,
    progress: Callable[[Lines], Progress],
    refusal: Callable[[dict[str, Any], str], WeightsError],
) -> Lines:
    """What the program writes, line by line, for a job of `hub_program.ACTIONS`.

    Args:
        scratch: an existing folder, for a folder of its own in it.
        progress: how far it is, by the lines so far.
        refusal: the error for the last line and what else was said.

    Raises:
        WeightsError: what `refusal` makes.
        Cancelled: the user stopped it.
    """
    kept = os.environ.get(mmdemo.HUB_SWITCH_KEPT, "")
    environment = os.environ | {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1", mmdemo.HUB_SWITCH: kept, mmdemo.HUB_SWITCH_KEPT: kept,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="hub-", dir=scratch) as name:
        folder = Path(name)

        def now() -> Progress:
            lines = _lines((folder / "output").read_text("utf-8"))
            if lines and lines[-1].get("waiting"):
                return Progress(f"Asking the Hub again in {lines[-1]['waiting']} s")
            return progress(lines)

        command = [sys.executable, "-P", "-c", PROGRAM, str(ROOT)]
        ended = process.run(command, fetch, now, folder, environment, json.dumps({**job, "pauses": PAUSES}))
    lines = _lines(ended.output)
    if ended.status or not lines or "done" not in lines[-1]:
        raise refusal(lines[-1] if lines else {}, ended.errors)
    return [line for line in lines if "waiting" not in line]


def _lines(output: str) -> Lines:
    """The whole lines that the program has written so far."""
    return [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]


def endpoint() -> str:
    """Where the Hub is: HF_ENDPOINT names a mirror."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def refusal(last: dict[str, Any], errors: str, source: Hub, fetch: Fetch, folder: Path) -> WeightsError:
    """What the program's last line means, for what is asked of one repository."""
    kind, message = last.get("error", ""), str(last.get("message", ""))
    match kind:
        case "space":
            free = shutil.disk_usage(folder).free
            return no_space(fetch.spec, folder, int(message) if message.isdigit() else 0, free)
        case "gated":
            page = f"{endpoint()}/{source.repo}"
            return Unreachable(f"{source.repo} is gated: accept its terms at {page} and set HF_TOKEN to your token")
        case "denied":
            return Unreachable(f"the Hub refuses {source.repo} to this user: set HF_TOKEN to a token that may read it")
        case "missing":
            return Unreachable(
                f"the Hub has no {source.repo} at {source.revision!r}, or it is private and needs HF_TOKEN"
            )
        case "absent":
            return Unreachable(f"{source.repo} on the Hub has no file {message}")
        case "unreachable":
            return Unreachable(f"the Hub could not be reached for {source.repo}")
    general = out_of_order(kind, message)
    if general:
        return general
    said = message or next(iter(errors.strip().splitlines()[-1:]), "it was ended")
    return Unreachable(f"the Hub's client could not fetch {source.repo}: {said.rstrip('.')}")


def out_of_order(kind: str, message: str) -> Unreachable | None:
    """The error for what has nothing to do with one repository."""
    match kind:
        case "switched off":
            return Unreachable("HF_HUB_OFFLINE keeps the Hub from being asked")
        case "busy" if message:
            return Unreachable(f"the Hub has too many requests from here and asks to wait {message} s")
        case "busy":
            return Unreachable("the Hub has too many requests from here and asks to wait")
        case "trouble":
            return Unreachable(f"the Hub is out of order (status {message}): try again later")
    return None
