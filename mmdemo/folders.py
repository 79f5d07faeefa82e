"""A model given as the path of a folder: the row that its `config.json` tells; and how large a folder is.

Nothing is loaded here. The key of such a row is `folder:` and the path: it never names a place in the cache, so
removing models from the cache cannot touch the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmdemo import families, packings
from mmdemo.errors import WeightsError
from mmdemo.families import Family
from mmdemo.specs import STYLES, Local, ModelSpec, Task

PREFIX = "folder:"


def path_in(name: str) -> Path | None:
    """The absolute path of the folder that `name` is the path of, if there is one with a checkpoint."""
    if not name.startswith(PREFIX) and not any(separator in name for separator in "/\\"):
        return None
    path = Path(name.removeprefix(PREFIX)).expanduser()
    there = path.is_dir() and ((path / "config.json").is_file() or any(path.glob("*.gguf")))
    return path.resolve() if there else None


def spec_of(folder: Path) -> ModelSpec:
    """A row for the checkpoint in `folder`.

    Raises:
        WeightsError: if its configuration cannot be read, or tells of a model that no engine here runs.
    """
    family = family_of(folder)
    sees = "describe" in family.tasks
    own = family.engine == "llama_cpp"  # its chat template is in the file
    chats = sees and not family.prompts and (own or _chats(folder))
    return ModelSpec(
        key=f"{PREFIX}{folder}",
        title=title_of(folder),
        backend=family.engine,
        tasks=family.tasks,
        sources=(Local(str(folder)),),
        licence="your own",
        about=f"The checkpoint in {folder}.",
        origin=str(folder),
        bytes=bytes_in(folder),
        parameters=0.0,
        parts=tuple(part for part in family.parts if not (folder / part).is_dir()),
        styles=(STYLES if chats else tuple(family.prompts) or STYLES[:1]) if sees else (),
        answers=chats or bool(family.question),
        languages=("many",),
        packed=packings.kind_of(_config(folder)) if (folder / "config.json").is_file() else "",
    )


ENCODERS = ("vision.", "audio.", "text.")
"""How the names of an encoder's weights begin in the files of a chain."""
HEADER = 100_000_000
"""Bytes of the longest header of a safetensors file."""
RUN, TUNED, REPORT = "run.json", "model", "report.json"
"""What a training was asked for; beside it the folder with what came of it, and what that scored."""
EYE = "mmproj"
"""In the name of a GGUF file: the encoder and projector of another one."""


def title_of(folder: Path) -> str:
    """What people read: the folder's name; of a tuned model the data that it learned from and what it was before."""
    if folder.name != TUNED or not (folder.parent / RUN).is_file():
        return folder.name
    try:
        asked = json.loads((folder.parent / RUN).read_bytes())
        data, before = Path(asked["data"]), asked.get("model") or asked.get("task")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return folder.parent.name
    return " · ".join(filter(None, (data.stem or data.name, before and Path(str(before)).name)))


def tuned(runs: Path) -> list[ModelSpec]:
    """The rows of models that were tuned here and that an engine runs, the newest first.

    Args:
        runs: the folder with one folder a run; their names begin with the moment.
    """
    found = []
    for folder in sorted(runs.glob(f"*/{TUNED}"), reverse=True):
        if path_in(str(folder)) is not None:
            with contextlib.suppress(WeightsError):  # the page of its run says what it is good for
                found.append(spec_of(folder.resolve()))
    return found


def composed(chains: Path) -> list[ModelSpec]:
    """The rows of chains that were composed here, the newest first.

    Args:
        chains: the folder with one folder a chain.
    """
    found = []
    for folder in sorted(chains.glob("*/config.json"), key=lambda file: -file.stat().st_mtime):
        with contextlib.suppress(WeightsError):
            found.append(spec_of(folder.parent.resolve()))
    return found


def eye_in(folder: Path) -> tuple[Path | None, Path | None]:
    """Of a folder with GGUF files, the one with the encoder and projector (`mmproj`), and the language model's."""
    files = sorted(folder.glob("*.gguf"))
    eyes = [path for path in files if EYE in path.name.lower()]
    models = [path for path in files if path not in eyes]
    return next(iter(eyes), None), next(iter(models), None)


def runs_eyes() -> bool:
    """Whether GGUF models that see can be run here."""
    return find_spec("xllamacpp") is not None


def size_of(path: Path) -> int:
    """Bytes of a file; -1 if there is none."""
    try:
        return path.stat().st_size if path.is_file() else -1
    except OSError:
        return -1


def bytes_in(folder: Path) -> int:
    """Bytes of all files in a folder that another process may be changing."""
    # os.walk passes over a folder that is gone by the time it is opened; Path.rglob raises
    return sum(max(0, size_of(Path(place, name))) for place, _, names in os.walk(folder) for name in names)


def family_of(folder: Path) -> Family:
    """The family of a folder's checkpoint: the engine that runs it, and what it does.

    Raises:
        WeightsError: if there is none.
    """
    if not (folder / "config.json").is_file():
        if eye_in(folder)[0] is None:
            return Family("", "", "causal_lm", ("talk",))  # a GGUF file has its configuration inside
        if not runs_eyes():
            raise WeightsError(
                f"The GGUF model in {folder} sees with its mmproj file, which needs the package xllamacpp: install it, "
                "or move the mmproj file away for a model that only talks."
            )
        return Family("", "", "llama_cpp", ("describe", "talk"))
    if (folder / "model.bin").is_file() and any(folder.glob("vocabulary.*")):
        if not (folder / "tokenizer.json").is_file():
            # faster-whisper would ask the Hub for one
            raise WeightsError(
                f"The Whisper model in {folder} has no tokenizer.json: copy it there from the model it was made of."
            )
        return Family("", "", "faster_whisper", ("transcribe",))  # the files that CTranslate2 writes for Whisper
    config = _config(folder)
    kind = str(config.get("model_type", ""))
    architecture = str((config.get("architectures") or [""])[0])
    named = families.of(kind, architecture)
    if named and named.engine == "fusion" and _is_whole(folder):
        return _chain(config)
    if named:
        return named
    if "vision_config" in config and architecture.endswith("ForConditionalGeneration"):
        return Family(kind, "", "image_text", ("describe",))
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return Family(kind, "", "causal_lm", ("talk",))
    if architecture.endswith("Model") and "vision_config" not in config:
        return Family(kind, "", "embedder", ("embed",))
    raise WeightsError(
        f"No engine here runs the model in {folder} ({architecture or kind or 'its config.json names none'}): choose "
        "a vision-language, speech, language or sentence-embedding model."
    )


def _is_whole(folder: Path) -> bool:
    """Whether a fusion checkpoint holds its encoders too, as a chain that was composed does."""
    try:
        with (folder / "model.safetensors").open("rb") as file:
            names = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), HEADER)))
        return any(name.startswith(ENCODERS) for name in names)
    except (OSError, ValueError):
        return False


def _chain(config: dict[str, Any]) -> Family:
    """What a chain does, by its encoders."""
    tasks: list[Task] = ["describe"] if config.get("vision_config") else []
    tasks += ["transcribe"] if config.get("audio_config") else []
    question = "{question}" if config.get("text_encoder_config") else ""
    return Family("mmdemo_fusion", "", "chain", tuple(tasks), dict.fromkeys(STYLES[:2], ""), question)


def _config(folder: Path) -> dict[str, Any]:
    """The folder's configuration."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"config.json in {folder} cannot be read: {error}.") from error
    if not isinstance(config, dict):
        raise WeightsError(f"config.json in {folder} is not a configuration: it must be a JSON object.")
    return config


def _chats(folder: Path) -> bool:
    """Whether the checkpoint brings a chat template, and so can be asked things."""
    if any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    try:
        return bool(json.loads((folder / "tokenizer_config.json").read_bytes()).get("chat_template"))
    except (OSError, ValueError, AttributeError):
        return False
