"""Weights in a repository of the Hugging Face Hub. Nothing here reaches the network before `obtain` is called."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from mmdemo.catalog import Hub, ModelFile
from mmdemo.folders import bytes_in, size_of
from mmdemo.runtime.sources import hub_ask
from mmdemo.runtime.sources.base import Fetch, Progress
from mmdemo.runtime.sources.store import SPARE, digest, inside, is_right, mismatch


def obtain(source: Hub, fetch: Fetch, staging: Path) -> dict[str, ModelFile]:
    """Put the row's files into `fetch.folder`; the checked files by name.

    A row without pinned files takes what the Hub lists, and checks it by the checksums that the Hub lists. What has
    arrived stays in `staging` when the rest fails or is stopped, and is not fetched again, down to the half of a file.

    Raises:
        Unreachable, ChecksumMismatch, NoSpace, Cancelled.
    """
    here = {file.name: file for file in fetch.spec.files if is_right(fetch, file)}
    names = {source.files.get(file.name, file.name): file.name for file in fetch.spec.files if file.name not in here}
    if fetch.spec.files and not names:
        return here
    arrived = staging / "hub"
    for file in _download(source, fetch, arrived, sorted(names)):
        name = names.get(file["name"]) or file["name"]
        if name.endswith(".gguf") and file["name"] not in names:
            name = name.rpartition("/")[2]  # engines look for it at the top
        here[name] = _take(fetch, inside(arrived, file["name"]), file, name, source)
    shutil.rmtree(arrived, ignore_errors=True)
    return here


def _download(source: Hub, fetch: Fetch, arrived: Path, wanted: list[str]) -> list[dict[str, Any]]:
    """Download into `arrived`; the files as the Hub lists them, with empty checksums where it lists none."""
    arrived.mkdir(parents=True, exist_ok=True)
    job = {
        "action": "download",
        "repo": source.repo,
        "revision": source.revision,
        "folder": str(arrived),
        # a row without pinned files may have some in place, of a try that was ended while it checked them
        "place": str(arrived if fetch.spec.files else fetch.folder),
        "wanted": wanted,
        "patterns": list(source.patterns),
        "spare": SPARE,
    }

    def progress(lines: hub_ask.Lines) -> Progress:
        plan: list[dict[str, Any]] = next((line["files"] for line in lines if "files" in line), [])
        total = sum(file["bytes"] for file in plan)
        there = sum(max(0, size_of(fetch.folder / file["name"])) for file in plan) if not fetch.spec.files else 0
        return Progress(f"Fetching {source.repo} from the Hub", min(bytes_in(arrived) + there, total), total)

    lines = hub_ask.ask(
        job, fetch, arrived.parent, progress,
        lambda last, errors: hub_ask.refusal(last, errors, source, fetch, arrived),
    )  # fmt: skip
    fetch.report(progress(lines))  # a quick one is over before anybody has looked
    return next(line["files"] for line in lines if "files" in line)


def _take(fetch: Fetch, path: Path, listed: dict[str, Any], name: str, source: Hub) -> ModelFile:
    """Check a file that has arrived and move it into the row's folder."""
    pinned = {file.name: file for file in fetch.spec.files}.get(name)
    target = inside(fetch.folder, name)
    if not path.is_file():
        path = target
    promised = pinned.sha256 if pinned else listed["sha256"]
    fetch.report(Progress(f"Checking {name}"))
    found, size = digest(path, fetch.cancelled), path.stat().st_size
    right = promised in ("", found) and (pinned is not None or size == listed["bytes"])
    if right and not promised and listed["sha1"]:
        right = git_blob(path) == listed["sha1"]
    if not right:
        path.unlink()
        raise mismatch(name, f"{source.repo} on the Hub")
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    return ModelFile(name, found, size)


def git_blob(path: Path) -> str:
    """The name that git has for a file's content: what the Hub lists for small files.

    Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    """
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
