"""Where the OpenVINO graphs of a fusion checkpoint lie: made at first use, named by what they were made from."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil

from mmdemo.runtime.sources import store

VERSION = b"3"
"""Counts the changes of what `fusion.export` writes, so that older graphs are not used."""
PREFIX = "openvino-"
KEPT = 3
"""Graphs kept beside an encoder, those used last: each training of a checkpoint leaves one behind."""


def ready(folder: Path, encoder_folder: Path, go_on: Callable[[], None] = lambda: None) -> Path:
    """The folder with the graphs of a checkpoint and its encoder; they are exported if they are not there.

    Only the export imports torch. Afterwards the graphs that were used longest ago are deleted.

    Args:
        go_on: called before each long step; raises what ends the work.

    Raises:
        WeightsError: the checkpoint and its config do not fit.
    """
    if not any(encoder_folder.glob("*.safetensors")):
        from mmdemo.fusion.checkpoint import convert_encoder

        go_on()
        convert_encoder(encoder_folder)
    graphs = named(folder, encoder_folder)
    if not is_there(graphs):
        go_on()
        from mmdemo.fusion.checkpoint import assemble
        from mmdemo.fusion.export import export

        model = assemble(folder, encoder_folder)
        go_on()
        export(model, graphs)
        tidy(graphs)
    if os.access(graphs, os.W_OK):
        os.utime(graphs)
    return graphs


def is_there(graphs: Path) -> bool:
    """Whether graphs have been exported."""
    return (graphs / "step.xml").exists()


def named(folder: Path, encoder_folder: Path) -> Path:
    """The folder of the graphs, by every byte of the config and of both checkpoints, the encoder's as converted."""
    digest = hashlib.sha256(VERSION + (folder / "config.json").read_bytes())
    for file in [*sorted(folder.glob("*.safetensors")), *sorted(encoder_folder.glob("*.safetensors"))]:
        digest.update(store.digest(file).encode())
    return encoder_folder / f"{PREFIX}{digest.hexdigest()[:12]}"


def tidy(newest: Path) -> None:
    """Delete all but the graphs used last, and what exports left that were killed."""
    others: list[tuple[float, Path]] = []
    for place in newest.parent.glob(f"{PREFIX}*"):
        if place.suffix == ".partial":
            process = place.suffixes[-2].removeprefix(".") if len(place.suffixes) > 1 else ""
            if not (process.isdigit() and psutil.pid_exists(int(process))):
                shutil.rmtree(place, ignore_errors=True)
        elif place != newest:
            others.append((place.stat().st_mtime, place))
    for _, place in sorted(others, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(place, ignore_errors=True)  # somebody else may be deleting it too
