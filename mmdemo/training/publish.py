"""A tuned model to a repository of the Hub: what `transformers` loads, with its card."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from mmdemo.runtime.sources.base import Progress
from mmdemo.runtime.sources.hub_push import check, push
from mmdemo.settings import Settings
from mmdemo.training import config, export


def publish(
    run: Path,
    repo: str,
    settings: Settings,
    *,
    private: bool = True,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> str:
    """Upload a finished run's merged model; the address of its page.

    Raises:
        StudioError: as exporting and uploading raise them.
    """
    check(repo, settings)  # before a large model is packed for nothing
    with tempfile.TemporaryDirectory(dir=run, prefix=".push-") as folder:
        merged = export.export(run, "merged", Path(folder) / "model", copy=_linked)
        card = export.card(run, config.read(run / config.RUN_FILE))
        (merged / "README.md").write_text(card, encoding="utf-8")
        return push(merged, repo, settings, private=private, report=report, cancelled=cancelled)


def _linked(source: str, target: str) -> None:
    """A second name for a file, which takes no room; a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
