"""An action of `hub_program.py`: the headers of safetensors files on the Hub, and nothing else of them.

`HfApi.parse_safetensors_file_metadata` asks for ranges too, and reads whatever comes: where a server leaves ranges
aside, the whole file. Here an answer that is no range is not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdemo.runtime.headers import HEAD, LONGEST
from mmdemo.runtime.sources.hub_download import choose, listed, plain
from mmdemo.runtime.sources.hub_program import TIMEOUT, patient

FIRST = 100_000
"""Bytes that are asked for at once: most headers are shorter (huggingface_hub's pull request 1855)."""


def heads(job: dict[str, Any]) -> dict[str, Any]:
    """Put the beginnings of the safetensors files of `repo` that `patterns` match into `folder`, as `.head` files.

    `ranges` says whether the server gives parts of files; if not, none is written.
    """
    _, known = listed(job)
    names = [name for name in choose(sorted(known), [], job["patterns"]) if name.endswith(".safetensors")]
    fronts: dict[str, bytes] = {}
    for name in names:
        if not plain(name) or "/" in name:
            continue
        size = known[name]["bytes"]
        front = beginning(job["repo"], job["revision"], name, size)
        if front is None:
            return {"done": True, "ranges": False}
        fronts[name] = size.to_bytes(8, "little") + front
    for name, data in fronts.items():
        (Path(job["folder"]) / (name + HEAD)).write_bytes(data)
    return {"done": True, "ranges": True}


def beginning(repo: str, revision: str, name: str, size: int) -> bytes | None:
    """A file as far as its header goes; of a header that is longer than any, or than the file, only what came first."""
    front = piece(repo, revision, name, 0, min(FIRST, size))
    if front is None:
        return None
    length = int.from_bytes(front[:8], "little")
    if length > min(LONGEST, size - 8) or len(front) >= 8 + length:
        return front[: 8 + length]
    rest = piece(repo, revision, name, len(front), 8 + length)
    return None if rest is None else front + rest


def piece(repo: str, revision: str, name: str, begin: int, end: int) -> bytes | None:
    """The bytes of a file from `begin` to before `end`; None if the server does not give just those."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._http import get_session, hf_raise_for_status

    if begin >= end:
        return b""
    asked = {**build_hf_headers(), "Range": f"bytes={begin}-{end - 1}", "Accept-Encoding": "identity"}

    def ask() -> bytes | None:
        url = hf_hub_url(repo, name, revision=revision)
        with get_session().stream("GET", url, headers=asked, timeout=TIMEOUT) as answer:
            hf_raise_for_status(answer)
            given = answer.headers.get("Content-Range", "").startswith(f"bytes {begin}-{end - 1}/")
            if answer.status_code != 206 or not given:
                return None
            data = bytearray()
            for part in answer.iter_bytes():
                data += part
                if len(data) > end - begin:
                    return None
            return bytes(data) if len(data) == end - begin else None

    return patient(ask)
