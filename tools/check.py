"""All checks in turn: `python -m tools.check [NAME…]`, in the environment that `tools/setup.py --dev` made.

Every check runs, whatever the ones before it said; a table at the end says how each went. The exit status is 0 only if
none failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tools.browser import find_browser
from tools.setup import ROOT, in_ci, loudly, say

WORKERS = max(1, min(4, os.cpu_count() or 1))
"""Test processes at once; each may hold a model or two, so that more cores do not mean more of them."""
PYTEST = ("-m", "pytest", "-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder")
"""A file's tests share what they have loaded; files in the order of their names, because those of `ui`, the last, are
short, and no core waits long for the other at the end."""


@dataclass(frozen=True)
class Check:
    """A command of the environment's Python."""

    name: str
    arguments: tuple[str, ...]
    browser: bool = False


CHECKS = (
    Check("format", ("-m", "ruff", "format", "--check", ".")),
    Check("lint", ("-m", "ruff", "check", ".")),
    Check("types", ("-m", "mypy", "mmdemo", "tools", "app.py")),
    Check("tests", (*PYTEST, "-m", "not browser and not gpu")),
    Check("browser", (*PYTEST, "-m", "browser"), browser=True),
)
ASKED = (Check("gpu", ("-m", "pytest", "-m", "gpu", "-s", "tests/gpu")),)
"""Checks that run only if they are named: no machine needs a GPU to be sound."""


@dataclass(frozen=True)
class Outcome:
    """How a check went: `passed`, `FAILED` or `SKIPPED`."""

    name: str
    word: str
    seconds: float


def run(check: Check, browser: str | None, ci: bool) -> Outcome:
    """Run one check; its output goes straight to the terminal."""
    say(f"\n=== {check.name}: python {' '.join(check.arguments)}")
    if check.browser and browser is None:
        loudly(f"There is no browser: the {check.name} tests are not run. Install Chromium or Chrome.")
        return Outcome(check.name, "FAILED" if ci else "SKIPPED", 0.0)
    start = time.monotonic()
    status = subprocess.run([sys.executable, *check.arguments], cwd=ROOT).returncode
    return Outcome(check.name, "FAILED" if status else "passed", time.monotonic() - start)


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a check."""
    return "\n".join(f"{outcome.name:<10}{outcome.word:<10}{outcome.seconds:>7.1f} s" for outcome in outcomes)


def check(checks: Sequence[Check], browser: str | None, ci: bool) -> int:
    """Run all `checks` and print the table; the exit status."""
    outcomes = [run(one, browser, ci) for one in checks]
    say("\n=== summary\n" + table(outcomes))
    return int(any(outcome.word == "FAILED" for outcome in outcomes))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.check", description="Run the checks.")
    names = [one.name for one in (*CHECKS, *ASKED)]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {', '.join(names)}")
    wanted = parser.parse_args(arguments).names or [one.name for one in CHECKS]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        parser.error(f"there is no check {unknown[0]!r}; choose from: {', '.join(names)}")
    chosen = [one for one in (*CHECKS, *ASKED) if one.name in wanted]
    browser = find_browser() if any(one.browser for one in chosen) else None
    return check(chosen, browser, in_ci())


if __name__ == "__main__":
    sys.exit(main())
