"""A model given as a repository of the Hub: `hub:owner/name`, `hub:owner/name@revision`, `hub:owner/name/file.gguf`.

What such a row is, the repository tells: `runtime/sources/hub_look.py` asks it before anything is fetched and writes
the row into the folder of the models, where it is found again without a network. A key that nobody has asked about yet
has a row too, which knows no more than the key (`is_unseen`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdemo.errors import InputError
from mmdemo.specs import Hub, ModelSpec

PREFIX = "hub:"
ROW = ".row.json"
LOOKED = ".look"
"""Folder, beside the row, with the configuration that the Hub showed before anything was fetched."""
"""What is known of a repository, in the folder for its files."""
NAME = r"[A-Za-z0-9](?:[\w.-]*[\w])?"
KEY = re.compile(
    rf"{PREFIX}(?P<repo>{NAME}/{NAME})(?:@(?P<revision>[\w.-]+))?(?:/(?P<file>[^\\:*?\"<>|]+\.gguf))?", re.ASCII
)
_folders: list[Path] = []


@dataclass(frozen=True)
class Address:
    """What a key says. `file`: the one GGUF file of the repository that is meant, or empty."""

    repo: str
    revision: str = "main"
    file: str = ""

    @property
    def key(self) -> str:
        """The key of this address."""
        revision = "" if self.revision == "main" else f"@{self.revision}"
        return f"{PREFIX}{self.repo}{revision}" + (f"/{self.file}" if self.file else "")

    @property
    def title(self) -> str:
        """What it is called."""
        return (self.file or self.repo).rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The name of the folder for its files: no two addresses have the same."""
        name = f"hub--{self.repo.replace('/', '--')}"  # the Hub has no repository with -- in its name
        if self.revision != "main":
            name += f"@{self.revision}"
        return f"{name}--{hashlib.sha256(self.file.encode()).hexdigest()[:12]}" if self.file else name


def address(key: str) -> Address:
    """What a `hub:` key says.

    Raises:
        InputError: for one that is not well formed.
    """
    found = KEY.fullmatch(key)
    strange = not found or any(part in found["repo"] for part in ("--", "..")) or found["revision"] in (".", "..")
    if found is None or strange or {"", ".", ".."} & set((found["file"] or "x").split("/")):
        raise InputError(
            f"{key!r} names no repository of the Hub: write it as hub:owner/name, hub:owner/name@revision or "
            "hub:owner/name/file.gguf."
        )
    return Address(found["repo"], found["revision"] or "main", found["file"] or "")


def is_key(text: str) -> bool:
    """Whether it is a well-formed `hub:` key."""
    try:
        address(text)
    except InputError:
        return False
    return True


def folder_name(key: str) -> str:
    """The name of the folder for the files of any row, in the folder of the models."""
    return address(key).folder if key.startswith(PREFIX) else re.sub(r"[^\w.@-]", "-", key, flags=re.ASCII)


def use(models: Path) -> None:
    """Look for rows in this folder of models from now on: a key alone does not say where its studio keeps them."""
    _folders[:] = [models]


def spec_of(key: str, models: Path | None = None) -> ModelSpec:
    """The row of a `hub:` key, in a folder of models; by default in that of the last studio that has begun.

    Raises:
        InputError: for one that is not well formed.
    """
    where = address(key)
    for folder in [models] if models else _folders:
        row = read(folder / where.folder)
        if row is not None and row.key == where.key:
            return row
    source = Hub(where.repo, where.revision)
    return ModelSpec(where.key, where.title, "", (), (source,), "not known yet", "", where.repo, 0, 0.0)


def is_unseen(spec: ModelSpec) -> bool:
    """Whether this is the row of a repository that nobody has asked about yet."""
    return spec.key.startswith(PREFIX) and not spec.backend


def rows(models: Path) -> Iterator[ModelSpec]:
    """The rows that are written down in a folder of models, by key."""
    found = (read(folder) for folder in models.glob("hub--*") if folder.is_dir())
    yield from sorted((row for row in found if row is not None), key=lambda row: row.key.lower())


def write(spec: ModelSpec, folder: Path) -> None:
    """Write a row into the folder for its files."""
    values = {name: value for name, value in dataclasses.asdict(spec).items() if name not in ("sources", "files")}
    source = next(source for source in spec.sources if isinstance(source, Hub))
    values["hub"] = {"repo": source.repo, "revision": source.revision, "patterns": source.patterns}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{ROW}.{os.getpid()}"
    partial.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / ROW)


def read(folder: Path) -> ModelSpec | None:
    """The row that is written down in a folder; None if there is none, or one of another version of the program."""
    try:
        values: dict[str, Any] = json.loads((folder / ROW).read_bytes())
        hub = values.pop("hub")
        source = Hub(hub["repo"], hub["revision"], patterns=tuple(hub["patterns"]))
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        spec = ModelSpec(**{**values, **lists}, sources=(source,))
        return spec if address(spec.key).folder == folder.name and spec.backend and spec.tasks else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return None
