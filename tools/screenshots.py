"""Take the pictures of the README: `python tools/screenshots.py`, with the starter weights in place and Chromium.

The program is started on a free port, the samples are dropped, and what is seen goes to docs/screenshots.
"""

from __future__ import annotations

import argparse
import io
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this is run as a program: its neighbours are not on the path

from tools.browser import find_browser  # noqa: E402

SAMPLES = ROOT / "assets" / "samples"
MOST_BYTES = 390_000
LONG = 300_000


@dataclass(frozen=True)
class Shot:
    """One picture: which tab, how wide, which theme, in which language."""

    name: str
    tab: str
    width: int = 1280
    height: int = 860
    scheme: Literal["light", "dark"] = "light"
    locale: str = "en-US"
    ending: Literal["png", "jpg"] = "png"
    """JPEG for what is a photo for the most part."""


SHOTS = (
    Shot("describe", "describe"),
    Shot("batch-dark", "batch", scheme="dark"),
    Shot("video", "video", height=1000, ending="jpg"),
    Shot("speech-dark", "speech", scheme="dark", height=720),
    Shot("why", "why", height=1300, ending="jpg"),
    Shot("compose", "compose", height=980),
    Shot("models", "models"),
    Shot("phone", "describe", width=390, height=1240),
    Shot("phone-dark-zh", "question", width=390, height=1480, scheme="dark", locale="zh-CN"),
)
PLACES = {"describe": 0, "batch": 0, "question": 0, "video": 1, "speech": 2, "why": 0, "compose": 4, "models": 5}


def act(page: Any, shot: Shot) -> None:
    """Do what a person would do in the tab, and wait for the answer."""
    page.get_by_role("tab").nth(PLACES[shot.tab]).click()
    pictures = [str(path) for path in sorted(SAMPLES.glob("*.jpg"))]
    given = {
        "describe": ("describe", pictures[:1]),
        "why": ("describe", pictures[:1]),
        "question": ("describe", pictures[-1:]),
        "batch": ("describe", pictures),
        "video": ("video", [str(path) for path in sorted(SAMPLES.glob("*.mp4"))[:1]]),
        "speech": ("speech", [str(path) for path in sorted(SAMPLES.glob("*.flac"))[:1]]),
    }.get(shot.tab)
    if given is None:
        if shot.tab == "compose":
            page.locator("#mm-compose-diagram .mm-link").first.wait_for(timeout=LONG)
        page.wait_for_timeout(500)
        return
    tab, files = given
    page.locator(f"#mm-{tab}-drop input[type=file]").set_input_files(files)
    finished(page, tab)
    if shot.tab == "why":
        page.locator("#mm-describe-why").get_by_role("button").first.click()
        page.locator("#mm-describe-why-shown [data-mm-panel]:visible .mm-heat").wait_for(timeout=LONG)
        page.wait_for_timeout(500)
    if shot.tab == "question":
        page.locator("#mm-describe-question textarea").fill("What is on the table?")
        page.locator("#mm-describe-ask").click()
        page.locator(".mm-asked").wait_for(timeout=LONG)
        finished(page, tab)


def finished(page: Any, tab: str) -> None:
    """Wait until Stop has nothing more to stop."""
    page.locator(f"#mm-{tab}-status .mm-quiet").wait_for(timeout=LONG)
    page.wait_for_timeout(1200)


def save(png: bytes, shot: Shot, folder: Path) -> Path:
    """A PNG of few colours or a JPEG, as the shot says, so that the README's links hold; at most `MOST_BYTES`."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        path, plain = folder / f"{shot.name}.{shot.ending}", picture.convert("RGB")
        for level in (88, 80, 70, 60):
            if shot.ending == "png":
                plain.quantize(round(256 * level / 88), dither=Image.Dither.NONE).save(path, optimize=True)
            else:
                plain.save(path, quality=level, optimize=True)
            if path.stat().st_size <= MOST_BYTES:
                break
    return path


def main() -> int:
    """Start the program, take every picture, end it."""
    parser = argparse.ArgumentParser(description="Take the pictures of the README.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots", help="where they go")
    parser.add_argument("--only", nargs="*", choices=[shot.name for shot in SHOTS], help="these alone")
    chosen = parser.parse_args()
    browser = find_browser()
    if browser is None:
        print("Chromium is missing: python tools/setup.py --dev gets one.")
        return 1
    from playwright.sync_api import sync_playwright

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--offline"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[1]
        chosen.out.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            running = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            for shot in SHOTS:
                if chosen.only and shot.name not in chosen.only:
                    continue
                page = running.new_page(
                    viewport={"width": shot.width, "height": shot.height}, color_scheme=shot.scheme, locale=shot.locale
                )
                page.goto(address)
                page.locator("#mm-header .mm-fact").first.wait_for(timeout=LONG)
                act(page, shot)
                page.evaluate("window.scrollTo(0, 0)")
                path = save(page.screenshot(), shot, chosen.out)
                print(f"{path}  {path.stat().st_size // 1000} kB", flush=True)
                page.close()
            running.close()
    finally:
        server.terminate()
        server.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
