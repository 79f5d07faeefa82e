"""Weights in a repository of the Hugging Face Hub. Nothing here reaches the network before `obtain` is called."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import mmdemo
from mmdemo.catalog import Hub, ModelFile
from mmdemo.errors import Unreachable, WeightsError
from mmdemo.folders import bytes_in
from mmdemo.runtime.sources import process
from mmdemo.runtime.sources.base import Fetch, Progress
from mmdemo.runtime.sources.store import SPARE, digest, inside, is_right, mismatch, no_space

PROGRAM = Path(__file__).with_name("hub_download.py")


def obtain(source: Hub, fetch: Fetch, staging: Path) -> dict[str, ModelFile]:
    """Put the row's files into `fetch.folder`; the checked files by name.

    A row without pinned files takes what the Hub lists, and checks it by the SHA-256 that the Hub lists for the large
    ones. Files that have arrived stay in `staging` when the rest fails or is stopped.

    Raises:
        Unreachable, ChecksumMismatch, NoSpace, Cancelled.
    """
    here = {file.name: file for file in fetch.spec.files if is_right(fetch, file)}
    names = {source.files.get(file.name, file.name): file.name for file in fetch.spec.files if file.name not in here}
    if fetch.spec.files and not names:
        return here
    arrived = staging / "hub"
    for file in _download(source, fetch, arrived, sorted(names)):
        name = names.get(file.name, file.name)
        here[name] = _take(fetch, inside(arrived, file.name), file, name, source)
    shutil.rmtree(arrived, ignore_errors=True)
    return here


def _download(source: Hub, fetch: Fetch, arrived: Path, wanted: list[str]) -> list[ModelFile]:
    """Download into `arrived`; the files as the Hub lists them, with an empty SHA-256 where it lists none."""
    arrived.mkdir(parents=True, exist_ok=True)
    for left in arrived.rglob("*.incomplete"):
        left.unlink()  # the client begins a file anew
    job = {
        "repo": source.repo,
        "revision": source.revision,
        "folder": str(arrived),
        "wanted": wanted,
        "patterns": list(source.patterns),
        "spare": SPARE,
    }
    kept = os.environ.get(mmdemo.HUB_SWITCH_KEPT, "")
    environment = os.environ | {"HF_HUB_DISABLE_PROGRESS_BARS": "1", mmdemo.HUB_SWITCH: kept}
    with tempfile.TemporaryDirectory(prefix="hub-", dir=arrived.parent) as name:
        scratch = Path(name)

        def progress() -> Progress:
            plan = _lines((scratch / "output").read_text("utf-8"))
            total = sum(file["bytes"] for file in plan[0].get("files", ())) if plan else 0
            return Progress(f"Fetching {source.repo} from the Hub", min(bytes_in(arrived), total), total)

        # -P: the folder of the program must not shadow what it imports
        command = [sys.executable, "-P", str(PROGRAM)]
        ended = process.run(command, fetch, progress, scratch, environment, json.dumps(job))
    lines = _lines(ended.output)
    if ended.status or not lines or "done" not in lines[-1]:
        raise _refusal(lines[-1] if lines else {}, ended.errors, source, fetch, arrived)
    return [ModelFile(file["name"], file["sha256"], file["bytes"]) for file in lines[0]["files"]]


def _lines(output: str) -> list[dict[str, Any]]:
    """The whole lines that the program has written so far."""
    return [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]


def _take(fetch: Fetch, path: Path, listed: ModelFile, name: str, source: Hub) -> ModelFile:
    """Check a file that has arrived and move it into the row's folder."""
    pinned = {file.name: file for file in fetch.spec.files}.get(name)
    promised = pinned.sha256 if pinned else listed.sha256
    fetch.report(Progress(f"Checking {name}"))
    found = digest(path, fetch.cancelled)
    if promised and found != promised:
        path.unlink()
        raise mismatch(name, f"{source.repo} on the Hub")
    size = path.stat().st_size
    target = inside(fetch.folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    return ModelFile(name, found, size)


def _refusal(last: dict[str, Any], errors: str, source: Hub, fetch: Fetch, folder: Path) -> WeightsError:
    """What the program's last line means."""
    kind, message = last.get("error", ""), str(last.get("message", ""))
    page = f"{os.environ.get('HF_ENDPOINT', 'https://huggingface.co').rstrip('/')}/{source.repo}"
    match kind:
        case "space":
            free = shutil.disk_usage(folder).free
            return no_space(fetch.spec, folder, int(message) if message.isdigit() else 0, free)
        case "gated":
            return Unreachable(f"{source.repo} is gated: accept its terms at {page} and set HF_TOKEN to your token")
        case "denied":
            return Unreachable(f"the Hub refuses {source.repo} to this user: set HF_TOKEN to a token that may read it")
        case "missing":
            return Unreachable(
                f"the Hub has no {source.repo} at {source.revision!r}, or it is private and needs HF_TOKEN"
            )
        case "absent":
            return Unreachable(f"{source.repo} on the Hub has no file {message}")
        case "switched off":
            return Unreachable("HF_HUB_OFFLINE keeps the Hub from being asked")
        case "unreachable":
            return Unreachable(f"the Hub could not be reached for {source.repo}")
    said = message or next(iter(errors.strip().splitlines()[-1:]), "it was ended")
    return Unreachable(f"the Hub's client could not fetch {source.repo}: {said.rstrip('.')}")
