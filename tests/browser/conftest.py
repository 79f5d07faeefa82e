"""The real program with the real starter weights, and headless Chromium in front of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mmdemo import HUB_SWITCH, HUB_SWITCH_KEPT, catalog
from mmdemo.runtime.sources import cached
from mmdemo.settings import Settings
from tools.browser import find_browser
from tools.setup import in_ci

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "assets" / "samples"
LONG = 180_000
"""Milliseconds that a first answer may take: it loads its models on two busy cores."""


def chromium() -> str:
    """The browser's program; without one these tests are skipped, but not in CI."""
    return find_browser() or missing("Chromium, or Chrome")


def missing(what: str) -> NoReturn:
    """Skip for want of something that set-up gets; a build server must have it."""
    if in_ci():
        pytest.fail(f"Browser tests cannot be skipped in CI, and they need {what}: make dev")
    pytest.skip(f"needs {what}: make dev")


def weights() -> Path:
    """The user's models folder with the whole starter set."""
    settings = Settings.load()
    absent = [row.key for row in catalog.ROWS if row.starter and not cached(row, settings)]
    if absent:
        missing(f"the starter weights ({', '.join(absent)})")
    return settings.models_folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(home: Path, **more: str) -> Iterator[str]:
    """The program on a free port, with no model hub and no package index in reach; its address.

    Args:
        more: environment variables.

    At the end it must not have tried to reach any other machine: see tests/guard.
    """
    port = free_port()
    record = home / f"left-{port}.txt"
    record.write_text("", "utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in (HUB_SWITCH, HUB_SWITCH_KEPT)}
    environment |= {
        "MMDEMO_HOME": str(home), "PIP_NO_INDEX": "1", "HF_ENDPOINT": "http://127.0.0.1:9",
        "PYTHONPATH": str(ROOT / "tests" / "guard"), "STAYS_HERE": str(record),
        **more,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("mmdemo: http://127.0.0.1:"), line
        yield line.split()[1]
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert record.read_text("utf-8") == "", "the program tried to leave this machine"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own with the starter weights: links to the files of the user's, so that removing them is safe."""
    there = weights()
    here = tmp_path_factory.mktemp("home")
    shutil.copytree(there, here / "models", copy_function=link)
    return here


def link(source: str, target: str) -> None:
    """A second name for a file; a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[str]:
    with serving(home) as address:
        yield address


@pytest.fixture
def fresh_server(home: Path) -> Callable[[], Any]:
    """Starts a server on which nothing is loaded yet."""
    return lambda: serving(home)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first words of the speech sample as the WAV file that Chromium's microphone plays, 48 kHz mono."""
    import numpy as np
    import soundfile

    samples, rate = soundfile.read(SAMPLES / "speech.flac", dtype="float32")
    samples = samples[: int(4.5 * rate)]
    times = np.arange(int(len(samples) * 48_000 / rate)) * rate / 48_000
    resampled = np.interp(times, np.arange(len(samples)), samples)
    path = tmp_path_factory.mktemp("spoken") / "question.wav"
    soundfile.write(path, np.concatenate([resampled, np.zeros(48_000)]), 48_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def browser(spoken: Path) -> Iterator[Any]:
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={spoken}",
                "--autoplay-policy=no-user-gesture-required",
            ],
        )
        yield running
        running.close()


class Watch:
    """What a page must not do: errors on the console, requests to other machines."""

    def __init__(self, page: Any) -> None:
        self.errors: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._request)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            self.errors.append(f"left the machine: {request.url}")


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open the page in a fresh browser profile; at the end the console must have been quiet."""
    watched: list[Watch] = []
    contexts: list[Any] = []

    def open_page(address: str, width: int = 1280, **profile: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, locale="en-US", **profile)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)
        watched.append(Watch(page))
        page.watch = watched[-1]
        page.goto(address)
        page.locator("#mm-header .mm-fact").first.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [error for watch in watched for error in watch.errors] == []


@pytest.fixture
def page(opened: Callable[..., Any], server: str) -> Any:
    return opened(server)
