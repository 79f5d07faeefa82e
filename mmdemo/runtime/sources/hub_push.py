"""Put a folder into a repository of the Hub: only when the user asks for just that, with a token of the environment."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmdemo.catalog import ModelSpec
from mmdemo.errors import InputError, Unreachable, WeightsError
from mmdemo.runtime.sources import hub_ask
from mmdemo.runtime.sources.base import Fetch, Progress
from mmdemo.settings import Settings

NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")


def push(
    folder: Path,
    repo: str,
    settings: Settings,
    *,
    private: bool = True,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> str:
    """Upload all of a folder in one commit; the address of the repository.

    Raises:
        InputError: no name of a repository, or no token.
        Unreachable: offline, or the Hub refuses or cannot be reached.
        Cancelled: the user stopped it.
    """
    check(repo, settings)
    fetch = Fetch(ModelSpec(f"hub:{repo}", repo, "", (), (), "", "", "", 0, 0.0), folder, report, cancelled)

    def refusal(last: dict[str, Any], errors: str) -> WeightsError:
        kind, message = last.get("error", ""), str(last.get("message", ""))
        if kind in ("denied", "missing", "gated"):
            return Unreachable(f"The Hub refuses {repo} to this user: set HF_TOKEN to a token that may write there.")
        if kind == "unreachable":
            return Unreachable(f"The Hub could not be reached for {repo}: try again later.")
        general = hub_ask.out_of_order(kind, message)
        said = str(general) if general else message or next(iter(errors.strip().splitlines()[-1:]), "it was ended")
        return Unreachable(f"{repo} could not be uploaded: {said.rstrip('.')}.")

    job = {"action": "upload", "repo": repo, "folder": str(folder), "private": private}
    with tempfile.TemporaryDirectory() as scratch:
        lines = hub_ask.ask(job, fetch, Path(scratch), lambda _: Progress(f"Uploading {repo}"), refusal)
    return str(lines[-1]["url"])


def check(repo: str, settings: Settings) -> None:
    """Whether one may try at all.

    Raises:
        InputError: no name of a repository, or no token.
        Unreachable: the studio is offline.
    """
    if not NAME.fullmatch(repo):
        raise InputError(f"{repo!r} is no repository of the Hub: give owner/name.")
    if settings.offline:
        raise Unreachable("The studio is offline, so nothing is uploaded: set MMDEMO_OFFLINE to 0 to push to the Hub.")
    if not os.environ.get("HF_TOKEN"):
        raise InputError("There is no token for the Hub: set HF_TOKEN to one that may write.")
