"""The checks: all of them run, each is reported, and what cannot run is never silent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import check
from tools.check import CHECKS, Check, Outcome

GOOD = Check("good", ("-c", "print('fine')"))
BAD = Check("bad", ("-c", "import sys; sys.exit(5)"))
PAGE = Check("browser", ("-c", "print('clicked')"), browser=True)


def told(capfd: pytest.CaptureFixture[str]) -> tuple[str, list[str]]:
    """All that was printed, and the lines of the summary without their seconds."""
    text = capfd.readouterr().out
    summary = text.split("=== summary\n")[1].splitlines()
    return text, [re.sub(r" +\d+\.\d s$", "", line) for line in summary]


def test_one_that_fails_does_not_keep_the_others_from_running(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.check([BAD, GOOD, PAGE], "/usr/bin/chromium", ci=True) == 1
    text, summary = told(capfd)
    assert "fine\n" in text
    assert "clicked\n" in text
    assert summary == ["bad       FAILED", "good      passed", "browser   passed"]


def test_all_good_is_zero(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.check([GOOD, PAGE], "/usr/bin/chromium", ci=False) == 0


def test_without_a_browser_those_tests_alone_are_skipped_loudly(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.check([GOOD, PAGE], None, ci=False) == 0
    text, summary = told(capfd)
    assert "!!!!\nThere is no browser: the browser tests are not run. Install Chromium or Chrome.\n!!!!" in text
    assert "clicked\n" not in text
    assert summary == ["good      passed", "browser   SKIPPED"]


def test_on_a_build_server_a_missing_browser_fails(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.check([GOOD, PAGE], None, ci=True) == 1
    assert told(capfd)[1] == ["good      passed", "browser   FAILED"]


def test_the_summary_has_a_line_each() -> None:
    assert check.table([Outcome("format", "passed", 1.25), Outcome("tests", "FAILED", 90)]) == (
        "format    passed        1.2 s\ntests     FAILED       90.0 s"
    )


def test_an_unknown_check_lists_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        check.main(["liint"])
    assert "there is no check 'liint'; choose from: format, lint, types, tests, browser, gpu" in capsys.readouterr().err


def test_the_two_runs_of_pytest_share_out_all_tests() -> None:
    markers = {one.name: one.arguments[-1] for one in CHECKS if "pytest" in one.arguments}
    assert markers == {"tests": "not browser and not gpu", "browser": "browser"}
    assert [one.name for one in CHECKS if one.browser] == ["browser"]


def test_the_build_server_runs_make_test_and_nothing_more() -> None:
    lines = (Path(check.ROOT) / ".ci/run").read_text().splitlines()
    assert lines == ["#!/usr/bin/env bash", "set -eu", 'cd "$(dirname "$0")/.."', "make test"]


def test_the_gpu_is_asked_for_only_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[list[str]] = []
    monkeypatch.setattr(check, "check", lambda checks, browser, ci: chosen.append([one.name for one in checks]) or 0)
    check.main([])
    check.main(["gpu"])
    assert chosen == [["format", "lint", "types", "tests", "browser"], ["gpu"]]
    (tests,) = (one for one in CHECKS if one.name == "tests")
    assert "not browser and not gpu" in tests.arguments
