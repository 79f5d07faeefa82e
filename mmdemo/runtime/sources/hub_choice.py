"""Which files of a repository make one checkpoint: safetensors before all else, no pickles, each weight once."""

from __future__ import annotations

import re
from dataclasses import replace

from mmdemo.errors import WeightsError
from mmdemo.folders import EYE
from mmdemo.hub_rows import Address

SMALL = (".json", ".txt", ".model", ".jinja")
"""Endings of what lies beside the weights: configuration, tokenizer, chat template."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.(safetensors|gguf)$)")
EYES = (r"(?<!b)f16", r"q8_0", r"bf16", r"f32", "")
"""What the names of `mmproj` files say of their numbers, the first choice first: small, and every processor has it."""
NAMED = 6
"""GGUF files that are named where there are several."""


def choose(names: list[str], where: Address, sees: bool = False) -> list[str]:
    """The files of a repository that make one checkpoint: safetensors before all else, each weight once.

    Args:
        sees: whether a GGUF model gets the `mmproj` file that it sees with, where there is one.

    Raises:
        WeightsError: there are only pickles, no weights at all, or several GGUF files of which none was named.
    """
    top = [name for name in names if "/" not in name]
    small = [name for name in top if name.endswith(SMALL)]
    small += [name for name in names if re.fullmatch(r"\d+_Pooling/config\.json", name)]
    if where.file:
        if where.file not in names:
            raise WeightsError(f"{where.repo} on the Hub has no file {where.file}: choose one that it has.")
        return _with_shards(where.file, names) + (eye_for(where.file, names) if sees else [])
    tensors = [name for name in top if name.endswith(".safetensors")]
    if tensors:
        return sorted(_once(tensors, top) + small)
    if "model.bin" in top and any(name.startswith("vocabulary.") for name in top):
        return sorted(["model.bin", *small])  # what CTranslate2 writes for Whisper
    files = options(names)
    if len(files) > 1:
        keys = ", ".join(replace(where, file=name).key for name in files[:NAMED])
        raise WeightsError(f"{where.repo} on the Hub has {len(files)} GGUF files: name one of them, such as {keys}.")
    if files:
        return _with_shards(files[0], names) + (eye_for(files[0], names) if sees else [])
    if any(name.endswith(PICKLES) for name in top):
        title = where.title
        raise WeightsError(
            f"{title} has its weights in a pickle file, which could run any code: convert them to safetensors first."
        )
    raise WeightsError(
        f"{where.repo} on the Hub has no weights that can be opened here: choose one with safetensors or GGUF files."
    )


def options(names: list[str]) -> list[str]:
    """The GGUF files that one can choose from, if that is the repository's format: of those cut in pieces the first,
    and none that is only the eye of another (`mmproj`)."""
    if any(name.endswith(".safetensors") and "/" not in name for name in names):
        return []
    files = [name for name in names if name.endswith(".gguf") and not _is_eye(name)]
    return [name for name in files if not SHARD.search(name) or "-00001-of-" in name]


def eye_for(file: str, names: list[str]) -> list[str]:
    """The `mmproj` file that a GGUF model sees with: of those nearest to it, the first in the order of `EYES`; none
    for a repository that has none."""
    eyes = [name for name in names if _is_eye(name)]
    for place in (file.rpartition("/")[0], ""):
        near = [name for name in eyes if name.rpartition("/")[0] == place]
        for kind in EYES if near else ():
            found = [name for name in near if re.search(kind, name.rpartition("/")[2].lower())]
            if found:
                return found[:1]
    return []


def _is_eye(name: str) -> bool:
    """Whether a file is only the eye of another."""
    return name.endswith(".gguf") and EYE in name.rpartition("/")[2].lower()


def _with_shards(file: str, names: list[str]) -> list[str]:
    """A file, with its other pieces."""
    stem = SHARD.sub("", file)
    return [name for name in names if name == file or (SHARD.search(file) and SHARD.sub("", name) == stem)]


def _once(tensors: list[str], top: list[str]) -> list[str]:
    """Of several sets of the same weights, the one that is opened: not the fp16 copy, not the consolidated one."""
    if "model.safetensors" in tensors:
        rest = [name for name in tensors if name.startswith("adapter_")]
        return ["model.safetensors", *rest]
    if "model.safetensors.index.json" in top:
        shards = [name for name in tensors if name.startswith("model-") and SHARD.search(name)]
        return shards or tensors
    return tensors
