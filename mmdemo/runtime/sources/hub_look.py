"""What a repository of the Hub holds, before any of its weights are fetched: its row, its size, or why it is no use."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import Any

from mmdemo import folders, hub_rows, trusted_code
from mmdemo.catalog import Hub, ModelSpec
from mmdemo.errors import Unreachable, WeightsError
from mmdemo.runtime import headers, trust
from mmdemo.runtime.sources import hub_ask, store
from mmdemo.runtime.sources.base import Fetch, Progress
from mmdemo.runtime.sources.hub_choice import choose, eye_for
from mmdemo.settings import Settings

READ = (
    "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "tokenizer_config.json", "chat_template.json", "chat_template.jinja", "adapter_config.json",
)  # fmt: skip
"""What is read of a repository to see what it is."""
BLIND = " It talks only; with the package xllamacpp it would see as well."
"""What is said of a GGUF model without its `mmproj` file, which nothing here could run."""


def look(
    spec: ModelSpec,
    settings: Settings,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ModelSpec:
    """The row of a repository, asked for and written down; its weights stay where they are.

    Raises:
        Unreachable: the Hub does not answer, or not for this user.
        WeightsError: no engine here runs it, or it has no weights that can be opened safely.
        Cancelled, InputError.
    """
    where = hub_rows.address(spec.key)
    folder = settings.models_folder / where.folder
    with store.disk_errors(spec, folder):
        settings.models_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".look-", dir=settings.models_folder) as scratch:
            told, there = ask(where, Fetch(spec, folder, report, cancelled), Path(scratch))
            trusted = trusted_code.trusts(spec.key, settings)
            for path in sorted(there.glob("*.json")) if not trusted else ():
                trust.code(path, where.title, where.key)
            row = row_of(where, told, there, trusted)
            hub_rows.write(row, folder)
            shutil.copytree(there, folder / hub_rows.LOOKED, dirs_exist_ok=True)
    return row


def ask(where: hub_rows.Address, fetch: Fetch, scratch: Path) -> tuple[dict[str, Any], Path]:
    """What the Hub tells of a repository, and a folder with its small files."""
    small = scratch / "small"
    small.mkdir()
    job = {
        "action": "look", "repo": where.repo, "revision": where.revision, "folder": str(small), "wanted": list(READ),
    }  # fmt: skip
    words = Progress(f"Looking at {where.repo} on the Hub")
    source = Hub(where.repo, where.revision)

    def refusal(last: dict[str, Any], errors: str) -> WeightsError:
        reason = hub_ask.refusal(last, errors, source, fetch, scratch)
        return Unreachable(f"{fetch.spec.title} could not be fetched ({reason}).")

    return hub_ask.ask(job, fetch, scratch, lambda lines: words, refusal)[0], small


class NoNetwork(Unreachable):
    """Nobody answers: what was told before is all there is."""


def measure(
    row: ModelSpec,
    known: Path,
    settings: Settings,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Put the headers of a repository's safetensors files beside its configuration, which says less of its weights.

    Nothing is put there if it has none, if its server gives no parts of files, or if nobody answers.

    Args:
        row: what `look` has written.
        known: the folder with the configuration.

    Raises:
        Unreachable: the Hub does not give them to this user.
        WeightsError: a header is broken, or lies.
        Cancelled.
    """
    source = next(source for source in row.sources if isinstance(source, Hub))
    if not any(pattern.endswith(".safetensors") for pattern in source.patterns):
        return
    fetch = Fetch(row, known.parent, report, cancelled)
    with store.disk_errors(row, known), tempfile.TemporaryDirectory(prefix=".look-", dir=known.parent.parent) as name:
        scratch = Path(name)
        small = scratch / hub_rows.address(row.key).folder
        small.mkdir()
        job = {
            "action": "heads", "repo": source.repo, "revision": source.revision, "folder": str(small),
            "patterns": list(source.patterns),
        }  # fmt: skip
        words = Progress(f"Looking at {source.repo} on the Hub")

        def refusal(last: dict[str, Any], errors: str) -> WeightsError:
            reason = hub_ask.refusal(last, errors, source, fetch, scratch)
            kind = NoNetwork if last.get("error") in ("unreachable", "switched off") else Unreachable
            return kind(f"{row.title} could not be fetched ({reason}).")

        try:
            hub_ask.ask(job, fetch, scratch, lambda lines: words, refusal)
        except NoNetwork:
            return
        for path in sorted(small.iterdir()):
            headers.check(path)
        for path in sorted(small.iterdir()):
            path.replace(known / path.name)


def row_of(where: hub_rows.Address, told: dict[str, Any], there: Path, trusted: bool = False) -> ModelSpec:
    """The row that a folder with the chosen files would have; its Python code is among them if it may run."""
    sizes = {file["name"]: int(file["bytes"]) for file in told["files"]}
    sees = folders.runs_eyes()
    names = choose(sorted(sizes), where, sees)
    blind = not sees and names[0].endswith(".gguf") and eye_for(names[0], sorted(sizes))
    names += [name for name in sorted(sizes) if trusted and name.endswith(".py") and "/" not in name]
    with tempfile.TemporaryDirectory(dir=there.parent) as scratch:
        folder = Path(scratch) / (where.title.removesuffix(".gguf") or "model")
        folder.mkdir()
        for name in names:  # the files that are not read now are there by name
            source = there / name
            if "/" not in name or name.endswith(".gguf"):
                (folder / source.name).write_bytes(source.read_bytes() if source.is_file() else b"")
        try:
            like = folders.spec_of(folder)
        except WeightsError as error:
            error.args = (str(error).replace(str(folder), where.repo),)
            raise
    return replace(
        like,
        key=where.key,
        title=where.title,
        sources=(Hub(where.repo, told["commit"], patterns=tuple(escape(name) for name in names)),),
        licence=told["licence"] or "not stated",
        about=f"From the Hub: {where.repo}." + (BLIND if blind else ""),
        origin=where.repo,
        bytes=sum(sizes[name] for name in names),
        parameters=told["parameters"] / 1e6,
    )
