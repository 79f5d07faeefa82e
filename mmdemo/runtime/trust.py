"""What is looked for in a checkpoint before any library opens it: pickles, code of its own, headers that lie.

A checkpoint that brings code is refused, unless its key is trusted (`mmdemo.trusted_code`): that code could do
anything that the user can, read files and send them away included. It is switched on for one model at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdemo.errors import WeightsError
from mmdemo.runtime import headers
from mmdemo.runtime.base import Load
from mmdemo.runtime.sources.store import inside

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Endings of files that may run any code when they are opened. `model.bin` of CTranslate2 is none."""
MOST = 64_000_000
"""Bytes of a configuration at most."""
CODE = ("auto_map", "custom_pipelines", "custom_generate")
"""Keys of a configuration that name Python modules to import."""
KERNELS = ("attn_implementation", "_attn_implementation")
"""Keys that may name a repository whose compiled code is loaded for attention."""
OWN = ("tokenizer.json", "vocab.json", "added_tokens.json", "special_tokens_map.json")
"""JSON files that are no configuration: vocabularies may be large."""


def check(request: Load) -> None:
    """Look at the folders of a checkpoint, of which its row says whether its own code may run.

    Raises:
        WeightsError: naming the file, what it would do, and what can be done about it.
    """
    for folder in request.folders.values():
        for path in sorted(folder.glob("*.json")):
            if path.name.endswith(".index.json"):
                index(path, request.spec.title)
            elif path.name not in OWN and not request.trusted:
                code(path, request.spec.title, request.spec.key)
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix in (".safetensors", ".gguf", headers.HEAD):
                headers.check(path)


def index(path: Path, title: str) -> None:
    """Look at the list of the files that a checkpoint is cut into: each lies beside it, and is no pickle.

    Raises:
        WeightsError: one does not, or is one.
    """
    files = read(path).get("weight_map")
    if not isinstance(files, dict):
        raise WeightsError(f"{path.name} of {title} lists no files: fetch the model again.")
    for name in dict.fromkeys(files.values()):
        if not isinstance(name, str) or "/" in name:
            raise WeightsError(
                f"{path.name} of {title} names {str(name)[:80]!r}, which is no file beside it: this model is not to "
                "be trusted, choose another."
            )
        inside(path.parent, name)
        if name.endswith(PICKLES) and "safetensors" in path.name:
            raise pickled(title, name)


def pickled(title: str, name: str) -> WeightsError:
    """The error for weights in a pickle."""
    return WeightsError(
        f"{title} has its weights in {name}, a pickle file, which could run any code: convert them to safetensors "
        "first."
    )


def code(path: Path, title: str, key: str) -> None:
    """Look at a configuration: it names no code.

    Raises:
        WeightsError: it does.
    """
    for name, value in named(read(path)):
        raise WeightsError(
            f"{title} brings code of its own ({path.name}: {name} is {value}), which could do anything that you can "
            f"on this machine: choose another model, or allow {key} under Models if you trust who wrote it."
        )


def named(config: object, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Keys and values of a configuration, and of those in it, that name code."""
    if depth > 8:
        return
    if isinstance(config, dict):
        for name, value in config.items():
            kernel = name in KERNELS and any("/" in one for one in _texts(value))
            if value and (name in CODE or kernel):
                yield str(name), json.dumps(value, ensure_ascii=False)[:120]
            yield from named(value, depth + 1)
    elif isinstance(config, list):
        for value in config:
            yield from named(value, depth + 1)


def _texts(value: Any) -> list[str]:
    """The texts that a value is, or has."""
    values = value.values() if isinstance(value, dict) else [value]
    return [one for one in values if isinstance(one, str)]


def read(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty for another kind of JSON.

    Raises:
        WeightsError: it cannot be read, or is larger than any configuration.
    """
    try:
        if path.stat().st_size > MOST:
            raise WeightsError(f"{path.name} is larger than any configuration: this model is not to be trusted.")
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
        raise WeightsError(f"{path.name} in {path.parent} cannot be read ({said}): fetch the model again.") from None
    return value if isinstance(value, dict) else {}
