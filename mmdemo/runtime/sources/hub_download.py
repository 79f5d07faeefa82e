"""Download files of a Hub repository: a program of its own, which `hub.py` runs, watches and stops.

It reads one JSON object from standard input (`repo`, `revision`, `folder`, `wanted`, `patterns`, `spare`) and writes
one JSON object a line: first the plan (`commit` and `files` with `name`, `bytes`, `sha256` where the Hub knows it),
then `done` or `error` with a `message`. It imports nothing of this program. `huggingface_hub` reads HF_ENDPOINT,
HF_TOKEN and its other settings from the environment.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import shutil
import sys
from pathlib import Path
from typing import Any

TIMEOUT = 20
"""Seconds to wait for the Hub's list of files."""


def choose(names: list[str], wanted: list[str], patterns: list[str]) -> list[str]:
    """The files to take: `wanted`, or else what matches. A pattern without a slash matches no file of a subfolder."""
    if wanted:
        return wanted
    return [
        name
        for name in names
        if any(fnmatch.fnmatchcase(name, pattern) and name.count("/") == pattern.count("/") for pattern in patterns)
    ]


def download(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job; the last line to write."""
    from huggingface_hub import HfApi, hf_hub_download

    info = HfApi().model_info(job["repo"], revision=job["revision"], files_metadata=True, timeout=TIMEOUT)
    known = {file.rfilename: file for file in info.siblings or []}
    names = choose(sorted(known), job["wanted"], job["patterns"])
    if not names or not known.keys() >= set(names):
        absent = ", ".join(sorted(set(names) - known.keys())) or " or ".join(job["patterns"])
        return {"error": "absent", "message": absent}
    strange = [name for name in names if "\\" in name or {"", ".", ".."} & set(name.split("/"))]
    if strange:
        return {"error": "other", "message": f"it lists {strange[0]!r}, which is no plain file name"}
    files: list[dict[str, Any]] = []
    for name in names:
        lfs = known[name].lfs
        files.append({"name": name, "bytes": known[name].size or 0, "sha256": lfs.sha256 if lfs else ""})
    say({"commit": info.sha, "files": files})
    needed = sum(file["bytes"] for file in files if not (Path(job["folder"]) / file["name"]).is_file())
    if needed + job["spare"] > shutil.disk_usage(job["folder"]).free:
        return {"error": "space", "message": str(needed + job["spare"])}
    for name in names:
        hf_hub_download(job["repo"], name, revision=info.sha, local_dir=job["folder"])
    return {"done": True}


def meaning(error: Exception) -> str:
    """Which kind of failure an exception of the Hub's client is."""
    import httpx2
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", 0)
    if isinstance(error, errors.GatedRepoError):
        return "gated"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return "unreachable"  # the client's word for a file that it could not ask for
    absent = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError)
    if isinstance(error, absent) or status == 404:
        return "missing"
    if status in (401, 403):
        return "denied"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "space"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "switched off"
    if isinstance(error, (httpx2.TransportError, ConnectionError, TimeoutError)) or status >= 500:
        return "unreachable"
    return "other"


def say(line: dict[str, Any]) -> None:
    """Write one line."""
    print(json.dumps(line), flush=True)


def main() -> int:
    """Read the job, do it, report how it ended."""
    try:
        last = download(json.load(sys.stdin))
    except Exception as error:  # noqa: BLE001  # reported to the program that reads this one's output
        text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        last = {"error": meaning(error), "message": text}
    say(last)
    return 0 if "done" in last else 1


if __name__ == "__main__":
    sys.exit(main())
