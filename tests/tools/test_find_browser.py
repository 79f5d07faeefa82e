"""A browser for the tests: found wherever set-up gets it from, and only if it runs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tools import browser

ROOT = Path(__file__).parents[2]


def program(path: Path, script: str = "echo Chromium 140") -> str:
    """A program that does as a browser would when it is asked for its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any browser: nothing on the path, nothing where the systems put one, none of Playwright's."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))
    monkeypatch.setattr(browser, "PLACES", ())
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def playwrights() -> Path:
    """Where Playwright would put its Chromium."""
    asked = subprocess.run([sys.executable, "-c", browser.PLAYWRIGHTS], capture_output=True, text=True, check=True)
    return Path(asked.stdout.strip())


def of_the_tests() -> ModuleType:
    """The fixtures of the browser tests, which look for a browser themselves."""
    return importlib.import_module("tests.browser.conftest")


def test_no_browser_is_none(bare: Path) -> None:
    assert browser.find_browser() is None


@pytest.mark.parametrize(("ci", "ends"), [("", "Skipped"), ("false", "Skipped"), ("true", "Failed"), ("1", "Failed")])
def test_without_a_browser_its_tests_are_skipped_but_fail_on_a_build_server(
    bare: Path, monkeypatch: pytest.MonkeyPatch, ci: str, ends: str
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(BaseException, match=r"Chromium, or Chrome.*: make dev") as caught:
        of_the_tests().chromium()
    assert type(caught.value).__name__ == ends


@pytest.mark.parametrize(("ci", "ends"), [("false", "Skipped"), ("true", "Failed")])
def test_without_the_starter_weights_they_are_skipped_but_fail_on_a_build_server(
    bare: Path, monkeypatch: pytest.MonkeyPatch, ci: str, ends: str
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("MMDEMO_HOME", str(bare / "home"))
    with pytest.raises(BaseException, match=r"the starter weights \(.*whisper-base.*\): make dev") as caught:
        of_the_tests().weights()
    assert type(caught.value).__name__ == ends


def test_the_one_that_playwright_has_fetched_is_found_where_there_is_no_other(bare: Path) -> None:
    place = playwrights()
    assert place.is_relative_to(bare / "playwright")
    program(place)
    assert browser.find_browser() == str(place)
    assert of_the_tests().chromium() == str(place)


def test_the_systems_is_taken_before_playwrights(bare: Path) -> None:
    program(playwrights())
    system = program(bare / "bin" / "chromium")
    assert browser.find_browser() == system


def test_where_the_system_puts_one_is_looked_at_too(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = program(bare / "Applications" / "Google Chrome")
    monkeypatch.setattr(browser, "PLACES", (str(bare / "absent"), there))
    assert browser.find_browser() == there


def test_a_placeholder_that_only_names_a_package_is_passed_over(bare: Path) -> None:
    program(bare / "bin" / "chromium-browser", "echo Command requires the chromium snap to be installed >&2; exit 10")
    assert browser.find_browser() is None
    good = program(bare / "bin" / "google-chrome")
    assert browser.find_browser() == good


def test_a_file_that_is_no_program_is_passed_over(bare: Path) -> None:
    path = Path(program(bare / "bin" / "chromium"))
    path.write_bytes(b"\x7fELF of another machine")
    assert browser.find_browser() is None
