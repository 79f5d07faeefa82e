"""How long until the first page is served: this program beside a bare Gradio `Blocks` page.

Each is started in its own process on a free port; the clock stops at the first HTTP 200 of `/`. The two take turns, so
that what else the machine does falls on both.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.table import Row, at_most

ROOT = Path(__file__).parents[1]
REPEATS = 5
PATIENCE = 120.0
BARE = (
    "import gradio as gr\nwith gr.Blocks() as page:\n    gr.Markdown('hello')\n"
    "page.launch(server_name='127.0.0.1', server_port={port}, quiet=True)\n"
)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def first_page(command: list[str], environment: dict[str, str], port: int) -> float:
    """Seconds from the start of `command` to the first HTTP 200 of its page.

    Raises:
        RuntimeError: if it ends or stays silent instead.
    """
    with tempfile.TemporaryFile() as log:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            while time.perf_counter() - begun < PATIENCE:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
                        if answer.status == 200 and answer.read():
                            return time.perf_counter() - begun
                except urllib.error.HTTPError:
                    pass  # it listens, and is not ready
                except (urllib.error.URLError, ConnectionError):
                    if process.poll() is not None:
                        log.seek(0)
                        raise RuntimeError(f"{command} ended: {log.read().decode()[-2000:]}") from None
                time.sleep(0.01)
        finally:
            process.terminate()
            process.wait(30)
    raise RuntimeError(f"{command} served no page in {PATIENCE:.0f} s")


def ours(port: int) -> float:
    """This program, as `make run` starts it."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    return first_page([sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port)], environment, port)


def bare(port: int) -> float:
    """The smallest Gradio page."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    return first_page([sys.executable, "-c", BARE.format(port=port)], environment, port)


def run() -> list[Row]:
    """Medians of interleaved starts; one start of each before the clock counts, so that files are in memory."""
    ours(free_port())
    bare(free_port())
    pairs = [(ours(free_port()), bare(free_port())) for _ in range(REPEATS)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    return [
        at_most("first page served, against a bare Gradio page", f"{mine:.2f} s", f"{theirs:.2f} s", mine / theirs, 2.5)
    ]
