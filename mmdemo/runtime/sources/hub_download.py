"""Actions of `hub_program.py`: look at a repository of the Hub, and download files of it.

`huggingface_hub` 2.4 begins a file anew in every run: `hf_hub_download` writes to a file with a random name and deletes
it when it fails (`_download_to_tmp_and_move`, since its pull request 4228). So the repository's list comes from
`HfApi`, and the bytes from the client's own `http_get`, which can begin in the middle: what has arrived of a file waits
in `.parts` under the checksum that the Hub lists for it, and a later run asks for the rest of just that content.
"""

from __future__ import annotations

import fnmatch
import shutil
from pathlib import Path
from typing import Any

from mmdemo.runtime.sources.hub_program import TIMEOUT, Refused, patient, say

PARTS = ".parts"
PIECE = 1 << 16
"""Bytes of a file that are kept at once: what is lost at most when the program is killed."""
LARGEST = 50_000_000_000
"""Bytes of the largest file that the Hub gives without its own protocol (`constants.MAX_HTTP_DOWNLOAD_SIZE`)."""
READABLE = 2_000_000
"""Bytes of the largest configuration that is read before a download."""
Files = dict[str, dict[str, Any]]


def listed(job: dict[str, Any]) -> tuple[Any, Files]:
    """What the Hub says of `repo` at `revision`; its files with `name`, `bytes`, `sha256` of large ones, `sha1` of
    others (git's, of a blob)."""
    from huggingface_hub import HfApi

    repo, revision = job["repo"], job["revision"]
    info = patient(lambda: HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=TIMEOUT))
    files: Files = {}
    for file in info.siblings or []:
        lfs = file.lfs
        files[file.rfilename] = {
            "name": file.rfilename,
            "bytes": file.size or 0,
            "sha256": lfs.sha256 if lfs else "",
            "sha1": "" if lfs else file.blob_id or "",
        }
    return info, files


def look(job: dict[str, Any]) -> dict[str, Any]:
    """What a repository holds, and the small files of it that `wanted` names, in `folder`; nothing else is fetched."""
    info, known = listed(job)
    card = info.card_data.to_dict() if info.card_data else {}
    licence = card.get("license_name") if card.get("license") == "other" else card.get("license")
    tags = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    licence = licence or next(iter(tags), "")
    say(
        {
            "commit": info.sha,
            "files": list(known.values()),
            "licence": licence if isinstance(licence, str) else ", ".join(map(str, licence)),
            "parameters": info.safetensors.total if info.safetensors else (info.gguf or {}).get("total", 0),
            "task": info.pipeline_tag or "",
            "downloads": info.downloads or 0,
            "likes": info.likes or 0,
            "gated": bool(info.gated),
        }
    )
    for name in sorted(known.keys() & set(job["wanted"])):
        if known[name]["bytes"] <= READABLE and plain(name):
            take(job["repo"], info.sha, known[name], Path(job["folder"]))
    return {"done": True}


def choose(names: list[str], wanted: list[str], patterns: list[str]) -> list[str]:
    """The files to take: `wanted`, or else what matches. A pattern without a slash matches no file of a subfolder."""
    if wanted:
        return wanted
    return [
        name
        for name in names
        if any(fnmatch.fnmatchcase(name, pattern) and name.count("/") == pattern.count("/") for pattern in patterns)
    ]


def plain(name: str) -> bool:
    """Whether a name stays inside its folder."""
    return "\\" not in name and ":" not in name and not {"", ".", ".."} & set(name.split("/"))


def download(job: dict[str, Any]) -> dict[str, Any]:
    """Put files of a repository into `folder`, but for those that `place` has; first their list, then the files."""
    info, known = listed(job)
    names = choose(sorted(known), job["wanted"], job["patterns"])
    if not names or not known.keys() >= set(names):
        absent = ", ".join(sorted(set(names) - known.keys())) or " or ".join(job["patterns"])
        return {"error": "absent", "message": absent}
    strange = [name for name in names if not plain(name)]
    if strange:
        return {"error": "other", "message": f"it lists {strange[0]!r}, which is no plain file name"}
    folder, place = Path(job["folder"]), Path(job["place"])
    files = [known[name] for name in names]
    say({"commit": info.sha, "files": files})
    parts = folder / PARTS
    for left in parts.iterdir() if parts.is_dir() else ():
        if left.name not in {identity(file) for file in files}:
            left.unlink()  # of another commit
    missing = [file for file in files if not any(whole(where / file["name"], file) for where in (folder, place))]
    needed = sum(max(0, file["bytes"] - size(parts / identity(file))) for file in missing)
    if missing and needed + job["spare"] > shutil.disk_usage(folder).free:
        return {"error": "space", "message": str(needed + job["spare"])}
    for file in missing:
        take(job["repo"], info.sha, file, folder)
    return {"done": True}


def identity(file: dict[str, Any]) -> str:
    """The name of what has arrived of a file: its content, as the Hub names it."""
    return file["sha256"] or file["sha1"] or file["name"].replace("/", "--")  # type: ignore[no-any-return]


def size(path: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    return path.stat().st_size if path.is_file() else 0


def whole(path: Path, file: dict[str, Any]) -> bool:
    """Whether a file is there, by its size; the program that reads this one's output looks at its checksum."""
    return path.is_file() and path.stat().st_size == file["bytes"]


class TooMuch(Exception):
    """More came of a file than was announced."""


class Part:
    """An open file that takes no more bytes than it should have: a server may send without an end."""

    def __init__(self, file: Any, most: int) -> None:
        self._file, self._most = file, most
        self.seek, self.tell, self.truncate = file.seek, file.tell, file.truncate

    def write(self, data: bytes) -> None:
        """Write at once, so that it is there whatever happens next."""
        if self._file.tell() + len(data) > self._most:
            raise TooMuch
        self._file.write(data)


def take(repo: str, commit: str, file: dict[str, Any], folder: Path) -> None:
    """Download one file, on from where an earlier try ended."""
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers

    target = folder / file["name"]
    if file["bytes"] > LARGEST:
        patient(lambda: hf_hub_download(repo, file["name"], revision=commit, local_dir=folder))
        return
    constants.DOWNLOAD_CHUNK_SIZE = PIECE
    part = folder / PARTS / identity(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    if size(part) > file["bytes"]:
        part.unlink()
    reached = size(part)

    def moved() -> bool:
        nonlocal reached
        before, reached = reached, size(part)
        return reached > before

    def go_on() -> None:
        with part.open("ab", buffering=0) as out:
            there = out.tell()
            try:
                http_get(
                    hf_hub_url(repo, file["name"], revision=commit),
                    Part(out, file["bytes"]),  # type: ignore[arg-type]
                    resume_size=there,
                    headers=build_hf_headers(),
                    expected_size=file["bytes"],
                )
            except HfHubHTTPError as error:
                if error.response.status_code != 416:
                    raise
                out.truncate(0)  # it has no such bytes: what is here is of another file
                raise Refused(416) from error

    try:
        patient(go_on, moved)
    except TooMuch:
        pass  # of another size than was announced: its checksum will say so
    except OSError as error:
        if error.errno is not None or isinstance(error, (HfHubHTTPError, ConnectionError)):
            raise
    part.replace(target)
