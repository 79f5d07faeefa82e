"""The buttons that hand out segments as SRT, VTT, JSON and plain text."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.results import Track, Transcript
from mmdemo.ui import files
from mmdemo.ui.i18n import label

FORMATS = ("srt", "vtt", "json", "txt")


def place(tab: str) -> dict[str, gr.DownloadButton]:
    """Place one button a format; they show once there is something to hand out."""
    with gr.Row(elem_classes=["mm-downloads"]):
        return {
            name: gr.DownloadButton(
                label(f"download_{name}"), size="sm", visible=False, min_width=64, elem_id=f"mm-{tab}-{name}"
            )
            for name in FORMATS
        }


def text_file(result: Track | Transcript, name: str, form: str) -> str:
    """A file of `result` in a format of `FORMATS`; its path."""
    return files.write(f"{name}.{form}", text(result, form))


def text(result: Track | Transcript, form: str) -> str:
    """`result` in a format of `FORMATS`."""
    from mmdemo.media import subtitles

    return files.as_json([result]) if form == "json" else subtitles.as_file(result.segments, form)


def filled(buttons: dict[str, gr.DownloadButton], result: Track | Transcript, name: str) -> dict[Any, Any]:
    """Updates that hand out `result`."""
    return {button: gr.update(value=text_file(result, name, form), visible=True) for form, button in buttons.items()}


def hidden(buttons: dict[str, gr.DownloadButton]) -> dict[Any, Any]:
    """Updates for a request that has only begun."""
    return {button: gr.update(visible=False) for button in buttons.values()}


def several(buttons: dict[str, gr.DownloadButton], results: list[tuple[str, Transcript]]) -> dict[Any, Any]:
    """Updates that hand out many results: one archive a format, a file each in it."""
    updates: dict[Any, Any] = {}
    for form, button in buttons.items():
        place = Path(files.write(f"transcripts-{form}.zip", ""))
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, (name, result) in enumerate(results, 1):
                archive.write(text_file(result, name, form), f"{number:03d}-{name}.{form}")
        updates[button] = gr.update(value=str(place), visible=True)
    return updates
