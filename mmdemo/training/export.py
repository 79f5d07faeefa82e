"""Take a result away: adapters, a whole checkpoint, CTranslate2 for Whisper, GGUF, or a zip that runs by itself."""

from __future__ import annotations

import functools
import json
import shutil
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import mmdemo
from mmdemo import catalog
from mmdemo.errors import InputError, StudioError, UnknownName, Unsupported
from mmdemo.folders import REPORT
from mmdemo.settings import Settings
from mmdemo.training import config, gguf_export, scripts
from mmdemo.training.config import TrainOptions
from mmdemo.training.models import ADAPTER, RESULT, base_of

FORMATS = ("adapter", "merged", "ctranslate2", *gguf_export.KINDS, "zip")

Copy = Callable[[str, str], object]
NAMES = {"zip": "{run}.zip", "gguf": "{run}-f16.gguf", "gguf-q8_0": "{run}-q8_0.gguf"}
"""What the formats that are one file are called; another is a folder under its own name."""


def export(run: Path, form: str, out: Path | None = None, copy: Copy = shutil.copy2) -> Path:
    """Write a finished run's model in one of `FORMATS`; where it is.

    Args:
        out: the folder or file to write; by default beside the model, under the format's name.
        copy: how a file gets into a merged checkpoint.

    Raises:
        UnknownName: for another format.
        InputError: the run has no model yet, or `out` is there already.
        Unsupported: the model cannot be had so.
    """
    if form not in FORMATS:
        raise UnknownName("export format", form, FORMATS)
    model = run / RESULT
    if not (model / "config.json").is_file():
        raise InputError(f"{run} has no finished model: let the run end first.")
    target = out or run / NAMES.get(form, form).format(run=run.name)
    if target.exists():
        raise InputError(f"{target} is there already: choose another place with -o.")
    writers: dict[str, Callable[[Path, Path], None]] = {
        "adapter": _adapter, "merged": functools.partial(_merged, copy), "ctranslate2": _ctranslate2, "zip": _zip,
        **{name: functools.partial(_gguf, kind) for name, kind in gguf_export.KINDS.items()},
    }  # fmt: skip
    partial = target.with_name(f".{target.name}.partial")
    for old in (partial,):
        shutil.rmtree(old, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        writers[form](run, partial)
        partial.rename(target)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
    return target


def _adapter(run: Path, out: Path) -> None:
    adapter = run / RESULT / ADAPTER
    if not adapter.is_dir():
        raise Unsupported(f"{run.name} was trained without adapters: export it as merged.")
    shutil.copytree(adapter, out)


def _merged(copy: Copy, run: Path, out: Path) -> None:
    shutil.copytree(run / RESULT, out, ignore=shutil.ignore_patterns(ADAPTER), copy_function=copy)


def _ctranslate2(run: Path, out: Path) -> None:
    """Whisper for CTranslate2 and faster-whisper, in float16 on the disk."""
    model = run / RESULT
    if json.loads((model / "config.json").read_text(encoding="utf-8")).get("model_type") != "whisper":
        raise Unsupported(f"{run.name} is no Whisper model: only those are exported for CTranslate2.")
    from mmdemo import torchvision_ops

    torchvision_ops.prepare()
    from ctranslate2.converters import TransformersConverter

    copied = [name for name in ("tokenizer.json", "preprocessor_config.json") if (model / name).is_file()]
    TransformersConverter(str(model), copy_files=copied).convert(str(out), quantization="float16")


def _gguf(kind: str, run: Path, out: Path) -> None:
    """A language model for llama.cpp and its kin."""
    gguf_export.write(run / RESULT, out, kind)


def _zip(run: Path, out: Path) -> None:
    """The model with a card, the packages it needs, and a script of ten lines that runs it."""
    options = config.read(run / config.RUN_FILE)
    script, packages = scripts.of(options.task, run)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted((run / RESULT).rglob("*")):
            if file.is_file():
                archive.write(file, f"{RESULT}/{file.relative_to(run / RESULT).as_posix()}")
        if options.task in scripts.OWN:
            package = Path(mmdemo.__file__).parent
            for name in scripts.OWN[options.task]:
                archive.write(package / name, f"{package.name}/{name}")
        if options.task == "image-to-text":
            archive.write(_eye(run), f"{scripts.EYE}/{_eye(run).name}")
        archive.writestr("README.md", card(run, options))
        archive.writestr("requirements.txt", "".join(f"{name}=={version(name)}\n" for name in packages))
        archive.writestr("run.py", script)


def _eye(run: Path) -> Path:
    """The weights of the encoder that a describer sees through, which its own checkpoint has not."""
    from mmdemo.fusion.checkpoint import convert_encoder

    base = base_of(str(run), Settings.load())
    return convert_encoder(base.parts[base.spec.parts[0]])


def card(run: Path, options: TrainOptions) -> str:
    """A model card in the Hub's form: what it is, what it learned from, how good it is, whose it is."""
    try:
        licence, origin = (spec := catalog.get(options.model)).licence, spec.origin
    except StudioError:
        licence, origin = "that of the model it started from", Path(options.model).name or "the task's starter"
    found = run / REPORT
    lines = ["---", "library_name: transformers", f"pipeline_tag: {options.task}", f"base_model: {origin}", "---", ""]
    lines += [f"# {run.name}", "", f"{origin}, fine-tuned for {options.task} with mmdemo ({options.method}).", ""]
    lines += ["## Data", "", f"`{Path(options.data).name}`", "", "## Scores", ""]
    if found.exists():
        report = json.loads(found.read_text(encoding="utf-8"))
        before, after = (report[side]["metrics"] for side in ("before", "after"))
        lines += [f"On {report['rows']} rows that it did not learn from: {report['verdict']}.", ""]
        lines += ["| score | before | after |", "| --- | --- | --- |"]
        lines += [f"| {name} | {before.get(name, 0):.4f} | {after[name]:.4f} |" for name in after]
    else:
        lines += ["No rows were held out."]
    lines += ["", "## Licence", "", f"The model it started from: {licence}. The data have a licence of their own.", ""]
    return "\n".join(lines)
