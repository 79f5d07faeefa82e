"""Runs command lines with a describer and a transcriber that need no weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmdemo import cli
from tests.fakes import FakeEye, install


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeEye]:
    """See `install`."""
    return install(tmp_path, monkeypatch)


@pytest.fixture
def command(fakes: type[FakeEye], capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line in this process: (exit status, standard output, standard error)."""

    def run(*argv: object) -> tuple[int, str, str]:
        try:
            status = cli.main([str(word) for word in argv])
        except SystemExit as left:
            status = int(left.code or 0)
        out = capsys.readouterr()
        return status, out.out, out.err

    return run
