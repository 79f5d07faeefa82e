"""The tabs of the page, in their order: one file each, and a line here."""

from __future__ import annotations

from typing import Any, Protocol

from mmdemo.ui.bench import Context
from mmdemo.ui.form import Form
from mmdemo.ui.inputs import Look
from mmdemo.ui.tabs.compose import Compose
from mmdemo.ui.tabs.describe import Describe
from mmdemo.ui.tabs.models import Models
from mmdemo.ui.tabs.speech import Speech
from mmdemo.ui.tabs.train import Train
from mmdemo.ui.tabs.video import Video


class Tab(Protocol):
    """What the page knows of a tab: a class that places it, and what came of it."""

    name: str
    """Its id; the title is the word `tab_` and this name."""

    def __init__(self, context: Context) -> None: ...

    @property
    def form(self) -> Form | None:
        """The options of its task, if it has one."""

    @property
    def looks(self) -> list[Look]:
        """What it shows before anyone asks."""

    @property
    def listeners(self) -> list[Any]:
        """Events after which memory and loaded models may have changed."""


TABS: tuple[type[Tab], ...] = (Describe, Video, Speech, Train, Compose, Models)
