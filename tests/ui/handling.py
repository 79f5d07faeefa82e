"""A tab on a page, and its handlers called as Gradio calls them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr

from mmdemo.results import Provenance
from mmdemo.ui.bench import Context

FROM = Provenance("starter-describer")
REQUEST: Any = SimpleNamespace(session_hash="someone", request=object(), cookies={}, headers={})
CHINESE: Any = SimpleNamespace(**{**vars(REQUEST), "cookies": {"mmdemo_language": "zh"}})


def placed(tab: type, studio: Any) -> Any:
    """A tab on a page; made in a running event loop, since Gradio leaves one open where there is none."""

    async def make() -> Any:
        with gr.Blocks():
            return tab(Context(studio))

    return asyncio.run(make())


def all_of(stream: Iterator[dict[Any, Any]]) -> tuple[list[dict[Any, Any]], dict[Any, Any]]:
    """Every update, and what the components show in the end."""
    updates = list(stream)
    shown: dict[Any, Any] = {}
    for update in updates:
        shown |= update
    return updates, shown
