"""A download that was stopped, killed or dropped goes on where it was: nothing comes twice, nothing half is used."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mmdemo.catalog import Hub, ModelSpec
from mmdemo.errors import Cancelled, ChecksumMismatch, Unreachable
from mmdemo.runtime.sources import Progress, fetch, hub_ask
from mmdemo.runtime.sources.hub_download import PIECE
from mmdemo.settings import Settings
from tests.loopback import COMMIT, Served
from tests.runtime.sources.large import (
    FILE,
    FILES,
    HALF,
    REPO,
    WEIGHTS,
    assert_nothing_is_used,
    assert_resumed,
    part,
    wait_for,
)  # fmt: skip

Publish = Callable[..., None]
Row = Callable[..., ModelSpec]
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_ask, "PAUSES", (0.01, 0.02, 0.03))


def test_a_stopped_download_goes_on_where_it_stopped(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    spec = row(Hub(REPO))
    served.held.add(FILE)
    with pytest.raises(Cancelled, match="what has arrived is kept for the next time"):
        fetch(spec, settings, cancelled=lambda: part(settings) > HALF - PIECE)
    assert_nothing_is_used(spec, settings)
    start = part(settings)
    served.held.clear()
    steps: list[Progress] = []
    folder = fetch(spec, settings, steps.append)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert_resumed(served, start)
    assert served.asked[f"/{REPO}/resolve/{COMMIT}/config.json"] == 1
    assert max(step.total for step in steps) == len(WEIGHTS) + 2


def test_a_download_whose_process_was_killed_goes_on_where_it_was(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    spec = row(Hub(REPO))
    served.held.add(FILE)

    def kill() -> None:
        wait_for(lambda: part(settings) > HALF - PIECE)
        for child in psutil.Process().children():
            child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Unreachable, match="could not fetch someone/tiny: it was ended"):
        fetch(spec, settings)
    killer.join()
    assert_nothing_is_used(spec, settings)
    start = part(settings)
    served.held.clear()
    fetch(spec, settings)
    assert_resumed(served, start)


def test_when_the_program_is_killed_its_download_ends_and_the_next_program_goes_on(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    served.held.add(FILE)
    code = (
        "from mmdemo.catalog import Hub, ModelSpec; from mmdemo.runtime.sources import fetch; "
        "from mmdemo.settings import Settings; "
        f"fetch(ModelSpec('tiny', 'Tiny', 'labels', (), (Hub({REPO!r}),), '', '', '', 0, 0), "
        f"Settings(home={settings.home!r}))"
    )
    program = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    wait_for(lambda: part(settings) > HALF - PIECE)
    (downloading,) = psutil.Process(program.pid).children()
    program.kill()
    program.wait()
    wait_for(lambda: not downloading.is_running())
    start = part(settings)
    served.held.clear()
    fetch(row(Hub(REPO)), settings)
    assert_resumed(served, start)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_dropped_connection_is_taken_up_again_in_the_same_run(
    reset: bool, served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    served.breaking[FILE], served.resetting = 2, reset
    folder = fetch(row(Hub(REPO)), settings)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    (first, second, third) = served.of(FILE)
    starts = [int(wanted.removeprefix("bytes=").removesuffix("-") or 0) for wanted, _ in (first, second, third)]
    assert HALF - PIECE < starts[1] <= HALF < starts[2]
    assert third[1] == len(WEIGHTS) - starts[2]


def test_a_server_that_knows_no_ranges_gives_the_file_from_its_beginning(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    served.ranges = False
    served.breaking[FILE] = 1
    folder = fetch(row(Hub(REPO)), settings)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_what_has_arrived_of_another_commit_is_not_gone_on_with(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    spec = row(Hub(REPO))
    served.held.add(FILE)
    with pytest.raises(Cancelled):
        fetch(spec, settings, cancelled=lambda: part(settings) > HALF - PIECE)
    served.held.clear()
    hub(REPO, {**FILES, "model.safetensors": WEIGHTS[::-1]})
    assert (fetch(spec, settings) / "model.safetensors").read_bytes() == WEIGHTS[::-1]
    assert served.of(FILE)[-1] == ("", len(WEIGHTS))


def test_files_that_were_checked_and_moved_are_not_fetched_again(
    served: Served, hub: Publish, row: Row, settings: Settings
) -> None:
    hub(REPO, FILES)
    spec = row(Hub(REPO))
    folder = fetch(spec, settings)
    (folder / ".complete.json").unlink()  # ended between the last file and the marker
    assert fetch(spec, settings) == folder
    assert served.asked[FILE] == 1
    (folder / ".complete.json").unlink()
    (folder / "model.safetensors").write_bytes(b"x" * len(WEIGHTS))
    with pytest.raises(ChecksumMismatch):
        fetch(spec, settings)
    assert (fetch(spec, settings) / "model.safetensors").read_bytes() == WEIGHTS
