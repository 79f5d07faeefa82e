"""The page in the browser. `build(studio)` makes it, `launch_options` say how to serve it."""

from __future__ import annotations

from mmdemo.ui.page import build, launch_options

__all__ = ["build", "launch_options"]
