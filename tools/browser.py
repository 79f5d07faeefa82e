"""A Chromium for the browser tests: where it may be, and whether it runs.

Like `setup.py`, which asks it, it imports the standard library only and has the syntax of Python 3.7.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
PLAYWRIGHTS = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


def find_browser(python: str = sys.executable) -> str | None:
    """A Chromium that runs: the system's, or the one that the Playwright of the environment of `python` has fetched."""
    for path in [shutil.which(name) for name in BROWSERS] + list(PLACES):
        if path and runs(path):
            return path
    asked = subprocess.run([python, "-c", PLAYWRIGHTS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    path = asked.stdout.decode("utf-8", "replace").strip()
    return path if asked.returncode == 0 and runs(path) else None


def runs(browser: str) -> bool:
    """Whether it is there and starts: a distribution's placeholder does not, nor one whose libraries are missing."""
    if not Path(browser).is_file():
        return False
    if os.name == "nt":
        return True  # there `--version` opens a window instead of answering
    try:
        return subprocess.run([browser, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
