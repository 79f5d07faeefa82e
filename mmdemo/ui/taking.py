"""Taking a tuned model away: one file to download, in the form that was chosen."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

from mmdemo.folders import PREFIX, TUNED
from mmdemo.jobs import Job
from mmdemo.ui.scratch import scratch

FORMS = ("zip", "adapter", "ctranslate2", "gguf", "gguf-q8_0")
"""Model, card and script; the adapters alone; Whisper for CTranslate2; a Llama for llama.cpp, in 16 or 8 bits."""

OF_KIND = {"whisper": ("ctranslate2",), "llama": ("gguf", "gguf-q8_0")}
"""What more there is of some kinds of models."""


def key(job: Job) -> str:
    """The key of the tuned model of a training, in every picker."""
    return f"{PREFIX}{(job.folder / TUNED).resolve()}"


def forms(job: Job) -> list[str]:
    """Those of `FORMS` that a training's model can be had in."""
    model = job.folder / TUNED
    found = ["zip"]
    if (model / "adapter").is_dir():
        found.append("adapter")
    try:
        kind = json.loads((model / "config.json").read_bytes()).get("model_type")
    except (OSError, ValueError, AttributeError):
        return []
    return [*found, *OF_KIND.get(str(kind), ())]


def taken(job: Job, form: str) -> Path:
    """A file with the model in a form of `FORMS`, for the page to hand out.

    Raises:
        StudioError: as the export raises them.
    """
    from mmdemo.training.export import export

    name = f"{job.folder.name}-{form}.zip"
    if form == "zip":
        name = f"{job.folder.name}.zip"
    elif form in OF_KIND["llama"]:
        name = f"{job.folder.name}-{form.removeprefix('gguf-')}.gguf"
    place = scratch.place(name)
    if not name.endswith(f"-{form}.zip"):
        return export(job.folder, form, place)
    folder = export(job.folder, form, place.parent / form)
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as packed:  # weights are numbers: they get no smaller
        for file in sorted(one for one in folder.rglob("*") if one.is_file()):
            packed.write(file, f"{form}/{file.relative_to(folder).as_posix()}")
    shutil.rmtree(folder, ignore_errors=True)
    return place
